"""Many bills at once are the bills one by one, read in as few statements; prices of drafts are read as they are."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from invoices import pricing_of
from invoices.adjustments import subject_of
from invoices.computing import Subject, compute, priced_version
from invoices.models import Invoice
from meters import usage
from meters.models import Customer, Meter
from pricing.assignments import set_quantity
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_fee, set_rate, set_terms
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.factories import make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, fee, plan_with

pytestmark = pytest.mark.usefixtures("november")
FIRST = date(2026, 11, 1)
EVENTS = {"model": "percentage", "rate_percent": "1", "fixed_fee_per_event": "0.5", "free_events": "1"}


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that read usage."""
    run: list[str] = []
    execute = usage.execute

    def counted(statement: str, parameters: Any) -> Any:
        run.append(statement)
        return execute(statement, parameters)

    monkeypatch.setattr(usage, "execute", counted)
    return run


@pytest.fixture
def meters(db: None) -> list[Meter]:
    return [
        make_meter("Calls", dimensions=["region"]),
        make_meter("Payments", dimensions=["region"]),
        make_meter("Users", aggregation="unique_count", unique_dimension="user", dimensions=["region"]),
        make_meter("Disk", aggregation="time_weighted_sum", time_unit="hour", dimensions=["region"]),
        make_meter("Free"),
    ]


@pytest.fixture
def plan(meters: list[Meter]) -> Plan:
    calls, payments, users, disk, _ = meters
    eu = {"region": ["eu"]}
    return plan_with(
        "Everything",
        {
            calls: [(eu, ONE_EACH), ({}, {"model": "per_unit", "unit_price": "2", "included_units": "3"})],
            payments: [(eu, EVENTS), ({}, EVENTS)],
            users: ONE_EACH,
            disk: [(eu, {"model": "per_unit", "unit_price": "0.01"})],
        },
        fee("seats", "30"),
        fee("setup", "5", kind="one_time"),
        minimum=300,
        trial_days=4,
    )


@pytest.fixture
def customers(plan: Plan, meters: list[Meter]) -> list[Customer]:
    """Some with whole months, some with parts, one beside another plan for what this one does not price."""
    other = plan_with("Other", {meters[-1]: ONE_EACH})
    found = [make_customer(f"c{number}") for number in range(7)]
    for number, customer in enumerate(found):
        assignment = put_on(customer, plan, date(2026, 11, 1 + 3 * (number // 2)))
        if number == 2:
            put_on(customer, other, date(2026, 11, 20))
        if number == 3:
            set_quantity(assignment, fee_key="seats", quantity=4, starts_on=date(2026, 11, 20))
        for day in (2, 9, 21, 22):
            for place, meter in enumerate(meters):
                send(
                    customer.key,
                    meter.key,
                    Decimal("1.5") * (number + place + day),
                    time=datetime(2026, 11, day, 7, 20, tzinfo=UTC),
                    now=NOW,
                    region="eu" if (day + number) % 2 else "us",
                    user=f"u{day % 4}",
                )
    save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
    half = save_promotion(changes={"key": "half", "name": "Half", "percent": "50", "cap": "30", "currency": "USD"})
    apply_promotion(customer=found[1], promotion=half, starts_on=FIRST)
    return found


def subjects() -> list[Subject]:
    return [subject_of(invoice) for invoice in Invoice.objects.order_by("customer_id", "id")]


def test_many_are_what_they_are_one_by_one(customers: list[Customer]) -> None:
    at = NOW + timedelta(minutes=7)
    together = compute(subjects(), now=at)
    assert together == [compute([subject], now=at)[0] for subject in subjects()]
    kinds = {line.kind for computed in together for line in computed.draft.lines}
    assert kinds == {"usage", "trial", "unpriced", "fee", "promotion", "true_up", "tax"}
    assert all(computed.follows_clock for computed in together if len(computed.draft.lines) > 3)


def test_what_is_stored_is_what_is_computed(customers: list[Customer]) -> None:
    run_sweep()
    for invoice, computed in zip(
        Invoice.objects.order_by("customer_id", "id"), compute(subjects(), now=NOW), strict=True
    ):
        assert (invoice.subtotal, invoice.total) == (computed.draft.subtotal, computed.draft.total)
        assert invoice.total == sum(line.amount for line in invoice.lines.all())
        assert (invoice.usage_version, invoice.usage_at) == (computed.version, computed.at)


def test_as_many_statements_as_one(meters: list[Meter], statements: list[str]) -> None:
    plan = plan_with("Simple", {meters[0]: ONE_EACH, meters[1]: EVENTS})
    for number in range(20):
        put_on(make_customer(f"c{number}"), plan, FIRST)
        send(f"c{number}", "Calls", number)
    priced = priced_version(plan.versions.get())
    all_of_them = [
        Subject(invoice.customer, invoice.assignment, priced, invoice.period)
        for invoice in Invoice.objects.select_related("customer", "assignment").order_by("id")
    ]
    counts = []
    for some in (all_of_them[:1], all_of_them):
        statements.clear()
        with CaptureQueriesContext(connection) as queries:
            computed = compute(some, now=NOW)
        counts.append((len(queries), len(statements)))
    assert counts[0] == counts[1]
    assert counts[0][0] <= 4
    assert [one.draft.total for one in computed] == list(range(20))


@pytest.mark.django_db
def test_of_none_are_none(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert compute([], now=NOW) == []


def test_a_draft_is_read_as_it_is_and_a_frozen_version_once(
    customers: list[Customer], plan: Plan, meters: list[Meter], django_assert_num_queries: Any
) -> None:
    invoice = Invoice.objects.filter(customer=customers[0]).get()
    draft = draft_version(plan)
    for amount in (1, 2):
        set_fee(draft, key="seats", name="Seats", amount=amount)
        set_terms(draft, minimum=0)
        priced = priced_version(draft)
        assert [one.amount for one in priced.fees if one.key == "seats"] == [amount]
        [computed] = compute([Subject(invoice.customer, invoice.assignment, priced, invoice.period)], now=NOW)
        assert [line.amount for line in computed.draft.lines if line.fee_key == "seats"] == [
            (Decimal(amount) * 26 / 30).quantize(Decimal("0.01"))
        ]
    set_rate(draft, product_item=meters[-1].product_item, parameters=ONE_EACH)
    assert meters[-1].product_item.pk in priced_version(draft).rates
    activate(plan, moves_existing=False)
    frozen = plan.versions.get(status="active")
    first = priced_version(frozen)
    with django_assert_num_queries(0):
        assert priced_version(frozen) is first
    pricing_of.forget()
    assert priced_version(frozen) is not first


def test_prorated_units_shrink_with_the_charged_days(meters: list[Meter]) -> None:
    rate = {"model": "graduated", "tiers": [{"up_to": "30", "unit_price": "0"}, {"up_to": None, "unit_price": "1"}]}
    plan = plan_with("Shrunk", {meters[0]: rate}, prorated=True, trial_days=10)
    put_on(make_customer("acme"), plan, date(2026, 11, 11))
    send("acme", "Calls", 25, time=NOW)
    run_sweep()
    invoice = Invoice.objects.get()
    assert invoice.total == 25 - 10  # ten of thirty days
    line = invoice.lines.get(kind="usage")
    assert line.rate["tiers"][0]["up_to"] == "10"
