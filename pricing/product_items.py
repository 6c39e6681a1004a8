"""Product items follow the meters that are used for billing; their names are their own."""

from django.db import transaction
from django.utils import timezone

from meters.models import Meter
from pricing.inputs import check_row
from pricing.models import ProductItem


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


@transaction.atomic
def rename_product_item(item: ProductItem, *, name: str) -> ProductItem:
    """Gives a product item another name, also on invoices that are not final. Raises ValidationError by field."""
    item.name = name
    check_row(item)
    item.save(update_fields=["name"])
    return item
