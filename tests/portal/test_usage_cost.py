"""Usage in money: by the invoices, to the cent, and in words where it cannot be told."""

import csv
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from invoices.models import Invoice
from meters.models import Customer, Meter
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_rate, set_terms
from tests.factories import make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.portal.conftest import SignIn
from tests.portal.test_overview import text


def rows(client: Client, query: str) -> list[list[str]]:
    answer = client.get(f"/usage.csv?{query}")
    assert answer.status_code == 200
    return list(csv.reader(answer.content.decode().splitlines()))


def test_the_cost_of_days_adds_up_to_the_lines_of_the_invoices(owner: Client, october: Invoice) -> None:
    """1,000 calls over 5,000 free ones in October are $5; 7,300 in November $40."""
    page = text(owner, "/usage/?measure=cost")
    assert "API calls cost 1–30 Nov 2026 (UTC), by day" in page
    assert "Cost so far Estimate $40.00" in page
    assert "2 Nov $0.00 3 Nov $0.00" in page
    assert "17 Nov $0.00 18 Nov $40.00 Total $40.00" in page
    assert "Running invoice 1–30 Nov 2026 $40.00 $40.00 An estimate, which changes until it is final." in page
    page = text(owner, "/usage/?measure=cost&period=2026-10")
    assert "Estimate" not in page
    assert f"{october.number} 1–31 Oct 2026 $5.00 $5.00 These are its lines of usage, to the cent." in page
    assert "Fees, discounts, a minimum, taxes and corrections of earlier invoices are of a whole period" in page
    table = rows(owner, "measure=cost&from=2026-10-01&to=2026-11-18")
    assert table[0] == ["day", "API calls cost (USD)"]
    assert ["2026-10-03", "5.00"] in table
    assert table[-1] == ["total", "45.00"]
    assert sum(Decimal(row[1]) for row in table[1:-1]) == sum(
        line.amount for invoice in Invoice.objects.all() for line in invoice.lines.filter(kind="usage")
    )


def test_the_file_is_named_for_what_it_is(owner: Client) -> None:
    answer = owner.get("/usage.csv?measure=cost&from=2026-10-05&to=2026-10-07")
    assert answer["Content-Disposition"] == ('attachment; filename="usage-ApiCalls-cost-2026-10-05-to-2026-10-07.csv"')


def test_a_part_of_an_invoice_and_the_days_before(owner: Client) -> None:
    page = text(owner, "/usage/?measure=cost&from=2026-10-02&to=2026-10-05&view=cumulative&compare=previous")
    assert "4 days before $0.00 28 Sep – 1 Oct 2026 Difference $5.00 more" in page
    assert "3 Oct $5.00 $0.00 4 Oct $5.00 $0.00 5 Oct $5.00 $0.00 Total $5.00 $0.00" in page
    assert "$5.00 $5.00 A part of its period is shown." in page
    page = text(owner, "/usage/?measure=cost&compare=previous")
    assert "Cost so far Estimate $40.00 30 days before $5.00 2–31 Oct 2026, until 19 Oct 2026, 14:02 UTC" in page
    assert "Difference $35.00 more (+700%)" in page


def test_days_without_a_price_are_named(owner: Client) -> None:
    page = text(owner, "/usage/?measure=cost&from=2026-09-28&to=2026-10-04")
    assert "No plan had a price for API calls in all of this time, so there is no cost of: 28–30 Sep 2026." in page
    assert "30 Sep – 1 Oct $0.00 2 Oct $0.00 3 Oct $5.00 4 Oct $0.00 Total $5.00" in page
    page = text(owner, "/usage/?measure=cost&from=2026-09-01&to=2026-09-04")
    assert "No plan had a price for API calls in this time. So this is shown in units." in page
    assert "Total 0" in page


def test_usage_that_came_too_late_says_so(owner: Client, october: Invoice) -> None:
    send("acme", "ApiCalls", 1000, time=datetime(2026, 10, 4, tzinfo=UTC))
    page = text(owner, "/usage/?measure=cost&period=2026-10")
    assert (
        f"{october.number} 1–31 Oct 2026 $10.00 $5.00 Usage that came or was voided after it was final makes $5.00 of"
        " difference: a later invoice carries it, and the figures here have it."
    ) in page


def test_cost_is_cumulative_for_every_aggregation(owner: Client, acme: Customer, sign_in: SignIn) -> None:
    peak = make_meter("Peak", unit="seats", aggregation="max", dimensions=[])
    customer = make_customer("peaky")
    put_on(customer, make_plan("Peaks", {peak: {"model": "per_unit", "unit_price": "2"}}), date(2026, 11, 1))
    for day, value in [(3, 7), (4, 5), (5, 9)]:
        send("peaky", "Peak", value, time=datetime(2026, 11, day, tzinfo=UTC))
    run_sweep()
    page = text(sign_in("pete", customer), "/usage/?measure=cost&view=cumulative&from=2026-11-02&to=2026-11-06")
    assert "2 Nov $0.00 3 Nov $14.00 4 Nov $14.00 5 Nov $18.00 6 Nov $18.00 Total $18.00" in page
    assert "no cumulative view" not in page


