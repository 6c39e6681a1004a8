"""Who may see which customer's usage and bill."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from meters.models import Customer
from portal.roles import Role


class Membership(models.Model):
    """A person who signs in to the portal for a customer."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.OWNER)
    # What this person has chosen, for this customer: in which zone moments are shown, empty for the customer's; and the
    # kinds of mails (MailSetting.Kind) that are not wanted.
    time_zone = models.CharField(max_length=64, blank=True, default="")
    unwanted_mails = ArrayField(models.CharField(max_length=20), blank=True, default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["customer__key", "id"]
        verbose_name = "portal member"
        constraints = [
            models.UniqueConstraint(fields=["user", "customer"], name="membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} for {self.customer}"
