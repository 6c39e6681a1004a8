"""How the vendor looks to its customers. Nothing here ever changes: another brand is another row, as papers that were
issued keep theirs."""

from django.db import models
from django.db.models import Q


class BrandImage(models.Model):
    """A logo, made anew from what was given: no file holds anything but its picture. In the database, so that further
    web servers need nothing else."""

    content = models.BinaryField()
    media_type = models.CharField(max_length=20)
    width = models.PositiveSmallIntegerField()
    height = models.PositiveSmallIntegerField()
    digest = models.CharField(max_length=64, unique=True)

    def __str__(self) -> str:
        return f"{self.width} by {self.height} pixels"


class BrandVersion(models.Model):
    """The newest is the brand; `invoices.branding.brand()` reads it."""

    name = models.CharField(max_length=100, blank=True)
    logo = models.ForeignKey(BrandImage, on_delete=models.PROTECT, null=True, related_name="+")
    dark_logo = models.ForeignKey(BrandImage, on_delete=models.PROTECT, null=True, related_name="+")
    accent = models.CharField(max_length=7, blank=True)
    support_url = models.CharField("support link", max_length=300, blank=True)
    legal_footer = models.TextField(max_length=600, blank=True)
    saved_at = models.DateTimeField()
    saved_by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = "brand"
        verbose_name_plural = "brand"
        constraints = [
            models.CheckConstraint(condition=Q(accent="") | Q(accent__regex=r"^#[0-9a-f]{6}$"), name="brand_accent")
        ]

    def __str__(self) -> str:
        return f"Brand {self.pk}"
