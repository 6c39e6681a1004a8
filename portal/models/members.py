"""Who may see which customer's usage and bill."""

from django.conf import settings
from django.db import models

from meters.models import Customer
from portal.roles import Role


class Membership(models.Model):
    """A person who signs in to the portal for a customer."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.OWNER)
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
