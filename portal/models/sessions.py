"""Who comes to the portal without being a member: by a link of the vendor's server, or as staff who look on."""

from django.conf import settings
from django.db import models

from invoices.models import Invoice
from meters.models import ApiKey, Customer
from portal.roles import Role


class PortalSession(models.Model):
    """A link that the vendor's server asked for, and the session that it was exchanged for, once."""

    class Page(models.TextChoices):
        OVERVIEW = "overview", "Overview"
        USAGE = "usage", "Usage"
        INVOICES = "invoices", "Invoices"
        PLAN = "plan", "Plan and prices"
        ALERTS = "alerts", "Alerts and budget"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="portal_sessions")
    role = models.CharField(max_length=10, choices=Role, default=Role.READ_ONLY)
    member = models.CharField(max_length=100, blank=True, help_text="What the vendor calls the person, for logs.")
    page = models.CharField(max_length=10, choices=Page, default=Page.OVERVIEW)
    invoice = models.ForeignKey(Invoice, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    return_url = models.CharField(max_length=2000, blank=True)
    # SHA-256 of what is in the link.
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    link_expires_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    used_from = models.GenericIPAddressField(null=True, blank=True)
    used_with = models.CharField(max_length=200, blank=True, help_text="What the browser calls itself.")
    last_seen_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.CheckConstraint(condition=models.Q(role__in=Role.values), name="portalsession_role")]

    def __str__(self) -> str:
        return f"{self.customer}, {self.viewer_name}"

    @property
    def viewer_name(self) -> str:
        """ "Jane Doe (link 12)": what logs say of what is done in it."""
        return f"{self.member} (link {self.pk})" if self.member else f"link {self.pk}"


class StaffView(models.Model):
    """That somebody of the staff looked at the portal as a customer sees it: who, when, from where, until when."""

    class End(models.TextChoices):
        LEFT = "left", "Left"
        TIME = "time", "Time was up"
        SIGNED_OUT = "signed_out", "Signed out"
        NOT_ALLOWED = "not_allowed", "No longer allowed"
        ANOTHER = "another", "Began another one"

    # Kept when the account is gone, so with its name.
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    staff_name = models.CharField(max_length=150)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField()
    started_from = models.GenericIPAddressField(null=True, blank=True)
    came_from = models.CharField(max_length=500, blank=True, help_text="The page of the admin to go back to.")
    ends_at = models.DateTimeField(help_text="At the latest.")
    last_seen_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end = models.CharField(max_length=11, choices=End, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "look at the portal"
        verbose_name_plural = "looks at the portal"
        default_permissions = ("view",)
        permissions = [("view_as_customer", "Can look at the portal as a customer sees it")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ended_at__isnull=True, end="")
                | (models.Q(ended_at__isnull=False) & ~models.Q(end="")),
                name="staffview_end",
            )
        ]

    def __str__(self) -> str:
        return f"{self.staff_name} as {self.customer}"
