"""What customers did with their own API keys."""

from django.db import models

from meters.models import ApiKey, Customer


class ReadKeyEvent(models.Model):
    """That somebody of a customer made, replaced or revoked one of its read keys."""

    class What(models.TextChoices):
        CREATED = "created", "Created"
        ROTATED = "rotated", "Made in place of another"
        REVOKED = "revoked", "Revoked"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    # The one that is there since, or is no longer.
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="customer_events")
    what = models.CharField(max_length=7, choices=What)
    actor = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        verbose_name = "read key event"

    def __str__(self) -> str:
        return f"{self.get_what_display()} {self.key}"
