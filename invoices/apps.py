from typing import Any

from django.apps import AppConfig
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save


class InvoicesConfig(AppConfig):
    """Follows what bills are made of, in the transaction that changes it, and usage by its hint."""

    name = "invoices"

    def ready(self) -> None:
        from invoices import audited, going_out
        from invoices.signals import finalized, recalculated, settled, voided
        from invoices.wake import wake
        from meters.audit_log.tables import watch
        from meters.signals import usage_changed
        from pricing.models import (
            AppliedPromotion,
            Assignment,
            AssignmentQuantity,
            BillingProfile,
            PlanVersion,
            ProductItem,
            Promotion,
            TaxRate,
        )
        from pricing.ordering import moved

        watch(audited.WATCHED, audited.NOT_WATCHED)
        post_save.connect(_assignment_saved, sender=Assignment, dispatch_uid="invoices.assignment_saved")
        pre_save.connect(_item_changes, sender=ProductItem, dispatch_uid="invoices.item_changes")
        post_save.connect(_promotion_saved, sender=Promotion, dispatch_uid="invoices.promotion_saved")
        moved.connect(_promotions_moved, sender=Promotion, dispatch_uid="invoices.promotions_moved")
        post_save.connect(_tax_rate_saved, sender=TaxRate, dispatch_uid="invoices.tax_rate_saved")
        post_save.connect(_quantity_saved, sender=AssignmentQuantity, dispatch_uid="invoices.quantity_saved")
        post_delete.connect(_quantity_deleted, sender=AssignmentQuantity, dispatch_uid="invoices.quantity_deleted")
        for changed in (post_save, post_delete):
            for of_customer in (AppliedPromotion, BillingProfile):
                changed.connect(_of_customer_changed, sender=of_customer, dispatch_uid="invoices.of_customer_changed")
        for field, mark in (
            (Promotion.product_items, _items_of_promotion_changed),
            (BillingProfile.tax_rates, _tax_rates_of_customer_changed),
        ):
            m2m_changed.connect(mark, sender=field.through, dispatch_uid="invoices.many_changed")
        pre_delete.connect(_version_going, sender=PlanVersion, dispatch_uid="invoices.version_going")
        usage_changed.connect(wake, dispatch_uid="invoices.usage_changed")
        recalculated.connect(_look_at_alerts, dispatch_uid="invoices.look_at_alerts")
        going_out.connect_ahead()
        # Before whoever tells what a final invoice comes to.
        finalized.connect(_draw_credits, dispatch_uid="invoices.draw_credits")
        settled.connect(_give_credits_back, dispatch_uid="invoices.give_credits_back")
        voided.connect(_give_credits_back, dispatch_uid="invoices.give_credits_back")
        voided.connect(_carry_corrections_anew, dispatch_uid="invoices.carry_corrections_anew")
        going_out.connect()


def _assignment_saved(instance: Any, **_: Any) -> None:
    from invoices.services import follow_assignment

    follow_assignment(instance)


def _version_going(instance: Any, **_: Any) -> None:
    from invoices.backtests.backtest import hold_backtests

    hold_backtests(instance)


def _look_at_alerts(bills: Any, now: Any, **_: Any) -> None:
    from invoices.alerting.watching import look_at

    look_at(bills, now)


def _draw_credits(invoice: Any, now: Any, **_: Any) -> None:
    from invoices.prepaid.credits import draw_credits

    draw_credits(invoice, now)


def _give_credits_back(invoice: Any, now: Any, **_: Any) -> None:
    from invoices.prepaid.credits import give_back

    give_back(invoice, now)


def _item_changes(**_: Any) -> None:
    """Before it is saved: customers are held before product items (docs/architecture.md)."""
    from invoices.services import mark_all_stale

    mark_all_stale()


def _quantity_saved(instance: Any, **_: Any) -> None:
    from invoices.services import follow_quantity

    follow_quantity(instance)


def _quantity_deleted(instance: Any, **_: Any) -> None:
    _mark(assignments=instance.assignment_id)


def _of_customer_changed(instance: Any, **_: Any) -> None:
    _mark(pk=instance.customer_id)


def _promotion_saved(instance: Any, created: bool, **_: Any) -> None:
    if not created:
        _mark(promotions__promotion=instance.pk)


def _promotions_moved(ids: Any, **_: Any) -> None:
    _mark(promotions__promotion__in=ids)


def _tax_rate_saved(instance: Any, created: bool, **_: Any) -> None:
    """Whom it was for before it was saved nobody knows any more; so all, but for a new one that is for nobody yet."""
    from invoices.services import mark_all_stale

    if not created or instance.is_default:
        mark_all_stale()


def _items_of_promotion_changed(instance: Any, action: str, reverse: bool, pk_set: Any, **_: Any) -> None:
    if not reverse:
        _mark(promotions__promotion=instance.pk)
    elif action == "pre_clear":  # whom it was of is not known after it
        _mark(promotions__promotion__product_items=instance.pk)
    elif pk_set:
        _mark(promotions__promotion__in=pk_set)


def _tax_rates_of_customer_changed(instance: Any, action: str, reverse: bool, pk_set: Any, **_: Any) -> None:
    if not reverse:
        _mark(pk=instance.pk)
    elif action == "pre_clear":
        _mark(billing_profile__tax_rates=instance.pk)
    elif pk_set:
        _mark(pk__in=pk_set)


def _carry_corrections_anew(invoice: Any, **_: Any) -> None:
    from invoices.late.rerating import follow_void

    follow_void(invoice)


def _mark(**customers: Any) -> None:
    from django.db.models import Q

    from invoices.services import mark_stale

    mark_stale(Q(**customers))
