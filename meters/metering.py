"""Meters: creating and changing them."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from meters.models import Customer, Meter, UsageBucket

# What past usage was counted by. Changing one would change the meaning of figures that are already billed.
FIXED_ONCE_USED = ("key", "aggregation", "unique_dimension")


@transaction.atomic
def save_meter(meter: Meter, *, changes: Mapping[str, Any]) -> Meter:
    """Makes or changes a meter. Raises ValidationError by field.

    Name, unit and new dimensions can change at any time; what is counted only while nothing has been.
    """
    if meter.pk is not None:
        meter = Meter.objects.select_for_update().get(pk=meter.pk)
        changed = [name for name in FIXED_ONCE_USED if changes.get(name, getattr(meter, name)) != getattr(meter, name)]
        if changed and has_usage(meter):
            raise ValidationError(
                dict.fromkeys(changed, "The meter has usage, so this cannot change. Make a new meter instead.")
            )
        removed = set(meter.dimensions) - set(changes.get("dimensions", meter.dimensions))
        if removed and has_usage(meter):
            names = ", ".join(sorted(removed))
            raise ValidationError({"dimensions": f"The meter has usage by {names}, so it cannot be removed."})
    for name, value in changes.items():
        setattr(meter, name, value)
    meter.full_clean()
    meter.save()
    return meter


def has_usage(meter: Meter) -> bool:
    """Whether the meter ever counted anything. By customer, because that is what the key of the buckets begins with."""
    return UsageBucket.objects.filter(customer_id__in=Customer.objects.values("pk"), meter=meter).exists()
