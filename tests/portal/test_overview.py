import html
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from invoices.models import Invoice
from meters.models import Customer, Meter
from portal.models import Membership
from pricing.models import Plan
from tests.factories import make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.portal.conftest import NOW, SignIn

HTMX = {"HX-Request": "true"}


def text(client: Client, url: str = "/", **kwargs: object) -> str:
    """What a reader reads: without tags, with single spaces."""
    content = client.get(url, **kwargs).content.decode()  # type: ignore[arg-type]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", content)).split())


def test_it_tells_what_is_owed_and_where_it_is_heading(owner: Client) -> None:
    page = text(owner)
    assert "1–30 Nov 2026 (UTC)" in page
    assert "Day 18 of 30" in page
    assert "Charges so far $40.00 Estimate as of 14:02 UTC $5.00 at this point last period" in page
    # 12,300 calls in 17.6 days make 20,984 in 30: 16 blocks. On quiet days there are none, on busy ones 833: 22,646.
    assert "Projected to 30 Nov about $80.00 between $40.00 and $90.00" in page
    assert "Last period $5.00 1–31 Oct 2026" in page
    assert "Next invoice 2 Dec 2026" in page


def test_it_says_why(owner: Client) -> None:
    page = text(owner)
    assert "API calls 12,300 calls None of 5,000" in page
    assert "Free tier 5,000 of 5,000 free $0.00" in page
    assert "Blocks of 1,000 7,300 calls = 8 blocks x $5.00 $40.00" in page
    assert "A started block counts in full." in page
    assert "Price 5,000 calls free, then $5.00 per started block of 1,000 calls" in page
    assert "Counted from usage received until 18 Nov 2026, 14:02 UTC ." in page


def test_the_free_tier_is_a_meter(owner: Client) -> None:
    content = owner.get("/").content.decode()
    assert '<meter min="0" max="5000" value="5000" ' in content


def test_the_chart_has_a_table_of_the_same_numbers(owner: Client) -> None:
    page = text(owner)
    assert "18 Nov: $40.00" in page
    assert "Day API calls 1 Nov $0.00 2 Nov $0.00" in page
    assert "17 Nov $0.00 18 Nov $40.00" in page
    assert "19 Nov $" not in page


def test_the_fragment_is_the_part_that_the_page_has(owner: Client) -> None:
    fragment = owner.get("/", headers=HTMX).content.decode().strip()
    assert fragment.startswith('<div class="page-head">')
    assert fragment in owner.get("/").content.decode()


def test_going_back_in_the_history_gets_the_whole_page(owner: Client) -> None:
    content = owner.get("/", headers=HTMX | {"HX-History-Restore-Request": "true"}).content.decode()
    assert content.startswith("<!doctype html>")


def test_it_says_when_newer_usage_is_being_worked_in(owner: Client, acme: Customer) -> None:
    assert "Updating" not in text(owner)
    with time_machine.travel(NOW + timedelta(minutes=5), tick=False):
        send("acme", "ApiCalls", 1)
        assert "Updating Updated 14:02 UTC" in text(owner)
        run_sweep()
        page = text(owner)
        assert "Updating" not in page
        assert "Updated 14:07 UTC" in page


def test_on_the_first_day_nothing_is_projected(owner: Client) -> None:
    with time_machine.travel(datetime(2026, 12, 1, 12, tzinfo=UTC), tick=False):
        run_sweep()
        page = text(owner)
    assert "1–31 Dec 2026" in page
    assert "Projected to 31 Dec – After the first day" in page
    # November is over but still takes late usage.
    assert "Last period $40.00 1–30 Nov 2026 , still closing" in page
    assert "Closing" in page


def test_without_usage_it_shows_how_to_send_some(globex: Customer, stranger: Client) -> None:
    page = text(stranger)
    assert "No usage yet" in page
    assert "curl http://testserver/v1/events" in page
    assert """-d '{"customer": "globex", "meter": "ApiCalls", "value": 1}'""" in page
    send("globex", "ApiCalls", 1)
    run_sweep()
    assert "No usage yet" not in stranger.get("/").content.decode()


