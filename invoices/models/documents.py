"""Invoices, their lines and numbers, and what happened to them."""

from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import Q

from meters.fields import NumericField
from meters.models import Customer
from meters.periods import Period
from pricing.models import AppliedPromotion, Assignment, PlanVersion, ProductItem, TaxRate
from pricing.money import total_of


class Invoice(models.Model):
    """What one assignment owes for one period `[period_start, period_end)`.

    open: follows usage. grace: the period is over, late usage is still counted. final: never changes. void.
    """

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        GRACE = "grace", "Grace"
        FINAL = "final", "Final"
        VOID = "void", "Void"

    class PaymentStatus(models.TextChoices):
        UNPAID = "unpaid", "Unpaid"
        PARTLY = "partly", "Partly paid"
        PAID = "paid", "Paid"
        WRITTEN_OFF = "written_off", "Written off"

    LIVE = (Status.OPEN, Status.GRACE)

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="invoices")
    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="invoices")
    plan_version = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="invoices")
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    number = models.CharField(max_length=40, blank=True, default="", help_text="Taken when it becomes final.")
    # The bounds that the money was computed from, with the zone whose midnights they are.
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    time_zone = models.CharField(max_length=64)
    # The end of the grace time: late usage counts until then.
    closes_at = models.DateTimeField()
    currency = models.CharField(max_length=3)
    # The sum of all lines but taxes; the total is that and the taxes.
    subtotal = NumericField(default=0)
    total = NumericField(default=0)
    # Usage up to this version of the customer's usage is in the lines; a higher one makes the invoice stale.
    usage_version = models.BigIntegerField(default=0)
    # When the newest of that usage arrived.
    usage_at = models.DateTimeField(null=True)
    # Set by what moves a bill without moving usage: an assignment, a rate.
    is_stale = models.BooleanField(default=True)
    # Set while a line is of a value that holds until the next one: then time alone moves the bill.
    follows_clock = models.BooleanField(default=False)
    # Only of corrections of an invoice for the same period: made, and final, at once.
    is_correction = models.BooleanField(default=False)
    # The one that this one takes the place of, which is void.
    replaces = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="replaced_by")
    # Staff's hands on it: held ones are not closed by the clock; where approval is asked for, closing waits for it.
    held_at = models.DateTimeField(null=True)
    hold_reason = models.CharField(max_length=300, blank=True)
    approved_at = models.DateTimeField(null=True)
    approved_by = models.CharField(max_length=150, blank=True)
    # Kept beside a final invoice, in major units: what pays or lessens it. See `amount_due`.
    due_on = models.DateField(null=True)
    credits_applied = NumericField(default=0)
    credited = NumericField(default=0)
    paid = NumericField(default=0)
    written_off = NumericField(default=0)
    payment_status = models.CharField(max_length=12, choices=PaymentStatus, default=PaymentStatus.UNPAID)
    # The promotions and taxes that it was computed with when it became final, so that it can be rated again by them.
    frozen_terms = models.JSONField(null=True)
    # A final one: usage up to this version of the customer's usage is in its corrections. Below zero: to rate again.
    rerated_version = models.BigIntegerField(default=0)
    # Copied when the invoice becomes final, so that it never follows later changes.
    customer_name = models.CharField(max_length=200, blank=True)
    plan_name = models.CharField(max_length=200, blank=True)
    customer_address = models.TextField(blank=True)
    customer_tax_id = models.CharField(max_length=50, blank=True)
    tax_note = models.CharField(max_length=300, blank=True)
    # See `invoices.seller`. Null: not final, or from before that was kept.
    seller = models.JSONField(null=True)
    computed_at = models.DateTimeField(null=True)
    finalized_at = models.DateTimeField(null=True)
    voided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-period_start", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["assignment", "period_start"],
                condition=~Q(status="void") & Q(is_correction=False),
                name="invoice_one_per_period",
            ),
            models.UniqueConstraint(fields=["number"], condition=~Q(number=""), name="invoice_number"),
            models.CheckConstraint(condition=Q(period_end__gt=models.F("period_start")), name="invoice_period_order"),
            models.CheckConstraint(
                condition=~Q(status="final") | (~Q(number="") & Q(finalized_at__isnull=False)),
                name="invoice_final_has_number",
            ),
        ]
        indexes = [
            # A customer's own, the newest first.
            models.Index(fields=["customer", "-period_start", "-id"], name="invoice_of_customer"),
            # The sweep looks at live invoices only, which are few beside the final ones.
            models.Index(fields=["customer"], condition=Q(status__in=["open", "grace"]), name="invoice_live_customer"),
            models.Index(fields=["period_end"], condition=Q(status__in=["open", "grace"]), name="invoice_live_end"),
            # What is overdue, and what usage has changed after.
            models.Index(
                fields=["due_on"], condition=Q(payment_status__in=["unpaid", "partly"]), name="invoice_unpaid"
            ),
            models.Index(fields=["customer", "-period_end"], condition=Q(status="final"), name="invoice_final_end"),
            models.Index(fields=["customer"], condition=Q(rerated_version__lt=0), name="invoice_to_rate_again"),
        ]

    def __str__(self) -> str:
        return self.number or f"Estimate {self.pk}"

    @property
    def period(self) -> Period:
        return Period(self.period_start, self.period_end)

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose midnights the period's bounds are."""
        return ZoneInfo(self.time_zone)

    @property
    def amount_due(self) -> Decimal:
        """What is left to pay: the total less credits, credit notes, payments and what was written off. Below zero, it
        is owed back. Of a void one nothing is to be paid."""
        owed = self.credited if self.status == self.Status.VOID else self.total
        settled = (self.credits_applied, self.credited, self.paid, self.written_off)
        return total_of([owed, *(amount.copy_negate() for amount in settled)])

    @property
    def is_live(self) -> bool:
        return self.status in self.LIVE


