"""Who used how much of what, when.

The tables that grow with usage (`EventKey`, `Event`, `UsageBucket`, `UsageDistinct`, `UsageVersion`) have
`customer_id` first in their key and no database foreign keys, so that the same schema can be distributed by
customer. Their tables are made by hand-written SQL in the migrations, and written by `meters/sql.py` alone.
"""

import re
import zoneinfo
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

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


def valid_time_zone(name: str) -> None:
    # "localtime" is whatever the machine's is.
    if name not in zoneinfo.available_timezones() or name == "localtime":
        raise ValidationError(f"{name!r} is no time zone of the IANA database, such as Europe/Berlin.")


def valid_traits(traits: object) -> None:
    if not isinstance(traits, dict) or not all(
        isinstance(name, str) and isinstance(value, str) for name, value in traits.items()
    ):
        raise ValidationError("Traits are names with text values.")


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
        MAX = "max", "Greatest value"
        UNIQUE_COUNT = "unique_count", "Number of different values of a dimension"

    id = models.AutoField(primary_key=True)
    key = models.CharField(
        max_length=100, unique=True, validators=[slug_key], help_text="What events call it, for example ApiCalls."
    )
    name = models.CharField(max_length=200, blank=True, help_text="What people call it. Empty: the key.")
    aggregation = models.CharField(max_length=20, choices=Aggregation, default=Aggregation.SUM)
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
    used_for_billing = models.BooleanField(
        "used for billing", default=False, help_text="Creates the product item that plans put a price on."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.name or self.key

    def clean(self) -> None:
        errors: dict[str, str] = {}
        if self.aggregation == self.Aggregation.UNIQUE_COUNT and not self.unique_dimension:
            errors["unique_dimension"] = "Name the dimension whose different values are counted."
        if self.aggregation != self.Aggregation.UNIQUE_COUNT and self.unique_dimension:
            errors["unique_dimension"] = "Only a meter that counts different values has one."
        if len(self.dimensions) > MAX_DIMENSIONS:
            errors["dimensions"] = f"At most {MAX_DIMENSIONS} dimensions."
        if len(set(self.dimensions)) != len(self.dimensions):
            errors["dimensions"] = "Name each dimension once."
        if errors:
            raise ValidationError(errors)


class ApiKey(models.Model):
    """A key of the vendor's servers. The key itself is shown once; only its hash is stored."""

    class Scope(models.TextChoices):
        INGEST = "ingest", "Send events"
        READ = "read", "Read everything"
        WRITE = "write", "Create and change"

    name = models.CharField(max_length=200)
    start = models.CharField(max_length=12, editable=False, help_text="The first characters, to tell keys apart.")
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope), default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name", "id"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"


class DimensionSet(models.Model):
    """One combination of declared dimensions, such as {"region": "eu"}; a dictionary that events point into."""

    id = models.AutoField(primary_key=True)
    digest = models.UUIDField(unique=True)
    values = models.JSONField()

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.values.items()) or "no dimensions"


def _plain_key(model: type[models.Model], **kwargs: Any) -> "models.ForeignKey[Any, Any]":
    """A reference without a constraint or an index of its own in the database."""
    return models.ForeignKey(
        model, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+", **kwargs
    )


class EventKey(models.Model):
    """The exact guard against counting an event twice, kept for ever.

    `key` is the sender's id where that is a UUID and a 128-bit hash of it otherwise. `content` is a 64-bit hash
    of what was sent under it, which tells a duplicate from a conflict.
    """

    pk = models.CompositePrimaryKey("customer_id", "meter_id", "key")
    customer = _plain_key(Customer)
    meter = _plain_key(Meter)
    key = models.UUIDField()
    occurred_at = models.DateTimeField()
    content = models.BigIntegerField()


class Event(models.Model):
    """One usage fact. Partitioned by month of `occurred_at`; `sequence` is the order of arrival."""

    sequence = models.BigIntegerField(primary_key=True)
    occurred_at = models.DateTimeField("time")
    received_at = models.DateTimeField("received")
    key = models.UUIDField()
    customer = _plain_key(Customer)
    meter = _plain_key(Meter)
    dimension_set = _plain_key(DimensionSet)
    value = NumericField()
    # The 128-bit hash of the value that a unique count counts; null for the other aggregations.
    distinct_value = models.UUIDField(null=True)
    # The sender's id where it is not a UUID, and the dimensions that the meter does not declare.
    sent_id = models.TextField(null=True)
    extra = models.JSONField(null=True)

    class Meta:
        ordering = ["-occurred_at", "-sequence"]
        get_latest_by = "sequence"

    def __str__(self) -> str:
        return self.event_id

    @property
    def event_id(self) -> str:
        return self.sent_id or str(self.key)

    @property
    def dimensions(self) -> dict[str, str]:
        return {**self.dimension_set.values, **(self.extra or {})}


class UsageBucket(models.Model):
    """What the events of one customer, meter, dimension set and UTC hour come to."""

    pk = models.CompositePrimaryKey("customer_id", "meter_id", "hour", "dimension_set_id")
    customer = _plain_key(Customer)
    meter = _plain_key(Meter)
    hour = models.DateTimeField()
    dimension_set = _plain_key(DimensionSet)
    count = models.BigIntegerField()
    sum = NumericField()
    min = NumericField()
    max = NumericField()
    last = NumericField()
    last_at = models.DateTimeField()
    last_sequence = models.BigIntegerField()


class UsageDistinct(models.Model):
    """The different values that a unique count saw on one UTC day."""

    pk = models.CompositePrimaryKey("customer_id", "meter_id", "day", "dimension_set_id", "value")
    customer = _plain_key(Customer)
    meter = _plain_key(Meter)
    day = models.DateField()
    dimension_set = _plain_key(DimensionSet)
    value = models.UUIDField()


class UsageVersion(models.Model):
    """Raised in every transaction that changes a customer's usage; what is computed from usage remembers it."""

    customer = models.OneToOneField(
        Customer, on_delete=models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="usage_version"
    )
    version = models.BigIntegerField()
    changed_at = models.DateTimeField()
