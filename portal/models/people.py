"""How people come in, and what they did in their team."""

from typing import Any

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from meters.models import Customer
from portal.roles import Role


class BrowserSession(AbstractBaseSession):
    """A session of a browser, of a person once they have signed in. Who removes it signs them out."""

    # SHA-256 of what is in the cookie, in hexadecimal: who reads this table can sign in as nobody.
    session_key = models.CharField(max_length=64, primary_key=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    agent = models.CharField(max_length=200, blank=True)
    address = models.GenericIPAddressField(null=True)
    since = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta(AbstractBaseSession.Meta):
        verbose_name = "session"

    def __str__(self) -> str:
        return f"Session of {self.user} since {self.since:%Y-%m-%d %H:%M}"

    @classmethod
    def get_session_store_class(cls) -> Any:
        from portal.people.session_store import SessionStore

        return SessionStore


class LinkRequest(models.Model):
    """That somebody asked for a mail with a link to come in. Whether there is an account of the address is looked up by
    the worker, so that who asks learns nothing of it."""

    class Kind(models.TextChoices):
        SIGN_IN = "sign_in", "Sign-in link"
        RESET = "reset", "Reset of the password"

    kind = models.CharField(max_length=7, choices=Kind)
    address = models.CharField(max_length=254)
    # Where the portal was reached, and where to go on.
    base = models.CharField(max_length=300)
    next = models.CharField(max_length=500, blank=True)
    asked_from = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    # SHA-256 of what is in a sign-in link, since that was mailed.
    digest = models.BinaryField(max_length=32, null=True, unique=True, editable=False)
    expires_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["id"], condition=Q(answered_at=None), name="linkrequest_waiting"),
            models.Index(Lower("address"), "created_at", name="linkrequest_address"),
            models.Index(fields=["asked_from", "created_at"], name="linkrequest_from"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} for {self.address}"


class Invitation(models.Model):
    """That somebody is to join a customer's team: mailed as a link that works once."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(max_length=150)
    role = models.CharField(max_length=10, choices=Role)
    invited_by = models.CharField(max_length=200)
    base = models.CharField(max_length=300)
    # SHA-256 of what is in the link, since that was mailed.
    digest = models.BinaryField(max_length=32, null=True, unique=True, editable=False)
    sent = models.PositiveSmallIntegerField(default=1, help_text="How often it was mailed.")
    sent_at = models.DateTimeField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                "customer",
                Lower("email"),
                condition=Q(accepted_at=None, revoked_at=None),
                name="invitation_once",
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="invitation_role"),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.customer}"


class TeamEvent(models.Model):
    """What somebody did to a customer's team."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="team_events")
    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    what = models.CharField(max_length=500)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["customer", "-id"], name="teamevent_customer")]

    def __str__(self) -> str:
        return f"{self.actor}: {self.what}"
