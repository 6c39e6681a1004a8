"""A closed period is rated again as a whole: free units, minimum, promotions, caps, percentages, taxes, all of it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection

from invoices.lines.explained import sentences_of
from invoices.models import Correction, Invoice
from meters.models import Customer, Meter
from pricing.models import AppliedPromotion
from pricing.promotions import apply_promotion, end_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.late import at, corrections, void, work_at
from tests.invoices.plans import ONE_EACH, fee, plan_with, version_with

FIRST = date(2026, 9, 1)
OF = "1–30 Sep 2026 (2026-0001)"


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(at(9, 1, 0), tick=False) as traveller:
        yield traveller


@pytest.fixture
def acme(clock: time_machine.Traveller, db: None) -> Customer:
    return make_customer("acme")


def close_september(clock: time_machine.Traveller) -> None:
    work_at(clock, at(10, 3))
    clock.move_to(at(10, 5))


def carried(customer: Customer) -> dict[str, str]:
    """What the live invoice corrects: amount by name."""
    run_sweep()
    return {name: f"{amount:.2f}" for name, amount in corrections(live_invoice(customer))}


class TestTerms:
    @pytest.mark.parametrize(
        ("fees", "terms", "expected"),
        [
            # 40 calls billed, 25 more: 40 -> 65.
            ([], {}, {"Calls": "25.00"}),
            # A minimum of 50: 10 was added, and is not any more.
            ([], {"minimum": "50"}, {"Calls": "25.00", "Minimum": "-10.00"}),
            ([], {"minimum": "100"}, {"Calls": "25.00", "Minimum": "-25.00"}),
            # Beyond the commitment of 50 what is used costs half as much again: 15 beyond, 7.50 more.
            (
                [],
                {"commitment": "50", "overage_factor": "1.5"},
                {"Calls": "25.00", "Commitment": "-10.00", "Beyond the commitment": "7.50"},
            ),
            # 10% of 40 and of 65; a fee that does not follow usage stays.
            (
                [fee("base", "5"), fee("support", None, kind="percent", percent="10")],
                {},
                {"Calls": "25.00", "Support": "2.50"},
            ),
        ],
        ids=["plain", "minimum", "high minimum", "commitment", "percent fee"],
    )
    def test_of_the_plan(
        self,
        acme: Customer,
        clock: time_machine.Traveller,
        fees: list[Mapping[str, Any]],
        terms: dict[str, Any],
        expected: dict[str, str],
    ) -> None:
        put_on(acme, plan_with("Basic", {make_meter("Calls"): ONE_EACH}, *fees, **terms), FIRST)
        send("acme", "Calls", 40)
        close_september(clock)
        send("acme", "Calls", 25, time=at(9, 15))
        assert carried(acme) == {f"{name}, {OF}": amount for name, amount in expected.items()}

    def test_taxes_of_then(self, acme: Customer, clock: time_machine.Traveller) -> None:
        """Also where the customer has another tax since."""
        put_on(acme, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), FIRST)
        vat = save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
        send("acme", "Calls", 40)
        close_september(clock)
        save_tax_rate(vat, changes={"is_default": False})
        save_tax_rate(changes={"key": "new", "name": "New VAT", "percent": "21", "is_default": True})
        send("acme", "Calls", Decimal("0.03"), time=at(9, 15))
        assert carried(acme) == {f"Calls, {OF}": "0.03", f"VAT, {OF}": "0.01"}
        live = live_invoice(acme)
        assert (live.subtotal, live.total) == (Decimal("0.03"), Decimal("0.04"))
        assert live.lines.get(kind="tax").amount == 0

    def test_promotions_of_then(self, acme: Customer, clock: time_machine.Traveller) -> None:
        """Also where it has ended since, or there is another one; the correction gets nothing off of the running
        period's."""
        put_on(acme, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), FIRST)
        half = save_promotion(changes={"key": "half", "name": "Half", "percent": "50"})
        applied = apply_promotion(customer=acme, promotion=half, starts_on=FIRST)
        send("acme", "Calls", 40)
        close_september(clock)
        end_promotion(applied, ends_on=date(2026, 10, 1))
        other = save_promotion(changes={"key": "other", "name": "Other", "percent": "90"})
        apply_promotion(customer=acme, promotion=other, starts_on=date(2026, 10, 1))
        send("acme", "Calls", 10, time=at(9, 15))
        assert carried(acme) == {f"Calls, {OF}": "10.00", f"Half, {OF}": "-5.00"}
        assert not live_invoice(acme).lines.filter(kind="promotion").exists()

    def test_prices_of_then(self, acme: Customer, clock: time_machine.Traveller) -> None:
        calls = make_meter("Calls")
        plan = plan_with("Basic", {calls: ONE_EACH})
        put_on(acme, plan, FIRST)
        send("acme", "Calls", 40)
        close_september(clock)
        version_with(plan, {calls: {"model": "per_unit", "unit_price": "7"}})
        work_at(clock, at(11, 3))
        clock.move_to(at(11, 5))
        send("acme", "Calls", 10, time=at(9, 15))
        assert carried(acme) == {f"Calls, {OF}": "10.00"}
        assert live_invoice(acme).lines.get(kind="correction").rate == ONE_EACH

    def test_free_units_are_used_up_once(self, acme: Customer, clock: time_machine.Traveller) -> None:
        rate = {"model": "block", "block_size": "10", "block_price": "3", "included_units": "45"}
        put_on(acme, plan_with("Basic", {make_meter("Calls"): rate}), FIRST)
        send("acme", "Calls", 40)
        close_september(clock)
        send("acme", "Calls", 5, time=at(9, 15))
        assert carried(acme) == {}
        assert Correction.objects.get().amount == 0  # what was used is another amount all the same
        send("acme", "Calls", 1, time=at(9, 15))
        assert carried(acme) == {f"Calls, {OF}": "3.00"}
        assert sentences_of(live_invoice(acme).lines.get(kind="correction")) == [
            "45 of 45 free calls used.",
            "1 call = 1 block x $3.00 = $3.00.",
            "A started block counts in full.",
            "$3.00 by what is known now; $0.00 for 40 calls was billed.",
        ]

    def test_filters_are_apart(self, acme: Customer, clock: time_machine.Traveller) -> None:
        calls = make_meter("Calls", dimensions=["region"])
        prices = [({"region": ["eu"]}, {"model": "per_unit", "unit_price": "2"}), ({}, ONE_EACH)]
        put_on(acme, plan_with("Basic", {calls: prices}), FIRST)
        send("acme", "Calls", 40, region="eu")
        close_september(clock)
        send("acme", "Calls", 3, time=at(9, 15), region="eu")
        send("acme", "Calls", 3, time=at(9, 15), region="us")
        assert carried(acme) == {f"Calls (region: eu), {OF}": "6.00", f"Calls (all the rest), {OF}": "3.00"}


