"""Product items, plans and the versions that their prices live in."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from meters.fields import NumericField
from meters.models import Customer, Meter, slug_key
from meters.models.names import valid_conditions
from pricing.rates import Rate as ParsedRate
from pricing.rates import parse_rate


class ProductItem(models.Model):
    """The thing sold: one for each billed meter, created with it. Renameable; retired, never deleted."""

    meter = models.OneToOneField(Meter, on_delete=models.PROTECT, related_name="product_item")
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Plan(models.Model):
    """What a customer is put on. Its prices live in versions.

    A private plan is one customer's own: made of another plan, its `base`, with some prices of its own.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        ACTIVE = "active", "Active"
        RETIRED = "retired", "Retired"

    class Offer(models.TextChoices):
        NONE = "none", "Not offered"
        SHOWN = "shown", "Shown with its prices"
        SELF_SERVICE = "self_service", "Shown, and customers change to it by themselves"

    key = models.CharField(max_length=100, unique=True, validators=[slug_key])
    name = models.CharField(max_length=200, blank=True, help_text="What customers read. Empty: the key.")
    description = models.TextField(blank=True)
    is_default = models.BooleanField(
        "default plan", default=False, help_text="What a new customer gets when no assignment rule matches."
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT, editable=False)
    offer = models.CharField(
        "offered to customers",
        max_length=12,
        choices=Offer,
        default=Offer.NONE,
        help_text="What customers on other plans see of it in the portal while it is active; of a private plan, its"
        " customer alone.",
    )
    base = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="private_plans"
    )
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="private_plans"
    )
    follows_base = models.BooleanField(
        "follows its base plan",
        default=True,
        help_text="A new version of the base plan makes a new version of this one, with the customer's own prices kept."
        " Otherwise this plan stays as it is.",
    )
    # Of a private plan: made for a customer past the base plan's trial, so its own terms and fees say what begins.
    beginning_settled = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="plan_one_default"),
            models.UniqueConstraint(fields=["base", "customer"], name="plan_one_private_of_base"),
            models.CheckConstraint(
                condition=Q(base=None, customer=None) | Q(base__isnull=False, customer__isnull=False, is_default=False),
                name="plan_private_has_base",
            ),
            models.CheckConstraint(condition=Q(offer__in=["none", "shown", "self_service"]), name="plan_offer"),
        ]

    def __str__(self) -> str:
        """As staff read it: a private plan by its customer too, as it may have the name of its base."""
        return f"{self.public_name} ({self.customer})" if self.customer_id is not None else self.public_name

    @property
    def public_name(self) -> str:
        """As its customers read it."""
        return self.name or self.key

    @property
    def is_private(self) -> bool:
        return self.base_id is not None


def account_currency() -> str:
    return str(settings.ACCOUNT_CURRENCY)