class InvoiceLine(models.Model):
    """One line, with the rate as it was and the steps from quantity to amount (see `pricing.steps.Step`).

    Lines stand in the order in which they were computed: usage, fees, promotions, minimum or overage, taxes,
    corrections.
    """

    class Kind(models.TextChoices):
        USAGE = "usage", "Usage"
        TRIAL = "trial", "Usage in the trial"
        UNPRICED = "unpriced", "Unpriced usage"
        FEE = "fee", "Fee"
        PROMOTION = "promotion", "Promotion"
        TRUE_UP = "true_up", "Minimum"
        OVERAGE = "overage", "Overage"
        TAX = "tax", "Tax"
        # What an earlier period would have had more or less, by usage that came or was voided after its invoice.
        CORRECTION = "correction", "Correction"
        TAX_CORRECTION = "tax_corr", "Correction of tax"

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.USAGE)
    # What the line is about: a product item (usage), a fee's key, a promotion or a tax rate.
    product_item = models.ForeignKey(
        ProductItem, on_delete=models.PROTECT, null=True, blank=True, related_name="invoice_lines"
    )
    fee_key = models.CharField(max_length=100, blank=True)
    promotion = models.ForeignKey(
        AppliedPromotion, on_delete=models.PROTECT, null=True, blank=True, related_name="invoice_lines"
    )
    tax_rate = models.ForeignKey(TaxRate, on_delete=models.PROTECT, null=True, blank=True, related_name="invoice_lines")
    # A correction: of which final invoice, and of which of its lines (`Correction.key`).
    corrects = models.ForeignKey(
        Invoice, on_delete=models.PROTECT, null=True, blank=True, related_name="correcting_lines"
    )
    corrects_key = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=200)
    unit = models.CharField(max_length=40, blank=True)
    # The filter of the rate: which usage of the product item the line is about.
    where = models.JSONField(default=dict, blank=True)
    # Null where the line has none: promotions, minimum, overage, taxes, fees in percent.
    quantity = NumericField(null=True)
    amount = NumericField(help_text="Rounded to the currency's minor unit.")
    # Null where there is none: unpriced usage, and all that is not usage.
    rate = models.JSONField(null=True)
    steps = models.JSONField(default=list)

    class Meta:
        ordering = ["invoice", "position"]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "position"], name="invoiceline_position"),
        ]
        indexes = [
            # What an applied promotion has taken off so far.
            models.Index(fields=["promotion"], condition=Q(promotion__isnull=False), name="invoiceline_promotion"),
            models.Index(fields=["corrects"], condition=Q(corrects__isnull=False), name="invoiceline_corrects"),
        ]

    def __str__(self) -> str:
        return self.name


class InvoiceEvent(models.Model):
    """What happened to an invoice, when, and by whom. Only ever added to."""

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    kind = models.CharField(max_length=40)
    actor = models.CharField(max_length=150, blank=True, help_text="Empty: Tollmeter itself.")
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"


class Correction(models.Model):
    """What a line of a final invoice would be by the usage that is known now, less what it is.

    Replaced as a whole whenever the invoice is rated again; lines of later invoices and documents carry what is not
    carried yet. `key` tells the lines of an invoice apart, and stays the same when it is rated again.
    """

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="corrections")
    key = models.CharField(max_length=64)
    kind = models.CharField(max_length=10, choices=InvoiceLine.Kind)
    name = models.CharField(max_length=200)
    unit = models.CharField(max_length=40, blank=True)
    where = models.JSONField(default=dict)
    product_item = models.ForeignKey(ProductItem, on_delete=models.PROTECT, null=True, related_name="+")
    tax_rate = models.ForeignKey(TaxRate, on_delete=models.PROTECT, null=True, related_name="+")
    quantity_before = NumericField(null=True)
    quantity_after = NumericField(null=True)
    amount_before = NumericField()
    amount_after = NumericField()
    # From quantity to `amount_after`, with the rate of then.
    steps = models.JSONField(default=list)
    rate = models.JSONField(null=True)

    class Meta:
        ordering = ["invoice", "id"]
        constraints = [models.UniqueConstraint(fields=["invoice", "key"], name="correction_once")]

    def __str__(self) -> str:
        return f"{self.name} of {self.invoice}"

    @property
    def amount(self) -> Decimal:
        """The difference, in major units: positive, where more is owed."""
        difference: Decimal = self.amount_after - self.amount_before
        return difference


class NumberSeries(models.Model):
    """The counter that numbers come from, one row for each kind of document and year, taken under its row lock: no
    gap, no repeat."""

    class Series(models.TextChoices):
        INVOICE = "invoice", "Invoices"
        CREDIT_NOTE = "credit_note", "Credit notes"

    series = models.CharField(max_length=12, choices=Series, default=Series.INVOICE)
    year = models.PositiveIntegerField()
    last = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "number series"
        constraints = [models.UniqueConstraint(fields=["series", "year"], name="numberseries_once")]

    def __str__(self) -> str:
        return f"{self.get_series_display()} {self.year}: {self.last}"