class TestCaps:
    """A promotion of half off, up to 30 in all: invoices of September, October and November."""

    @pytest.fixture
    def applied(self, acme: Customer, clock: time_machine.Traveller) -> AppliedPromotion:
        put_on(acme, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), FIRST)
        half = save_promotion(changes={"key": "half", "name": "Half", "percent": "50", "cap": "30", "currency": "USD"})
        applied = apply_promotion(customer=acme, promotion=half, starts_on=FIRST)
        for month, calls in ((9, 20), (10, 20), (11, 100)):
            clock.move_to(at(month, 10))
            send("acme", "Calls", calls, id=str(month))
            run_sweep()
        work_at(clock, at(11, 12))
        return applied

    def off(self, customer: Customer) -> list[Decimal]:
        invoices = Invoice.objects.filter(customer=customer).order_by("period_start")
        return [sum((line.amount for line in one.lines.filter(kind="promotion")), Decimal(0)) for one in invoices]

    def test_what_late_usage_takes_the_running_period_has_not(self, acme: Customer, applied: AppliedPromotion) -> None:
        assert self.off(acme) == [-10, -10, -10]
        send("acme", "Calls", 12, time=at(9, 15))
        assert carried(acme) == {f"Calls, {OF}": "12.00", f"Half, {OF}": "-6.00"}
        assert self.off(acme) == [-10, -10, -4]

    def test_nor_has_a_final_one_after_it(
        self, acme: Customer, applied: AppliedPromotion, clock: time_machine.Traveller
    ) -> None:
        """On time September would have had 20 off, October 10 and November nothing."""
        work_at(clock, at(12, 3))
        clock.move_to(at(12, 5))
        assert self.off(acme)[:3] == [-10, -10, -10]
        send("acme", "Calls", 20, time=at(9, 15))
        assert carried(acme) == {
            f"Calls, {OF}": "20.00",
            f"Half, {OF}": "-10.00",
            "Half, 1–30 Nov 2026 (2026-0003)": "10.00",
        }
        void("9")
        # And without the 20 of September again: 10, 10 and 10.
        assert carried(acme) == {}

    def test_what_a_void_leaves_later_ones_get(
        self, acme: Customer, applied: AppliedPromotion, clock: time_machine.Traveller
    ) -> None:
        """October is not touched by usage of September, but by what September took of the cap."""
        work_at(clock, at(12, 3))
        clock.move_to(at(12, 5))
        void("9")
        assert carried(acme) == {
            f"Calls, {OF}": "-20.00",
            f"Half, {OF}": "10.00",
            "Half, 1–30 Nov 2026 (2026-0003)": "-10.00",
        }


