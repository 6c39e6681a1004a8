"""What marks invoices stale takes its customers in one order, and before what comes after them in docs/architecture.md.

Somebody holds a customer; who waits for it must hold nothing yet that the holder may want next.
"""

from collections.abc import Callable
from threading import Semaphore
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.db.models.signals import post_save
from rest_framework.test import APIClient

from invoices.alerting.alerts import change_alert, create_alert
from invoices.models import Alert, Invoice
from meters.models import Customer
from pricing.models import ProductItem
from pricing.ordering import move
from pricing.product_items import rename_product_item
from pricing.promotions import apply_promotion, save_promotion
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan
from tests.racing import race, wait_for_a_blocked_backend

pytestmark = pytest.mark.django_db(transaction=True)


def with_customer_held(customer: Customer, job: Callable[[], Any], *, then_wanted: QuerySet[Any]) -> None:
    """Lets a job wait for a customer, and takes what the holder wants then; raises where the job holds it."""

    def hold() -> None:
        with transaction.atomic():
            Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
            held.release()
            wait_for_a_blocked_backend()
            assert list(then_wanted.select_for_update(no_key=True, nowait=True))

    def wait() -> None:
        held.acquire()
        job()

    held = Semaphore(0)
    assert race(hold, wait) == []


def test_promotions_that_change_places_take_the_customers_of_both_in_order() -> None:
    make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    one, two = make_customer("one"), make_customer("two")
    first, second = (save_promotion(changes={"key": key, "name": key, "percent": "10"}) for key in ("first", "second"))
    apply_promotion(customer=one, promotion=first)
    apply_promotion(customer=two, promotion=second)
    Invoice.objects.update(is_stale=False)
    # The one that moves up is saved first.
    with_customer_held(one, lambda: move(first, up=False), then_wanted=Customer.objects.filter(pk=two.pk))
    assert not Invoice.objects.filter(status__in=Invoice.LIVE, is_stale=False).exists()


def test_a_product_item_that_is_renamed_comes_after_the_customers() -> None:
    meter = make_meter()
    make_plan("Basic", {meter: STORY_RATE}, is_default=True)
    customer = make_customer("acme")
    Invoice.objects.update(is_stale=False)
    with_customer_held(
        customer,
        lambda: rename_product_item(meter.product_item, name="API calls"),
        then_wanted=ProductItem.objects.filter(meter=meter),
    )
    assert ProductItem.objects.get().name == "API calls"
    assert not Invoice.objects.filter(status__in=Invoice.LIVE, is_stale=False).exists()


def test_a_meter_that_is_billed_no_more_takes_its_product_item_after_the_customers() -> None:
    meter = make_meter()
    customer = make_customer("acme")
    meter.used_for_billing = False

    def untick() -> None:
        with transaction.atomic():
            meter.save()

    with_customer_held(customer, untick, then_wanted=ProductItem.objects.filter(meter=meter))
    assert ProductItem.objects.get().retired_at is not None


def test_renaming_over_the_api_and_marking_are_one_transaction(api: Callable[..., APIClient]) -> None:
    """A name that is taken back leaves no invoice marked."""
    make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    make_customer("acme")
    Invoice.objects.update(is_stale=False)
    client = api("read", "write")

    def fail(**_: Any) -> None:
        raise DatabaseError("The connection is gone.")

    post_save.connect(fail, sender=ProductItem)
    try:
        with pytest.raises(DatabaseError):
            client.patch("/v1/product-items/ApiCalls", {"name": "API calls"}, format="json")
    finally:
        post_save.disconnect(fail, sender=ProductItem)
    assert ProductItem.objects.get().name == "ApiCalls"
    assert not Invoice.objects.filter(is_stale=True).exists()
    assert client.patch("/v1/product-items/ApiCalls", {"name": "API calls"}, format="json").status_code == 200
    assert not Invoice.objects.filter(status__in=Invoice.LIVE, is_stale=False).exists()


def test_an_alert_that_is_changed_comes_after_the_customers() -> None:
    make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    one = make_customer("one")
    alert = create_alert(name="Five", kind="amount", currency="USD", threshold=5)
    with_customer_held(one, lambda: change_alert(alert, changes={"threshold": 6}), then_wanted=Alert.objects.all())
    assert Alert.objects.get().threshold == 6
