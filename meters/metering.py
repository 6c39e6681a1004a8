"""Meters: creating and changing them."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from meters import catalogue
from meters.aggregation import TIME_WEIGHTED
from meters.distribution import is_distributed
from meters.metering_sql import HAS_USAGE, HAS_USAGE_ANYWHERE, USED_BY
from meters.models import Customer, Meter, UsageBucket
from meters.statements import execute

# What past usage was counted by. Changing one would change the meaning of figures that are already billed.
FIXED_ONCE_USED = (
    "key",
    "aggregation",
    "unique_dimension",
    "percentile",
    "time_unit",
    "where",
    "value_dimension",
    "multiplier",
    "rounding",
    "rounding_places",
)
# What a copy of a meter has in common with it: all but its names.
COPIED = (*FIXED_ONCE_USED[1:], "unit", "dimensions", "used_for_billing")


def save_meter(meter: Meter, *, changes: Mapping[str, Any]) -> Meter:
    """Makes or changes a meter. Raises ValidationError by field.

    Name, unit, billing and new dimensions can change at any time; what figures mean only while no event has come in.
    Dimensions that tell gauges apart are part of what figures mean, so a time-weighted meter keeps those that it has.
    Other processes learn of a new dimension within a second (meters/catalogue.py).
    """
    with transaction.atomic():
        if meter.pk is not None:
            meter = Meter.objects.select_for_update().get(pk=meter.pk)
            _refuse_what_is_fixed(meter, changes)
        for name, value in changes.items():
            setattr(meter, name, value)
        meter.full_clean()
        meter.save()
        transaction.on_commit(catalogue.forget_meters)
    return meter


def has_usage(meter: Meter) -> bool:
    """Whether an event of the meter ever came in. One that was voided counts: it can be brought back."""
    statement = HAS_USAGE_ANYWHERE if is_distributed() else HAS_USAGE
    return bool(execute(statement, {"meter": meter.pk})[0][0])


def is_used_by(customer: Customer) -> Q:
    """Which meters the customer has usage of. Uses the primary key of meters_usagebucket, once for each meter."""
    if is_distributed():
        # No condition on a row can look at a table of another machine, so it is asked for now.
        meters = {"meters": list(Meter.objects.values_list("id", flat=True)), "customer": customer.pk}
        return Q(pk__in=[pk for (pk,) in execute(USED_BY, meters)])
    return Q(Exists(UsageBucket.objects.filter(customer_id=customer.pk, meter_id=OuterRef("pk"))))


def _refuse_what_is_fixed(meter: Meter, changes: Mapping[str, Any]) -> None:
    changed = {name for name in FIXED_ONCE_USED if changes.get(name, getattr(meter, name)) != getattr(meter, name)}
    declared = set(changes.get("dimensions", meter.dimensions))
    removed = set(meter.dimensions) - declared
    # Each combination of declared dimensions is a gauge. With one more the senders' next value would begin another
    # gauge, and the old one would hold on beside it for ever.
    added = declared - set(meter.dimensions) if meter.aggregation in TIME_WEIGHTED else set()
    if not (changed or removed or added):
        return
    # The lock on the meter waited for a first event that was being stored (meters/events.py).
    if not has_usage(meter):
        return
    errors = {
        name: ["The meter has usage, which was counted by this, so it cannot change. Make a new meter instead."]
        for name in FIXED_ONCE_USED
        if name in changed
    }
    if removed:
        names = ", ".join(sorted(removed))
        errors["dimensions"] = [
            f"The meter has usage by {names}, so it cannot be removed. Make a new meter without it instead."
        ]
    if added:
        names = ", ".join(sorted(added))
        errors.setdefault("dimensions", []).append(
            f"The meter has usage, and its values hold over time for each combination of dimensions, so {names} cannot "
            "be added: the values sent before would hold on beside the new ones. Make a new meter with it instead."
        )
    raise ValidationError(errors)
