"""Credit that is low: told once until it is above again, with what is asked for."""

from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError

from invoices.models import CreditRule, OutboxEvent, WebhookEndpoint
from invoices.prepaid.credits import void_grant
from invoices.prepaid.rules import drop_credit_rule, set_credit_rule, turned_rules
from invoices.tasks.prepaid import follow_credits
from meters.models import Customer
from tests.factories import make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, plan_with
from tests.invoices.prepaid import CLOSING, finalized, prepaid

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def customer(november: time_machine.Traveller) -> Customer:
    """On a plan at a dollar a call, with nothing used; and somebody is told."""
    WebhookEndpoint.objects.create(url="https://hooks.example/", secret="whsec_c2VjcmV0")
    customer = make_customer("acme")
    put_on(customer, plan_with("Basic", {make_meter(): ONE_EACH}), date(2026, 11, 1))
    return customer


def told() -> list[Any]:
    return list(OutboxEvent.objects.filter(type="credit.low").order_by("id").values_list("data", flat=True))


def use(count: int) -> None:
    send("acme", "ApiCalls", count)
    run_sweep()


def rule(customer: Customer, **fields: Any) -> CreditRule:
    return set_credit_rule(customer, **{"currency": "USD", "low_below": "20", "top_up": "100"} | fields)


def test_it_is_told_once_with_the_amount_asked_for(customer: Customer) -> None:
    prepaid(customer, "50")
    rule(customer)
    assert told() == []
    use(31)
    follow_credits()
    follow_credits()
    assert told() == [
        {"customer": "acme", "currency": "USD", "left": "19.00", "low_below": "20.00", "top_up": "100.00"}
    ]
    event = OutboxEvent.objects.get(type="credit.low")
    assert event.about == f"customer:{customer.pk}"
    finalized(customer)
    follow_credits()
    assert len(told()) == 1, "drawing changes nothing in what is left once the bills are paid"


def test_exactly_at_the_threshold_it_is_not_low(customer: Customer) -> None:
    prepaid(customer, "50")
    rule(customer)
    use(30)
    follow_credits()
    assert told() == []


def test_above_again_it_is_told_anew(customer: Customer) -> None:
    prepaid(customer, "50")
    rule(customer)
    use(40)
    follow_credits()
    prepaid(customer, "10")
    assert CreditRule.objects.get().told_at is None
    use(1)
    follow_credits()
    assert [data["left"] for data in told()] == ["10.00", "19.00"]


def test_without_an_amount_it_is_only_told(customer: Customer) -> None:
    rule(customer, top_up=None)
    assert [data["top_up"] for data in told()] == [None]


def test_it_is_low_from_the_first_moment_on(customer: Customer) -> None:
    rule(customer)
    rule(customer, low_below="30")
    assert [data["left"] for data in told()] == ["0.00"]
    prepaid(customer, "25")
    assert len(told()) == 1
    rule(customer, low_below="25")
    assert CreditRule.objects.get().told_at is None


def test_another_currency_is_another_rule(customer: Customer) -> None:
    rule(customer)
    rule(customer, currency="EUR")
    assert [data["currency"] for data in told()] == ["USD", "EUR"]
    prepaid(customer, "50", currency="USD")
    assert CreditRule.objects.get().told_at is not None


def test_time_makes_it_low_and_high(customer: Customer, november: time_machine.Traveller) -> None:
    prepaid(customer, "50", expires_at=NOW + DAY)
    prepaid(customer, "50", starts_at=NOW + 2 * DAY)
    rule(customer)
    november.move_to(NOW + DAY)
    assert turned_rules(NOW + DAY) == [customer.pk]
    follow_credits()
    assert len(told()) == 1
    november.move_to(NOW + 2 * DAY)
    follow_credits()
    assert CreditRule.objects.get().told_at is None
    assert turned_rules(NOW + 2 * DAY) == []


def test_voiding_tells(customer: Customer) -> None:
    grant = prepaid(customer, "50")
    rule(customer)
    void_grant(grant)
    assert [data["left"] for data in told()] == ["0.00"]


def test_what_the_running_invoice_cannot_draw_is_left(customer: Customer) -> None:
    other = make_meter("Storage").product_item
    prepaid(customer, "50", product_items=[other])
    rule(customer)
    use(45)
    follow_credits()
    assert told() == []


def test_drawing_tells_in_the_transaction_that_draws(customer: Customer) -> None:
    prepaid(customer, "50")
    rule(customer)
    use(40)
    assert told() == []
    finalized(customer)
    assert [data["left"] for data in told()] == ["10.00"]
    assert OutboxEvent.objects.get(type="credit.low").created_at == CLOSING


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("currency", {"currency": "XXX"}),
        ("low_below", {"low_below": "0"}),
        ("low_below", {"low_below": "-1"}),
        ("low_below", {"low_below": "0.001"}),
        ("top_up", {"top_up": "0"}),
        ("top_up", {"top_up": "much"}),
    ],
)
def test_what_is_refused(customer: Customer, field: str, changes: Any) -> None:
    with pytest.raises(ValidationError) as error:
        rule(customer, **changes)
    assert set(error.value.message_dict) == {field}


def test_a_rule_that_is_dropped_tells_no_more(customer: Customer) -> None:
    prepaid(customer, "50")
    rule(customer)
    drop_credit_rule(customer)
    use(45)
    follow_credits()
    assert told() == []
    with pytest.raises(ValidationError):
        drop_credit_rule(customer)


def test_rules_of_strangers_stay_quiet(customer: Customer) -> None:
    globex = make_customer("globex")
    prepaid(globex, "50")
    rule(globex)
    prepaid(customer, "10")
    use(9)
    follow_credits()
    assert told() == []
