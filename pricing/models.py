"""What is sold, at what price, to whom. Knows nothing of invoices."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from meters.models import Customer, Meter, slug_key
from meters.periods import local_midnight
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
    """What a customer is put on. Its prices live in versions."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        ACTIVE = "active", "Active"
        RETIRED = "retired", "Retired"

    key = models.CharField(max_length=100, unique=True, validators=[slug_key])
    name = models.CharField(max_length=200, blank=True, help_text="What customers read. Empty: the key.")
    description = models.TextField(blank=True)
    is_default = models.BooleanField(
        "default plan", default=False, help_text="What a new customer gets when no assignment rule matches."
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="plan_one_default"),
        ]

    def __str__(self) -> str:
        return self.name or self.key


def account_currency() -> str:
    return str(settings.ACCOUNT_CURRENCY)


class PlanVersion(models.Model):
    """The prices of a plan from one activation to the next. Frozen when it is activated."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        ACTIVE = "active", "Active"
        SUPERSEDED = "superseded", "Superseded"

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, default=account_currency)
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["plan", "number"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="planversion_number"),
            models.UniqueConstraint(fields=["plan"], condition=Q(status="draft"), name="planversion_one_draft"),
            models.UniqueConstraint(fields=["plan"], condition=Q(status="active"), name="planversion_one_active"),
        ]

    def __str__(self) -> str:
        return f"{self.plan} v{self.number}"

    @property
    def is_draft(self) -> bool:
        return self.status == self.Status.DRAFT


class Rate(models.Model):
    """The price of one product item in one plan version, stored whole as `pricing.rates` reads it."""

    plan_version = models.ForeignKey(PlanVersion, on_delete=models.CASCADE, related_name="rates")
    product_item = models.ForeignKey(ProductItem, on_delete=models.PROTECT, related_name="rates")
    parameters = models.JSONField()

    class Meta:
        ordering = ["plan_version", "product_item__name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["plan_version", "product_item"], name="rate_one_per_item"),
        ]

    def __str__(self) -> str:
        return f"{self.product_item} in {self.plan_version}"

    @property
    def parsed(self) -> ParsedRate:
        return parse_rate(self.parameters)


def next_position() -> int:
    """Behind all rules, with room in between."""
    highest = AssignmentRule.objects.aggregate(highest=models.Max("position"))["highest"]
    return 10 if highest is None else int(highest) + 10


class AssignmentRule(models.Model):
    """Which plan a new customer gets: the first rule, by position, all of whose conditions hold."""

    position = models.PositiveIntegerField(
        default=next_position, unique=True, help_text="Rules are tried from the lowest to the highest."
    )
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="assignment_rules")
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return f"Rule {self.position}: {self.plan}"


class AssignmentRuleCondition(models.Model):
    """One trait that a customer must have for its rule to match."""

    rule = models.ForeignKey(AssignmentRule, on_delete=models.CASCADE, related_name="conditions")
    trait = models.CharField(max_length=100)
    value = models.CharField(max_length=200)

    class Meta:
        ordering = ["trait"]
        verbose_name = "condition"
        constraints = [
            models.UniqueConstraint(fields=["rule", "trait"], name="rulecondition_trait_once"),
        ]

    def __str__(self) -> str:
        return f"{self.trait} is {self.value}"


class Assignment(models.Model):
    """A customer on a plan from a date, perhaps to a date, at the midnights of `time_zone`.

    Each invoice takes the plan version that is active when its period begins, so a new version counts from the
    next period on.
    """

    class Source(models.TextChoices):
        RULE = "rule", "Assignment rule"
        DEFAULT = "default", "Default plan"
        STAFF = "staff", "Staff"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="assignments")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="assignments")
    # Whose midnights its dates and months mean; settled when it is made, so that its periods tile.
    time_zone = models.CharField(max_length=64, editable=False)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="The first day that is no longer on the plan.")
    source = models.CharField(max_length=10, choices=Source, default=Source.STAFF, editable=False)
    rule = models.ForeignKey(
        AssignmentRule, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="assignments"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["customer", "starts_on", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gt=F("starts_on")), name="assignment_ends_after_start"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer} on {self.plan}"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def starts_at(self) -> datetime:
        return local_midnight(self.starts_on, self.zone)

    @property
    def ends_at(self) -> datetime | None:
        return None if self.ends_on is None else local_midnight(self.ends_on, self.zone)
