"""Bills of rates with filters and of rates that look at single events."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from invoices import estimates
from invoices.estimates import daily_costs, projection
from invoices.lines.explained import sentences_of
from invoices.models import Invoice
from meters.models import Customer, Meter
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, fee, plan_with

pytestmark = pytest.mark.usefixtures("november")
FIRST = date(2026, 11, 1)


@pytest.fixture
def customer(db: None) -> Customer:
    return make_customer("acme")


def price(amount: str, **more: Any) -> dict[str, Any]:
    return {"model": "per_unit", "unit_price": amount, **more}


def told(invoice: Invoice) -> list[tuple[str, dict[str, list[str]], int, int]]:
    return [(line.kind, line.where, int(line.quantity), int(line.amount)) for line in invoice.lines.all()]


def test_a_usage_beyond_all_sense_is_charged_and_its_invoice_closes(customer: Customer) -> None:
    meter = make_meter(multiplier=Decimal("1e18"))
    put_on(customer, plan_with("Absurd", {meter: [({}, price("1"))]}), FIRST)
    send("acme", "ApiCalls", 10**23)
    run_sweep()
    assert live_invoice(customer).total == Decimal(10) ** 41
    with time_machine.travel(NOW + timedelta(days=45), tick=False):
        run_sweep()
    first = Invoice.objects.order_by("period_start")[0]
    assert (first.status, first.total) == (Invoice.Status.FINAL, Decimal(10) ** 41)


class TestFilters:
    @pytest.fixture
    def requests(self, db: None) -> Meter:
        return make_meter("Requests", dimensions=["region", "tier"])

    def put_on(self, customer: Customer, meter: Meter, *rates: tuple[dict[str, list[str]], dict[str, Any]]) -> None:
        put_on(customer, plan_with("Filtered", {meter: rates}), FIRST)

    def test_the_most_specific_match_prices_whatever_the_order_they_were_made_in(
        self, customer: Customer, requests: Meter
    ) -> None:
        rates = [
            ({"region": ["eu", "us"]}, price("3")),
            ({}, price("1")),
            ({"region": ["eu"], "tier": ["gold"]}, price("7")),
            ({"region": ["us"]}, price("5")),
        ]
        usage = [("eu", "gold", 1), ("eu", "base", 10), ("us", "gold", 100), ("ap", "gold", 1000), ("", "", 10000)]
        for key, some in (("there", rates), ("back", rates[::-1])):
            other = make_customer(key)
            put_on(other, plan_with(key, {requests: some}), FIRST)
            for region, tier, amount in usage:
                dimensions = {"region": region, "tier": tier} if region else {}
                send(key, "Requests", amount, **dimensions)
            run_sweep()
            assert told(live_invoice(other)) == [
                ("usage", {"region": ["eu"], "tier": ["gold"]}, 1, 7),
                ("usage", {"region": ["us"]}, 100, 500),
                ("usage", {"region": ["eu", "us"]}, 10, 30),
                ("usage", {}, 11000, 11000),
            ]

    def test_of_two_with_as_many_texts_the_older_one_prices(self, customer: Customer, requests: Meter) -> None:
        self.put_on(customer, requests, ({"tier": ["gold"]}, price("2")), ({"region": ["eu"]}, price("3")))
        send("acme", "Requests", 1, region="eu", tier="gold")
        run_sweep()
        assert [line[3] for line in told(live_invoice(customer))] == [2, 0]

    def test_the_rest_is_unpriced_where_no_rate_takes_it(self, customer: Customer, requests: Meter) -> None:
        self.put_on(customer, requests, ({"region": ["eu"]}, price("3")))
        send("acme", "Requests", 2, region="eu")
        run_sweep()
        assert told(live_invoice(customer)) == [("usage", {"region": ["eu"]}, 2, 6)]
        send("acme", "Requests", 5, region="us")
        run_sweep()
        assert told(live_invoice(customer)) == [("usage", {"region": ["eu"]}, 2, 6), ("unpriced", {}, 5, 0)]
        assert sentences_of(live_invoice(customer).lines.get(kind="unpriced"))

    def test_the_free_tier_of_each_is_its_own(self, customer: Customer, requests: Meter) -> None:
        self.put_on(
            customer, requests, ({"region": ["eu"]}, price("1", included_units="10")), ({}, price("1", minimum="4"))
        )
        send("acme", "Requests", 12, region="eu")
        run_sweep()
        assert [line[2:] for line in told(live_invoice(customer))] == [(12, 2), (0, 4)]

    @pytest.mark.parametrize(
        ("aggregation", "fields", "eu", "rest"),
        [
            ("sum", {}, 15, 4),
            ("count", {}, 3, 1),
            ("max", {}, 8, 4),
            ("average", {}, 5, 4),
            ("latest", {}, 6, 4),
            ("unique_count", {"unique_dimension": "user"}, 2, 1),
            ("percentile", {"percentile": 100}, 8, 4),
            ("time_weighted_average", {}, 6 + 1, 4),
        ],
    )
    def test_each_quantity_is_of_the_union_of_its_combinations(
        self, customer: Customer, aggregation: str, fields: dict[str, Any], eu: int, rest: int
    ) -> None:
        meter = make_meter("M", aggregation=aggregation, dimensions=["region", "zone"], rounding="half", **fields)
        start = datetime(2026, 11, 1, tzinfo=UTC) - timedelta(hours=1)
        begins = start if aggregation.startswith("time_weighted") else NOW - timedelta(hours=1)
        for minute, (value, region, zone, user) in enumerate(
            [(8, "eu", "1", "a"), (1, "de", "1", "a"), (6, "eu", "1", "b"), (4, "us", "1", "a")]
        ):
            send(
                "acme",
                "M",
                value,
                time=begins + timedelta(minutes=minute),
                now=NOW,
                region=region,
                zone=zone,
                user=user,
            )
        self.put_on(customer, meter, ({"region": ["eu", "de"]}, ONE_EACH), ({}, ONE_EACH))
        run_sweep()
        assert [line[2] for line in told(live_invoice(customer))] == [eu, rest]

    def test_days_and_the_way_ahead_are_of_each(self, customer: Customer, requests: Meter) -> None:
        self.put_on(customer, requests, ({"region": ["eu"]}, price("3")), ({}, price("1")))
        for day, amount, region in ((20, 1, "eu"), (21, 10, "eu"), (22, 100, "us")):
            send("acme", "Requests", amount, time=datetime(2026, 11, day, 9, tzinfo=UTC), region=region)
        run_sweep()
        invoice = live_invoice(customer)
        costs = daily_costs(invoice, now=NOW)
        assert ([item.name for item in costs.items], costs.totals[-3:]) == (["Requests"], (3, 30, 100))
        assert sum(costs.totals) == invoice.total
        ahead = projection(invoice, now=datetime(2026, 11, 16, tzinfo=UTC))
        assert ahead is not None
        assert [line.quantity for line in ahead.lines] == [22, 200]


class TestSingleEvents:
    FEES = {"model": "percentage", "rate_percent": "10", "fixed_fee_per_event": "1", "free_events": "1"}

    @pytest.fixture
    def paid(self, customer: Customer) -> Customer:
        meter = make_meter("Payments", unit="USD", dimensions=["card"], multiplier=Decimal("0.01"))
        put_on(customer, plan_with("Fees", {meter: [({"card": ["visa"]}, self.FEES), ({}, self.FEES)]}), FIRST)
        return customer

    def test_are_looked_at_in_order_each_rate_its_own(self, paid: Customer) -> None:
        """In cents; the first of each kind is free, in order of time and not of arrival."""
        for day, cents, card in ((5, 5000, "visa"), (4, 100000, "visa"), (6, 7000, "amex"), (7, 2000, "visa")):
            send("acme", "Payments", cents, time=datetime(2026, 11, day, tzinfo=UTC), now=NOW, card=card)
        run_sweep()
        invoice = live_invoice(paid)
        assert [(line.quantity, line.amount) for line in invoice.lines.all()] == [(1070, 9), (70, 0)]
        assert invoice.total == (5 + 1) + (2 + 1)
        send("acme", "Payments", 1, time=datetime(2026, 11, 1, tzinfo=UTC), now=NOW, card="visa")
        run_sweep()
        assert live_invoice(paid).total == Decimal("110")  # now that one is free, and the large one is not

    def test_of_the_trial_use_up_nothing(self, customer: Customer) -> None:
        meter = make_meter("Payments", unit="USD")
        put_on(customer, plan_with("Tried", {meter: self.FEES}, trial_days=10), FIRST)
        for day in (10, 11, 12):
            send("acme", "Payments", 100, time=datetime(2026, 11, day, tzinfo=UTC), now=NOW)
        run_sweep()
        assert [(line.kind, line.amount) for line in live_invoice(customer).lines.all()] == [
            ("usage", 11),
            ("trial", 0),
        ]

    def test_days_add_up_and_the_way_ahead_repeats_them(self, paid: Customer) -> None:
        for day in (2, 3, 4):
            send("acme", "Payments", 10000, time=datetime(2026, 11, day, 12, tzinfo=UTC), now=NOW, card="visa")
        run_sweep()
        invoice = live_invoice(paid)
        costs = daily_costs(invoice, now=NOW)
        assert costs.totals[:5] == (0, 0, 11, 11, 0)
        ahead = projection(invoice, now=datetime(2026, 11, 16, tzinfo=UTC))
        assert ahead is not None
        assert (ahead.lines[0].quantity, ahead.lines[0].amount) == (600, 55)  # half of the month: six in all

    def test_of_too_many_days_have_shares_and_nothing_is_projected(
        self, paid: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for day, card in ((2, "visa"), (3, "visa"), (4, "visa"), (5, "amex")):
            send("acme", "Payments", 10000, time=datetime(2026, 11, day, 12, tzinfo=UTC), now=NOW, card=card)
        run_sweep()
        invoice = live_invoice(paid)
        monkeypatch.setattr(estimates, "MOST_EVENTS_BY_DAY", 2)
        monkeypatch.setattr(estimates, "MOST_EVENTS_AHEAD", 5)
        costs = daily_costs(invoice, now=NOW)
        thirds = (Decimal("7.33"), Decimal("7.34"), Decimal("7.33"))
        assert costs.totals == (0, *thirds, 0, *[0] * 17)
        assert sum(costs.totals) == invoice.total
        assert projection(invoice, now=datetime(2026, 11, 16, tzinfo=UTC)) is None

    def test_without_any_nothing_is_owed(self, paid: Customer) -> None:
        assert live_invoice(paid).total == 0


def test_ahead_are_fees_a_minimum_promotions_and_taxes(customer: Customer) -> None:

    plan = plan_with("Full", {make_meter(): ONE_EACH}, fee("base", "50"), minimum=100, trial_days=10)
    put_on(customer, plan, FIRST)
    save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "10", "is_default": True})
    apply_promotion(customer=customer, promotion=save_promotion(changes={"key": "ten", "name": "Ten", "percent": "10"}))
    send("acme", "ApiCalls", 30, time=datetime(2026, 11, 12, tzinfo=UTC))
    send("acme", "ApiCalls", 900, time=datetime(2026, 11, 2, tzinfo=UTC))
    run_sweep()
    invoice = live_invoice(customer)
    assert projection(invoice, now=datetime(2026, 11, 11, 12, tzinfo=UTC)) is None  # of what is charged, half a day
    ahead = projection(invoice, now=datetime(2026, 11, 21, tzinfo=UTC))
    assert ahead is not None
    assert [(line.kind, line.amount) for line in ahead.lines] == [
        ("usage", 60),
        ("fee", Decimal("33.33")),
        ("promotion", Decimal("-9.33")),
        ("tax", Decimal("8.40")),
    ]
    with time_machine.travel(datetime(2026, 11, 12, tzinfo=UTC), tick=False):
        assert daily_costs(invoice, now=NOW).totals == (*[0] * 11, 30, *[0] * 10)
