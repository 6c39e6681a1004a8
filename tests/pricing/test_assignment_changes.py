"""What changes for a customer on a plan: the plan, the end, quantities; and the log of it all."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError

from invoices.models import Invoice
from meters.models import Meter
from pricing.assignments import assign, change_plan, end, set_quantity
from pricing.models import Assignment, AssignmentLog, AssignmentQuantity, AssignmentRule, Plan
from pricing.plans import activate, draft_version, set_fee, set_terms
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate, set_billing_profile
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.racing import race

NOON = "2026-03-18T12:00:00Z"
TODAY = date(2026, 3, 18)


@pytest.fixture
def noon(db: None) -> Any:
    with time_machine.travel(NOON, tick=True) as traveller:
        yield traveller


@pytest.fixture
def meter(noon: Any) -> Meter:
    return make_meter()


@pytest.fixture
def basic(meter: Meter) -> Plan:
    return make_plan("Basic", {meter: STORY_RATE})


@pytest.fixture
def pro(meter: Meter) -> Plan:
    return make_plan("Pro", {meter: {"model": "per_unit", "unit_price": "0.01"}})


def days(assignment: Assignment) -> tuple[date, date | None]:
    assignment.refresh_from_db()
    return assignment.starts_on, assignment.ends_on


def logged(kind: str = "") -> list[tuple[str, str, str]]:
    rows = AssignmentLog.objects.order_by("id")
    return [(row.kind, row.actor, row.detail) for row in (rows.filter(kind=kind) if kind else rows)]


class TestChangeOfPlan:
    @pytest.mark.parametrize(
        ("when", "changes_on"),
        [("now", TODAY), ("period_end", date(2026, 4, 1)), (date(2026, 3, 25), date(2026, 3, 25))],
        ids=str,
    )
    def test_one_ends_where_the_other_begins(self, basic: Plan, pro: Plan, when: Any, changes_on: date) -> None:
        old = put_on(make_customer(), basic, date(2026, 2, 10))
        new = change_plan(old, plan=pro, when=when, actor="anna")
        assert days(old) == (date(2026, 2, 10), changes_on)
        assert days(new) == (changes_on, None)
        assert (new.plan, new.anchor_on, new.time_zone) == (pro, None, old.time_zone)
        assert [entry[:2] for entry in logged()[2:]] == [("ended", "anna"), ("assigned", "anna")]

    def test_today_is_the_customers(self, basic: Plan, pro: Plan) -> None:
        old = put_on(make_customer(time_zone="Pacific/Kiritimati"), basic, date(2026, 2, 10))
        assert change_plan(old, plan=pro, when="now").starts_on == date(2026, 3, 19)

    @pytest.mark.parametrize("when", ["now", TODAY], ids=str)
    def test_on_the_first_day_the_new_plan_takes_the_place_altogether(self, basic: Plan, pro: Plan, when: Any) -> None:
        old = put_on(make_customer(), basic, TODAY)
        new = change_plan(old, plan=pro, when=when)
        assert days(old) == (TODAY, TODAY)
        assert days(new) == (TODAY, None)
        assert Invoice.objects.get(assignment=old).status == Invoice.Status.VOID
        assert Invoice.objects.get(assignment=new).plan_version.plan == pro
        assert "Not on Basic for any day" in [detail for _, _, detail in logged("ended")]
        # Nothing is in the way of a third one.
        assert days(change_plan(new, plan=basic, when="now")) == (TODAY, None)

    def test_one_that_has_yet_to_begin_is_replaced_or_changed_with_its_first_period(
        self, basic: Plan, pro: Plan
    ) -> None:
        later = date(2026, 5, 20)
        old = put_on(make_customer("a"), basic, later)
        assert days(change_plan(old, plan=pro, when="now")) == (later, None)
        assert days(old) == (later, later)
        other = put_on(make_customer("b"), basic, later)
        assert days(change_plan(other, plan=pro, when="period_end")) == (date(2026, 6, 1), None)

    def test_the_end_that_was_set_stays(self, basic: Plan, pro: Plan) -> None:
        ends_on = date(2026, 6, 30)
        old = put_on(make_customer(), basic, date(2026, 2, 10), ends_on)
        assert days(change_plan(old, plan=pro, when="period_end")) == (date(2026, 4, 1), ends_on)

    def test_the_anniversary_is_kept(self, basic: Plan, pro: Plan) -> None:
        set_terms(draft_version(basic), alignment="anniversary")
        activate(basic)
        old = put_on(make_customer(), basic, date(2026, 1, 31))
        new = change_plan(old, plan=pro, when="period_end")
        # From the 31st of January: the 28th of February, the 31st of March.
        assert (new.starts_on, new.anchor_on) == (date(2026, 3, 31), date(2026, 1, 31))

    def test_the_grid_of_several_months_is_kept(self, basic: Plan, pro: Plan) -> None:
        set_terms(draft_version(basic), interval_count=2)
        activate(basic)
        old = put_on(make_customer(), basic, date(2026, 2, 10))
        assert change_plan(old, plan=pro, when="now").anchor_on == date(2026, 2, 10)

    def test_what_is_final_stays(self, basic: Plan, pro: Plan) -> None:
        old = put_on(make_customer(), basic, date(2026, 1, 10))
        run_sweep()
        assert Invoice.objects.filter(status=Invoice.Status.FINAL).count() == 2
        with pytest.raises(ValidationError, match="is final, and stays as it is") as error:
            change_plan(old, plan=pro, when=date(2026, 2, 15))
        assert list(error.value.message_dict) == ["when"]
        assert change_plan(old, plan=pro, when=date(2026, 3, 1)).starts_on == date(2026, 3, 1)

    @pytest.mark.parametrize(
        ("field", "when"),
        [
            ("when", date(2026, 2, 9)),
            ("when", date(2026, 3, 30)),
            ("when", date(2026, 5, 1)),
            ("when", date(9999, 12, 31)),
            ("when", "tomorrow"),
        ],
        ids=str,
    )
    def test_a_day_outside_of_the_assignment_is_refused(self, basic: Plan, pro: Plan, field: str, when: Any) -> None:
        old = put_on(make_customer(), basic, date(2026, 2, 10), date(2026, 3, 30))
        with pytest.raises(ValidationError) as error:
            change_plan(old, plan=pro, when=when)
        assert list(error.value.message_dict) == [field]
        assert days(old) == (date(2026, 2, 10), date(2026, 3, 30))

    def test_an_assignment_that_is_over_is_not_changed(self, basic: Plan, pro: Plan) -> None:
        old = put_on(make_customer(), basic, date(2026, 2, 10), date(2026, 3, 10))
        for when in ("now", "period_end"):
            with pytest.raises(ValidationError) as error:
                change_plan(old, plan=pro, when=when)
            assert list(error.value.message_dict) == ["when"]

    def test_to_the_same_plan_or_one_that_is_priced_elsewhere_is_refused_and_undoes_nothing(
        self, basic: Plan, pro: Plan
    ) -> None:
        customer = make_customer()
        old = put_on(customer, basic, date(2026, 2, 10))
        mails = make_meter("Mails")
        put_on(customer, make_plan("Mail", {mails: STORY_RATE}), date(2026, 2, 10))
        both = make_plan("Both", {mails: STORY_RATE})
        for plan in (basic, both, Plan.objects.create(key="Draft")):
            with pytest.raises(ValidationError) as error:
                change_plan(old, plan=plan, when="now")
            assert list(error.value.message_dict) == ["plan"]
        assert days(old) == (date(2026, 2, 10), None)


class TestEnds:
    def test_is_moved_and_taken_back(self, basic: Plan) -> None:
        assignment = put_on(make_customer(), basic, date(2026, 3, 1))
        for ends_on in (date(2026, 5, 1), date(2026, 4, 1), date(2026, 4, 1), None):
            end(assignment, ends_on=ends_on, actor="anna")
        assert logged()[2:] == [
            ("ended", "anna", "On Basic until 1 May 2026"),
            ("ended", "anna", "On Basic until 1 Apr 2026"),
            ("reopened", "anna", "On Basic without an end again"),
        ]

    def test_an_assignment_is_taken_back_altogether(self, basic: Plan, pro: Plan) -> None:
        assignment = put_on(make_customer(), basic, TODAY)
        assert days(end(assignment, ends_on=TODAY)) == (TODAY, TODAY)
        assert not Invoice.objects.filter(status__in=Invoice.LIVE).exists()
        assert put_on(assignment.customer, pro, TODAY).plan == pro

    @pytest.mark.parametrize("ends_on", [date(2026, 2, 28), date(9999, 12, 31)], ids=str)
    def test_a_day_that_cannot_be_is_refused(self, basic: Plan, ends_on: date) -> None:
        assignment = put_on(make_customer(), basic, date(2026, 3, 1))
        with pytest.raises(ValidationError) as error:
            end(assignment, ends_on=ends_on)
        assert list(error.value.message_dict) == ["ends_on"]


class TestQuantities:
    @pytest.fixture
    def assignment(self, basic: Plan) -> Assignment:
        draft = draft_version(basic)
        set_fee(draft, key="seats", name="Seats", amount="10", unit="seats")
        set_fee(draft, key="support", name="Support", kind="percent", percent="5")
        activate(basic)
        return put_on(make_customer(), basic, date(2026, 3, 1), date(2026, 9, 1))

    def test_of_a_day_and_of_another(self, assignment: Assignment) -> None:
        set_quantity(assignment, fee_key="seats", quantity="5", starts_on=TODAY, actor="anna")
        set_quantity(assignment, fee_key="seats", quantity=Decimal("7.5"), starts_on=date(2026, 4, 1), actor="anna")
        for _ in range(2):
            set_quantity(assignment, fee_key="seats", quantity=6, starts_on=TODAY, actor="bert")
        entries = AssignmentQuantity.objects.order_by("starts_on")
        assert [(entry.starts_on, entry.quantity) for entry in entries] == [
            (TODAY, 6),
            (date(2026, 4, 1), Decimal("7.5")),
        ]
        assert logged("quantity") == [
            ("quantity", "anna", "Seats: 5 seats from 18 Mar 2026"),
            ("quantity", "anna", "Seats: 7.5 seats from 1 Apr 2026"),
            ("quantity", "bert", "Seats: 6 seats from 18 Mar 2026"),
        ]

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("fee_key", {"fee_key": "chairs"}),
            ("fee_key", {"fee_key": "support"}),
            ("quantity", {"quantity": "-1"}),
            ("quantity", {"quantity": "many"}),
            ("quantity", {"quantity": "1e25"}),
            ("starts_on", {"starts_on": date(2026, 2, 28)}),
            ("starts_on", {"starts_on": date(2026, 9, 1)}),
        ],
        ids=str,
    )
    def test_a_bad_one_is_refused_by_field(self, assignment: Assignment, field: str, changes: dict[str, Any]) -> None:
        with pytest.raises(ValidationError) as error:
            set_quantity(assignment, **{"fee_key": "seats", "quantity": "5", "starts_on": TODAY} | changes)
        assert list(error.value.message_dict) == [field]
        assert not AssignmentQuantity.objects.exists()

    def test_go_with_the_customer_to_another_plan_that_has_the_fee(self, assignment: Assignment, pro: Plan) -> None:
        for quantity, day in ((2, date(2026, 3, 1)), (3, date(2026, 3, 10)), (4, date(2026, 5, 1))):
            set_quantity(assignment, fee_key="seats", quantity=quantity, starts_on=day)
        draft = draft_version(pro)
        set_fee(draft, key="chairs", name="Chairs", amount="1")
        activate(pro)
        without = change_plan(assignment, plan=pro, when="now")
        assert not without.quantities.exists()
        set_fee(draft_version(pro), key="seats", name="Seats", amount="8", quantity=1)
        activate(pro)
        end(without, ends_on=without.starts_on)
        end(assignment, ends_on=date(2026, 9, 1))
        new = change_plan(assignment, plan=pro, when="period_end")
        assert list(new.quantities.values_list("starts_on", "quantity")) == [
            (date(2026, 4, 1), Decimal(3)),
            (date(2026, 5, 1), Decimal(4)),
        ]

    def test_of_a_fee_that_the_customer_does_not_have_is_refused(self, assignment: Assignment, basic: Plan) -> None:
        set_fee(draft_version(basic), key="chairs", name="Chairs", amount="1")
        activate(basic, moves_existing=False)
        with pytest.raises(ValidationError, match="no fee with this key"):
            set_quantity(assignment, fee_key="chairs", quantity=1, starts_on=TODAY)


class TestLog:
    def test_tells_the_rule_the_default_plan_and_that_there_was_none(self, basic: Plan, pro: Plan) -> None:
        make_customer("none")
        Plan.objects.filter(pk=basic.pk).update(is_default=True)
        make_customer("default")
        rule = AssignmentRule.objects.create(plan=pro, position=10)
        make_customer("ruled")
        rows = AssignmentLog.objects.order_by("id").select_related("rule", "assignment")
        assert [(row.customer.key, row.kind, row.source, row.rule, row.detail) for row in rows] == [
            ("none", "unmatched", "rule", None, "On no plan: no rule matches, and there is no default plan"),
            ("default", "assigned", "default", None, "On Basic from 18 Mar 2026"),
            ("ruled", "assigned", "rule", rule, "On Pro from 18 Mar 2026"),
        ]
        rule.delete()
        assert [row.detail for row in AssignmentLog.objects.filter(customer__key="ruled")] == [
            "On Pro from 18 Mar 2026"
        ]

    def test_nothing_that_was_refused_is_in_it(self, basic: Plan) -> None:
        with pytest.raises(ValidationError):
            assign(customer=make_customer(), plan=basic, starts_on=TODAY, ends_on=TODAY)
        assert logged("assigned") == []


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("anchor_on", {"anchor_on": date(1, 1, 1)}),
        ("ends_on", {"ends_on": date(9999, 12, 31)}),
        ("ends_on", {"ends_on": date(2026, 3, 17)}),
        ("starts_on", {"starts_on": date(9999, 12, 31)}),
    ],
    ids=str,
)
def test_days_that_no_calendar_needs_are_refused(basic: Plan, field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as error:
        assign(**{"customer": make_customer(), "plan": basic, "starts_on": TODAY} | changes)
    assert list(error.value.message_dict) == [field]


@pytest.mark.django_db(transaction=True)
def test_quantities_of_one_day_set_at_once() -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    set_fee(draft_version(plan), key="seats", name="Seats", amount="10")
    activate(plan)
    today = datetime.now(UTC).date()
    assignment = put_on(make_customer(), plan, today)
    jobs = [
        partial(set_quantity, assignment, fee_key="seats", quantity=number, starts_on=today + timedelta(days=1))
        for number in range(1, 5)
    ]
    assert race(*jobs) == []
    assert AssignmentQuantity.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_changes_while_workers_compute_and_close() -> None:
    """Nobody waits in a circle: those who change a customer's bills and those who compute them."""
    meter = make_meter()
    plans = [make_plan(f"Plan{number}", {meter: STORY_RATE}) for number in range(2)]
    for plan in plans:
        set_fee(draft_version(plan), key="seats", name="Seats", amount="10")
        activate(plan)
    customer, today = make_customer(), datetime.now(UTC).date()
    promotion = save_promotion(changes={"key": "welcome", "name": "Welcome", "percent": 10})
    tax = save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": 19, "is_default": True})
    assignment = put_on(customer, plans[0], today - timedelta(days=40))

    def change_everything() -> None:
        apply_promotion(customer=customer, promotion=promotion)
        set_billing_profile(customer, tax_rates=[tax], legal_name="Acme")
        set_quantity(assignment, fee_key="seats", quantity=3, starts_on=today)
        change_plan(assignment, plan=plans[1], when="period_end")

    def change_for_all() -> None:
        save_promotion(promotion, changes={"percent": 20})
        save_tax_rate(tax, changes={"is_default": False})
        set_terms(draft_version(plans[0]), minimum="5")
        activate(plans[0])

    def compute() -> None:
        for _ in range(4):
            send(customer.key, meter.key, 5)
            run_sweep()

    assert race(change_everything, change_for_all, compute, compute) == []
    run_sweep()
    kinds = set(live_invoice(customer).lines.values_list("kind", flat=True))
    assert {"usage", "fee", "promotion", "tax"} <= kinds
