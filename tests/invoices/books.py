"""A set of books with nearly everything in them, made by the real services: what an audit is to find in order."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import time_machine

from invoices.auditing.runs import start_audit, work_on
from invoices.models import AuditFinding, AuditRun, Invoice
from invoices.policy_changes import set_billing_policy
from invoices.prepaid.credits import void_grant
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment, refund, write_off
from invoices.settling.voiding import reissue, void_invoice
from meters.models import Customer
from pricing.assignments import end
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate, set_billing_profile
from tests.factories import make_customer, make_meter, put_on, send
from tests.invoices.late import at, void, work_at
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.invoices.prepaid import prepaid

SEPTEMBER = date(2026, 9, 1)
PERCENTAGE = {"model": "percentage", "rate_percent": "2.9", "fixed_fee_per_event": "0.3", "free_events": 1}


def audit(**options: Any) -> AuditRun:
    """A run to its end."""
    run = start_audit(**options)
    while work_on(run.pk):
        pass
    run.refresh_from_db()
    assert run.status == AuditRun.Status.DONE, run.error
    return run


def findings(run: AuditRun) -> list[tuple[str, str, str, str]]:
    """Check, text, what was expected and what was found."""
    found = AuditFinding.objects.filter(run=run).order_by("pk")
    return list(found.values_list("check_name", "text", "expected", "found"))


def keep_books(clock: time_machine.Traveller) -> None:
    """September to December: late usage, voids, credits, credit notes, an invoice issued anew, one of corrections only,
    promotions with a cap, three currencies, a value that holds, filters and percentages."""
    clock.move_to(at(9, 1))
    vat = save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19"})
    calls, storage = make_meter("Calls", dimensions=["region"]), make_meter("Storage", unit="GB")
    volume = make_meter("Volume", unit="USD")
    seats = make_meter("Seats", aggregation="time_weighted_sum", time_unit="day", unit="seat-days", dimensions=[])
    users = make_meter("Users", aggregation="unique_count", unique_dimension="user", dimensions=["user"], unit="users")
    half = {"model": "per_unit", "unit_price": "0.5"}
    all_items = {storage: half, volume: PERCENTAGE, seats: ONE_EACH, users: ONE_EACH}
    by_region = [({"region": ["eu"]}, {"model": "per_unit", "unit_price": "2"}), ({}, ONE_EACH)]
    basic = plan_with("Basic", {calls: by_region, **all_items}, fee("base", "9.99"), minimum=Decimal(60))
    tiers = {"model": "graduated", "tiers": [{"up_to": "10", "unit_price": "33"}, {"up_to": None, "unit_price": "7"}]}
    yen = plan_with("Yen", {calls: tiers, **all_items}, currency="JPY")
    euro = plan_with("Euro", {calls: ONE_EACH, **all_items}, fee("seat", "3.33", prorated=True), currency="EUR")

    acme, fuji, pune = (
        make_customer("acme"),
        make_customer("fuji", time_zone="Asia/Tokyo"),
        make_customer("pune", time_zone="Asia/Kolkata"),
    )
    set_billing_profile(acme, tax_rates=[vat])
    off = {"key": "off", "name": "A tenth off", "kind": "percent", "percent": "10", "cap": "15", "currency": "USD"}
    apply_promotion(customer=acme, promotion=save_promotion(changes=off), starts_on=SEPTEMBER)
    put_on(acme, basic, SEPTEMBER)
    put_on(fuji, yen, SEPTEMBER)
    ends = put_on(pune, euro, date(2026, 9, 12))

    for customer in ("acme", "fuji", "pune"):
        moment = at(9, 14)
        for number, region in enumerate(("eu", "us", "eu", "")):
            where = {"region": region} if region else {}
            send(customer, "Calls", 5 + number, time=moment, now=moment, id=f"calls-{number}", **where)
        send(customer, "Storage", "7.25", time=moment, now=moment, id="storage")
        for number in range(3):
            send(customer, "Volume", "12.34", time=moment, now=moment, id=f"volume-{number}")
            send(customer, "Users", time=moment, now=moment, user=f"u{number % 2}")
        send(customer, "Seats", 2, time=moment, now=moment, id="seats")
    prepaid(acme, 25, name="Pack", expires_at=at(12, 1))
    pack = prepaid(fuji, 5000, name="Large pack", currency="JPY")
    work_at(clock, at(10, 3))

    first = {customer: _final(customer) for customer in (acme, fuji, pune)}
    # Late usage in the half hour that is of September in one zone only, and more seats for a part of it.
    clock.move_to(at(10, 6))
    send("acme", "Calls", 11, time=datetime(2026, 9, 30, 23, 50, tzinfo=UTC), region="eu")
    send("fuji", "Calls", 3, time=datetime(2026, 9, 30, 14, 50, tzinfo=UTC))
    send("pune", "Seats", 5, time=datetime(2026, 9, 20, 18, 31, tzinfo=UTC))
    void("storage", "volume-1", customer="fuji")
    work_at(clock, at(10, 7))
    record_payment(first[acme].pk, amount=Decimal("20.10"), reference="bank-1", actor="bank")
    issue_credit_note(first[acme].pk, amounts={1: Decimal("1.01")}, reason="Goodwill")
    record_payment(first[fuji].pk, amount=Decimal(500), reference="bank-2", actor="bank")
    refund(first[fuji].pk, amount=Decimal(100), reference="bank-3", actor="bank")
    write_off(first[pune].pk, reason="Too little to ask for", actor="ada")
    send("acme", "Calls", 40, time=at(10, 10), now=at(10, 10))
    work_at(clock, at(11, 3))

    # October's of acme is issued anew, fuji's is void and stays so; usage of pune ends, and more comes after all.
    reissue(_final(acme, at(10, 15)).pk, reason="Wrong address")
    void_invoice(_final(fuji, at(10, 15)).pk, reason="A gift")
    void_grant(pack, reason="Over")
    end(ends, ends_on=date(2026, 11, 10))
    work_at(clock, at(11, 15))
    set_billing_policy(changes={"late_usage": "at_once"}, now=at(11, 15))
    send("pune", "Calls", 8, time=at(10, 20), now=at(11, 15))
    work_at(clock, at(11, 16))
    void("calls-1", customer="pune")
    work_at(clock, at(11, 17))
    send("acme", "Calls", 6, time=at(11, 17))
    work_at(clock, at(12, 5), sweeps=4)


def _final(customer: Customer, moment: datetime | None = None) -> Invoice:
    """The customer's final invoice for the period that a moment is in."""
    moment = moment or at(9, 15)
    return customer.invoices.get(
        period_start__lte=moment, period_end__gt=moment, status=Invoice.Status.FINAL, is_correction=False
    )
