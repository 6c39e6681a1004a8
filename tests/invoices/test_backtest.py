"""A draft against usage that has been: the same bills, by other prices."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError

from invoices.backtests import backtest
from invoices.backtests.backtest import start_backtest, work_on
from invoices.backtests.reports import absorbed_by, changes_of, distribution_of
from invoices.models import Backtest, BacktestRow, Invoice
from meters.models import Customer, Meter
from pricing.models import Plan, TaxRate
from pricing.plans import activate, draft_version, set_rate, set_terms
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.kept import kept

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
START = date(2026, 8, 1)
AUGUST, SEPTEMBER, OCTOBER = (datetime(2026, month, 10, tzinfo=UTC) for month in (8, 9, 10))
# Twice the story's price, and less of it free.
DEARER = {"model": "block", "block_size": "1000", "block_price": "10", "included_units": "2000"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
@kept(at=NOW)
def meter(db: None) -> Meter:
    return make_meter()


@pytest.fixture
@kept(at=NOW)
def plan(meter: Meter) -> Plan:
    """The story's plan, with a draft."""
    plan = make_plan("story", {meter: STORY_RATE})
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=DEARER)
    return plan


def customer(plan: Plan, key: str, *used: tuple[datetime, int], since: date = START) -> Customer:
    made = make_customer(key)
    put_on(made, plan, since)
    for time, calls in used:
        send(key, "ApiCalls", calls, time=time)
    run_sweep()
    return made


def finish(started: Backtest) -> Backtest:
    assert not work_on(started.pk, seconds=60)
    started.refresh_from_db()
    assert (started.status, started.error) == ("done", "")
    return started


def run(plan: Plan, **options: Any) -> Backtest:
    return finish(start_backtest(plan=plan, **options))


def amounts(done: Backtest) -> list[tuple[str, str, Decimal, Decimal]]:
    rows = BacktestRow.objects.filter(backtest=done).order_by("customer__key", "period_start")
    return [
        (row.customer.key, f"{row.period_start:%Y-%m-%d} {row.period_end:%Y-%m-%d}", row.amount_then, row.amount_now)
        for row in rows
    ]


class TestTheComparison:
    def test_is_of_the_last_periods_that_are_over(self, plan: Plan) -> None:
        customer(plan, "acme", (AUGUST, 5001), (SEPTEMBER, 12_300), (OCTOBER, 3000), (NOW, 99_999))
        assert amounts(run(plan, periods=2)) == [
            ("acme", "2026-09-01 2026-10-01", Decimal(40), Decimal(110)),
            ("acme", "2026-10-01 2026-11-01", Decimal(0), Decimal(10)),
        ]

    def test_has_a_first_period_that_is_not_a_whole_one(self, plan: Plan) -> None:
        customer(plan, "acme", (OCTOBER, 6000), since=date(2026, 10, 5))
        assert amounts(run(plan)) == [("acme", "2026-10-05 2026-11-01", Decimal(5), Decimal(40))]

    def test_is_between_bills_and_not_with_what_invoices_say(self, plan: Plan) -> None:
        made = make_customer("acme")
        send("acme", "ApiCalls", 6000, time=OCTOBER)
        # Not closed yet: what is final nobody can change.
        put_on(made, plan, date(2026, 10, 1))
        assert Invoice.objects.filter(period_end__lte=NOW).update(subtotal=1234, total=1234) == 1
        assert [row[2] for row in amounts(run(plan))] == [5]

    def test_takes_each_period_by_the_version_it_had(self, plan: Plan, meter: Meter) -> None:
        customer(plan, "acme", (OCTOBER, 6000), since=date(2026, 10, 1))
        activate(plan)
        set_rate(
            draft_version(plan), product_item=meter.product_item, parameters={"model": "per_unit", "unit_price": "1"}
        )
        assert amounts(run(plan)) == [("acme", "2026-10-01 2026-11-01", Decimal(5), Decimal(6000))]

    def test_is_before_tax_and_with_what_else_a_plan_charges(self, plan: Plan) -> None:
        TaxRate.objects.create(key="vat", name="VAT", percent=20, is_default=True)
        set_terms(draft_version(plan), minimum=Decimal(70))
        customer(plan, "acme", (OCTOBER, 6000), since=date(2026, 10, 1))
        assert amounts(run(plan)) == [("acme", "2026-10-01 2026-11-01", Decimal(5), Decimal(70))]

    def test_counts_what_came_in_after_an_invoice_was_final(self, plan: Plan) -> None:
        customer(plan, "acme", (OCTOBER, 6000), since=date(2026, 10, 1))
        assert Invoice.objects.filter(status="final").count() == 1
        send("acme", "ApiCalls", 1000, time=OCTOBER)
        assert amounts(run(plan)) == [("acme", "2026-10-01 2026-11-01", Decimal(10), Decimal(50))]

    def test_is_of_those_who_are_on_the_plan(self, plan: Plan, meter: Meter) -> None:
        customer(plan, "acme", (OCTOBER, 6000))
        gone = make_customer("gone")
        put_on(gone, plan, START, date(2026, 10, 1))
        other = make_plan("other", {meter: STORY_RATE})
        customer(other, "elsewhere", (OCTOBER, 6000))
        assert {row[0] for row in amounts(run(plan))} == {"acme"}

    def test_names_those_without_a_period_that_is_over(self, plan: Plan) -> None:
        customer(plan, "newcomer", since=date(2026, 11, 3))
        done = run(plan)
        assert amounts(done) == []
        assert done.summary["without_periods"] == {"customers": 1, "named": ["newcomer"]}

    def test_of_a_plan_that_nobody_is_on(self, plan: Plan) -> None:
        done = run(plan)
        assert (done.total, done.done, done.summary["totals"]) == (0, 0, [])


