"""What the overview makes of the days so far: the range of its projection, the budget, and what is normal."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from invoices.alerting.alerts import create_own_alert
from invoices.alerting.budgets import Budget, set_budget
from invoices.models import Invoice
from meters.models import Customer, Meter
from portal.access import visible_invoices
from portal.bills.budgets import bar_of, percent_words
from portal.models import Membership
from portal.roles import Role
from pricing.assignments import end
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_rate, set_terms
from pricing.taxes import save_tax_rate
from tests.factories import make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.portal.conftest import NOW, SignIn
from tests.portal.test_overview import HTMX, text

ONE_EACH = {"model": "per_unit", "unit_price": "1"}


def at(*parts: int) -> datetime:
    return datetime(2026, *parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def in_currency(plan: Plan, currency: str) -> Plan:
    plan.versions.update(currency=currency)
    return plan


@pytest.fixture
def steady(calls: Meter) -> Customer:
    """A dollar a call, ten calls at the start of each day of November so far."""
    customer = make_customer("steady", name="Steady")
    put_on(customer, make_plan("Steady", {calls: ONE_EACH}), date(2026, 11, 1))
    for day in range(1, 19):
        send("steady", "ApiCalls", 10, time=at(11, day))
    run_sweep()
    return customer


@pytest.fixture
def person(steady: Customer, sign_in: SignIn) -> Client:
    return sign_in("sam", steady)


class TestTheRange:
    def test_of_days_that_are_alike_is_narrow(self, person: Client) -> None:
        with time_machine.travel(at(11, 18), tick=False):
            page = text(person)
        # The eighteenth has just begun, and had its ten: 180 in 17 days, and ten more each day.
        assert (
            "about $317.65 between $310.00 and $317.65" in page or "about $318.00 between $310.00 and $318.00" in page
        )

    def test_waits_for_three_full_days(self, person: Client) -> None:
        with time_machine.travel(at(11, 3, 23), tick=False):
            assert "With a range after three full days" in text(person)
        with time_machine.travel(at(11, 4), tick=False):
            assert "With a range" not in text(person)

    def test_is_none_where_a_minimum_is_owed_anyway(self, sign_in: SignIn, calls: Meter) -> None:
        plan = Plan.objects.create(key="Least")
        set_rate(draft_version(plan), product_item=calls.product_item, parameters=ONE_EACH)
        set_terms(draft_version(plan), minimum=Decimal(5000))
        activate(plan)
        customer = make_customer("least")
        put_on(customer, plan, date(2026, 11, 1))
        send("least", "ApiCalls", 10, time=at(11, 2))
        run_sweep()
        assert "about $5,000.00 On quiet and on busy days alike" in text(sign_in("lee", customer))

    def test_is_told_in_words(self, person: Client) -> None:
        assert "like the quietest third of your full days so far, or like the busiest" in text(person)

    def test_of_several_plans_is_that_of_all(self, person: Client, steady: Customer) -> None:
        storage = make_meter("Storage", unit="GB")
        put_on(steady, make_plan("Storage", {storage: ONE_EACH}), date(2026, 11, 1))
        send("steady", "Storage", 30, time=at(11, 5))
        run_sweep()
        # Calls go to 304, 307 and 307; storage, which had 30 on one day, to 30, 51 and 92.
        assert "about $358.00 between $334.00 and $399.00" in text(person)

    def test_of_yen_has_no_decimals(self, sign_in: SignIn, calls: Meter) -> None:
        customer = make_customer("tokyo", time_zone="Asia/Tokyo")
        put_on(
            customer,
            in_currency(make_plan("Yen", {calls: {"model": "per_unit", "unit_price": "3"}}), "JPY"),
            date(2026, 11, 1),
        )
        for day in range(1, 19):
            send("tokyo", "ApiCalls", 10 * day, time=at(11, day))
        run_sweep()
        page = text(sign_in("taro", customer))
        assert "between ¥" in page
        assert "¥5,130 " in page
        assert "." not in page.split("between ¥")[1].split(" Last")[0]


class TestWhatIsNormal:
    def test_is_what_the_period_before_had_come_to_by_this_day(self, owner: Client, acme: Customer) -> None:
        send("acme", "ApiCalls", 8000, time=at(10, 18, 15), now=NOW)
        send("acme", "ApiCalls", 2000, time=at(10, 18, 13), now=NOW)
        run_sweep()
        # By the 18th, 14:00: 8,000 calls, 3,000 of them billed.
        assert "$15.00 at this point last period" in text(owner)
        with time_machine.travel(at(11, 30, 23, 59), tick=False):
            assert "$55.00 at this point last period" in text(owner)

    def test_is_not_said_of_a_first_part_of_a_period(self, sign_in: SignIn, growth: Plan) -> None:
        customer = make_customer("young")
        put_on(customer, growth, date(2026, 10, 20))
        run_sweep()
        run_sweep()
        assert "at this point last period" not in text(sign_in("yan", customer))

    def test_is_not_said_of_one_of_two_plans(self, owner: Client, acme: Customer) -> None:
        storage = make_plan("Storage", {make_meter("Storage"): ONE_EACH})
        put_on(acme, storage, date(2026, 11, 1))
        run_sweep()
        assert "at this point last period" not in text(owner)

    def test_is_of_local_days(self, sign_in: SignIn, growth: Plan) -> None:
        customer = make_customer("berlin", time_zone="Europe/Berlin")
        put_on(customer, growth, date(2026, 10, 1))
        # Now it is the 18th, 15:02 in Berlin; on 18 October that was 13:02 UTC, as the clock changed since.
        for hour, calls in ((12, 6000), (14, 1000)):
            send("berlin", "ApiCalls", calls, time=at(10, 18, hour), now=NOW)
        run_sweep()
        run_sweep()
        assert "$5.00 at this point last period" in text(sign_in("bea", customer))


class TestTheBudget:
    @pytest.mark.parametrize(
        ("amount", "words"),
        [
            ("1000", "Budget $1,000.00 every month 18% used ( $180.00 )"),
            ("1000", "Projected to stay within it: about $30"),
            ("320", "56% used"),
            ("300", "Projected to pass it: about $30"),
            ("180", "100% used ( $180.00 )"),
            ("180", "The budget is used up."),
            ("179.99", "The budget is passed, by $0.01."),
            ("18000.01", "Budget $18,000.01 every month under 1% used"),
        ],
    )
    def test_says_how_much_is_used_and_where_it_is_heading(
        self, person: Client, steady: Customer, amount: str, words: str
    ) -> None:
        set_budget(steady, amount=amount)
        assert words in text(person)

    def test_says_that_busy_days_would_pass_it(self, owner: Client, acme: Customer) -> None:
        set_budget(acme, amount="85")
        page = text(owner)
        assert "Projected to stay within it, about $80.00 by 30 Nov; busy days would pass it: up to $90.00." in page
        set_budget(acme, amount="90")
        assert "Projected to stay within it: about $80.00 by 30 Nov." in text(owner)

    def test_is_early_on_the_first_day(self, person: Client, steady: Customer) -> None:
        set_budget(steady, amount="1000")
        with time_machine.travel(at(11, 1, 9), tick=False):
            assert "It is too early to say where it is heading." in text(person)

    def test_has_marks_at_50_75_and_100_and_at_its_own(self, person: Client, steady: Customer) -> None:
        set_budget(steady, amount="1000")
        create_own_alert(steady, name="Mine", kind="budget", threshold=25, budget="1000")
        content = person.get("/").content.decode()
        for mark in ("25%", "50%", "75%", "100%"):
            assert f">{mark}</text>" in content

    def test_that_is_none_has_a_way_to_one_for_who_may(self, steady: Customer, person: Client, sign_in: SignIn) -> None:
        assert "No budget is set. Set one to get a mail" in text(person)
        assert 'href="/alerts/#budget"' in person.get("/").content.decode()
        reader = sign_in("ria", steady)
        Membership.objects.filter(user__username="ria").update(role=Role.READ_ONLY)
        assert "No budget is set" not in text(reader)
        set_budget(steady, amount="1000")
        assert "Budget $1,000.00" in text(reader)
        assert "/alerts/#budget" not in reader.get("/").content.decode()

    def test_that_is_switched_off_or_of_staff_is_none(self, person: Client, steady: Customer) -> None:
        create_own_alert(steady, name="Off", kind="budget", threshold=50, budget="10", enabled=False)
        create_own_alert(steady, name="Amount", kind="amount", threshold=50)
        page = text(person)
        assert "No budget is set" in page
        assert "Budget $" not in page

    def test_of_each_currency_is_against_the_bills_in_it(self, owner: Client, acme: Customer) -> None:
        storage = in_currency(make_plan("EuroPlan", {make_meter("Storage"): ONE_EACH}), "EUR")
        assignment = put_on(acme, storage, date(2026, 11, 1))
        send("acme", "Storage", 30, time=at(11, 4))
        run_sweep()
        set_budget(acme, amount="100", currency="USD")
        set_budget(acme, amount="50", currency="EUR")
        page = text(owner)
        assert "Budget $100.00 every month, Growth 40% used ( $40.00 )" in page
        assert "Budget €50.00 every month, EuroPlan 60% used ( €30.00 )" in page
        end(assignment=assignment, ends_on=date(2026, 11, 10))
        run_sweep()
        assert "Budget of €50.00: no running bill is in EUR." in text(owner)

    def test_is_before_tax(self, person: Client, steady: Customer) -> None:
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": 20, "is_default": True})
        Invoice.objects.update(is_stale=True)
        run_sweep()
        set_budget(steady, amount="200")
        page = text(person)
        assert "Charges so far $216.00" in page
        assert "90% used ( $180.00 before tax)" in page


class TestTheBar:
    BUDGET = Budget(Decimal(60), "USD", (Decimal(50), Decimal(75), Decimal(100)))

    def test_ends_at_the_budget(self) -> None:
        bar = bar_of(self.BUDGET, Decimal(33), Decimal(45))
        assert (bar.used, bar.ahead, bar.over) == (55, 75, 0)
        assert [(mark.x, mark.label, mark.is_reached) for mark in bar.marks] == [
            (50, "50%", True),
            (75, "75%", False),
            (100, "100%", False),
        ]

    def test_goes_on_to_what_is_beyond_it(self) -> None:
        bar = bar_of(self.BUDGET, Decimal(72), Decimal(90))
        assert (bar.used, bar.ahead, bar.full) == (80, 100, Decimal("66.66"))
        assert bar.over == Decimal("13.34")

    def test_never_shows_more_than_two_budgets(self) -> None:
        bar = bar_of(self.BUDGET, Decimal(600), Decimal(6000))
        assert (bar.used, bar.ahead, bar.full) == (100, 100, 50)

    def test_of_nothing_used_or_less_is_empty(self) -> None:
        bar = bar_of(self.BUDGET, Decimal(-5), None)
        assert (bar.used, bar.ahead) == (0, 0)

    def test_labels_do_not_touch(self) -> None:
        bar = bar_of(Budget(Decimal(60), "USD", (Decimal(72), Decimal(30), Decimal("99.5"))), Decimal(0), None)
        assert [mark.label for mark in bar.marks] == ["30%", "50%", "", "75%", "", "100%"]

    @pytest.mark.parametrize(
        ("used", "words"),
        [("0", "0%"), ("0.01", "under 1%"), ("59.99", "99%"), ("60", "100%"), ("-3", "-5%"), ("900000", "1,500,000%")],
    )
    def test_percents_are_cut_off(self, used: str, words: str) -> None:
        assert percent_words(Decimal(used), Decimal(60)) == words


class TestWhenItEnds:
    def test_a_new_period_goes_on(self, owner: Client) -> None:
        with time_machine.travel(at(12, 1, 0, 1), tick=False):
            answer = owner.get("/", headers=HTMX)
            # The next bill is not there yet: it is a moment until then, not the end.
            assert answer.status_code == 200
            assert "Your bill is being opened" in answer.content.decode()
            run_sweep()
            answer = owner.get("/", headers=HTMX)
            assert answer.status_code == 200
            assert "1–31 Dec 2026" in answer.content.decode()

    def test_a_plan_that_ends_stops_it_once_its_last_invoice_is_final(
        self, owner: Client, acme: Customer, sign_in: SignIn
    ) -> None:
        end(assignment=acme.assignments.get(), ends_on=date(2026, 12, 1))
        run_sweep()
        with time_machine.travel(at(12, 1, 1), tick=False):
            run_sweep()
            assert owner.get("/", headers=HTMX).status_code == 200  # late usage still counts
        with time_machine.travel(at(12, 3), tick=False):
            run_sweep()
            person = sign_in("zoe", acme)
            answer = person.get("/", headers=HTMX)
            assert answer.status_code == 286
            assert "Your plan has ended." in answer.content.decode()
            assert person.get("/").status_code == 200

    def test_without_a_plan_it_waits_for_one(self, sign_in: SignIn, growth: Plan) -> None:
        customer = make_customer("later")
        person = sign_in("lou", customer)
        assert person.get("/", headers=HTMX).status_code == 200
        put_on(customer, growth, date(2026, 12, 1))
        assert "Your plan begins on 1 Dec 2026" in text(person)


class TestFreeTiers:
    def test_say_what_is_left(self, sign_in: SignIn, growth: Plan) -> None:
        customer = make_customer("small")
        put_on(customer, growth, date(2026, 11, 1))
        send("small", "ApiCalls", 1200)
        run_sweep()
        assert "API calls 1,200 calls 3,800 of 5,000 1,200 of 5,000 used $0.00" in text(sign_in("sue", customer))

    def test_of_single_events_are_in_events(self, sign_in: SignIn, calls: Meter) -> None:
        rate = {"model": "percentage", "rate_percent": "10", "fixed_fee_per_event": "1", "free_events": "3"}
        customer = make_customer("shop")
        put_on(customer, make_plan("Fees", {calls: rate}), date(2026, 11, 1))
        send("shop", "ApiCalls", 100)
        run_sweep()
        assert "100 calls 2 of 3 events" in text(sign_in("sid", customer))


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
def test_queries_do_not_grow_with_lines_or_invoices(
    headers: dict[str, str], owner: Client, acme: Customer, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    set_budget(acme, amount="100")
    october = Invoice.objects.get(customer=acme, status=Invoice.Status.FINAL)
    for number in range(30):
        start = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=number)
        Invoice.objects.create(
            customer=acme,
            assignment=october.assignment,
            plan_version=october.plan_version,
            status="final",
            number=f"OLD-{number}",
            finalized_at=start,
            period_start=start,
            period_end=start + timedelta(days=1),
            closes_at=start,
            time_zone="UTC",
            currency="USD",
            is_stale=False,
        )
    for number in range(5):
        send("acme", make_meter(f"More{number}").key, 1)
    Invoice.objects.filter(customer=acme, status__in=Invoice.LIVE).update(is_stale=True)
    run_sweep()
    owner.get("/", headers=headers)
    with django_assert_max_num_queries(MOST_QUERIES):
        assert text(owner, headers=headers).count("Not priced") == 5


MOST_QUERIES = 22


@pytest.mark.parametrize(
    ("which", "index"),
    [("recent", "invoice_of_customer"), ("final", "invoice_final_end")],
)
def test_lists_of_invoices_come_out_of_an_index_in_their_order(acme: Customer, which: str, index: str) -> None:
    invoices = visible_invoices(acme)
    asked = {
        "recent": invoices[:3],
        "final": invoices.filter(status="final").order_by("-period_end", "-period_start", "-id")[:20],
    }
    with connection.cursor() as cursor:
        # There are few rows here, which anything finds: what is there for many is what is left then.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        plan = asked[which].explain()
    assert index in plan, plan