@pytest.fixture
def regional(sign_in: SignIn, clock: object, db: None) -> Client:
    """A person of a customer whose price tells apart Europe, America, and the rest."""
    traffic = make_meter("Traffic", unit="GB", dimensions=["region", "kind"])
    plan = Plan.objects.create(key="Regions", name="Regions")
    version = draft_version(plan)
    prices: list[tuple[str, dict[str, Any]]] = [
        ("3", {"region": ["eu"]}),
        ("2", {"region": ["us", "ca"]}),
        ("1", {}),
    ]
    for price, where in prices:
        set_rate(
            version,
            product_item=traffic.product_item,
            parameters={"model": "per_unit", "unit_price": price},
            where=where,
        )
    activate(plan)
    customer = make_customer("reg")
    put_on(customer, plan, date(2026, 11, 1))
    for day, region, kind in [(2, "eu", "up"), (3, "us", "up"), (4, "ca", "down"), (5, "asia", "up")]:
        send("reg", "Traffic", 10, region=region, kind=kind, time=datetime(2026, 11, day, tzinfo=UTC))
    run_sweep()
    return sign_in("rene", customer)


def test_cost_is_split_as_far_as_the_price_tells(regional: Client) -> None:
    query = "measure=cost&group=region&from=2026-11-01&to=2026-11-05"
    page = text(regional, f"/usage/?{query}")
    assert "Cost is split as the prices are." in page
    assert "Day region: ca or us region: eu All the rest Cost (USD)" in page
    assert "Total $40.00 $30.00 $10.00 $80.00" in page
    assert rows(regional, query)[-1] == ["total", "40.00", "30.00", "10.00", "80.00"]
    # Only what one price is for can be looked at alone.
    content = regional.get(f"/usage/?{query}").content.decode()
    assert "filter%5Bregion%5D=eu" in content
    assert "filter%5Bregion%5D=us" not in content
    page = text(regional, "/usage/?measure=cost&filter[region]=eu")
    assert "Cost so far Estimate $30.00" in page
    assert "Running invoice 1–30 Nov 2026 $30.00 $30.00" in page


def test_where_the_price_does_not_tell_units_are_shown(regional: Client) -> None:
    page = text(regional, "/usage/?measure=cost&group=kind")
    assert (
        "The price of Traffic is the same whatever its kind, so its cost is not split by it. So this is shown in units."
    ) in page
    assert "Total 30 10 40" in page
    page = text(regional, "/usage/?measure=cost&filter[region]=us")
    assert "The price of Traffic does not tell this region apart from others. So this is shown in units." in page
    assert "Total 10" in page
    assert rows(regional, "measure=cost&filter[region]=us")[0] == ["day", "Traffic (GB)"]


def test_charges_in_several_currencies_do_not_add_up(sign_in: SignIn, calls: Meter) -> None:
    customer = make_customer("moved")
    for key, currency, start, end in [
        ("Yen", "JPY", date(2026, 10, 1), date(2026, 11, 1)),
        ("Euro", "EUR", date(2026, 11, 1), None),
    ]:
        plan = Plan.objects.create(key=key)
        version = draft_version(plan)
        set_terms(version, currency=currency)
        price = {"model": "per_unit", "unit_price": "0.4"}
        set_rate(version, product_item=calls.product_item, parameters=price)
        activate(plan)
        put_on(customer, plan, start, end)
    send("moved", "ApiCalls", 5, time=datetime(2026, 10, 2, tzinfo=UTC))
    send("moved", "ApiCalls", 5, time=datetime(2026, 11, 2, tzinfo=UTC))
    run_sweep()
    run_sweep()
    person = sign_in("max", customer)
    assert "This time is charged in EUR and JPY, which do not add up. So this is shown in units." in text(
        person, "/usage/?measure=cost&from=2026-10-01&to=2026-11-05"
    )
    page = text(person, "/usage/?measure=cost&compare=previous")
    assert "The days before are charged in another currency, so there is nothing to compare with." in page
    assert "€2.00" in page
    yen = rows(person, "measure=cost&period=2026-10")
    assert yen[0] == ["day", "API calls cost (JPY)"]
    assert ["2026-10-02", "2"] in yen
    assert "2 Oct ¥2" in text(person, "/usage/?measure=cost&period=2026-10")


def test_a_year_of_costs_takes_a_fixed_number_of_queries(
    owner: Client, october: Invoice, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    owner.get("/usage/?measure=cost")
    with django_assert_max_num_queries(14):
        owner.get("/usage/?measure=cost&from=2025-11-01&to=2026-11-18&compare=previous")
