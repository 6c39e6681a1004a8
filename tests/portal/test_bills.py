"""Bills with more than usage: fees, promotions, a minimum, taxes, a trial, and periods that are no months."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from invoices.models import Invoice
from meters.models import Customer, Meter
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_fee, set_rate, set_terms
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate, set_billing_profile
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.portal.conftest import SignIn
from tests.portal.test_overview import text

ONE_EACH = {"model": "per_unit", "unit_price": "1"}


def make_plan(key: str, *rates: tuple[Meter, Any, Any], fees: bool = False, **terms: Any) -> Plan:
    """An active plan with rates (meter, parameters, filter), perhaps with a fee and seats, and with these terms."""
    plan = Plan.objects.create(key=key)
    version = draft_version(plan)
    for meter, parameters, where in rates:
        set_rate(version, product_item=meter.product_item, parameters=parameters, where=where)
    if fees:
        set_fee(version, key="platform", name="Platform", amount=Decimal(20))
        set_fee(version, key="seats", name="Seats", amount=Decimal(12), quantity=Decimal(5), unit="seats")
        set_fee(version, key="support", name="Support", kind="percent", percent=Decimal(10))
    set_terms(version, **terms)
    activate(plan)
    return plan


@pytest.fixture
def hooli(calls: Meter) -> Customer:
    return make_customer("hooli", name="Hooli")


@pytest.fixture
def person(hooli: Customer, sign_in: SignIn) -> Client:
    return sign_in("hugo", hooli)


@pytest.fixture
def full(hooli: Customer, calls: Meter) -> Invoice:
    """From 16 November: usage for $40, fees, a promotion, a minimum and a tax."""
    put_on(hooli, make_plan("Full", (calls, STORY_RATE, None), fees=True, minimum="240"), date(2026, 11, 16))
    promotion = save_promotion(
        changes={
            "key": "welcome",
            "name": "Welcome",
            "kind": "percent",
            "percent": 50,
            "product_items": [calls.product_item],
        }
    )
    apply_promotion(customer=hooli, promotion=promotion, starts_on=date(2026, 11, 16))
    set_billing_profile(
        hooli,
        legal_name="Hooli Ltd",
        address="1 Road\n<Town>",
        tax_id="GB1",
        tax_note="Thank you.",
        tax_rates=[save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": 20})],
    )
    send("hooli", "ApiCalls", 12300)
    run_sweep()
    return live_invoice(hooli)


LINES = [
    "API calls 12,300 calls $40.00",
    "Platform $20.00 for 15 of 30 days $10.00",
    "Seats 5 seats x $12.00 for 15 of 30 days 5 seats $30.00",
    "Support 10% of $80.00 $8.00",
    "Welcome 50% of $40.00 -$20.00",
    "Minimum $68.00 raised to the agreed $120.00 for 15 of 30 days $52.00",
    "Subtotal $120.00 VAT 20% of $120.00 $24.00",
]


def test_an_invoice_has_a_line_for_all_that_is_owed(person: Client, full: Invoice) -> None:
    page = text(person, f"/invoices/{full.pk}/")
    places = [page.find(line) for line in LINES]
    assert -1 not in places, LINES[places.index(-1)]
    assert places == sorted(places)
    assert "Billed to Hooli Ltd 1 Road <Town> Tax ID GB1 Period 16–30 Nov 2026" in page
    assert "Total so far $144.00 Thank you." in page
    assert page.count("Why this amount?") == len(LINES)


def test_a_final_invoice_stays_as_it_was_printed(person: Client, hooli: Customer, full: Invoice) -> None:
    for moment in (datetime(2026, 12, 1, 1, tzinfo=UTC), datetime(2026, 12, 2, 1, tzinfo=UTC)):
        with time_machine.travel(moment, tick=False):
            run_sweep()
    set_billing_profile(hooli, legal_name="Another", address="Elsewhere", tax_id="", tax_note="", tax_exempt=True)
    page = text(person, f"/invoices/{full.pk}/")
    assert "Billed to Hooli Ltd 1 Road <Town> Tax ID GB1" in page
    assert "Subtotal $120.00 VAT 20% of $120.00 $24.00" in page
    assert "Total $144.00 Amount due by 16 Dec 2026 $144.00 Thank you." in page


def test_the_overview_tells_now_and_ahead_line_by_line(person: Client, full: Invoice) -> None:
    page = text(person)
    assert "Charges so far $144.00" in page
    # 12,300 calls in two days and a half make 71,137 in fifteen: 67 blocks, and the minimum is passed.
    for line in (
        "API calls 12,300 calls None of 5,000",
        "Platform $20.00 for 15 of 30 days $10.00 about $10.00",
        "Seats 5 seats x $12.00 for 15 of 30 days 5 seats $30.00 about $30.00",
        "Support 10% of $80.00 $8.00 about $37.50",
        "Welcome 50% of $40.00 -$20.00 about -$167.50",
        "agreed $120.00 for 15 of 30 days $52.00 about $0.00",
        "Subtotal $120.00 about $245.00 VAT 20% of $120.00 $24.00 about $49.00 Total $144.00 about $294.00",
    ):
        assert line in page, line
    assert "This is the cost of usage. What else is on the bill is of the whole period." in page


def test_what_only_the_projection_has_is_shown_as_nothing_yet(person: Client, hooli: Customer, calls: Meter) -> None:
    plan = make_plan("Committed", (calls, ONE_EACH, None), commitment="100", overage_factor="2")
    put_on(hooli, plan, date(2026, 11, 1))
    send("hooli", "ApiCalls", 90)
    run_sweep()
    page = text(person)
    # 90 calls in 17.6 days make 154 in 30.
    assert "Commitment $90.00 raised to the agreed $100.00 $10.00 about $0.00" in page
    assert "Beyond the commitment $0.00 about $54.00" in page
    assert "Total $100.00 about $208.00" in page


def test_usage_alone_has_no_rows_of_sums(person: Client, hooli: Customer, calls: Meter) -> None:
    put_on(hooli, make_plan("Plain", (calls, ONE_EACH, None)), date(2026, 11, 1))
    run_sweep()
    page = text(person)
    assert "Subtotal" not in page
    assert "What else is on the bill" not in page


def test_the_trial_says_until_when_and_costs_nothing(person: Client, hooli: Customer, calls: Meter) -> None:
    plan = make_plan("Trial", (calls, ONE_EACH, None), fees=True, trial_days=14, interval="week")
    put_on(hooli, plan, date(2026, 11, 9))
    send("hooli", "ApiCalls", 700)
    run_sweep()
    invoice = live_invoice(hooli)
    for path in ("/", f"/invoices/{invoice.pk}/"):
        page = text(person, path)
        assert "Trial until 22 Nov 2026 : what is used up to then costs nothing." in page, path
        assert "API calls Trial 700 calls" in page, path
        assert "Trial 700 calls in the trial $0.00" in page, path
        assert "Seats" not in page, path
    page = text(person)
    assert "700 calls All of it is free $0.00 –" in page
    assert "Projected to 22 Nov – After the first day that is charged" in page
    assert "16–22 Nov 2026 (UTC) Day 3 of 7 · Trial, billed every week" in page


def test_a_plan_without_a_trial_says_nothing_of_one(person: Client, full: Invoice) -> None:
    assert "Trial" not in text(person)
    assert "Trial" not in text(person, f"/invoices/{full.pk}/")


def test_each_filter_of_a_rate_says_which_usage_it_prices(person: Client, hooli: Customer) -> None:
    jobs = make_meter("Jobs", name="Jobs", unit="jobs", dimensions=["region"])
    europe = {"region": ["eu", "uk"]}
    plan = make_plan("Regions", (jobs, ONE_EACH, None), (jobs, {"model": "per_unit", "unit_price": "2"}, europe))
    put_on(hooli, plan, date(2026, 11, 1))
    for region in ("eu", "uk", "us"):
        send("hooli", "Jobs", 5, region=region)
    run_sweep()
    page = text(person, f"/invoices/{live_invoice(hooli).pk}/")
    assert "Jobs region: eu or uk 10 jobs $20.00" in page
    assert "Jobs all the rest 5 jobs $5.00" in page
    content = person.get("/").content.decode()
    ids = [part.split('"')[0] for part in content.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_plans_of_periods_of_their_own_are_told_apart(person: Client, hooli: Customer, calls: Meter) -> None:
    jobs = make_meter("Jobs", name="Jobs", unit="jobs")
    put_on(hooli, make_plan("Monthly", (calls, ONE_EACH, None)), date(2026, 11, 1))
    weekly = make_plan("Weekly", (jobs, ONE_EACH, None), interval="week", interval_count=2)
    put_on(hooli, weekly, date(2026, 11, 9))
    send("hooli", "Jobs", 3)
    run_sweep()
    page = text(person)
    assert "Your plans 2 plans, each with a period of its own" in page
    assert "Monthly 1–30 Nov 2026 · $0.00 so far · billed every month" in page
    assert "Weekly 9–22 Nov 2026 · $3.00 so far · billed every 2 weeks" in page
    # The first to be issued is the weekly one, a day after its end.
    assert "Next invoice 24 Nov 2026 For 9–22 Nov 2026" in page


def test_the_last_period_is_the_one_that_ended_last(person: Client, hooli: Customer, calls: Meter) -> None:
    jobs = make_meter("Jobs", name="Jobs", unit="jobs")
    put_on(hooli, make_plan("Yearly", (calls, ONE_EACH, None), interval="year"), date(2025, 3, 1))
    put_on(hooli, make_plan("Weekly", (jobs, ONE_EACH, None), interval="week"), date(2026, 10, 1))
    send("hooli", "ApiCalls", 7, time=datetime(2026, 1, 4, tzinfo=UTC))
    send("hooli", "Jobs", 3, time=datetime(2026, 11, 12, tzinfo=UTC))
    for _ in range(3):
        run_sweep()
    assert "Last period $3.00 9–15 Nov 2026" in text(person)


@pytest.mark.parametrize("path", ["/", "/invoices/{}/"])
def test_what_a_page_asks_does_not_grow_with_its_lines(
    path: str,
    person: Client,
    full: Invoice,
    owner: Client,
    november: Invoice,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    person.get("/")
    owner.get("/")
    with django_assert_max_num_queries(25 if path == "/" else 11):
        text(owner, path.format(november.pk))
    # Quantities of seats, and of capped promotions; lines are one query, and what they are about three.
    with django_assert_max_num_queries(25 if path == "/" else 12):
        text(person, path.format(full.pk))


def test_a_stub_that_begins_tomorrow_is_no_bill_yet(person: Client, hooli: Customer, calls: Meter) -> None:
    put_on(hooli, make_plan("Later", (calls, ONE_EACH, None), fees=True), date(2026, 11, 18) + timedelta(days=1))
    run_sweep()
    assert "No plan yet" in text(person)
