"""What lets staff in who have lost their device."""

from django.db import models
from django_otp.plugins.otp_totp.models import TOTPDevice


class RecoveryCode(models.Model):
    """A code that stands in for one of the device, once. It ends with the device."""

    device = models.ForeignKey(TOTPDevice, on_delete=models.CASCADE, related_name="recovery_codes")
    # SHA-256: a code has 80 random bits, so there is nothing to guess that a slow hash would slow down.
    digest = models.BinaryField(max_length=32, editable=False)
    used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint("device", "digest", name="recoverycode_once")]

    def __str__(self) -> str:
        return f"Recovery code {self.pk}"