def test_a_customer_without_a_plan_is_told_so(sign_in: SignIn, calls: Meter) -> None:
    page = text(sign_in("lou", make_customer("lonely")))
    assert "No plan yet" in page
    assert "$" not in page


def test_a_plan_that_begins_later_is_no_bill_yet(sign_in: SignIn, growth: Plan) -> None:
    customer = make_customer("later")
    put_on(customer, growth, date(2026, 12, 1))
    run_sweep()
    assert "No plan yet" in text(sign_in("lou", customer))


def test_usage_without_a_price_is_listed_as_such(owner: Client, acme: Customer) -> None:
    make_meter("Exports", unit="exports", dimensions=[])
    send("acme", "Exports", 3)
    run_sweep()
    page = text(owner)
    assert "Exports Not priced 3 exports – $0.00 –" in page
    assert "Your plan has no price for this usage, so it costs nothing." in page


def test_several_plans_are_shown_apart_with_one_total_a_currency(owner: Client, acme: Customer) -> None:
    meters = {key: make_meter(key, unit="units") for key in ("Exports", "Storage")}
    exports = make_plan("ExportsPlan", {meters["Exports"]: {"model": "per_unit", "unit_price": "0.5"}})
    put_on(acme, exports, date(2026, 11, 1))
    storage = make_plan("StoragePlan", {meters["Storage"]: {"model": "per_unit", "unit_price": "2"}})
    storage.versions.update(currency="EUR")
    put_on(acme, storage, date(2026, 11, 1))
    send("acme", "Exports", 5)
    send("acme", "Storage", 1)
    run_sweep()
    run_sweep()
    page = text(owner)
    assert "Charges so far $42.50 €2.00" in page
    assert "ExportsPlan 1–30 Nov 2026 · $2.50 so far" in page
    assert "StoragePlan 1–30 Nov 2026 · €2.00 so far" in page


def test_names_from_outside_are_only_text(sign_in: SignIn, growth: Plan) -> None:
    evil = "<script>alert(1)</script>'\""
    customer = make_customer(evil, name=evil)
    put_on(customer, growth, date(2026, 11, 1))
    run_sweep()
    content = sign_in("eve", customer).get("/").content.decode()
    assert "<script>alert" not in content
    assert "\\u0027" in content  # in the curl line, between single quotes


def test_days_are_the_customers(sign_in: SignIn, growth: Plan) -> None:
    customer = make_customer("tokyo", time_zone="Asia/Tokyo")
    put_on(customer, growth, date(2026, 11, 1))
    run_sweep()
    page = text(sign_in("taro", customer))
    assert "1–30 Nov 2026 (Asia/Tokyo)" in page
    assert "Updated 23:02 JST" in page


def test_a_tier_that_lowers_the_bill_is_drawn(sign_in: SignIn, calls: Meter) -> None:
    tiers = [{"up_to": "100", "unit_price": "1"}, {"up_to": None, "unit_price": "0.1"}]
    plan = make_plan("Volume", {calls: {"model": "volume", "tiers": tiers}})
    customer = make_customer("volume")
    put_on(customer, plan, date(2026, 11, 1))
    send("volume", "ApiCalls", 100, time=NOW - timedelta(days=2))
    send("volume", "ApiCalls", 1, time=NOW - timedelta(days=1))
    run_sweep()
    assert "17 Nov: -$89.90" in text(sign_in("val", customer))


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
def test_it_takes_a_fixed_number_of_queries(
    headers: dict[str, str], owner: Client, acme: Customer, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        send("acme", make_meter(f"More{number}").key, 1)
    Invoice.objects.filter(customer=acme, status__in=Invoice.LIVE).update(is_stale=True)
    run_sweep()
    owner.get("/", headers=headers)
    with django_assert_max_num_queries(20):
        assert text(owner, headers=headers).count("Not priced") == 5


def test_a_huge_bill_is_shown_whole(owner: Client, acme: Customer) -> None:
    send("acme", "ApiCalls", Decimal(10) ** 20)
    run_sweep()
    assert "$500,000,000,000,000,040.00" in text(owner)


def test_a_membership_is_told_in_words(owner: Client) -> None:
    assert str(Membership.objects.get()) == "alice for Acme Corp"
