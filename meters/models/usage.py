"""Events and what they come to.

The tables that grow with usage (`EventKey`, `Event`, `UsageBucket`, `UsageDistinct`, `UsageVersion`) have
`customer_id` first in their key and no database foreign keys, so that the same schema can be distributed by
customer. Their tables are made by hand-written SQL in the migrations, and written by the statements of
`meters/*_sql.py` alone.
"""

from typing import Any

from django.db import models

from meters.fields import NumericField
from meters.models.names import Customer, DimensionSet, Meter


def _plain_key(model: type[models.Model], **kwargs: Any) -> "models.ForeignKey[Any, Any]":
    """A reference without a constraint or an index of its own in the database."""
    return models.ForeignKey(
        model, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+", **kwargs
    )


class VoidRecord(models.Model):
    """Who took which events out of the figures, or back into them, and why. Never changed."""

    class Kind(models.TextChoices):
        VOID = "void", "Void"
        UNVOID = "unvoid", "Undo of a void"

    id = models.AutoField(primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind)
    reason = models.CharField(max_length=500)
    selection = models.JSONField(help_text="What was asked for: ids, or a filter.")
    events = models.PositiveIntegerField(help_text="How many events it changed.")
    actor = models.CharField(max_length=200, help_text="The API key or the member of staff.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.id}"


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
    # What took the event out of all figures; null: it counts.
    void = _plain_key(VoidRecord, null=True)

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


class RetiredMonth(models.Model):
    """A month (UTC) whose events are kept in an archive and not here any more. While it is being retired there is no
    file yet. The months before the last one are retired too, or never had events."""

    month = models.DateField(primary_key=True, help_text="Its first day.")
    events = models.BigIntegerField(default=0)
    file = models.CharField(max_length=500, blank=True, help_text="Where they were written to.")
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the file.")
    began_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-month"]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


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
    # The beginning of the oldest hour that has changed since `meters.settling.take_oldest` took it; none has: null.
    oldest_at = models.DateTimeField(null=True)
