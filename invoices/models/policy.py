"""How the vendor bills: grace, terms of payment, numbers, and what becomes of usage that comes too late."""

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q

from meters.fields import NumericField
from pricing.models import Plan


class BillingPolicy(models.Model):
    """The account's policy: one row, which `invoices.policy.billing_policy()` reads."""

    class LateUsage(models.TextChoices):
        NEXT_INVOICE = "next", "On the next invoice"
        AT_ONCE = "at_once", "At once: a credit note, or an invoice of its own"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    grace_hours = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(24 * 90)],
        help_text="How long after a period late usage is still counted in its invoice. Empty: GRACE_HOURS.",
    )
    payment_days = models.PositiveIntegerField(
        default=14, validators=[MaxValueValidator(3650)], help_text="Days from an invoice to the day it is due."
    )
    needs_approval = models.BooleanField(
        "approve invoices", default=False, help_text="Invoices become final only once staff have approved them."
    )
    invoice_numbers = models.CharField(
        max_length=40, default="{year}-{number:04}", help_text="With {year} and {number}, or {number:04} for 0042."
    )
    credit_note_numbers = models.CharField(max_length=40, default="CN-{year}-{number:04}", help_text="Likewise.")
    late_usage = models.CharField(max_length=10, choices=LateUsage, default=LateUsage.NEXT_INVOICE)
    late_ignored_below = NumericField(
        default=0, help_text="A period's corrections that come to less than this, either way, wait until they are more."
    )
    # Who sends invoices and credit notes: printed on them, and copied when they are issued.
    seller_name = models.CharField(max_length=200, blank=True, help_text="Empty: COMPANY_NAME.")
    seller_address = models.TextField(max_length=500, blank=True)
    seller_tax_id = models.CharField(max_length=50, blank=True)
    paper_footer = models.TextField(
        max_length=500, blank=True, help_text="At the foot of each page, such as where to pay to."
    )

    class Meta:
        verbose_name_plural = "billing policy"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="billingpolicy_one"),
            models.CheckConstraint(condition=Q(late_ignored_below__gte=0), name="billingpolicy_ignored"),
        ]

    def __str__(self) -> str:
        return "Billing policy"


class PlanPolicy(models.Model):
    """What a plan has in place of the account's policy; null: as the account."""

    plan = models.OneToOneField(Plan, on_delete=models.CASCADE, primary_key=True, related_name="billing_policy")
    grace_hours = models.PositiveIntegerField(null=True, blank=True, validators=[MaxValueValidator(24 * 90)])
    payment_days = models.PositiveIntegerField(null=True, blank=True, validators=[MaxValueValidator(3650)])
    needs_approval = models.BooleanField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Billing policy of {self.plan}"
