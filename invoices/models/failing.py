"""Work that failed when it was tried."""

from django.db import models


class FailingWork(models.Model):
    """One piece of work that raised an error: tried again some times, then parked for staff to look at."""

    class Kind(models.TextChoices):
        ONBOARD = "onboard", "Taking in a customer"
        OPEN = "open_invoices", "Opening invoices"
        RECALCULATE = "recalculate", "Bringing an invoice up to date"
        CLOSE = "close", "Taking an invoice to its end"
        RERATE = "rerate", "Working in late usage"
        EXPIRE = "expire_grants", "Entering expired credits"
        FOLLOW_CREDIT = "follow_rule", "Looking at a low credit"
        TELL = "tell", "Telling of an event"

    kind = models.CharField(max_length=20, choices=Kind)
    # Of what it is about: a customer, an assignment, an invoice, or an event of the outbox.
    object_id = models.BigIntegerField()
    tries = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    # Null: it is parked, and not tried before staff say so.
    next_try_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["first_at", "id"]
        verbose_name_plural = "failing work"
        constraints = [models.UniqueConstraint(fields=["kind", "object_id"], name="failingwork_once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.object_id}"

    @property
    def is_parked(self) -> bool:
        return self.next_try_at is None
