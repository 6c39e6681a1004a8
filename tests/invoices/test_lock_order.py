"""What marks invoices stale takes its customers in one order, and before what comes after them in docs/architecture.md.

Somebody holds a customer; who waits for it must hold nothing yet that the holder may want next.
"""

from collections.abc import Callable
from threading import Semaphore
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet

from invoices.models import Invoice
from meters.models import Customer
from pricing.ordering import move
from pricing.promotions import apply_promotion, save_promotion
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan
from tests.racing import race

pytestmark = pytest.mark.django_db(transaction=True)


def wait_for_a_blocked_backend() -> None:
    with connection.cursor() as cursor:
        for _ in range(200):
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.05)")
    raise AssertionError("nobody waited")


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
