from django.db import models


class Heartbeat(models.Model):
    """When a process of the installation was last known to do its work, by the database's clock."""

    class Kind(models.TextChoices):
        BEAT = "beat", "Beat"
        WORKER = "worker", "Worker"

    kind = models.CharField(max_length=10, choices=Kind)
    # A worker's own name for itself, the host's for the beat.
    name = models.CharField(max_length=200)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="heartbeat_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
