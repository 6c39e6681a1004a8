from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_save


class InvoicesConfig(AppConfig):
    """Follows assignments in the transaction that saves them, and usage by its hint."""

    name = "invoices"

    def ready(self) -> None:
        from invoices.wake import wake
        from meters.signals import usage_changed
        from pricing.models import Assignment, ProductItem

        post_save.connect(_assignment_saved, sender=Assignment, dispatch_uid="invoices.assignment_saved")
        post_save.connect(_item_saved, sender=ProductItem, dispatch_uid="invoices.item_saved")
        usage_changed.connect(wake, dispatch_uid="invoices.usage_changed")


def _assignment_saved(instance: Any, **_: Any) -> None:
    from invoices.services import follow_assignment

    follow_assignment(instance)


def _item_saved(created: bool, **_: Any) -> None:
    from invoices.services import mark_all_stale

    if created:
        mark_all_stale()
