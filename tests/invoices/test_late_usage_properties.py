"""Whatever comes late, is voided or comes back, and however invoices are closed on the way: what a customer is billed
in all is, to the cent, what one is billed whose usage was right from the beginning."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import time_machine
from hypothesis import HealthCheck, event, given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from invoices import due, pricing_of, services
from invoices.models import Correction, CreditNote, Invoice, InvoiceLine
from invoices.settling import voiding
from meters import catalogue, partitions
from meters.models import Customer, Meter
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.factories import make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.books import audit, findings
from tests.invoices.late import at, policy, sums, unvoid, void
from tests.invoices.plans import ONE_EACH, fee, plan_with

FIRST = date(2026, 9, 1)
# Within periods, in their grace time, and after it.
STEPS = [
    at(9, 20),
    at(10, 1, 6),
    at(10, 3),
    at(10, 25),
    at(11, 1, 18),
    at(11, 3),
    at(11, 20),
    at(12, 1, 6),
    at(12, 3),
    at(12, 10),
]
NEVER = len(STEPS)

METERS: dict[str, dict[str, Any]] = {
    "calls": {},
    "sizes": {"aggregation": Meter.Aggregation.PERCENTILE, "percentile": Decimal(95)},
    "users": {"aggregation": Meter.Aggregation.UNIQUE_COUNT, "unique_dimension": "user"},
    "seats": {"aggregation": Meter.Aggregation.TIME_WEIGHTED_AVERAGE},
    "latest": {"aggregation": Meter.Aggregation.LATEST},
    "payments": {},
}
RATES: dict[str, dict[str, Any]] = {
    "calls": {"model": "block", "block_size": "10", "block_price": "3.33", "included_units": "20"},
    "sizes": {"model": "per_unit", "unit_price": "0.125"},
    "users": {"model": "stairstep", "tiers": [{"up_to": "1", "flat_price": "5"}, {"up_to": None, "flat_price": "7.5"}]},
    "seats": {"model": "per_unit", "unit_price": "1.01"},
    "latest": {"model": "per_unit", "unit_price": "0.5", "minimum": "2"},
    "payments": {"model": "percentage", "rate_percent": "2.9", "fixed_fee_per_event": "0.30", "free_events": "1"},
}


@dataclass(frozen=True)
class Fact:
    """An event: when it happens, how many steps it comes late, and at which steps it is voided and brought back."""

    meter: str
    offset: timedelta
    value: Decimal
    user: str
    late: int
    voided: int
    back: int

    @property
    def time(self) -> datetime:
        return at(9, 1, 0) + self.offset

    @property
    def in_time(self) -> int:
        return next(number for number, step in enumerate(STEPS) if step > self.time)

    @property
    def arrives(self) -> int:
        return min(self.in_time + self.late, NEVER - 1)

    @property
    def is_void(self) -> bool:
        return self.arrives <= self.voided < NEVER and not self.voided < self.back < NEVER


FACTS = st.builds(
    Fact,
    meter=st.sampled_from(sorted(METERS)),
    offset=st.integers(0, 100 * 24).map(lambda hour: timedelta(hours=hour)),
    value=st.one_of(st.integers(1, 60).map(Decimal), st.decimals("0.01", 200, places=2)),
    user=st.sampled_from("ab"),
    late=st.one_of(st.just(0), st.integers(0, NEVER)),
    voided=st.one_of(st.just(NEVER), st.integers(0, NEVER)),
    back=st.one_of(st.just(NEVER), st.integers(0, NEVER)),
)
TERMS = st.sampled_from([{}, {"minimum": "60"}, {"commitment": "80", "overage_factor": "1.5"}, {"trial_days": 12}])
PROMOTIONS = st.sampled_from(
    [
        {},
        {"percent": "33.3"},
        {"percent": "50", "cap": "40", "currency": "USD"},
        {"amount": "25", "kind": "amount", "currency": "USD", "periods": 2},
        {"amount": "30", "kind": "amount", "currency": "USD", "cap": "50"},
    ]
)
POLICIES = st.lists(st.sampled_from(["next", "at_once"]), min_size=1, max_size=3)


def build(zone: str, terms: Any, promotion: Any, tax: bool, ends_on: date | None, beside: bool) -> list[Customer]:
    """Two customers who have the same: one whose usage comes late, and one whose usage is right."""
    meters = {key: make_meter(key, dimensions=["region"], **fields) for key, fields in METERS.items()}
    rates = {meters[key]: RATES[key] for key in METERS}
    main = plan_with("Main", rates, fee("base", "9.99"), fee("support", None, kind="percent", percent="7"), **terms)
    weekly = plan_with("Weekly", {make_meter("extra"): ONE_EACH}, interval="week")
    given = save_promotion(changes={"key": "some", "name": "Some", **promotion}) if promotion else None
    if tax:
        for key, percent in (("vat", "19"), ("city", "1.25")):
            save_tax_rate(changes={"key": key, "name": key, "percent": percent, "is_default": True})
    customers = [make_customer(key, time_zone=zone) for key in ("acme", "ontime")]
    for customer in customers:
        if given:
            apply_promotion(customer=customer, promotion=given, starts_on=FIRST)
        put_on(customer, main, FIRST, ends_on)
        if beside:
            put_on(customer, weekly, FIRST)
    return customers


def deliver(facts: list[Fact], number: int) -> None:
    for index, fact in enumerate(facts):
        dimensions = {"user": fact.user}
        if fact.arrives == number:
            send("acme", fact.meter, fact.value, time=fact.time, id=str(index), **dimensions)
        if not fact.is_void and fact.in_time == number:
            send("ontime", fact.meter, fact.value, time=fact.time, id=str(index), **dimensions)
    voided = [str(index) for index, fact in enumerate(facts) if fact.arrives <= fact.voided == number]
    if voided:
        void(*voided)
    back = [str(index) for index, fact in enumerate(facts) if fact.arrives <= fact.voided < fact.back == number]
    if back:
        unvoid(*back)


class TestAnyOrder(TestCase):
    @hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        facts=st.lists(FACTS, min_size=1, max_size=14),
        zone=st.sampled_from(["UTC", "America/St_Johns", "Asia/Kolkata"]),
        terms=TERMS,
        promotion=PROMOTIONS,
        tax=st.booleans(),
        ends_on=st.sampled_from([None, None, date(2026, 10, 20)]),
        beside=st.booleans(),
        policies=POLICIES,
        reissued=st.one_of(st.none(), st.integers(2, NEVER - 1)),
    )
    def test_all_documents_come_to_what_is_right(
        self, facts, zone, terms, promotion, tax, ends_on, beside, policies, reissued
    ) -> None:
        for module in (catalogue, partitions, pricing_of):
            module.forget()
        with (
            time_machine.travel(at(9, 1, 0) - timedelta(hours=6), tick=False) as clock,
            self.assertNoLogs("invoices.tasks.bills"),
        ):
            acme, ontime = build(zone, terms, promotion, tax, ends_on, beside)
            for number, step in enumerate(STEPS):
                clock.move_to(step)
                policy(late_usage=policies[number % len(policies)])
                deliver(facts, number)
                if number == reissued and "cap" not in promotion:
                    first = acme.invoices.filter(status="final", is_correction=False).order_by("period_start").first()
                    if first:
                        voiding.reissue(first.pk, reason="test")
                for _ in range(2):
                    run_sweep()
            # What came to nothing before taxes, or with them, and was to be made up for at once has waited.
            policy(late_usage="next")
            services.rerate(acme.pk)
            for pk in Invoice.objects.filter(status__in=Invoice.LIVE).values_list("pk", flat=True):
                services.recalculate(pk)
            assert due.late_customers(10) == []
            for line in InvoiceLine.objects.filter(invoice__customer=acme):
                note(f"{line.invoice} {line.invoice.status} {line.kind} {line.name} {line.quantity} {line.amount}")
            assert sum(sums(acme).values()) == sum(sums(ontime).values())
            if Invoice.objects.filter(customer=acme, status__in=Invoice.LIVE).exists():
                # Where no invoice is to come, what comes to nothing with its taxes waits.
                assert sums(acme) == sums(ontime)
            event(f"corrections: {InvoiceLine.objects.filter(corrects__isnull=False).count()}")
            event(f"credit notes: {CreditNote.objects.exclude(invoice__status='void').count()}")
            event(f"invoices at once: {Invoice.objects.filter(is_correction=True).count()}")
            assert not Correction.objects.filter(invoice__customer=ontime).exists()
            check_steps(acme)
            check_that_nothing_moves(acme)
            # Usage without a plan or a price is nobody's fault here.
            checks = ["amounts", "corrections", "totals", "ledger", "settlement", "numbers"]
            assert findings(audit(checks=checks)) == []


def check_steps(customer: Customer) -> None:
    """The steps of each correction come to its amount, and those of a quantity to it."""
    for line in InvoiceLine.objects.filter(invoice__customer=customer, corrects__isnull=False):
        assert sum((Decimal(step["amount"]) for step in line.steps), Decimal(0)) == line.amount
        if line.quantity is not None:
            assert sum((Decimal(step.get("quantity", 0)) for step in line.steps), Decimal(0)) == line.quantity


def check_that_nothing_moves(customer: Customer) -> None:
    """Working again, and rating every final invoice again, changes no row."""
    before = list(InvoiceLine.objects.order_by("pk").values()), list(Correction.objects.order_by("pk").values())
    for noted in (False, True):
        if noted:
            Invoice.objects.filter(customer=customer, status="final", is_correction=False).update(rerated_version=-1)
        run_sweep()
        after = list(InvoiceLine.objects.order_by("pk").values()), list(Correction.objects.order_by("pk").values())
        assert after == before
