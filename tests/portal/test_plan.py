"""The plan page: what the customer is on, what things cost, and what typed quantities would."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from invoices.models import Invoice
from meters.models import Customer, Meter
from portal.models import Membership
from portal.roles import Role
from pricing.assignments import assign, change_plan, set_quantity
from pricing.models import Plan
from pricing.plans import activate, draft_version, retire, set_fee, set_rate, set_terms
from pricing.private_plans import make_private
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate, set_billing_profile
from tests.factories import make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.portal.conftest import SignIn

pytestmark = pytest.mark.django_db

HTMX = {"HTTP_HX_REQUEST": "true"}
PER_CALL = {"model": "per_unit", "unit_price": "0.01"}


def text(response: object) -> str:
    """The page without its tags, with single blanks."""
    content = response.content.decode()  # type: ignore[attr-defined]
    words = re.sub(r"<[^>]+>", " ", re.sub(r"<svg.*?</svg>", " ", content, flags=re.S))
    return re.sub(r"\s+", " ", words).replace("&nbsp;", " ").replace(" .", ".").replace(" ,", ",")


def quantity_of(meter: Meter) -> str:
    return f"q{meter.product_item.pk}"


# --- What I am on ---


def test_the_plan_its_period_and_its_prices(owner: Client, django_assert_max_num_queries: object) -> None:
    owner.get("/plan/")
    with django_assert_max_num_queries(26):  # type: ignore[operator]
        page = owner.get("/plan/")
    words = text(page)
    assert "Growth" in words
    assert "Billed every month in USD" in words
    assert "On it since 1 Oct 2026" in words
    assert "1–30 Nov 2026 (UTC)" in words
    assert "5,000 calls free, then $5.00 per started block of 1,000 calls" in words
    assert "No tax is added to your bills." in words
    assert 'class="jump"' in page.content.decode()
    assert len(page.content) < 60_000


def test_fees_have_the_customers_own_quantities(owner: Client, acme: Customer, growth: Plan) -> None:
    set_fee(draft_version(growth), key="seats", name="Seats", amount=Decimal(12), quantity=Decimal(3), unit="seats")
    set_fee(draft_version(growth), key="setup", name="Setup", kind="one_time", amount=Decimal(99))
    activate(growth)
    assignment = acme.assignments.get()
    words = text(owner.get("/plan/"))
    assert "Prices change on 1 Dec 2026" in words
    assert "Fee Seats" in words
    assert "On it since" in words
    # A new customer has the new version at once.
    assignment.refresh_from_db()
    other = make_customer("initech", name="Initech")
    begun = put_on(other, growth, date(2026, 11, 1))
    set_quantity(begun, fee_key="seats", quantity=5, starts_on=date(2026, 11, 10))
    set_quantity(begun, fee_key="seats", quantity=7, starts_on=date(2026, 12, 1))
    run_sweep()
    Membership.objects.create(user=Membership.objects.get(user__username="alice").user, customer=other)
    owner.post("/switch-customer/", {"customer": other.pk})
    words = text(owner.get("/plan/"))
    assert "$12.00 each for 5 seats, every period" in words
    assert "7 seats from 1 Dec 2026" in words
    assert "$60.00" in words
    assert "$99.00, once" in words


def test_minimum_commitment_promotions_and_taxes(acme: Customer, owner: Client, calls: Meter) -> None:
    plan = make_plan("Team", {make_meter("Exports"): PER_CALL})
    set_terms(draft_version(plan), commitment=Decimal(200), overage_factor=Decimal("1.25"))
    activate(plan)
    put_on(acme, plan, date(2026, 11, 1))
    promotion = save_promotion(changes={"key": "welcome", "name": "Welcome", "percent": 20, "periods": 3})
    apply_promotion(customer=acme, promotion=promotion, starts_on=date(2026, 10, 1))
    vat = save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": 19})
    set_billing_profile(acme, tax_rates=[vat], tax_note="Reverse charge")
    run_sweep()
    words = text(owner.get("/plan/"))
    assert "Commitment $200.00 a period, used or not" in words
    assert "charged times 1.25" in words
    assert "Welcome 20% off the whole invoice, the first 3 periods" in words
    assert "VAT 19%" in words
    assert "Reverse charge" in words
    assert "Growth" in words
    set_billing_profile(acme, tax_exempt=True)
    assert "You are exempt from tax." in text(owner.get("/plan/"))


def test_a_trial_a_plan_that_is_to_come_and_one_that_ends(acme: Customer, owner: Client) -> None:
    plan = make_plan("Later", {make_meter("Exports"): PER_CALL})
    set_terms(draft_version(plan), trial_days=14)
    activate(plan)
    assign(customer=acme, plan=plan, starts_on=date(2026, 11, 10), ends_on=date(2027, 1, 1))
    storage = make_plan("Storage", {make_meter("Gigabytes"): PER_CALL})
    put_on(acme, storage, date(2026, 12, 5))
    run_sweep()
    words = text(owner.get("/plan/"))
    assert "Trial until 23 Nov 2026" in words
    assert "It ends on 1 Jan 2027" in words
    assert "From 5 Dec 2026" in words
    assert "First period 5–31 Dec 2026" in words


def test_new_prices_are_told_before_they_count(owner: Client, growth: Plan, calls: Meter) -> None:
    set_rate(draft_version(growth), product_item=calls.product_item, parameters=PER_CALL)
    assert "Prices change" not in text(owner.get("/plan/"))  # a draft is nobody's business
    activate(growth)
    words = text(owner.get("/plan/"))
    assert "Prices change on 1 Dec 2026." in words
    assert "From then on: $0.01 per call" in words


def test_versions_that_leave_customers_where_they_are_change_nothing(
    owner: Client, growth: Plan, calls: Meter, clock: time_machine.Traveller
) -> None:
    clock.shift(60)
    set_rate(draft_version(growth), product_item=calls.product_item, parameters=PER_CALL)
    activate(growth, moves_existing=False)
    assert "Prices change" not in text(owner.get("/plan/"))


def test_a_retired_plan_and_a_private_one(owner: Client, acme: Customer, growth: Plan) -> None:
    retire(growth)
    assert "no longer given to new customers" in text(owner.get("/plan/"))
    activate(growth)
    private = make_private(growth, customer=acme)
    activate(private)
    change_plan(acme.assignments.get(), plan=private, when=date(2026, 11, 1))
    run_sweep()
    words = text(owner.get("/plan/"))
    assert "Yours alone" in words
    assert "no longer given" not in words


def test_prices_by_dimension_are_one_picture(owner: Client, acme: Customer) -> None:
    meter = make_meter("Exports", dimensions=["region"], unit="exports")
    plan = Plan.objects.create(key="Regions")
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=PER_CALL)
    dear = {"model": "per_unit", "unit_price": "0.05"}
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=dear, where={"region": ["eu", "us"]})
    activate(plan)
    put_on(acme, plan, date(2026, 11, 1))
    page = owner.get("/plan/")
    words = text(page)
    assert "Region: eu or us $0.05 per export" in words
    assert "All the rest $0.01 per export" in words
    assert 'class="line-2"' in page.content.decode()


def test_a_price_that_falls_is_told(owner: Client, acme: Customer) -> None:
    tiers = [{"up_to": "1000", "unit_price": "0.1"}, {"up_to": None, "unit_price": "0.08"}]
    put_on(acme, make_plan("Volume", {make_meter("Exports"): {"model": "volume", "tiers": tiers}}), date(2026, 11, 1))
    assert "Beyond 1,000 calls the price falls from $100.00 to $80.00." in text(owner.get("/plan/"))


def test_many_items_do_not_make_a_heavy_page(owner: Client, acme: Customer) -> None:
    """With style sheets and scripts, which are 90 KB, it stays below 150 KB."""
    tiers = [{"up_to": str(1000 * n), "block_size": "10", "block_price": f"0.{99 - n}"} for n in range(1, 10)]
    rate = {"model": "graduated_block", "tiers": [*tiers, {"up_to": None, "block_size": "10", "block_price": "0.1"}]}
    put_on(acme, make_plan("Wide", {make_meter(f"Item{n}"): rate for n in range(12)}), date(2026, 11, 1))
    page = owner.get("/plan/")
    assert 3 <= page.content.decode().count('class="chart curve"') < 13
    assert text(page).count("First 1,000 calls") == 12
    assert len(page.content) < 60_000


def test_who_is_on_no_plan(sign_in: SignIn, growth: Plan, django_assert_max_num_queries: object) -> None:
    nobody = sign_in("dora", make_customer("initech", name="Initech"))
    assert "No plan yet" in text(nobody.get("/plan/"))
    Plan.objects.update(offer=Plan.Offer.SELF_SERVICE)
    words = text(nobody.get("/plan/"))
    assert "Other plans" in words
    assert "Change to it" not in words
    assert "What would it cost?" in words
    assert "nothing to compare" in text(nobody.get("/plan/comparison/"))


# --- The calculator ---


def test_without_a_question_there_is_no_answer(owner: Client) -> None:
    words = text(owner.get("/plan/"))
    assert "What would it cost?" in words
    assert "Type how much you would use." in words


def test_the_answer_is_a_bill_line_by_line(owner: Client, calls: Meter) -> None:
    page = owner.get("/plan/", {quantity_of(calls): "50,000"})
    assert page.status_code == 200
    words = text(page)
    assert "50,000 calls on Growth, every month $225.00" in words
    assert "5,000 of 5,000 free" in words
    assert "45,000 calls = 45 blocks x $5.00" in words
    assert "No usage received yet" not in words
    part = owner.get("/plan/", {quantity_of(calls): "50000"}, **HTMX)
    assert "<html" not in part.content.decode()
    assert "$225.00" in text(part)


@pytest.mark.parametrize(("typed", "total"), [("0", "$0.00"), ("5000", "$0.00"), ("5001", "$5.00"), ("0.5", "$0.00")])
def test_the_bounds_of_the_free_tier(owner: Client, calls: Meter, typed: str, total: str) -> None:
    answer = owner.get("/plan/", {quantity_of(calls): typed}).context["answer"]
    assert answer.invoice.total == Decimal(total.strip("$"))


@pytest.mark.parametrize("typed", ["many", "-5", "50,00", "1e400", "NaN", "Infinity", "٣", "9" * 70, "1\x00"])
def test_what_is_no_quantity_is_named_by_its_field(owner: Client, calls: Meter, typed: str) -> None:
    for headers in ({}, HTMX):
        page = owner.get("/plan/", {quantity_of(calls): typed}, **headers)
        assert page.status_code == 422
        assert list(page.context["form"].errors) == [quantity_of(calls)]
        assert "errorlist" in page.content.decode()
        assert "Traceback" not in page.content.decode()


def test_taxes_and_promotions_are_in_the_answer(owner: Client, acme: Customer, calls: Meter) -> None:
    vat = save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": 19})
    set_billing_profile(acme, tax_rates=[vat])
    changes = {"key": "off", "name": "Ten off", "kind": "amount", "amount": 10, "currency": "USD"}
    apply_promotion(customer=acme, promotion=save_promotion(changes=changes), starts_on=date(2026, 11, 1))
    answer = owner.get("/plan/", {quantity_of(calls): "12300"}).context["answer"]
    assert answer.invoice.subtotal == Decimal(30)
    assert answer.invoice.total == Decimal("35.70")
    assert [item.line.amount for item in answer.lines.taxes] == [Decimal("5.70")]


def test_it_is_what_a_bill_of_that_month_comes_to(owner: Client, acme: Customer, calls: Meter) -> None:
    asked = owner.get("/plan/", {quantity_of(calls): "12300"}).context["answer"].invoice.total
    assert asked == Invoice.objects.get(customer=acme, status=Invoice.Status.OPEN).total == Decimal(40)


def test_a_price_by_dimension_and_one_by_single_events(owner: Client, acme: Customer) -> None:
    meter = make_meter("Payments", dimensions=["card"], unit="dollars")
    plan = Plan.objects.create(key="Cards")
    cards = {"model": "percentage", "rate_percent": "1", "fixed_fee_per_event": "0.30"}
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=cards)
    dear = {"model": "percentage", "rate_percent": "3"}
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=dear, where={"card": ["amex"]})
    set_fee(draft_version(plan), key="setup", name="Setup", kind="one_time", amount=Decimal(99))
    set_fee(draft_version(plan), key="seats", name="Seats", amount=Decimal(5), quantity=Decimal(2), unit="seats")
    activate(plan)
    put_on(acme, plan, date(2026, 11, 1))
    form = owner.get("/plan/", {"of": "Cards"}).context["form"]
    (amex,) = [part.name for part in form.parts if part.dimensions]
    (rest,) = [part.name for part in form.parts if not part.dimensions]
    query = {"of": "Cards", amex: "100", rest: "1000", f"n{rest}": "10", "f-seats": "3", "first": "on"}
    answer = owner.get("/plan/", query).context["answer"]
    # 3 for the hundred, 10 + 3 for the thousand in ten, 15 for seats, 99 once.
    assert answer.invoice.total == Decimal(130)
    assert owner.get("/plan/", {"of": "Cards", rest: "1000"}).context["answer"].invoice.total == Decimal("20.30")
    page = owner.get("/plan/", {"of": "Cards", f"n{rest}": "0"})
    assert page.status_code == 422
    assert list(page.context["form"].errors) == [f"n{rest}"]


def test_the_calculator_prices_plans_that_are_offered(owner: Client, calls: Meter) -> None:
    make_plan("Flat", {calls: PER_CALL}, offer=Plan.Offer.SHOWN)
    make_plan("Secret", {calls: PER_CALL})
    answer = owner.get("/plan/", {"of": "Flat", quantity_of(calls): "50000"}).context["answer"]
    assert (answer.name, answer.invoice.total) == ("Flat", Decimal(500))
    page = owner.get("/plan/", {"of": "Secret", quantity_of(calls): "50000"})
    assert page.context["answer"].name == "Growth"
    assert "There is no such plan to ask for" in text(page)


def test_yen_have_no_decimals(sign_in: SignIn, calls: Meter) -> None:
    plan = Plan.objects.create(key="Yen")
    set_terms(draft_version(plan), currency="JPY")
    parameters = {"model": "per_unit", "unit_price": "0.55"}
    set_rate(draft_version(plan), product_item=calls.product_item, parameters=parameters)
    activate(plan)
    customer = make_customer("nippon", time_zone="Asia/Tokyo")
    put_on(customer, plan, date(2026, 11, 1))
    run_sweep()
    client = sign_in("yuki", customer)
    page = client.get("/plan/", {quantity_of(calls): "101"})
    assert page.context["answer"].invoice.total == Decimal(56)
    assert "¥56" in text(page)
    assert "¥0.55 per call" in text(page)


def test_periods_in_a_zone_with_a_clock_change(sign_in: SignIn, growth: Plan) -> None:
    customer = make_customer("globex", time_zone="America/New_York")
    put_on(customer, growth, date(2026, 11, 1))  # clocks go back on this day
    run_sweep()
    assert "1–30 Nov 2026 (America/New_York)" in text(sign_in("gil", customer).get("/plan/"))


# --- Who sees it ---


@pytest.mark.parametrize("role", Role.values)
def test_each_role_reads_it(acme: Customer, sign_in: SignIn, role: str) -> None:
    client = sign_in("rita", acme)
    Membership.objects.filter(user__username="rita").update(role=role)
    assert client.get("/plan/").status_code == 200
    assert client.get("/plan/comparison/").status_code == 200


def test_strangers_see_their_own(stranger: Client, acme: Customer, client: Client, calls: Meter) -> None:
    put_on(acme, make_plan("Acmes", {make_meter("Exports"): PER_CALL}), date(2026, 11, 1))
    assert "Acmes" not in text(stranger.get("/plan/"))
    for page in ("/plan/", "/plan/comparison/"):
        assert client.get(page).status_code == 302
        assert stranger.post(page).status_code == 405


def test_usage_changes_no_price(owner: Client) -> None:
    before = text(owner.get("/plan/"))
    send("acme", "ApiCalls", 9000, time=datetime(2026, 11, 18, 10, tzinfo=UTC), now=timezone.now())
    run_sweep()
    assert text(owner.get("/plan/")) == before
