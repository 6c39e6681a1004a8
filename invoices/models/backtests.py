"""What a draft of prices would have billed on usage that has been."""

from django.db import models

from meters.fields import NumericField
from meters.models import Customer
from pricing.models import Assignment, Plan, PlanVersion


class Backtest(models.Model):
    """A plan version against the usage of the last periods of the plan's customers. Deleted with the draft it is of."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="backtests")
    version = models.ForeignKey(PlanVersion, on_delete=models.CASCADE, related_name="backtests")
    periods = models.PositiveSmallIntegerField(help_text="How many of the last whole periods of each customer.")
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    # Bounds of customers (assignments) that are worked through, for the progress bar.
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    # The prices that were tried, as one document: a draft may change while staff read the result.
    prices = models.JSONField(default=dict)
    summary = models.JSONField(default=dict)
    error = models.CharField(max_length=500, blank=True)
    actor = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    # The worker says that it is alive; one that has stopped saying so is taken over.
    seen_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Backtest {self.pk} of {self.version}"


class BacktestRow(models.Model):
    """One period of one assignment: what it came to then, and what it would have come to. Before tax."""

    backtest = models.ForeignKey(Backtest, on_delete=models.CASCADE, related_name="rows")
    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="+")
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="+")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    currency_then = models.CharField(max_length=3)
    currency_now = models.CharField(max_length=3)
    amount_then = NumericField()
    amount_now = NumericField()
    # By product item, in units: what was used, and what of it the free tier takes.
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["backtest", "id"]
        constraints = [
            models.UniqueConstraint(fields=["backtest", "assignment", "period_start"], name="backtestrow_once"),
        ]

    def __str__(self) -> str:
        return f"{self.customer} from {self.period_start:%Y-%m-%d}"