class TestOtherIntervals:
    def test_are_compared_over_the_same_span_of_time(self, plan: Plan, meter: Meter) -> None:
        """July to September by the month, against the third quarter."""
        set_terms(draft_version(plan), interval="quarter")
        customer(plan, "acme", (AUGUST, 6000), (SEPTEMBER, 6000), since=date(2026, 7, 1))
        done = run(plan, periods=4)
        # Two months of one block each; a quarter of 12,000 calls, 2,000 of them free.
        assert amounts(done) == [("acme", "2026-07-01 2026-10-01", Decimal(10), Decimal(100))]
        assert done.summary["left_out"] == {"customers": 1, "periods": 1, "named": ["acme"]}

    def test_without_a_common_span_are_left_out_and_named(self, plan: Plan) -> None:
        set_terms(draft_version(plan), interval="year")
        customer(plan, "acme", (OCTOBER, 6000))
        done = run(plan)
        assert amounts(done) == []
        assert done.summary["left_out"] == {"customers": 1, "periods": 3, "named": ["acme"]}

    def test_shorter_ones_sum_up_to_the_period_there_was(self, plan: Plan) -> None:
        set_terms(draft_version(plan), interval="day")
        customer(plan, "acme", (OCTOBER, 6000), since=date(2026, 10, 1))
        assert amounts(run(plan)) == [("acme", "2026-10-01 2026-11-01", Decimal(5), Decimal(40))]

    def test_other_currencies_stand_beside_each_other(self, plan: Plan) -> None:
        set_terms(draft_version(plan), currency="EUR")
        customer(plan, "acme", (OCTOBER, 6000), since=date(2026, 10, 1))
        done = run(plan)
        (total,) = done.summary["totals"]
        assert total == {"currency_then": "USD", "currency_now": "EUR", "customers": 1, "then": "5", "now": "40"}
        assert changes_of(done).get()["change"] is None


