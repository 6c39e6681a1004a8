"""A private plan that follows again and another plan do not come to price the same product item at the same time."""

import threading
from datetime import UTC, datetime
from functools import partial

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction

from pricing.documents import apply_plan, export_plan
from pricing.models import Assignment, Plan
from pricing.overlaps import Prices
from pricing.plans import activate, draft_version, set_rate
from pricing.private_plans import make_private, set_follows_base
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on
from tests.racing import race, wait_for_a_blocked_backend

TODAY = datetime.now(UTC).date()
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def plans(transactional_db: None) -> tuple[Plan, Plan]:
    """A pinned plan of acme's whose base prices storage now, and another one that is about to."""
    calls, storage, mails = make_meter("ApiCalls"), make_meter("Storage"), make_meter("Mails")
    base, other = make_plan("Base", {calls: STORY_RATE}), make_plan("Other", {mails: STORY_RATE})
    customer = make_customer("acme")
    private = make_private(base, customer=customer, follows_base=False)
    activate(private)
    private = Plan.objects.get(pk=private.pk)
    for plan in (private, other):
        put_on(customer, plan, TODAY)
    for plan in (base, other):
        set_rate(draft_version(plan), product_item=storage.product_item, parameters=STORY_RATE)
    activate(base)
    return private, other


def priced_twice() -> bool:
    first, second = Assignment.objects.select_related("plan")
    prices = Prices([first.plan_id, second.plan_id])
    return bool(prices.of(first) & prices.of(second))


def test_whoever_comes_second_waits_and_is_refused(plans: tuple[Plan, Plan]) -> None:
    private, other = plans
    held = threading.Event()

    def follow() -> None:
        with transaction.atomic():
            set_follows_base(private, follows=True)
            held.set()
            wait_for_a_blocked_backend()

    def begin() -> None:
        assert held.wait(20)
        activate(other)

    (refused,) = race(follow, begin)
    assert isinstance(refused, ValidationError)
    assert not priced_twice()


def test_at_once_one_of_them_is_refused(plans: tuple[Plan, Plan]) -> None:
    private, other = plans
    (refused,) = race(partial(set_follows_base, private, follows=True), partial(activate, other))
    assert isinstance(refused, ValidationError)
    assert not priced_twice()


def test_a_document_that_lets_it_follow_and_a_version_of_the_base_do_not_block_each_other(
    plans: tuple[Plan, Plan],
) -> None:
    private, _ = plans
    base = private.base
    assert base is not None
    for _ in range(5):
        set_follows_base(Plan.objects.get(pk=private.pk), follows=False)
        document = export_plan(Plan.objects.get(pk=private.pk)) | {"follows_base": True}
        draft_version(base)
        assert race(partial(apply_plan, document), partial(activate, base)) == []
