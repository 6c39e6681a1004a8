"""What a line opens to: its price and since when, its span, its days, and what came after it was final."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from invoices.lines.opened import OpenedLine, open_line, open_lines
from invoices.models import BillingPolicy, Invoice
from invoices.settling.voiding import reissue
from meters.aggregation import ADDITIVE
from meters.events import record_events
from meters.models import Customer, Meter
from meters.periods import local_midnight
from pricing.assignments import change_plan
from pricing.drafts import set_rate
from pricing.plans import activate
from pricing.private_plans import make_private
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from pricing.version_choice import active_version
from tests.factories import event, live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.invoices.late import at, policy, void, work_at
from tests.invoices.plans import FREE, ONE_EACH, fee, plan_with, version_with

pytestmark = pytest.mark.django_db

OCTOBER = date(2026, 10, 1)


@pytest.fixture
def clock() -> time_machine.Traveller:
    with time_machine.travel(at(9, 1), tick=False) as traveller:
        yield traveller


def opened(invoice: Invoice, **about: Any) -> OpenedLine:
    """The line that has these."""
    found = [one for one in open_lines(invoice) if all(getattr(one.line, name) == it for name, it in about.items())]
    assert len(found) == 1
    return found[0]


class TestDays:
    # Europe: an hour twice. Lord Howe: half an hour less. Kolkata: half-hour days. Havana: midnight comes twice.
    ZONES = {
        "Europe/Berlin": (2026, 10),
        "Australia/Lord_Howe": (2026, 10),
        "Asia/Kolkata": (2026, 10),
        "America/Havana": (2026, 11),
        "America/Santiago": (2026, 9),
    }

    @pytest.mark.parametrize("zone", ZONES)
    def test_the_days_of_what_adds_up_sum_to_the_line(self, zone: str, clock: time_machine.Traveller) -> None:
        year, month = self.ZONES[zone]
        first = date(year, month, 1)
        gauge = {"unit": "seat-days", "time_unit": "day", "aggregation": "time_weighted_sum"}
        meters = {
            "Sums": make_meter("Sums"),
            "Thousands": make_meter("Thousands", multiplier="0.001"),
            "Counts": make_meter("Counts", aggregation="count"),
            "Seats": make_meter("Seats", **gauge),
            "Third": make_meter("Third", **gauge | {"time_unit": "hour", "multiplier": "0.333"}),
            "Filtered": make_meter("Filtered", where={"source": ["crm"]}),
            "Rounded": make_meter("Rounded", rounding="up", multiplier="0.3"),
        }
        clock.move_to(datetime(year, month, 1, tzinfo=UTC) - timedelta(days=3))
        customer = make_customer("acme", time_zone=zone)
        put_on(customer, make_plan("Basic", dict.fromkeys(meters.values(), ONE_EACH)), first)
        start = local_midnight(first, customer.zone)
        random = Random(zone)
        clock.move_to(start + timedelta(days=29))
        sent = [
            event(
                "acme",
                key,
                random.choice(["1", "2.5", "0.001", "7"]),
                time=start - timedelta(days=1) + timedelta(minutes=random.randrange(0, 29 * 1440)),
                source=random.choice(["crm", "erp"]),
            )
            for key in meters
            for _ in range(40)
        ]
        record_events(sent)
        run_sweep()
        lines = open_lines(Invoice.objects.get(customer=customer, period_start=start))
        assert [one.line.name for one in lines] == sorted(meters)
        for one in lines:
            assert one.days[0].day == first
            assert [day.day for day in one.days] == [first + timedelta(days=n) for n in range(len(one.days))]
            total = sum(day.quantity for day in one.days)
            if one.name == "Rounded":
                assert one.days_notes == [
                    f"The days come to {total:f} calls, rounded up once to {one.line.quantity:f} calls."
                ]
            else:
                assert (total, one.days_notes) == (one.line.quantity, [])
                assert total

    @pytest.mark.parametrize("aggregation", [one for one in Meter.Aggregation.values if one not in ADDITIVE])
    def test_what_does_not_add_up_says_so(self, aggregation: str, clock: time_machine.Traveller) -> None:
        more = {"unique_count": {"unique_dimension": "source"}, "percentile": {"percentile": "95"}}
        meter = make_meter("Odd", aggregation=aggregation, **more.get(aggregation, {}))
        customer = make_customer("acme")
        put_on(customer, make_plan("Basic", {meter: ONE_EACH}), date(2026, 9, 1))
        clock.move_to(at(9, 4))
        for day, value in ((1, 4), (2, 2), (3, 4)):
            send("acme", "Odd", value, time=at(9, day), source="crm")
        run_sweep()
        one = opened(live_invoice(customer))
        assert len(one.days) == 4
        assert [note for note in one.days_notes if "do not add up" in note] == one.days_notes != []

    def test_a_value_that_holds_is_as_of_when_the_line_was_computed(self, clock: time_machine.Traveller) -> None:
        meter = make_meter("Seats", aggregation="time_weighted_sum", time_unit="hour", unit="seat-hours")
        customer = make_customer("acme", time_zone="Asia/Kolkata")
        put_on(customer, make_plan("Basic", {meter: ONE_EACH}), date(2026, 9, 1))
        send("acme", "Seats", 7, time=at(9, 1, 1))
        clock.move_to(at(9, 3, 5))
        run_sweep()
        clock.shift(timedelta(seconds=100))
        one = opened(live_invoice(customer))
        assert sum(day.quantity for day in one.days) == one.line.quantity == 7 * 52
        assert one.days_notes == []

    def test_a_clock_that_was_put_back_takes_no_day_away(self, clock: time_machine.Traveller) -> None:
        meter = make_meter("Seats", aggregation="time_weighted_sum", time_unit="day", unit="seat-days")
        customer = make_customer("acme")
        put_on(customer, make_plan("Basic", {meter: ONE_EACH}), date(2026, 9, 1))
        send("acme", "Seats", 2, time=at(9, 1))
        work_at(clock, at(10, 3))
        clock.move_to(at(9, 20))
        one = opened(customer.invoices.get(number="2026-0001"))
        assert (one.line.quantity, one.days_notes) == (59, [])
        assert (sum(day.quantity for day in one.days), len(one.days)) == (59, 30)

    def test_usage_dated_ahead_has_its_day(self, clock: time_machine.Traveller) -> None:
        customer = make_customer("acme")
        put_on(customer, make_plan("Basic", {make_meter(): ONE_EACH}), date(2026, 9, 1))
        send("acme", "ApiCalls", 2, time=at(9, 1, 1))
        send("acme", "ApiCalls", 3, time=at(9, 2, 11))
        run_sweep()
        days = opened(live_invoice(customer)).days
        assert [(day.day.day, day.quantity) for day in days] == [(1, 2), (2, 3)]

    def test_each_filter_has_its_own_days(self, clock: time_machine.Traveller) -> None:
        meter = make_meter(dimensions=["region", "tier"])
        rates = {meter: [({"region": ["eu"], "tier": ["gold"]}, ONE_EACH), ({"region": ["eu", "us"]}, ONE_EACH)]}
        customer = make_customer("acme")
        put_on(customer, plan_with("Parts", rates), date(2026, 9, 1))
        clock.move_to(at(9, 3))
        for day, value, region, tier in (
            (1, 1, "eu", "gold"),
            (2, 10, "eu", ""),
            (2, 100, "us", "gold"),
            (2, 1000, "", ""),
        ):
            send(
                "acme",
                "ApiCalls",
                value,
                time=at(9, day),
                **{k: v for k, v in (("region", region), ("tier", tier)) if v},
            )
        run_sweep()
        lines = open_lines(live_invoice(customer))
        assert [one.line.kind for one in lines] == ["usage", "usage", "unpriced"]
        assert [[day.quantity for day in one.days] for one in lines] == [[1, 0, 0], [0, 110, 0], [0, 1000, 0]]
        assert [one.part for one in lines] == ["region: eu, tier: gold", "region: eu or us", "all the rest"]

    def test_newer_usage_is_in_the_days_before_it_is_on_the_line(self, clock: time_machine.Traveller) -> None:
        customer = make_customer("acme")
        put_on(customer, make_plan("Basic", {make_meter(): ONE_EACH}), date(2026, 9, 1))
        send("acme", "ApiCalls", 2)
        run_sweep()
        assert opened(live_invoice(customer)).days_notes == []
        send("acme", "ApiCalls", 2)
        one = opened(live_invoice(customer))
        assert (one.line.quantity, one.days[0].quantity) == (2, 4)
        assert one.days_notes == ["Newer usage is being worked in: the days have it already."]


class TestSpans:
    def test_it_is_said_in_utc_and_in_the_customers_zone(self, clock: time_machine.Traveller) -> None:
        customer = make_customer("acme", time_zone="Europe/Berlin")
        put_on(customer, make_plan("Basic", {make_meter(): ONE_EACH}), date(2026, 9, 1))
        clock.move_to(at(10, 3))
        run_sweep()
        one = opened(live_invoice(customer))
        assert one.span_utc == "30 Sep 2026, 22:00 UTC to 31 Oct 2026, 23:00 UTC"
        assert one.span_local == "1 Oct 2026, 00:00 CEST to 1 Nov 2026, 00:00 CET (Europe/Berlin)"

    def test_a_trial_and_what_follows_it_have_each_their_part(self, clock: time_machine.Traveller) -> None:
        plan = plan_with("Basic", {make_meter(): ONE_EACH}, fee("base", "30"), trial_days=10, minimum="60")
        customer = make_customer("acme")
        put_on(customer, plan, date(2026, 9, 1))
        clock.move_to(at(9, 20))
        send("acme", "ApiCalls", 2, time=at(9, 10, 23))
        send("acme", "ApiCalls", 3, time=at(9, 11, 0))
        run_sweep()
        invoice = live_invoice(customer)
        trial, usage = opened(invoice, kind="trial"), opened(invoice, kind="usage")
        assert (trial.span.start, trial.span.end) == (at(9, 1, 0), at(9, 11, 0))
        assert (usage.span.start, usage.span.end) == (at(9, 11, 0), at(10, 1, 0))
        assert (trial.days[-1].day, trial.days[-1].quantity) == (date(2026, 9, 10), 2)
        assert (usage.days[0].day, usage.days[0].quantity) == (date(2026, 9, 11), 3)
        for kind in ("fee", "true_up"):
            assert opened(invoice, kind=kind).span == usage.span
            assert opened(invoice, kind=kind).events is None

    def test_usage_that_nothing_prices_is_where_no_other_plan_does(self, clock: time_machine.Traveller) -> None:
        calls, storage = make_meter("Calls"), make_meter("Storage", unit="GB")
        customer = make_customer("acme")
        put_on(customer, make_plan("Calls", {calls: ONE_EACH}), date(2026, 9, 1))
        put_on(customer, make_plan("Storage", {storage: FREE}), date(2026, 9, 11), date(2026, 9, 21))
        clock.move_to(at(9, 28))
        for day, value in ((5, 1), (15, 2), (25, 4)):
            send("acme", "Storage", value, time=at(9, day), id=str(day))
        work_at(clock, at(9, 28))
        invoice = customer.invoices.get(plan_version__plan__key="Calls")
        lines = [one for one in open_lines(invoice) if one.line.kind == "unpriced"]
        assert [(one.span.start, one.span.end) for one in lines] == [
            (at(9, 1, 0), at(9, 11, 0)),
            (at(9, 21, 0), at(10, 1, 0)),
        ]
        assert [sum(day.quantity for day in one.days) for one in lines] == [1, 4]
        assert lines[0].price.endswith("has no price for it")
        # Only the second one is used: a single line is about that one.
        void("5")
        run_sweep()
        only = opened(Invoice.objects.get(pk=invoice.pk), kind="unpriced")
        assert (only.span.start, sum(day.quantity for day in only.days)) == (at(9, 21, 0), 4)


class TestPrices:
    def test_the_version_and_since_when(self, clock: time_machine.Traveller) -> None:
        meter = make_meter()
        plan = make_plan("growth", {meter: ONE_EACH}, name="Growth")
        customer = make_customer("acme")
        put_on(customer, plan, date(2026, 9, 1))
        clock.move_to(at(9, 20))
        two = {"model": "per_unit", "unit_price": "2"}
        version_with(plan, {meter: two})
        work_at(clock, at(10, 3))
        september, october = customer.invoices.order_by("period_start")
        one = opened(september)
        assert one.price == "Growth, version 1, in force since 1 Sep 2026"
        assert one.rate_text == ["$1.00 per call"]
        one = opened(october)
        assert one.price == "Growth, version 2, in force since 20 Sep 2026"
        assert one.rate_text == ["$2.00 per call"]

    def test_a_final_line_keeps_the_name_of_its_plan(self, clock: time_machine.Traveller) -> None:
        plan = make_plan("growth", {make_meter(): ONE_EACH}, name="Growth")
        customer = make_customer("acme")
        put_on(customer, plan, date(2026, 9, 1))
        work_at(clock, at(10, 3))
        plan.name = "Old"
        plan.save()
        september, october = customer.invoices.order_by("period_start")
        assert opened(september).price.startswith("Growth, ")
        assert opened(october).price.startswith("Old, ")

    def test_whether_it_is_the_customers_own_price(self, clock: time_machine.Traveller) -> None:
        calls, storage = make_meter("Calls"), make_meter("Storage", unit="GB")
        plan = plan_with("growth", {calls: ONE_EACH, storage: ONE_EACH}, fee("base", "30"))
        customer = make_customer("acme")
        put_on(customer, plan, date(2026, 9, 1))
        private = make_private(plan, customer=customer)
        half = {"model": "per_unit", "unit_price": "0.5"}
        draft = private.versions.get()
        set_rate(draft, product_item=calls.product_item, parameters=half)
        activate(private)
        change_plan(customer.assignments.get(), plan=private, when=date(2026, 10, 1))
        work_at(clock, at(10, 3))
        october = live_invoice(customer)
        own, general = ": a price of the customer's own", ": the plan's general price"
        assert opened(october, name="Calls").price.endswith(own)
        assert opened(october, name="Storage").price.endswith(general)
        assert opened(october, kind="fee").price.endswith(general)

    def test_every_kind_of_line_has_its_text(self, clock: time_machine.Traveller) -> None:
        plan = plan_with(
            "Growth", {make_meter(): ONE_EACH}, fee("base", "30", unit="seats", quantity="2"), minimum="100"
        )
        customer = make_customer("acme")
        promotion = save_promotion(changes={"key": "welcome", "name": "Welcome", "kind": "percent", "percent": "10"})
        apply_promotion(customer=customer, promotion=promotion, starts_on=date(2026, 9, 1))
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
        put_on(customer, plan, date(2026, 9, 1))
        run_sweep()
        invoice = live_invoice(customer)
        version = "Growth, version 1, in force since 1 Sep 2026"
        assert [
            (one.line.kind, one.price, one.rate_text, one.sentences)
            for one in open_lines(invoice)
            if one.events is None
        ] == [
            ("fee", version, ["$30.00 each for 2 seats, every period"], ["2 seats x $30.00 = $60.00."]),
            ("promotion", "Promotion Welcome, since 1 Sep 2026", ["10% off"], ["10% of $60.00: $6.00 is taken off."]),
            ("true_up", version, ["Minimum: $100.00 a period"], opened(invoice, kind="true_up").sentences),
            ("tax", "Tax VAT 19%", ["19% of all that stands before"], ["19% of $100.00 = $19.00."]),
        ]
        assert "$46.00" in opened(invoice, kind="true_up").sentences[0]

    def test_rounding_is_a_sentence_of_its_own(self, clock: time_machine.Traveller) -> None:
        rate = {"model": "per_unit", "unit_price": "0.0033"}
        customer = make_customer("acme")
        put_on(customer, make_plan("Fine", {make_meter(): rate}), date(2026, 9, 1))
        send("acme", "ApiCalls", 1)
        run_sweep()
        one = opened(live_invoice(customer))
        assert one.rounding == "$0.0033 is rounded to $0.00."
        assert one.sentences == ["1 call x $0.0033 = $0.0033."]


class TestAfterItIsFinal:
    @pytest.fixture
    def acme(self, clock: time_machine.Traveller) -> Customer:
        """A dollar a call; 40 calls on September's invoice, which is final."""
        customer = make_customer("acme")
        put_on(customer, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), date(2026, 9, 1))
        clock.move_to(at(9, 20))
        send("acme", "Calls", 30, time=at(9, 10), id="first")
        send("acme", "Calls", 10, time=at(9, 11), id="second")
        work_at(clock, at(10, 3))
        clock.move_to(at(10, 5))
        return customer

    @staticmethod
    def september(customer: Customer) -> OpenedLine:
        return opened(customer.invoices.get(period_start=at(9, 1, 0), is_correction=False))

    def test_what_was_in_time_needs_no_word(self, acme: Customer) -> None:
        one = self.september(acme)
        assert (sum(day.quantity for day in one.days), one.days_notes) == (40, [])

    def test_what_comes_later_is_told_with_where_it_is(self, acme: Customer, clock: time_machine.Traveller) -> None:
        send("acme", "Calls", 12, time=at(9, 30))
        assert self.september(acme).days_notes == ["12 calls came later; they are being worked in."]
        run_sweep()
        one = self.september(acme)
        assert (one.line.quantity, sum(day.quantity for day in one.days)) == (40, 52)
        assert one.days_notes == ["12 calls came later; they wait to be carried by the next invoice."]
        work_at(clock, at(11, 3))
        assert self.september(acme).days_notes == ["12 calls came later; they are on 2026-0002."]
        clock.move_to(at(11, 5))
        send("acme", "Calls", 1, time=at(9, 30))
        run_sweep()
        said = "13 calls came later; 2026-0002 has a part, and the rest waits to be carried by the next invoice."
        assert self.september(acme).days_notes == [said]

    def test_what_was_voided_later(self, acme: Customer) -> None:
        void("second")
        run_sweep()
        assert self.september(acme).days_notes == [
            "10 calls were voided later; they wait to be carried by the next invoice."
        ]

    def test_on_a_credit_note(self, acme: Customer, clock: time_machine.Traveller) -> None:
        policy(late_usage=BillingPolicy.LateUsage.AT_ONCE)
        void("second")
        work_at(clock, at(10, 6))
        (note,) = acme.invoices.get(number="2026-0001").credit_notes.all()
        assert self.september(acme).days_notes == [f"10 calls were voided later; they are on {note.number}."]

    def test_on_an_invoice_of_its_own(self, acme: Customer, clock: time_machine.Traveller) -> None:
        policy(late_usage=BillingPolicy.LateUsage.AT_ONCE)
        send("acme", "Calls", 12, time=at(9, 30))
        work_at(clock, at(10, 6))
        own = acme.invoices.get(is_correction=True)
        assert self.september(acme).days_notes == [f"12 calls came later; they are on {own.number}."]
        (one,) = open_lines(own)
        assert sum(day.quantity for day in one.days) == 52
        assert one.days_notes[0].endswith("2026-0001 had 40 calls of it.")

    def test_a_void_invoice_has_nobody_carry_it(self, acme: Customer) -> None:
        reissue(acme.invoices.get(number="2026-0001").pk, reason="test", actor="test")
        send("acme", "Calls", 12, time=at(9, 30))
        run_sweep()
        old = opened(acme.invoices.get(number="2026-0001"))
        assert old.days_notes == ["12 calls came later; the invoice is void."]
        anew = acme.invoices.get(replaces__number="2026-0001")
        assert (opened(anew).line.quantity, opened(anew).days_notes) == (52, [])

    def test_corrections_of_all_kinds_open(self, clock: time_machine.Traveller) -> None:
        calls = make_meter("Calls")
        customer = make_customer("acme")
        promotion = save_promotion(changes={"key": "ten", "name": "Ten", "kind": "percent", "percent": "10"})
        apply_promotion(customer=customer, promotion=promotion, starts_on=date(2026, 9, 1))
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
        support = {"key": "support", "name": "Support", "kind": "percent", "percent": "5"}
        put_on(customer, plan_with("Basic", {calls: ONE_EACH}, support, minimum="50"), date(2026, 9, 1))
        work_at(clock, at(10, 3))
        clock.move_to(at(10, 5))
        send("acme", "Calls", 40, time=at(9, 30))
        run_sweep()
        found = [one for one in open_lines(live_invoice(customer)) if one.line.corrects_id]
        version = "Basic, version 1, in force since 1 Sep 2026"
        assert [(one.price, one.rate_text, one.events is not None) for one in found] == [
            (version, ["$1.00 per call"], True),
            (version, ["5% of usage and other fees"], False),
            ("Promotion Ten, 1–30 Sep 2026 (2026-0001)", ["10% off"], False),
            (version, ["Minimum: $50.00 a period"], False),
        ]
        assert all(one.span.end == at(10, 1, 0) and one.sentences for one in found)

    def test_what_costs_nothing_more_stays_as_it_is(self, clock: time_machine.Traveller) -> None:
        rate = ONE_EACH | {"included_units": "100"}
        customer = make_customer("acme")
        put_on(customer, plan_with("Basic", {make_meter("Calls"): rate}), date(2026, 9, 1))
        work_at(clock, at(10, 3))
        clock.move_to(at(10, 5))
        send("acme", "Calls", 1, time=at(9, 30))
        run_sweep()
        assert self.september(customer).days_notes == ["1 call came later; the amount stays as it is."]

    def test_what_does_not_add_up_says_both_figures(self, clock: time_machine.Traveller) -> None:
        meter = make_meter("Peak", aggregation="max", unit="seats")
        customer = make_customer("acme")
        put_on(customer, plan_with("Basic", {meter: ONE_EACH}), date(2026, 9, 1))
        send("acme", "Peak", 12, time=at(9, 1))
        work_at(clock, at(10, 3))
        clock.move_to(at(10, 5))
        send("acme", "Peak", 15, time=at(9, 30))
        run_sweep()
        assert self.september(customer).days_notes[1] == (
            "By what is known now it is 15 seats, not 12 seats; the difference waits to be carried by the next invoice."
        )

    def test_a_correction_opens_to_the_whole_period(self, acme: Customer) -> None:
        send("acme", "Calls", 12, time=at(9, 30))
        run_sweep()
        one = opened(live_invoice(acme), kind="correction")
        assert (one.span.start, one.span.end) == (at(9, 1, 0), at(10, 1, 0))
        assert one.price == "Basic, version 1, in force since 1 Sep 2026"
        assert sum(day.quantity for day in one.days) == 52
        assert one.days_notes == ["All of 1–30 Sep 2026 as it is known now: 52 calls. 2026-0001 had 40 calls of it."]
        assert any("40 calls" in sentence or "$40.00" in sentence for sentence in one.sentences)
        assert one.events is not None
        assert one.events.of.number == "2026-0001"