class TestTheReport:
    @pytest.fixture
    def done(self, plan: Plan) -> Backtest:
        customer(plan, "same", (OCTOBER, 1000))
        customer(plan, "small", (OCTOBER, 3000))
        customer(plan, "large", (SEPTEMBER, 15_000), (OCTOBER, 25_000))
        return run(plan, periods=2)

    def test_says_who_pays_more_and_by_how_much(self, done: Backtest) -> None:
        found = [
            (row["customer__key"], row["then"], row["now"], row["change"], row["percent"]) for row in changes_of(done)
        ]
        assert list(found) == [
            ("large", 150, 360, 210, 140),
            ("small", 0, 10, 10, None),
            ("same", 0, 0, 0, None),
        ]

    @pytest.mark.parametrize(
        ("order", "first"),
        [("more", "large"), ("less", "same"), ("percent", "large"), ("-percent", "large"), ("-now", "same"),
         ("then", "large"), ("customer", "large"), ("-customer", "small")],
    )  # fmt: skip
    def test_lists_customers_in_the_order_asked_for(self, done: Backtest, order: str, first: str) -> None:
        assert changes_of(done, order=order)[0]["customer__key"] == first

    def test_finds_a_customer(self, done: Backtest) -> None:
        assert [row["customer__key"] for row in changes_of(done, search="SMA")] == ["small"]

    def test_adds_up_and_distributes(self, done: Backtest) -> None:
        (total,) = done.summary["totals"]
        assert {name: total[name] for name in ("customers", "then", "now", "more", "less", "same")} == {
            "customers": 3, "then": "150", "now": "370", "more": 2, "less": 0, "same": 1,
        }  # fmt: skip
        assert {name: count for name, count in distribution_of(total) if count} == {
            "the same": 1, "100% more or higher": 1, "paid nothing before": 1,
        }  # fmt: skip

    def test_says_what_the_free_tier_takes(self, done: Backtest) -> None:
        (absorbed,) = absorbed_by(done)
        # 1,000 and 3,000, and twice 5,000, of 44,000 calls; then 1,000, and three times 2,000 at $10 a thousand.
        assert (absorbed.used_then, absorbed.free_then, absorbed.used_now, absorbed.free_now) == (
            44_000, 14_000, 44_000, 7000,
        )  # fmt: skip
        assert absorbed.worth_now == 70
        assert absorbed.share_now is not None
        assert round(absorbed.share_now, 2) == Decimal("15.91")

    def test_tells_of_usage_that_the_draft_does_not_price(self, plan: Plan, meter: Meter) -> None:
        customer(plan, "acme", (OCTOBER, 6000), since=date(2026, 10, 1))
        other = make_meter("Exports")
        draft_version(plan).rates.all().delete()
        set_rate(draft_version(plan), product_item=other.product_item, parameters=DEARER)
        done = run(plan)
        assert {one.item.meter.key: one.unpriced_now for one in absorbed_by(done)} == {"ApiCalls": 6000, "Exports": 0}


class TestAsking:
    @pytest.mark.parametrize("periods", [0, 37, -1])
    def test_for_too_many_periods_or_none(self, plan: Plan, periods: int) -> None:
        with pytest.raises(ValidationError) as refused:
            start_backtest(plan=plan, periods=periods)
        assert set(refused.value.message_dict) == {"periods"}

    def test_for_a_version_of_another_plan(self, plan: Plan, meter: Meter) -> None:
        other = make_plan("other", {meter: STORY_RATE})
        with pytest.raises(ValidationError) as refused:
            start_backtest(plan=plan, version=other.versions.get())
        assert set(refused.value.message_dict) == {"version"}

    def test_for_a_draft_without_prices(self) -> None:
        plan = Plan.objects.create(key="empty")
        draft_version(plan)
        with pytest.raises(ValidationError) as refused:
            start_backtest(plan=plan)
        assert set(refused.value.message_dict) == {"version"}

    def test_twice_at_a_time(self, plan: Plan) -> None:
        start_backtest(plan=plan)
        with pytest.raises(ValidationError, match="not finished"):
            start_backtest(plan=plan)

    def test_keeps_the_last_ones(self, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backtest, "KEPT", 2)
        made = [run(plan) for _ in range(3)]
        assert list(plan.backtests.order_by("id")) == made[1:]

    def test_works_on_the_prices_of_the_moment(self, plan: Plan, meter: Meter) -> None:
        customer(plan, "acme", (OCTOBER, 6000), since=date(2026, 10, 1))
        started = start_backtest(plan=plan)
        set_rate(draft_version(plan), product_item=meter.product_item, parameters=STORY_RATE)
        assert [row[3] for row in amounts(finish(started))] == [40]
