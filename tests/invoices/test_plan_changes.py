"""A customer changes its plan by itself: at the end of a period, once, and where the vendor lets it."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from invoices.models import Invoice, OutboxEvent
from invoices.plan_changes import Change, change_own_plan, look_ahead, planned_changes, take_back_own_change
from invoices.prepaid.credits import grant_credits, void_grant
from invoices.webhooks.endpoints import create_endpoint
from meters.models import Meter
from pricing.assignments import assign, change_plan, end, set_quantity
from pricing.models import Assignment, AssignmentLog, Plan
from pricing.plans import activate, draft_version, retire, set_fee, set_rate, set_terms
from pricing.private_plans import make_private
from pricing.promotions import apply_promotion, save_promotion
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send

NOW = datetime(2026, 11, 18, 14, 2, tzinfo=UTC)
PER_CALL = {"model": "per_unit", "unit_price": "0.01"}
SELF = {"offer": Plan.Offer.SELF_SERVICE}


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def calls(clock: object, db: None) -> Meter:
    return make_meter()


@pytest.fixture
def growth(calls: Meter) -> Plan:
    return make_plan("Growth", {calls: STORY_RATE}, **SELF)


@pytest.fixture
def scale(calls: Meter) -> Plan:
    return make_plan("Scale", {calls: PER_CALL}, **SELF)


@pytest.fixture
def mine(growth: Plan) -> Assignment:
    return put_on(make_customer("acme", name="Acme"), growth, date(2026, 10, 1))


def ask(assignment: Assignment, plan: Plan, *, actor: str = "alice", **other: object) -> Assignment:
    now = timezone.now()
    shown: dict[str, object] = {"day": date(2026, 12, 1), "version": 1}
    return change_own_plan(assignment, plan=plan, now=now, actor=actor, **(shown | other))  # type: ignore[arg-type]


def refused(assignment: Assignment, plan: Plan, **other: object) -> str:
    """Why it is; nothing is left of it."""
    before = list(Assignment.objects.order_by("pk").values_list("pk", "ends_on")), AssignmentLog.objects.count()
    with pytest.raises(ValidationError) as caught:
        ask(assignment, plan, **other)
    assert (
        list(Assignment.objects.order_by("pk").values_list("pk", "ends_on")),
        AssignmentLog.objects.count(),
    ) == before
    return " ".join(caught.value.messages)


def looked(assignment: Assignment, plan: Plan) -> Change:
    assignment = Assignment.objects.select_related("plan", "customer").get(pk=assignment.pk)
    return look_ahead(assignment, plan, now=timezone.now())


# --- It is done ---


def test_it_begins_when_the_running_period_ends_and_the_log_says_who(mine: Assignment, scale: Plan) -> None:
    new = ask(mine, scale)
    mine.refresh_from_db()
    assert (mine.ends_on, new.starts_on, new.ends_on) == (date(2026, 12, 1), date(2026, 12, 1), None)
    assert (new.plan, new.source, new.continues) == (scale, "portal", mine)
    logged = AssignmentLog.objects.filter(actor="alice").order_by("pk")
    assert [entry.detail for entry in logged] == ["On Growth until 1 Dec 2026", "On Scale from 1 Dec 2026"]
    assert {entry.source for entry in logged} == {"portal"}


def test_bills_tile_and_nothing_is_given_twice(mine: Assignment, scale: Plan, clock: time_machine.Traveller) -> None:
    set_terms(draft_version(scale), trial_days=30)
    activate(scale)
    send("acme", "ApiCalls", 12_300, time=datetime(2026, 11, 5, tzinfo=UTC))
    ask(mine, scale, version=2)
    clock.move_to(datetime(2026, 12, 20, tzinfo=UTC))
    send("acme", "ApiCalls", 1000, time=datetime(2026, 12, 10, tzinfo=UTC))
    run_sweep()
    run_sweep()
    bills = {invoice.period_start: invoice for invoice in Invoice.objects.order_by("period_start")}
    assert [(one.period_start.month, one.total) for one in bills.values()] == [
        (10, Decimal(0)),
        (11, Decimal(40)),
        (12, Decimal(10)),  # no trial, though the plan has one of a month
    ]


def test_quantities_go_with_it_and_what_the_new_plan_does_not_count_is_told(
    mine: Assignment, growth: Plan, scale: Plan, clock: time_machine.Traveller
) -> None:
    for plan in (growth, scale):
        set_fee(draft_version(plan), key="seats", name="Seats", amount=Decimal(10), unit="seats")
    set_fee(draft_version(growth), key="hosts", name="Hosts", amount=Decimal(1), unit="hosts")
    activate(growth)
    activate(scale)
    clock.shift(60)
    set_quantity(mine, fee_key="seats", quantity=4, starts_on=date(2026, 11, 1))
    set_quantity(mine, fee_key="seats", quantity=6, starts_on=date(2026, 12, 1))
    set_quantity(mine, fee_key="hosts", quantity=3, starts_on=date(2026, 11, 1))
    shown = looked(mine, scale)
    assert [(one.fee.key, one.quantity, one.amount("USD")) for one in shown.fees] == [("seats", 6, Decimal(60))]
    assert [(one.fee.key, one.quantity) for one in shown.gone] == [("hosts", 3)]
    new = ask(mine, scale, version=2)
    assert [(one.fee_key, one.quantity) for one in new.quantities.all()] == [("seats", 6)]


def test_what_is_shown_is_what_is_done(mine: Assignment, scale: Plan) -> None:
    before = Assignment.objects.count()
    shown = looked(mine, scale)
    assert Assignment.objects.count() == before
    assert (shown.day, shown.version.number, shown.is_stub) == (date(2026, 12, 1), 1, False)
    assert shown.first.end == datetime(2027, 1, 1, tzinfo=UTC)
    assert ask(mine, scale).starts_on == shown.day


def test_from_weeks_to_months_begins_with_a_part_of_one(calls: Meter, scale: Plan) -> None:
    weekly = make_plan("Weekly", {calls: PER_CALL}, **SELF)
    set_terms(draft_version(weekly), interval="week")
    activate(weekly)
    customer = make_customer("acme")
    mine = put_on(customer, weekly, date(2026, 11, 2))
    shown = looked(mine, scale)
    assert (shown.day, shown.is_stub) == (date(2026, 11, 23), True)
    assert shown.first.end == datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "starts_on", "now", "day"),
    [
        ("America/New_York", date(2026, 10, 31), datetime(2026, 11, 15, tzinfo=UTC), date(2026, 11, 30)),
        ("Asia/Kolkata", date(2026, 1, 31), datetime(2026, 2, 27, 20, tzinfo=UTC), date(2026, 3, 31)),
        ("Pacific/Auckland", date(2026, 8, 31), datetime(2026, 9, 29, 9, tzinfo=UTC), date(2026, 9, 30)),
    ],
)
def test_the_ends_of_months_and_clock_changes(
    clock: time_machine.Traveller, calls: Meter, scale: Plan, zone: str, starts_on: date, now: datetime, day: date
) -> None:
    plan = make_plan("Anniversary", {calls: PER_CALL}, **SELF)
    set_terms(draft_version(plan), alignment="anniversary")
    activate(plan)
    mine = put_on(make_customer("acme", time_zone=zone), plan, starts_on)
    clock.move_to(now)
    shown = looked(mine, scale)
    assert shown.day == day
    assert shown.before.end == shown.first.start


def test_webhooks_tell_of_it_as_of_a_change_by_staff(growth: Plan, scale: Plan) -> None:
    create_endpoint(url="http://127.0.0.1:9/hook", allow_private=True)
    told = []
    for key in ("one", "two"):
        mine = put_on(make_customer(key), growth, date(2026, 10, 1))
        before = set(OutboxEvent.objects.values_list("pk", flat=True))
        if key == "one":
            ask(mine, scale)
        else:
            change_plan(mine, plan=scale, when="period_end")
        after = OutboxEvent.objects.exclude(pk__in=before).order_by("pk")
        told.append([(event.type, event.data["change"]) for event in after])
    assert told[0] == told[1] == [("assignment.changed", "ended"), ("assignment.changed", "assigned")]


def test_a_promotion_for_some_periods_does_not_begin_again(
    mine: Assignment, scale: Plan, growth: Plan, clock: time_machine.Traveller
) -> None:
    promotion = save_promotion(changes={"key": "off", "name": "Off", "percent": 50, "periods": 2})
    apply_promotion(customer=mine.customer, promotion=promotion, starts_on=date(2026, 11, 1))
    december = ask(mine, scale)
    clock.move_to(datetime(2026, 12, 18, tzinfo=UTC))
    ask(december, growth, day=date(2027, 1, 1))
    for month in (11, 12):
        send("acme", "ApiCalls", 10_000, time=datetime(2026, month, 5, tzinfo=UTC))
    clock.move_to(datetime(2027, 1, 18, tzinfo=UTC))
    send("acme", "ApiCalls", 10_000, time=datetime(2027, 1, 5, tzinfo=UTC))
    run_sweep()
    run_sweep()
    totals = Invoice.objects.order_by("period_start").values_list("total", flat=True)
    assert list(totals) == [Decimal(0), Decimal("12.50"), Decimal(50), Decimal(25)]


# --- Once ---


def test_a_second_click_does_nothing_more(mine: Assignment, scale: Plan) -> None:
    first = ask(mine, scale)
    logged = AssignmentLog.objects.count()
    assert ask(mine, scale) == first
    assert AssignmentLog.objects.count() == logged
    assert Assignment.objects.count() == 2


def test_who_comes_second_is_told(mine: Assignment, scale: Plan, calls: Meter) -> None:
    other = make_plan("Other", {calls: PER_CALL}, **SELF)
    ask(mine, scale)
    for plan in (scale, other):
        assert refused(mine, plan, actor="bob") == "A change to Scale on 1 Dec 2026 is planned already by alice."


def test_what_staff_planned_stays_and_names_nobody(mine: Assignment, scale: Plan, calls: Meter) -> None:
    other = make_plan("Other", {calls: PER_CALL}, **SELF)
    planned = change_plan(mine, plan=scale, when="period_end", actor="sam of staff")
    assert refused(mine, other) == "A change to Scale on 1 Dec 2026 is planned already."
    found = planned_changes(list(Assignment.objects.all()), timezone.now())
    assert [(one.by, one.can_be_taken_back) for one in found.values()] == [("", False)]
    with pytest.raises(ValidationError, match="not made here"):
        take_back_own_change(planned, now=timezone.now(), actor="alice")


@pytest.mark.django_db(transaction=True)
def test_two_at_once_one_wins_and_the_other_is_told() -> None:
    calls = make_meter()
    growth = make_plan("Growth", {calls: STORY_RATE}, **SELF)
    plans = [make_plan(key, {calls: PER_CALL}, **SELF) for key in ("Left", "Right")]
    mine = put_on(make_customer("acme"), growth, timezone.now().date().replace(day=1))
    day = look_ahead(mine, plans[0], now=timezone.now()).day
    barrier, told = threading.Barrier(2), []

    def run(plan: Plan, actor: str) -> None:
        try:
            barrier.wait(10)
            change_own_plan(mine, plan=plan, day=day, version=1, now=timezone.now(), actor=actor)
            told.append("done")
        except ValidationError as error:
            told.append(error.messages[0])
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=one) for one in zip(plans, ("alice", "bob"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(told)[1] == "done"
    assert "is planned already by" in sorted(told)[0]
    assert Assignment.objects.count() == 2


@pytest.mark.parametrize("other", [{"day": date(2027, 1, 1)}, {"version": 2}])
def test_what_was_shown_is_no_longer_so(mine: Assignment, scale: Plan, other: dict[str, object]) -> None:
    assert "has changed meanwhile" in refused(mine, scale, **other)


# --- Taken back ---


def test_it_is_taken_back_as_if_nothing_had_been(mine: Assignment, scale: Plan) -> None:
    new = ask(mine, scale)
    before = take_back_own_change(new, now=timezone.now(), actor="bob")
    assert (before.pk, before.ends_on) == (mine.pk, None)
    assert planned_changes([before], timezone.now()) == {}
    last = AssignmentLog.objects.order_by("-pk")[:2]
    assert [(entry.actor, entry.detail) for entry in last] == [
        ("bob", "On Growth without an end again"),
        ("bob", "Not on Scale for any day"),
    ]
    with pytest.raises(ValidationError, match="taken back already"):
        take_back_own_change(new, now=timezone.now(), actor="alice")
    assert ask(mine, scale).pk != new.pk


def test_the_end_that_there_was_is_there_again_with_what_follows(mine: Assignment, scale: Plan, growth: Plan) -> None:
    end(mine, ends_on=date(2027, 3, 1))
    new = ask(mine, scale)
    assert new.ends_on == date(2027, 3, 1)
    before = take_back_own_change(new, now=timezone.now(), actor="alice")
    assert before.ends_on == date(2027, 3, 1)


def test_it_cannot_be_taken_back_once_it_has_begun(
    mine: Assignment, scale: Plan, clock: time_machine.Traveller
) -> None:
    new = ask(mine, scale)
    clock.move_to(datetime(2026, 12, 1, tzinfo=UTC))
    with pytest.raises(ValidationError, match="Scale has begun on 1 Dec 2026"):
        take_back_own_change(new, now=timezone.now(), actor="alice")


def test_a_bill_after_it_was_taken_back_is_that_of_before(
    mine: Assignment, scale: Plan, clock: time_machine.Traveller
) -> None:
    take_back_own_change(ask(mine, scale), now=timezone.now(), actor="alice")
    clock.move_to(datetime(2026, 12, 20, tzinfo=UTC))
    send("acme", "ApiCalls", 6000, time=datetime(2026, 12, 10, tzinfo=UTC))
    run_sweep()
    run_sweep()
    december = Invoice.objects.get(period_start=datetime(2026, 12, 1, tzinfo=UTC))
    assert (december.assignment, december.total) == (mine, Decimal(5))


# --- Refused ---


def test_plans_that_the_vendor_does_not_let_customers_change_to(mine: Assignment, scale: Plan) -> None:
    for offer in (Plan.Offer.NONE, Plan.Offer.SHOWN):
        Plan.objects.filter(pk=scale.pk).update(offer=offer)
        assert refused(mine, scale) == "Scale is not one that you can change to by yourself."
    Plan.objects.filter(pk=scale.pk).update(offer=Plan.Offer.SELF_SERVICE)
    retire(scale)
    assert refused(mine, scale) == "Scale is no longer offered."


def test_the_plan_that_it_is_on_and_one_of_somebody_else(mine: Assignment, growth: Plan, scale: Plan) -> None:
    assert refused(mine, growth) == "You are on Growth already."
    private = make_private(scale, customer=make_customer("globex"))
    activate(private)
    Plan.objects.filter(pk=private.pk).update(offer=Plan.Offer.SELF_SERVICE)
    assert refused(mine, private) == "There is no such plan."


def test_a_private_plan_is_left_only_where_it_is_offered_too(mine: Assignment, growth: Plan, scale: Plan) -> None:
    private = make_private(growth, customer=mine.customer)
    activate(private)
    own = change_plan(mine, plan=private, when=date(2026, 11, 1))
    assert refused(own, scale) == "Growth is a plan of your own, so it is not changed here."
    Plan.objects.filter(pk=private.pk).update(offer=Plan.Offer.SELF_SERVICE)
    own.refresh_from_db()
    assert ask(own, scale).plan == scale


def test_what_has_ended_or_ends_with_its_period(mine: Assignment, scale: Plan, clock: time_machine.Traveller) -> None:
    end(mine, ends_on=date(2026, 11, 20))
    assert refused(mine, scale, day=date(2026, 11, 20)) == "Growth ends on 20 Nov 2026 already."
    clock.move_to(datetime(2026, 12, 5, tzinfo=UTC))
    assert "is over" in refused(mine, scale)


def test_an_item_that_another_plan_prices(mine: Assignment, calls: Meter) -> None:
    exports = make_meter("Exports")
    put_on(mine.customer, make_plan("Beside", {exports: PER_CALL}), date(2026, 10, 1))
    both = make_plan("Both", {calls: PER_CALL, exports: PER_CALL}, **SELF)
    assert "Exports is already priced by Beside" in refused(mine, both)


def test_another_currency_with_credits_that_are_left(mine: Assignment, calls: Meter) -> None:
    euros = Plan.objects.create(key="Euros", **SELF)
    set_terms(draft_version(euros), currency="EUR")
    set_rate(draft_version(euros), product_item=calls.product_item, parameters=PER_CALL)
    activate(euros)
    grant, _ = grant_credits(customer=mine.customer, name="Pack", currency="USD", amount="50", now=NOW)
    assert "your credits of $50.00 pay for invoices in USD only" in refused(mine, euros)
    void_grant(grant, reason="mistake", now=NOW)
    assert ask(mine, euros).plan == euros


def test_staff_and_programs_may_what_they_might(mine: Assignment, calls: Meter) -> None:
    hidden = make_plan("Hidden", {calls: PER_CALL})
    assert change_plan(mine, plan=hidden, when="period_end").without_trial is False
    other = make_customer("globex")
    assert assign(customer=other, plan=hidden, starts_on=date(2026, 11, 1)).plan == hidden
