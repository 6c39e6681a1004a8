"""Customers and meters: what events name, and what staff set up."""

import re
import zoneinfo
from collections.abc import Iterator
from functools import cache

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models

from meters.facts import MAX_PLACES, NUMBER_LIMIT
from meters.fields import NumericField

# Keys travel in URLs, JSON and CSV. Customers' keys are the vendor's own and may be anything printable.
slug_key = RegexValidator(
    r"\A[A-Za-z][A-Za-z0-9_.-]*\Z",
    "Use letters, digits, '_', '-' and '.', beginning with a letter.",
)
_PRINTABLE = r"\A[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?\Z"
printable_key = RegexValidator(_PRINTABLE, "Use printable text.")


def is_printable_key(key: str) -> bool:
    return re.match(_PRINTABLE, key) is not None


MAX_DIMENSIONS = 8
# What `group_by` calls the customer itself.
RESERVED_DIMENSION = "customer"


# Looking them up reads some hundred files, each time.
_time_zones = cache(zoneinfo.available_timezones)


def valid_time_zone(name: str) -> None:
    # "localtime" is whatever the machine's is.
    if name not in _time_zones() or name == "localtime":
        raise ValidationError(f"{name!r} is no time zone of the IANA database, such as Europe/Berlin.")


def valid_traits(traits: object) -> None:
    if not isinstance(traits, dict) or not all(
        isinstance(name, str) and isinstance(value, str) for name, value in traits.items()
    ):
        raise ValidationError("Traits are names with text values.")


def valid_conditions(where: object) -> None:
    if not isinstance(where, dict) or not all(
        isinstance(name, str) and isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts)
        for name, texts in where.items()
    ):
        raise ValidationError('Conditions are dimensions with lists of texts, such as {"region": ["eu", "us"]}.')


