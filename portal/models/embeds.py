"""What opens pieces of the portal in the vendor's own app."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from meters.models import Customer


class EmbedToken(models.Model):
    """Opens a customer's pages for a while in frames of the pages of these origins. The token is shown once."""

    class View(models.TextChoices):
        USAGE = "usage", "Usage chart"
        CHARGES = "charges", "Current charges"
        INVOICES = "invoices", "Invoice list"
        PLANS = "plans", "Plan table"

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="+")
    # SHA-256 of the token.
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    origins = ArrayField(models.CharField(max_length=300), help_text="Whose pages may show it in a frame.")
    views = ArrayField(models.CharField(max_length=10, choices=View), help_text="What it opens.")
    actor = models.CharField(max_length=200, help_text="Who made it: the name of the API key.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index("customer", "expires_at", name="embed_token_age")]

    def __str__(self) -> str:
        return f"Token {self.pk} for {self.customer}"