def test_all_lines_take_as_many_statements_as_one(clock: time_machine.Traveller) -> None:
    def statements(meters: int) -> int:
        made = [make_meter(f"M{meters}x{number}") for number in range(meters)]
        customer = make_customer(f"of{meters}")
        put_on(customer, plan_with(f"P{meters}", dict.fromkeys(made, ONE_EACH)), date(2026, 9, 1))
        for meter in made:
            send(customer.key, meter.key, 3)
        run_sweep()
        invoice = live_invoice(customer)
        open_lines(invoice)
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert len([one for one in open_lines(invoice) if one.line.kind == "usage"]) == meters
        return len(seen)

    first, second = statements(1), statements(9)
    assert second <= first + 1  # the other customer's meters are unpriced for this one


def test_one_line_is_opened_like_among_all(clock: time_machine.Traveller) -> None:
    customer = make_customer("acme")
    put_on(customer, plan_with("Basic", {make_meter("A"): ONE_EACH, make_meter("B"): ONE_EACH}), date(2026, 9, 1))
    send("acme", "B", 3)
    run_sweep()
    invoice = live_invoice(customer)
    assert [open_line(invoice, place) for place in (1, 2, 3)] == [*open_lines(invoice), None]
    without = open_lines(invoice, with_days=False)
    assert [(one.price, one.span, one.days) for one in without] == [
        (one.price, one.span, []) for one in open_lines(invoice)
    ]
    assert active_version(invoice.plan_version.plan) == invoice.plan_version
    assert Decimal(3) == sum(day.quantity for day in open_lines(invoice)[1].days)
