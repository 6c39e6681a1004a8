"""Product items follow the meters that are used for billing; their names are their own."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from meters.models import Meter
from pricing.inputs import check_row
from pricing.models import PlanVersion, ProductItem, Rate
from pricing.rates import needs_events


@transaction.atomic
def sync_product_item(meter: Meter) -> ProductItem | None:
    """The product item of a meter: made when the meter is first used for billing, retired when it no longer is.

    A retired item keeps its price history and the rates of the versions it is in; it cannot be added to another
    one. Ticking the meter again brings the same item back.
    """
    if meter.used_for_billing:
        item, created = ProductItem.objects.get_or_create(meter=meter, defaults={"name": str(meter)})
        if not created and item.retired_at is not None:
            item.retired_at = None
            item.save(update_fields=["retired_at"])
        return item
    found = ProductItem.objects.filter(meter=meter).first()
    if found is not None and found.retired_at is None:
        # Saved, so that bills which tell its usage as unpriced hear of it.
        found.retired_at = timezone.now()
        found.save(update_fields=["retired_at"])
    return found


def check_priced(meter: Meter) -> None:
    """Raises ValidationError by field where a meter no longer has what a rate of an activated version needs of it.

    The version of a draft is checked when it is activated, under a lock on the meter.
    """
    rates = Rate.objects.filter(product_item__meter=meter).exclude(plan_version__status=PlanVersion.Status.DRAFT)
    for rate in rates.select_related("plan_version__plan"):
        if needs_events(rate.parsed) and not gives_events(meter):
            field = "rounding" if meter.aggregation == Meter.Aggregation.SUM else "aggregation"
            raise ValidationError({field: f"{rate.plan_version} prices single events, so it sums without rounding."})
        if gone := sorted(set(rate.where) - set(meter.dimensions)):
            raise ValidationError({"dimensions": f"{rate.plan_version} has a price by {', '.join(gone)}."})


def gives_events(meter: Meter) -> bool:
    """Whether the quantity of a meter is the sum of its single events, so that these can be priced."""
    return meter.aggregation == Meter.Aggregation.SUM and meter.rounding == Meter.Rounding.NONE


@transaction.atomic
def rename_product_item(item: ProductItem, *, name: str) -> ProductItem:
    """Gives a product item another name, also on invoices that are not final. Raises ValidationError by field."""
    item.name = name
    check_row(item)
    item.save(update_fields=["name"])
    return item
