"""What changes a bill beside the plan: promotions and taxes."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from meters.fields import NumericField
from meters.models import Customer, slug_key
from pricing.models.plans import ProductItem


def next_promotion_position() -> int:
    """Behind all promotions, with room in between."""
    highest = Promotion.objects.aggregate(highest=models.Max("position"))["highest"]
    return 10 if highest is None else int(highest) + 10


class Promotion(models.Model):
    """Something off: a percentage or an amount a period, of the whole invoice or of some product items."""

    class Kind(models.TextChoices):
        PERCENT = "percent", "Percent off"
        AMOUNT = "amount", "Amount off, in each period"

    key = models.CharField(max_length=100, unique=True, validators=[slug_key])
    name = models.CharField(max_length=200, help_text="What customers read on the invoice.")
    code = models.CharField(
        max_length=100, null=True, blank=True, help_text="What is typed to get it; capitals do not matter. Empty: none."
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.PERCENT)
    percent = NumericField(null=True, blank=True)
    amount = NumericField(null=True, blank=True)
    currency = models.CharField(
        max_length=3, blank=True, help_text="Of the amount and the cap; invoices in others get nothing off."
    )
    product_items = models.ManyToManyField(
        ProductItem, blank=True, related_name="promotions", help_text="None: the whole invoice, fees included."
    )
    starts_on = models.DateField(null=True, blank=True, help_text="The first day that it can be applied to.")
    ends_on = models.DateField(null=True, blank=True, help_text="The first day that is too late.")
    periods = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="How many of a plan's periods get it."
    )
    cap = NumericField(null=True, blank=True, help_text="What a customer gets off in all, at most.")
    position = models.PositiveIntegerField(
        default=next_promotion_position, help_text="Of several, the lowest is taken off first."
    )
    enabled = models.BooleanField(default=True, help_text="Can be given to more customers.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(Lower("code"), name="promotion_code"),
            models.CheckConstraint(
                condition=Q(kind="percent", percent__gt=0, percent__lte=100, amount=None)
                | Q(kind="amount", amount__gt=0, percent=None),
                name="promotion_percent_or_amount",
            ),
            models.CheckConstraint(
                condition=Q(amount=None, cap=None) | ~Q(currency=""), name="promotion_amounts_have_currency"
            ),
            models.CheckConstraint(
                condition=Q(starts_on=None) | Q(ends_on=None) | Q(ends_on__gt=F("starts_on")),
                name="promotion_ends_after_start",
            ),
            models.CheckConstraint(condition=Q(cap=None) | Q(cap__gt=0), name="promotion_cap"),
        ]

    def __str__(self) -> str:
        return self.name


class AppliedPromotion(models.Model):
    """A promotion that a customer has: periods that have a day in `[starts_on, ends_on)` get it."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="promotions")
    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="applied")
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="The first day that no longer has it.")
    code = models.CharField(max_length=100, blank=True, editable=False, help_text="The code that was typed.")
    actor = models.CharField(max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["promotion__position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["customer", "promotion"], name="appliedpromotion_once"),
            models.CheckConstraint(
                condition=Q(ends_on=None) | Q(ends_on__gte=F("starts_on")), name="appliedpromotion_ends_after_start"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.promotion} for {self.customer}"


class TaxRate(models.Model):
    """A tax and its percentage, added to invoices. Another percentage is another tax rate."""

    key = models.CharField(max_length=100, unique=True, validators=[slug_key])
    name = models.CharField(max_length=100, help_text="As it stands on the invoice, for example VAT.")
    percent = NumericField(validators=[MinValueValidator(0)], help_text="For example 19.")
    is_default = models.BooleanField(
        "for everybody", default=False, help_text="Charged to customers that have no tax rates of their own."
    )
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "percent", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(percent__gte=0, percent__lte=1000), name="taxrate_percent"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.percent.normalize():f}%"


class BillingProfile(models.Model):
    """What a customer's invoices need beside its plan: taxes, and to whom they are written."""

    customer = models.OneToOneField(
        Customer, on_delete=models.CASCADE, primary_key=True, related_name="billing_profile"
    )
    tax_rates = models.ManyToManyField(
        TaxRate, blank=True, related_name="billing_profiles", help_text="None: those that are for everybody."
    )
    tax_exempt = models.BooleanField(default=False)
    tax_note = models.CharField(
        max_length=300, blank=True, help_text="Printed on the invoice, for example why no tax is charged."
    )
    tax_id = models.CharField(max_length=50, blank=True, help_text="The customer's own, printed on the invoice.")
    legal_name = models.CharField(max_length=200, blank=True, help_text="Empty: the customer's name.")
    address = models.TextField(max_length=500, blank=True)

    def __str__(self) -> str:
        return f"Billing of {self.customer}"
