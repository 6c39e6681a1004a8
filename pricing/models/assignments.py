"""Who is on which plan, from when, by which rule."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from meters.fields import NumericField
from meters.models import Customer, slug_key
from meters.periods import local_midnight
from pricing.models.plans import Plan


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
    customer_source = models.CharField(
        "sign-up by",
        max_length=10,
        choices=Customer.Source,
        blank=True,
        help_text="How the customer came to be here. Empty: in any way.",
    )
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

    Each invoice takes the plan version that counts for the assignment when its period begins
    (`pricing.plans.version_for`), so a new version counts from the next period on. One that ends on the day that it
    starts has no day at all: another one took its place, or it was taken back.
    """

    class Source(models.TextChoices):
        RULE = "rule", "Assignment rule"
        DEFAULT = "default", "Default plan"
        STAFF = "staff", "Staff"
        API = "api", "API"
        IMPORT = "import", "Import"
        PORTAL = "portal", "Customer, in the portal"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="assignments")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="assignments")
    # Whose midnights its dates and months mean; settled when it is made, so that its periods tile.
    time_zone = models.CharField(max_length=64, editable=False)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="The first day that is no longer on the plan.")
    anchor_on = models.DateField(
        "anniversary",
        null=True,
        blank=True,
        help_text="The day that anniversary periods count from, also backwards. Empty: the start.",
    )
    source = models.CharField(max_length=10, choices=Source, default=Source.STAFF, editable=False)
    rule = models.ForeignKey(
        AssignmentRule, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="assignments"
    )
    # The one that a change of plan ended for it: until it begins it takes over what is said of that one's quantities.
    continues = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="continued_by"
    )
    # To a private plan, after the trial of its base: the base's trial and one-time fees do not come again.
    goes_on = models.BooleanField(default=False, editable=False)
    # Of a change of plan by the customer itself: it would have a trial with each of them.
    without_trial = models.BooleanField(default=False, editable=False)
    # Not before the version was active that it was made with, whatever the clocks say.
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["customer", "starts_on", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gte=F("starts_on")),
                name="assignment_ends_not_before_start",
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

    @property
    def anchor(self) -> date:
        """The day that its periods count from."""
        return self.anchor_on or self.starts_on


class AssignmentQuantity(models.Model):
    """How many of a fee (seats, for example) a customer has from a day on, in place of the fee's own quantity."""

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="quantities")
    fee_key = models.CharField(max_length=100, validators=[slug_key])
    starts_on = models.DateField()
    quantity = NumericField()
    # From the assignment that this one continues, not said of this one.
    is_taken_over = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["assignment", "fee_key", "starts_on"]
        verbose_name_plural = "quantities"
        constraints = [
            models.UniqueConstraint(fields=["assignment", "fee_key", "starts_on"], name="quantity_once_a_day"),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="quantity_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.fee_key} from {self.starts_on}"


class AssignmentLog(models.Model):
    """What was done to a customer's assignments, by which rule or by whom. Only ever added to."""

    class Kind(models.TextChoices):
        ASSIGNED = "assigned", "Assigned"
        ENDED = "ended", "End set"
        REOPENED = "reopened", "End taken back"
        QUANTITY = "quantity", "Quantity changed"
        UNMATCHED = "unmatched", "No rule and no default plan"

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="assignment_log")
    assignment = models.ForeignKey(Assignment, on_delete=models.SET_NULL, null=True, related_name="log")
    at = models.DateTimeField(auto_now_add=True)
    kind = models.CharField(max_length=10, choices=Kind)
    source = models.CharField(max_length=10, choices=Assignment.Source)
    rule = models.ForeignKey(AssignmentRule, on_delete=models.SET_NULL, null=True, related_name="+")
    rule_words = models.CharField(max_length=400, blank=True, help_text="The rule as it was then.")
    actor = models.CharField(max_length=150, blank=True, help_text="Empty: Tollmeter itself.")
    detail = models.CharField(max_length=500, help_text="In words, as it was then.")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.customer}: {self.detail}"
