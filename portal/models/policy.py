"""What the vendor lets the portal do."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class PortalPolicy(models.Model):
    """The vendor's policy: one row, which `portal.policy.portal_policy()` reads."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    return_origins = ArrayField(
        models.CharField(max_length=300),
        default=list,
        blank=True,
        help_text="Where the links of your own app may lead back to.",
    )
    offers_read_keys = models.BooleanField(
        "offer API access", default=True, help_text="Owners may make keys that read their customer's own usage."
    )

    class Meta:
        verbose_name_plural = "portal policy"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="portalpolicy_one")]

    def __str__(self) -> str:
        return "Portal policy"
