from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_save


class PricingConfig(AppConfig):
    """Takes in meters and customers, in the transaction that saves them; a meter has to fit its prices."""

    name = "pricing"

    def ready(self) -> None:
        from meters.audit_log.tables import watch
        from meters.models import Customer, Meter
        from pricing import audited

        watch(audited.WATCHED, audited.NOT_WATCHED)
        post_save.connect(_meter_saved, sender=Meter, dispatch_uid="pricing.meter_saved")
        post_save.connect(_customer_saved, sender=Customer, dispatch_uid="pricing.customer_saved")


def _meter_saved(instance: Any, **_: Any) -> None:
    from pricing.product_items import check_priced, sync_product_item

    check_priced(instance)
    sync_product_item(instance)


def _customer_saved(instance: Any, created: bool, **_: Any) -> None:
    from pricing.assignments import onboard

    if created and instance.onboarded_at is None:
        onboard(instance)
        instance.refresh_from_db(fields=["onboarded_at"])
