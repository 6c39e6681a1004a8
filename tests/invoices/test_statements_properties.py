"""Whatever happens to a customer's invoices, its statement comes to what is due of them: at the end, and at every
moment before."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from invoices import services
from invoices.models import Invoice
from invoices.prepaid.credits import grant_credits
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment, refund, write_off
from invoices.settling.voiding import reissue, void_invoice
from invoices.statements.statement import statement_of
from meters import catalogue
from meters.models import Customer
from meters.periods import Period
from pricing.models import Plan
from pricing.taxes import save_tax_rate
from tests.factories import make_customer, make_meter, put_on, send
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, fee, plan_with

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
cents = st.integers(1, 12_000).map(lambda count: Decimal(count).scaleb(-2))
which = st.integers(0, 1)
STEPS = st.lists(
    st.tuples(st.just("pay"), which, cents)
    | st.tuples(st.just("refund"), which, cents)
    | st.tuples(st.just("write off"), which, st.none() | cents)
    | st.tuples(st.just("credit"), which, cents)
    | st.tuples(st.sampled_from(["void", "reissue"]), which)
    | st.tuples(st.just("grant"), cents)
    | st.tuples(st.just("use"), st.integers(-60, 60))
    | st.tuples(st.just("wait"), st.integers(1, 25)),
    min_size=4,
    max_size=14,
)


class _Undo(Exception):
    pass


def due(customer: Customer) -> Decimal:
    return sum((one.amount_due for one in customer.invoices.exclude(number="")), Decimal(0))


@pytest.fixture
def plans(db: None) -> list[Plan]:
    with time_machine.travel(NOW, tick=False):
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
        calls = make_meter(aggregation="sum")
        first = plan_with("Basic", {calls: ONE_EACH})
        return [first, plan_with("Seats", {}, fee("seats", "12.50"))]


@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_the_closing_balance_is_what_is_due(plans: list[Plan], steps: list[Any]) -> None:
    catalogue.forget()
    try:
        with transaction.atomic(), time_machine.travel(NOW, tick=False) as clock:
            customer = make_customer("acme")
            for plan in plans:
                put_on(customer, plan, date(2026, 11, 1))
            was: list[tuple[datetime, Decimal]] = [(BEGINNING, Decimal(0))]
            for step in [("use", 20), ("wait", 12), *steps]:
                take(customer, clock, *step)
                owed = due(customer)
                now = timezone.now()
                statement = statement_of(customer, "USD", Period(BEGINNING, now + timedelta(days=1)), now=now)
                assert statement.closing == owed
                check(statement)
                clock.shift(timedelta(minutes=1))
                was.append((timezone.now(), owed))
            for (start, opening), (end, closing) in zip(was, [*was[1:], was[-1]], strict=True):
                statement = statement_of(customer, "USD", Period(start, end), now=timezone.now())
                assert (statement.opening, statement.closing) == (opening, closing)
                check(statement)
            raise _Undo
    except _Undo:
        pass


def check(statement: Any) -> None:
    """The running balance runs, and days do not go back."""
    balance = statement.opening
    for entry in statement.entries:
        balance += entry.amount
        assert entry.balance == balance
    days = [entry.day for entry in statement.entries]
    assert days == sorted(days)
    assert statement.opening + sum((amount for _, amount in statement.sums), Decimal(0)) == statement.closing


def take(customer: Customer, clock: Any, what: str, *how: Any) -> None:
    now = timezone.now()
    if what == "wait":
        clock.shift(how[0] * timedelta(days=1))
        follow(customer)
        return
    if what == "use":
        send("acme", "ApiCalls", how[0], now=now)
        return
    if what == "grant":
        grant_credits(customer=customer, name="Prepaid", currency="USD", amount=how[0], now=now)
        return
    finals = list(customer.invoices.exclude(number="").order_by("id"))
    if how[0] >= len(finals):
        return
    pk = finals[how[0]].pk
    try:
        match what:
            case "pay":
                record_payment(pk, amount=how[1], actor="test", now=now)
            case "refund":
                refund(pk, amount=how[1], actor="test", now=now)
            case "write off":
                write_off(pk, amount=how[1], reason="Test", actor="test", now=now)
            case "credit":
                issue_credit_note(pk, reason="Test", amounts={1: how[1]}, now=now)
            case "void":
                void_invoice(pk, reason="Test", now=now)
            case "reissue":
                reissue(pk, reason="Test", now=now)
                follow(customer)
    except ValidationError:
        pass  # it is void, nothing is due, or there is less than that


def follow(customer: Customer) -> None:
    now = timezone.now()
    for assignment in customer.assignments.all():
        services.open_invoices(assignment, now=now)
    for pk in customer.invoices.filter(status__in=Invoice.LIVE, closes_at__lte=now).values_list("pk", flat=True):
        services.close(pk, now=now)