class PlanVersion(models.Model):
    """The prices and terms of a plan from one activation to the next. Frozen when it is activated."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        ACTIVE = "active", "Active"
        SUPERSEDED = "superseded", "Superseded"

    class Interval(models.TextChoices):
        DAY = "day", "Day"
        WEEK = "week", "Week"
        MONTH = "month", "Month"
        QUARTER = "quarter", "Quarter"
        YEAR = "year", "Year"

    class Alignment(models.TextChoices):
        CALENDAR = "calendar", "Calendar: from Monday, from the 1st"
        ANNIVERSARY = "anniversary", "Anniversary: from the day that the customer began"

    # What a version says beside its rates and fees; a private plan keeps those of its own (`overridden_terms`).
    TERMS = ("interval", "interval_count", "alignment", "trial_days", "minimum", "commitment", "overage_factor")

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, default=account_currency)
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT, editable=False)
    interval = models.CharField("billing interval", max_length=10, choices=Interval, default=Interval.MONTH)
    interval_count = models.PositiveSmallIntegerField(
        "times", default=1, validators=[MinValueValidator(1), MaxValueValidator(366)]
    )
    alignment = models.CharField(max_length=12, choices=Alignment, default=Alignment.CALENDAR)
    trial_days = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(3650)],
        help_text="Nothing is charged for the first days on the plan.",
    )
    minimum = NumericField(default=0, help_text="What a whole period comes to at least, before tax.")
    commitment = NumericField(
        null=True, blank=True, help_text="Like a minimum; what goes beyond it is charged times the overage factor."
    )
    overage_factor = NumericField(default=1, help_text="For example 1.25: beyond the commitment all costs 25% more.")
    # Those on an earlier version get this one with their next period; otherwise only new assignments do.
    moves_existing = models.BooleanField(default=True, editable=False)
    overridden_terms = ArrayField(models.CharField(max_length=20), default=list, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True, editable=False)
    activated_by = models.CharField(max_length=200, blank=True, editable=False, help_text="Empty: Tollmeter itself.")

    class Meta:
        ordering = ["plan", "number"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="planversion_number"),
            models.UniqueConstraint(fields=["plan"], condition=Q(status="draft"), name="planversion_one_draft"),
            models.UniqueConstraint(fields=["plan"], condition=Q(status="active"), name="planversion_one_active"),
            models.CheckConstraint(condition=Q(interval_count__gte=1), name="planversion_interval_count"),
            models.CheckConstraint(
                condition=Q(minimum__gte=0) & (Q(commitment=None) | Q(commitment__gt=0, minimum=0)),
                name="planversion_minimum_or_commitment",
            ),
            models.CheckConstraint(condition=Q(overage_factor__gte=0), name="planversion_overage_factor"),
        ]

    def __str__(self) -> str:
        return f"{self.plan} v{self.number}"

    @property
    def is_draft(self) -> bool:
        return self.status == self.Status.DRAFT


class Rate(models.Model):
    """The price of one product item in one plan version, stored whole as `pricing.rates` reads it.

    With a filter it prices only the usage whose dimensions match; the most specific match prices it.
    """

    plan_version = models.ForeignKey(PlanVersion, on_delete=models.CASCADE, related_name="rates")
    product_item = models.ForeignKey(ProductItem, on_delete=models.PROTECT, related_name="rates")
    where = models.JSONField(
        "only usage where", default=dict, blank=True, validators=[valid_conditions], help_text="Empty: all the rest."
    )
    parameters = models.JSONField()
    prorated = models.BooleanField(
        default=False, help_text="Included units and tiers shrink with a period that is not a whole one."
    )
    # Its place among the rates of its version: of two that are as specific as each other, the first prices usage.
    position = models.PositiveIntegerField(default=0, editable=False)
    # Of a private plan: the customer's own price, which a new version of the base plan leaves alone.
    is_override = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["plan_version", "product_item__name", "position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["plan_version", "product_item", "where"], name="rate_one_per_filter"),
        ]

    def __str__(self) -> str:
        return f"{self.product_item} in {self.plan_version}"

    @property
    def parsed(self) -> ParsedRate:
        return parse_rate(self.parameters)


class Fee(models.Model):
    """A fixed amount of a plan version, or a percentage of what the rest comes to."""

    class Kind(models.TextChoices):
        RECURRING = "recurring", "Recurring: in every period"
        ONE_TIME = "one_time", "One-time: in the first period"
        PERCENT = "percent", "Percent of usage and other fees"

    plan_version = models.ForeignKey(PlanVersion, on_delete=models.CASCADE, related_name="fees")
    key = models.CharField(max_length=100, validators=[slug_key], help_text="The same in every version.")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.RECURRING)
    amount = NumericField(null=True, blank=True, help_text="Of one, for a whole period.")
    percent = NumericField(null=True, blank=True)
    quantity = NumericField(
        default=1, help_text="How many, for example seats, where a customer's assignment does not say otherwise."
    )
    unit = models.CharField(max_length=40, blank=True, help_text="What is counted, plural, for example seats.")
    prorated = models.BooleanField(
        default=True, help_text="A period that is not a whole one owes its share by calendar days."
    )
    is_override = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["plan_version", "id"]
        constraints = [
            models.UniqueConstraint(fields=["plan_version", "key"], name="fee_key"),
            models.CheckConstraint(
                condition=Q(kind="percent", percent__gt=0, amount=None)
                | (~Q(kind="percent") & Q(amount__gte=0, percent=None)),
                name="fee_amount_or_percent",
            ),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="fee_quantity"),
        ]

    def __str__(self) -> str:
        return self.name