class TestMeters:
    @pytest.mark.parametrize(
        ("fields", "before", "late", "expected"),
        [
            ({"aggregation": Meter.Aggregation.MAX}, [3, 8], 11, "3.00"),
            ({"aggregation": Meter.Aggregation.PERCENTILE, "percentile": Decimal(50)}, [3, 8, 9], 4, "-2.00"),
            ({"aggregation": Meter.Aggregation.COUNT}, [3, 8], 11, "1.00"),
            ({"aggregation": Meter.Aggregation.AVERAGE}, [3, 9], 12, "2.00"),
        ],
        ids=["max", "percentile", "count", "average"],
    )
    def test_of_other_aggregations(
        self,
        acme: Customer,
        clock: time_machine.Traveller,
        fields: dict[str, Any],
        before: list[int],
        late: int,
        expected: str,
    ) -> None:
        put_on(acme, plan_with("Basic", {make_meter("Calls", **fields): ONE_EACH}), FIRST)
        for day, value in enumerate(before, start=5):
            send("acme", "Calls", value, time=at(9, day, 0), now=at(9, 20))
        close_september(clock)
        send("acme", "Calls", late, time=at(9, 2, 0))
        assert carried(acme) == {f"Calls, {OF}": expected}

    def test_of_different_values(self, acme: Customer, clock: time_machine.Traveller) -> None:
        users = make_meter("Calls", aggregation="unique_count", unique_dimension="user", dimensions=[])
        put_on(acme, plan_with("Basic", {users: ONE_EACH}), FIRST)
        send("acme", "Calls", time=at(9, 1, 0), user="ann", id="ann")
        close_september(clock)
        send("acme", "Calls", time=at(9, 15), user="ann", id="again")
        assert carried(acme) == {}
        send("acme", "Calls", time=at(9, 15), user="bob")
        assert carried(acme) == {f"Calls, {OF}": "1.00"}
        void("ann", "again")
        assert carried(acme) == {}

    def test_a_value_that_holds_changes_every_period_after_it(
        self, acme: Customer, clock: time_machine.Traveller
    ) -> None:
        seats = make_meter("Calls", aggregation=Meter.Aggregation.TIME_WEIGHTED_AVERAGE)
        put_on(acme, plan_with("Basic", {seats: ONE_EACH}), FIRST)
        send("acme", "Calls", 10, time=at(9, 1, 0))
        close_september(clock)
        work_at(clock, at(11, 3))
        clock.move_to(at(11, 5))
        assert list(acme.invoices.filter(status="final").values_list("total", flat=True)) == [10, 10]
        send("acme", "Calls", 16, time=at(9, 16, 0))  # for half of September, and all of October
        assert carried(acme) == {f"Calls, {OF}": "3.00", "Calls, 1–31 Oct 2026 (2026-0002)": "6.00"}


class TestTime:
    def test_the_period_is_that_of_its_own_zone(self, clock: time_machine.Traveller, db: None) -> None:
        """September in Kolkata ends at 18:30 UTC."""
        acme = make_customer("acme", time_zone="Asia/Kolkata")
        put_on(acme, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), FIRST)
        end = datetime(2026, 10, 1, tzinfo=ZoneInfo("Asia/Kolkata")).astimezone(UTC)
        work_at(clock, at(10, 3))
        clock.move_to(at(10, 5))
        send("acme", "Calls", 100, time=end)
        assert carried(acme) == {}
        send("acme", "Calls", 7, time=end.replace(minute=29))
        assert carried(acme) == {f"Calls, {OF}": "7.00"}
        assert live_invoice(acme).lines.get(kind="usage").quantity == 100

    def test_of_a_leap_day(self, db: None) -> None:
        with time_machine.travel(datetime(2028, 2, 1, tzinfo=UTC), tick=False) as clock:
            acme = make_customer("acme")
            put_on(acme, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), date(2028, 2, 1))
            work_at(clock, datetime(2028, 3, 3, tzinfo=UTC))
            send("acme", "Calls", 7, time=datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC))
            assert carried(acme) == {"Calls, 1–29 Feb 2028 (2028-0001)": "7.00"}

    def test_an_invoice_from_before_terms_were_kept_has_those_of_now(
        self, acme: Customer, clock: time_machine.Traveller
    ) -> None:
        put_on(acme, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), FIRST)
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "10", "is_default": True})
        send("acme", "Calls", 40)
        close_september(clock)
        with connection.cursor() as cursor:
            # As a superuser the triggers can be passed by.
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("UPDATE invoices_invoice SET frozen_terms = NULL")
            cursor.execute("SET LOCAL session_replication_role = origin")
        send("acme", "Calls", 10, time=at(9, 15))
        assert carried(acme) == {f"Calls, {OF}": "10.00", f"VAT, {OF}": "1.00"}
