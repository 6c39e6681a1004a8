"""What settles a final invoice: payments, credit notes and prepaid credits. Amounts are in major units."""

from decimal import Decimal

from django.db import models
from django.db.models import F, Q

from invoices.models.documents import Invoice, InvoiceLine
from meters.fields import NumericField
from meters.models import Customer
from pricing.models import ProductItem


class Payment(models.Model):
    """Money that came for an invoice, went back (negative), or that nobody waits for any more. Never changed."""

    class Kind(models.TextChoices):
        PAYMENT = "payment", "Payment"
        REFUND = "refund", "Refund"
        WRITE_OFF = "write_off", "Write-off"

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="payments")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.PAYMENT)
    amount = NumericField(help_text="A refund's is negative.")
    paid_on = models.DateField()
    reference = models.CharField(max_length=200, blank=True, help_text="The bank's or the payment provider's.")
    actor = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["invoice", "kind", "reference"], condition=~Q(reference=""), name="payment_reference_once"
            ),
            models.CheckConstraint(
                condition=Q(kind="refund", amount__lt=0) | (~Q(kind="refund") & Q(amount__gt=0)), name="payment_sign"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} for {self.invoice}"


class CreditNote(models.Model):
    """What is taken back of a final invoice, whole or by line. Never changed. Amounts are positive."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credit_notes")
    number = models.CharField(max_length=40, unique=True)
    reason = models.CharField(max_length=500)
    subtotal = NumericField()
    total = NumericField()
    actor = models.CharField(max_length=150, blank=True, help_text="Empty: Tollmeter itself.")
    issued_at = models.DateTimeField()
    # As on an invoice: who sends it, as it was.
    seller = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.CheckConstraint(condition=Q(total__gte=0), name="creditnote_total")]

    def __str__(self) -> str:
        return self.number


class CreditNoteLine(models.Model):
    """A line of an invoice that is credited, in whole or in part."""

    credit_note = models.ForeignKey(CreditNote, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField()
    # The line of the invoice; null for a correction of usage, which names what it corrects by `corrects_key`.
    # With both, it takes back what that line corrects of an invoice that is void.
    invoice_line = models.ForeignKey(InvoiceLine, on_delete=models.PROTECT, null=True, related_name="credit_note_lines")
    corrects_key = models.CharField(max_length=64, blank=True)
    is_tax = models.BooleanField(default=False)
    name = models.CharField(max_length=200)
    amount = NumericField(help_text="Positive: taken back. A promotion's is negative.")

    class Meta:
        ordering = ["credit_note", "position"]
        constraints = [models.UniqueConstraint(fields=["credit_note", "position"], name="creditnoteline_position")]

    def __str__(self) -> str:
        return self.name


class CreditGrant(models.Model):
    """Prepaid money of a customer. What is left of it is the sum of its entries."""

    class Source(models.TextChoices):
        STAFF = "staff", "Staff"
        API = "api", "API"
        TOP_UP = "top_up", "Top-up"
        INVOICE = "invoice", "An invoice below zero"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="credit_grants")
    name = models.CharField(max_length=200, help_text="What the customer reads.")
    currency = models.CharField(max_length=3)
    amount = NumericField()
    price_paid = NumericField(default=0, help_text="What the customer paid for it, in the same currency.")
    priority = models.PositiveSmallIntegerField(default=50, help_text="The lowest is drawn first.")
    starts_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    product_items = models.ManyToManyField(
        ProductItem, blank=True, related_name="+", help_text="None: pays for everything."
    )
    source = models.CharField(max_length=10, choices=Source, default=Source.STAFF)
    # The sender's own id of it: granting twice under one reference grants once.
    reference = models.CharField(max_length=200, blank=True)
    voided_at = models.DateTimeField(null=True, editable=False)
    actor = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["priority", F("expires_at").asc(nulls_last=True), "id"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0, price_paid__gte=0), name="creditgrant_amount"),
            models.CheckConstraint(
                condition=Q(expires_at=None) | Q(expires_at__gt=F("starts_at")), name="creditgrant_expires_after_start"
            ),
            models.UniqueConstraint(
                fields=["customer", "reference"], condition=~Q(reference=""), name="creditgrant_reference"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class CreditEntry(models.Model):
    """A movement of a grant; the ledger. Only ever added to. Granted and returned are positive, the others negative."""

    class Kind(models.TextChoices):
        GRANTED = "granted", "Granted"
        DRAWN = "drawn", "Drawn"
        RETURNED = "returned", "Returned"
        EXPIRED = "expired", "Expired"
        VOIDED = "voided", "Voided"

    grant = models.ForeignKey(CreditGrant, on_delete=models.PROTECT, related_name="entries")
    kind = models.CharField(max_length=10, choices=Kind)
    amount = NumericField()
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, null=True, related_name="credit_entries")
    # What was left of the grant after it: a ledger that anybody can add up.
    balance = NumericField()
    at = models.DateTimeField()
    actor = models.CharField(max_length=150, blank=True, help_text="Empty: Tollmeter itself.")
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(balance__gte=0), name="creditentry_balance"),
            models.UniqueConstraint(fields=["grant"], condition=Q(kind="granted"), name="creditentry_granted_once"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount}"


class CreditRule(models.Model):
    """When a customer's credit is low, and whether to ask for more: a webhook event, as taking money is not ours."""

    customer = models.OneToOneField(Customer, on_delete=models.CASCADE, primary_key=True, related_name="credit_rule")
    currency = models.CharField(max_length=3)
    low_below = NumericField()
    top_up = NumericField(null=True, blank=True, help_text="How much more to ask for. Empty: only tell.")
    # While it is low nothing more is told.
    told_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(low_below__gt=Decimal(0)) & (Q(top_up=None) | Q(top_up__gt=0)), name="creditrule_amounts"
            ),
        ]

    def __str__(self) -> str:
        return f"Credit of {self.customer}"
