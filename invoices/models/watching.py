"""What is watched: thresholds of bills and usage, and whether the books are right."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from invoices.models.documents import Invoice
from meters.fields import NumericField
from meters.models import Customer
from pricing.models import ProductItem


class Alert(models.Model):
    """A threshold that is told about once in each period, when an invoice is computed and has reached it."""

    class Kind(models.TextChoices):
        AMOUNT = "amount", "Amount before tax"
        QUANTITY = "quantity", "Units of a product item"
        FREE_TIER = "free_tier", "Percent of the free units of a product item"
        BUDGET = "budget", "Percent of a budget"

    class Audience(models.TextChoices):
        STAFF = "staff", "Staff"
        CUSTOMER = "customer", "The customer"

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind)
    audience = models.CharField(max_length=10, choices=Audience, default=Audience.STAFF)
    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, null=True, blank=True, related_name="alerts", help_text="Empty: each."
    )
    product_item = models.ForeignKey(ProductItem, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    threshold = NumericField(help_text="An amount, units, or a percentage: 80 is 80%.")
    currency = models.CharField(max_length=3, blank=True, help_text="Of an amount or a budget.")
    budget = NumericField(null=True, blank=True, help_text="A period's.")
    recipients = models.JSONField(default=list, help_text="Mail addresses.")
    enabled = models.BooleanField(default=True)
    actor = models.CharField(max_length=150, blank=True)
    # Periods that were over by then are not watched.
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(threshold__gt=0), name="alert_threshold"),
            models.CheckConstraint(
                condition=Q(kind="amount", product_item=None, budget=None)
                | Q(kind__in=["quantity", "free_tier"], product_item__isnull=False, budget=None)
                | Q(kind="budget", product_item=None, budget__gt=0),
                name="alert_kind",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["amount", "budget"]) | ~Q(currency=""), name="alert_has_currency"
            ),
            models.CheckConstraint(
                condition=Q(audience="staff") | Q(customer__isnull=False), name="alert_of_a_customer"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AlertFiring(models.Model):
    """That an alert's threshold was reached by an invoice: once, whatever the bill does afterwards."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="firings")
    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="alert_firings")
    # Those of then: one that is moved is another threshold. No budget is zero.
    threshold = NumericField()
    budget = NumericField(default=0)
    # What was reached, in the unit of the threshold.
    value = NumericField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["alert", "invoice", "threshold", "budget"], name="alertfiring_once"),
        ]

    def __str__(self) -> str:
        return f"{self.alert} {self.at:%Y-%m-%d %H:%M}"


class AuditRun(models.Model):
    """One audit of the books, with what it found. One is running at a time."""

    class Status(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    status = models.CharField(max_length=10, choices=Status, default=Status.RUNNING)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    # What was asked for, where it is not all: a customer's key, a day, names of checks.
    options = models.JSONField(default=dict)
    # Customers up to this id have been looked at: whoever takes it up goes on behind it.
    after = models.BigIntegerField(default=0)
    # By check: how many things were looked at.
    checked = models.JSONField(default=dict)
    # What could not be recounted, by reason.
    left_out = models.JSONField(default=dict)
    # How often the next chunk was begun.
    tries = models.PositiveSmallIntegerField(default=0)
    # How many findings there are, of which very many are not kept.
    found = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    actor = models.CharField(max_length=150, blank=True, help_text="Empty: Tollmeter itself.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["status"], condition=Q(status="running"), name="auditrun_one_running"),
        ]

    def __str__(self) -> str:
        return f"Audit of {self.started_at:%Y-%m-%d %H:%M}"


class AuditFinding(models.Model):
    """Something that is not as it should be."""

    class Check(models.TextChoices):
        AMOUNTS = "amounts", "Stored lines against a recount of events"
        CORRECTIONS = "corrections", "Corrections of earlier invoices"
        TOTALS = "totals", "Totals against their lines"
        NUMBERS = "numbers", "Gaps and repeats in numbers"
        LEDGER = "ledger", "Credits against their ledger"
        SETTLEMENT = "settlement", "What is paid, credited and due"
        NO_PLAN = "no_plan", "Usage without a plan"
        NO_RATE = "no_rate", "Usage that no rate matched"

    run = models.ForeignKey(AuditRun, on_delete=models.CASCADE, related_name="findings")
    check_name = models.CharField("check", max_length=12, choices=Check)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, null=True, related_name="+")
    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, null=True, related_name="+")
    text = models.CharField(max_length=500)
    expected = models.CharField(max_length=120, blank=True)
    found = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text


class Export(models.Model):
    """All invoices of a month as one file, made by a worker."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    class Form(models.TextChoices):
        ZIP = "zip", "PDFs in a ZIP"
        CSV = "csv", "CSV of lines"

    month = models.DateField(help_text="Its first day; by the day an invoice became final at the account.")
    form = models.CharField(max_length=4, choices=Form)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    # How often the next chunk was begun.
    tries = models.PositiveSmallIntegerField(default=0)
    file = models.CharField(max_length=300, blank=True)
    error = models.CharField(max_length=500, blank=True)
    actor = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["month", "form"], condition=Q(status__in=["waiting", "running"]), name="export_one_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_form_display()} of {self.month:%B %Y}"