class Customer(models.Model):
    """Somebody whose usage is counted. `key` is the vendor's own id of it and never changes."""

    class Source(models.TextChoices):
        API = "api", "API"
        ADMIN = "admin", "Admin"
        EVENT = "event", "First event"

    id = models.AutoField(primary_key=True)
    key = models.CharField(max_length=200, unique=True, validators=[printable_key], help_text="Your own id of it.")
    name = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)
    traits = models.JSONField(
        default=dict, blank=True, validators=[valid_traits], help_text="What assignment rules look at."
    )
    time_zone = models.CharField(
        max_length=64,
        blank=True,
        validators=[valid_time_zone],
        help_text="Days and months begin at midnight here. Empty: the account's.",
    )
    source = models.CharField(max_length=10, choices=Source, default=Source.ADMIN, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    # Null until the layers above have taken the customer in (looked for its plan); the sweep finds these.
    onboarded_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["key"]
        indexes = [
            models.Index("id", name="customer_not_onboarded", condition=models.Q(onboarded_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.name or self.key

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone or settings.ACCOUNT_TIME_ZONE)


class Meter(models.Model):
    """What is counted, and how events become a quantity."""

    class Aggregation(models.TextChoices):
        SUM = "sum", "Sum of the values"
        COUNT = "count", "Number of events"
        MIN = "min", "Least value"
        MAX = "max", "Greatest value"
        AVERAGE = "average", "Average of the values"
        LATEST = "latest", "Latest value"
        UNIQUE_COUNT = "unique_count", "Number of different values of a dimension"
        PERCENTILE = "percentile", "Percentile of the values"
        TIME_WEIGHTED_AVERAGE = "time_weighted_average", "Average over time of a value that holds until the next"
        TIME_WEIGHTED_SUM = "time_weighted_sum", "Value times the time that it holds (seat-days, GB-hours)"

    class TimeUnit(models.TextChoices):
        SECOND = "second", "seconds"
        MINUTE = "minute", "minutes"
        HOUR = "hour", "hours"
        DAY = "day", "days of 24 hours"

    class Rounding(models.TextChoices):
        NONE = "none", "Not rounded"
        UP = "up", "Up"
        DOWN = "down", "Down"
        HALF = "half", "To the nearest, halves away from zero"

    id = models.AutoField(primary_key=True)
    key = models.CharField(
        max_length=100, unique=True, validators=[slug_key], help_text="What events call it, for example ApiCalls."
    )
    name = models.CharField(max_length=200, blank=True, help_text="What people call it. Empty: the key.")
    aggregation = models.CharField(max_length=30, choices=Aggregation, default=Aggregation.SUM)
    unit = models.CharField(max_length=40, blank=True, help_text="Plural, for example calls.")
    dimensions = ArrayField(
        models.CharField(max_length=100),
        default=list,
        blank=True,
        help_text="Names that usage can be filtered and grouped by, for example source, target.",
    )
    unique_dimension = models.CharField(
        max_length=100, blank=True, help_text="The dimension whose different values are counted, for example user_id."
    )
    percentile = NumericField(null=True, blank=True, help_text="Which one, from 0 to 100, for example 95.")
    time_unit = models.CharField(
        max_length=10, choices=TimeUnit, blank=True, help_text="What the value is multiplied by the number of."
    )
    where = models.JSONField(
        "only events where",
        default=dict,
        blank=True,
        validators=[valid_conditions],
        help_text="Declared dimensions with the texts that count; an event counts when all of them match.",
    )
    value_dimension = models.CharField(
        "value from dimension",
        max_length=100,
        blank=True,
        help_text="The dimension that holds the number. Empty: the event's value.",
    )
    multiplier = NumericField(
        default=1,
        decimal_places=30,
        help_text="The quantity is multiplied by this, for example 0.001 to count thousands.",
    )
    rounding = models.CharField(max_length=10, choices=Rounding, default=Rounding.NONE)
    rounding_places = models.PositiveSmallIntegerField(
        "to decimal places", default=0, validators=[MaxValueValidator(MAX_PLACES)]
    )
    used_for_billing = models.BooleanField(
        "used for billing", default=False, help_text="Creates the product item that plans put a price on."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.name or self.key

    def clean(self) -> None:
        if errors := dict(self._faults()):
            raise ValidationError(errors)

    def _faults(self) -> Iterator[tuple[str, str]]:
        kind = self.Aggregation
        if self.aggregation == kind.UNIQUE_COUNT and not self.unique_dimension:
            yield "unique_dimension", "Name the dimension whose different values are counted."
        if self.aggregation != kind.UNIQUE_COUNT and self.unique_dimension:
            yield "unique_dimension", "Only a meter that counts different values has one."
        if self.aggregation == kind.PERCENTILE and self.percentile is None:
            yield "percentile", "Say which percentile, for example 95."
        if self.aggregation != kind.PERCENTILE and self.percentile is not None:
            yield "percentile", "Only a meter of a percentile has one."
        if self.percentile is not None and not 0 <= self.percentile <= 100:
            yield "percentile", "A number from 0 to 100."
        if self.aggregation == kind.TIME_WEIGHTED_SUM and not self.time_unit:
            yield "time_unit", "Choose the unit of time, for example hours for GB-hours."
        if self.aggregation != kind.TIME_WEIGHTED_SUM and self.time_unit:
            yield "time_unit", "Only a meter of value times time has one."
        if self.value_dimension and self.aggregation in (kind.COUNT, kind.UNIQUE_COUNT):
            yield "value_dimension", "This meter counts events or texts, not values."
        if len(self.dimensions) > MAX_DIMENSIONS:
            yield "dimensions", f"At most {MAX_DIMENSIONS} dimensions."
        if len(set(self.dimensions)) != len(self.dimensions):
            yield "dimensions", "Name each dimension once."
        if RESERVED_DIMENSION in self.dimensions:
            yield "dimensions", f"Usage is grouped by {RESERVED_DIMENSION} without a dimension of that name."
        if isinstance(self.where, dict) and (undeclared := sorted(set(self.where) - set(self.dimensions))):
            yield "where", f"Declare {', '.join(undeclared)} as a dimension first: only those can be filtered by."
        if self.multiplier is not None and not 0 < self.multiplier < NUMBER_LIMIT:
            yield "multiplier", "A number above zero, with at most 24 digits before the point."


class DimensionSet(models.Model):
    """One combination of declared dimensions, such as {"region": "eu"}; a dictionary that events point into."""

    id = models.AutoField(primary_key=True)
    digest = models.UUIDField(unique=True)
    values = models.JSONField()

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.values.items()) or "no dimensions"
