"""The staff pages of assignments: putting customers on plans, ending, changing plans, quantities, and the log."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from invoices.models import Invoice
from meters.models import Meter
from pricing.drafts import set_fee
from pricing.models import Assignment, AssignmentLog, AssignmentQuantity, Plan
from pricing.plans import activate, draft_version
from pricing.private_plans import make_private
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep
from tests.pricing.pages import faults, text, words

pytestmark = pytest.mark.django_db

ADD = "/admin/pricing/assignment/add/"
NOON = "2026-11-18T12:00:00Z"


def page(assignment: Assignment, action: str = "change") -> str:
    return f"/admin/pricing/assignment/{assignment.pk}/{action}/"


def plan_with_seats(key: str = "Team") -> Plan:
    plan = Plan.objects.create(key=key)
    draft = draft_version(plan)
    set_fee(
        draft, key="seats", name="Seats", kind="recurring", amount=Decimal("9.5"), quantity=Decimal(3), unit="seats"
    )
    set_fee(draft, key="support", name="Support", kind="percent", percent=Decimal(10))
    activate(plan)
    plan.refresh_from_db()
    return plan


# --- Assigning and ending ---


def test_staff_assign_a_plan_end_it_and_take_the_end_back(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    customer = make_customer("acme")
    today = timezone.localdate()
    staff.post(ADD, {"customer": customer.pk, "plan": plan.pk, "starts_on": f"{today}", "ends_on": ""})
    assignment = Assignment.objects.get()
    assert assignment.source == Assignment.Source.STAFF
    assert live_invoice(customer).assignment == assignment

    response = staff.post(page(assignment), {"ends_on": f"{today - timedelta(days=1)}"})
    assert list(faults(response, "adminform")) == ["ends_on"]
    ends_on = today + timedelta(days=1)
    staff.post(page(assignment), {"ends_on": f"{ends_on}", "plan": "99"})
    assignment.refresh_from_db()
    assert (assignment.plan, assignment.ends_on) == (plan, ends_on)
    staff.post(page(assignment), {"ends_on": ""})
    assignment.refresh_from_db()
    assert assignment.ends_on is None
    assert list(AssignmentLog.objects.order_by("id").values_list("kind", "source", "actor")) == [
        ("unmatched", "rule", ""),
        ("assigned", "staff", "staff"),
        ("ended", "staff", "staff"),
        ("reopened", "staff", "staff"),
    ]
    assert staff.get(page(assignment, "delete")).status_code == 403


def test_a_conflicting_assignment_is_refused_beside_the_plan(staff: Client) -> None:
    meter = make_meter()
    first, second = make_plan("First", {meter: STORY_RATE}), make_plan("Second", {meter: STORY_RATE})
    customer = make_customer("acme")
    put_on(customer, first, date(2026, 7, 1))
    response = staff.post(ADD, {"customer": customer.pk, "plan": second.pk, "starts_on": "2026-07-10"})
    assert "already priced by First" in faults(response, "adminform")["plan"][0]
    assert Assignment.objects.count() == 1


def test_customers_can_be_searched_for_an_assignment(staff: Client) -> None:
    make_customer("acme")
    query = {"app_label": "pricing", "model_name": "assignment", "field_name": "customer", "term": "acm"}
    assert [row["text"] for row in staff.get("/admin/autocomplete/", query).json()["results"]] == ["acme"]


def test_a_private_plan_is_offered_to_its_customer_only(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    acme, globex = make_customer("acme"), make_customer("globex")
    private = make_private(plan, customer=acme)
    activate(private)

    def offered(**query: Any) -> list[Plan]:
        return list(staff.get(ADD, query).context["adminform"].form.fields["plan"].queryset)

    assert private in offered(customer=acme.pk)
    for asked in (offered(customer=globex.pk), offered(customer="9" * 30), offered()):
        assert asked == [plan]
    response = staff.post(ADD, {"customer": globex.pk, "plan": private.pk, "starts_on": f"{timezone.localdate()}"})
    assert list(faults(response, "adminform")) == ["plan"]
    staff.post(ADD, {"customer": acme.pk, "plan": private.pk, "starts_on": f"{timezone.localdate()}"})
    assert Assignment.objects.get().plan == private


def test_an_assignment_without_a_day_never_began(staff: Client) -> None:
    customer, plan = make_customer("acme"), make_plan("Basic", {make_meter(): STORY_RATE})
    today = timezone.localdate()
    assignment = put_on(customer, plan, today)
    staff.post(page(assignment), {"ends_on": f"{today}"})
    assert "Never began" in text(staff.get(f"/admin/meters/customer/{customer.pk}/change/"))
    for time, count in (("running", 0), ("ahead", 0), ("over", 1)):
        listed = staff.get("/admin/pricing/assignment/", {"time": time}).context["cl"].result_list
        assert len(listed) == count


# --- Changing the plan ---


@pytest.fixture
def meter(db: None) -> Meter:
    return make_meter()


@time_machine.travel(NOON, tick=False)
@pytest.mark.parametrize(
    ("when", "day", "starts_on"),
    [
        ("now", "", date(2026, 11, 18)),
        ("period_end", "", date(2026, 12, 1)),
        ("date", "2026-11-25", date(2026, 11, 25)),
    ],
)
def test_a_plan_is_changed_today_at_period_end_or_on_a_day(
    staff: Client, meter: Meter, when: str, day: str, starts_on: date
) -> None:
    old, new = make_plan("Old", {meter: STORY_RATE}), make_plan("New", {meter: STORY_RATE})
    assignment = put_on(make_customer("acme"), old, date(2026, 11, 1))
    asked = words(staff.get(page(assignment, "change-plan")))
    assert "When the running period ends, on 1 Dec 2026" in asked
    assert "Today, 18 Nov 2026" in asked
    response = staff.post(page(assignment, "change-plan"), {"plan": f"{new.pk}", "when": when, "day": day}, follow=True)
    assert "The plan of acme changes from Old to New on" in text(response)
    assert list(Assignment.objects.order_by("pk").values_list("plan__key", "starts_on", "ends_on")) == [
        ("Old", date(2026, 11, 1), starts_on),
        ("New", starts_on, None),
    ]
    assert set(AssignmentLog.objects.exclude(source="rule").values_list("actor", flat=True)) == {"", "staff"}
    assert Invoice.objects.filter(assignment__plan=new).exists() == (starts_on <= date(2026, 11, 18))


@time_machine.travel(NOON, tick=False)
@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"when": "date"}, "day"),
        ({"when": "date", "day": "soon"}, "day"),
        ({"when": "date", "day": "2026-10-31"}, "day"),
        ({"when": "date", "day": "9999-12-31"}, "day"),
        ({"when": "never"}, "when"),
        ({"when": ""}, "when"),
        ({"when": "now", "plan": ""}, "plan"),
        ({"when": "now", "plan": "999999"}, "plan"),
    ],
)
def test_a_change_of_plan_is_refused_beside_the_field(
    staff: Client, meter: Meter, answers: dict[str, str], field: str
) -> None:
    old, new = make_plan("Old", {meter: STORY_RATE}), make_plan("New", {meter: STORY_RATE})
    assignment = put_on(make_customer("acme"), old, date(2026, 11, 1))
    response = staff.post(page(assignment, "change-plan"), {"plan": f"{new.pk}"} | answers)
    assert list(faults(response)) == [field]
    assert Assignment.objects.get().ends_on is None


@time_machine.travel(NOON, tick=False)
def test_a_change_that_meets_a_third_plan_is_refused_and_nothing_is_ended(staff: Client, meter: Meter) -> None:
    storage = make_meter("Storage")
    old, beside = make_plan("Old", {meter: STORY_RATE}), make_plan("Beside", {storage: STORY_RATE})
    both = make_plan("Both", {meter: STORY_RATE, storage: STORY_RATE})
    customer = make_customer("acme")
    assignment = put_on(customer, old, date(2026, 11, 1))
    put_on(customer, beside, date(2026, 11, 1))
    response = staff.post(page(assignment, "change-plan"), {"plan": f"{both.pk}", "when": "now"})
    assert "Storage is already priced by Beside" in faults(response)["plan"][0]
    assignment.refresh_from_db()
    assert assignment.ends_on is None


@time_machine.travel(NOON, tick=False)
def test_an_assignment_that_is_over_has_no_plan_to_change(staff: Client, meter: Meter) -> None:
    plan = make_plan("Old", {meter: STORY_RATE})
    assignment = put_on(make_customer("acme"), plan, date(2026, 10, 1), date(2026, 11, 18))
    assert "Change plan…" not in text(staff.get(page(assignment)))
    put_on(assignment.customer, plan, date(2026, 11, 18))
    assert "Change plan…" in text(staff.get(page(Assignment.objects.get(ends_on=None))))


# --- Quantities ---


@time_machine.travel(NOON, tick=False)
def test_quantities_are_set_from_a_day_on(staff: Client) -> None:
    assignment = put_on(make_customer("acme"), plan_with_seats(), date(2026, 11, 1))
    shown = words(staff.get(page(assignment)))
    assert "3 seats (the plan&#x27;s)" in shown
    assert "$9.50 each" in shown
    assert "Support" not in shown
    target = page(assignment, "quantities/seats")
    assert 'value="2026-11-18"' in text(staff.get(target))
    response = staff.post(target, {"quantity": "5", "starts_on": "2026-11-10"}, follow=True)
    assert "Seats: 5 from 10 Nov 2026." in text(response)
    staff.post(target, {"quantity": "8", "starts_on": "2026-12-01"})
    shown = words(staff.get(page(assignment)))
    assert 'data-label="Now">5 seats</td>' in shown
    assert "5 from 10 Nov 2026" in shown
    assert "8 from 1 Dec 2026" in shown
    assert "Quantity changed" in shown
    staff.post(target, {"quantity": "6", "starts_on": "2026-11-10"})
    assert list(AssignmentQuantity.objects.order_by("starts_on").values_list("quantity", flat=True)) == [6, 8]


@time_machine.travel(NOON, tick=False)
@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"quantity": ""}, "quantity"),
        ({"quantity": "-1"}, "quantity"),
        ({"quantity": "many"}, "quantity"),
        ({"quantity": "NaN"}, "quantity"),
        ({"quantity": "1" + "0" * 30}, "quantity"),
        ({"starts_on": ""}, "starts_on"),
        ({"starts_on": "2026-10-31"}, "starts_on"),
    ],
)
def test_a_quantity_is_refused_beside_the_field(staff: Client, answers: dict[str, str], field: str) -> None:
    assignment = put_on(make_customer("acme"), plan_with_seats(), date(2026, 11, 1))
    response = staff.post(page(assignment, "quantities/seats"), {"quantity": "5", "starts_on": "2026-11-10"} | answers)
    assert list(faults(response)) == [field]
    assert not AssignmentQuantity.objects.exists()


@time_machine.travel(NOON, tick=False)
def test_a_quantity_from_a_day_in_a_final_invoice_is_refused_beside_the_day(staff: Client) -> None:
    assignment = put_on(make_customer("acme"), plan_with_seats(), date(2026, 10, 1))
    run_sweep()
    response = staff.post(page(assignment, "quantities/seats"), {"quantity": "5", "starts_on": "2026-10-31"})
    assert faults(response) == {
        "starts_on": ["Invoice 2026-0001, up to 1 Nov 2026, is final, and stays as it is."],
    }


def test_a_fee_without_a_quantity_has_no_page(staff: Client) -> None:
    assignment = put_on(make_customer("acme"), plan_with_seats(), timezone.localdate())
    for key in ("support", "other"):
        assert staff.get(page(assignment, f"quantities/{key}")).status_code == 404


# --- Who may ---


def test_changes_need_permission(colleague: Any, meter: Meter) -> None:
    assignment = put_on(make_customer("acme"), make_plan("Old", {meter: STORY_RATE}), timezone.localdate())
    pages = [page(assignment, "change-plan"), page(assignment, "quantities/seats"), "/admin/pricing/assignment/import/"]
    viewer = colleague("view_assignment")
    shown = text(viewer.get(page(assignment)))
    assert "Change plan…" not in shown
    assert "What was done" in shown
    assert "Import CSV" not in text(viewer.get("/admin/pricing/assignment/"))
    for target in pages:
        assert viewer.get(target).status_code == 403
        assert viewer.post(target).status_code == 403
    ender = colleague("view_assignment", "change_assignment")
    assert ender.get(page(assignment, "change-plan")).status_code == 403  # it assigns a plan too
    ender.logout()
    for target in pages:
        assert ender.post(target)["Location"].startswith("/admin/login/")


# --- The log ---


def test_the_log_names_the_rule_or_who_did_it(staff: Client, meter: Meter) -> None:
    plan = make_plan("Basic", {meter: STORY_RATE}, is_default=True)
    customer = make_customer("acme")
    assignment = customer.assignments.get()
    staff.post(page(assignment), {"ends_on": f"{timezone.localdate() + timedelta(days=3)}"})
    shown = words(staff.get("/admin/pricing/assignmentlog/"))
    assert "Default plan" in shown
    assert "Staff: staff" in shown
    assert f"On {plan} from" in shown
    assert staff.get("/admin/pricing/assignmentlog/add/").status_code == 403
    entry = AssignmentLog.objects.first()
    assert entry is not None
    assert staff.post(f"/admin/pricing/assignmentlog/{entry.pk}/delete/").status_code == 403
    found = staff.get("/admin/pricing/assignmentlog/", {"customer__id__exact": customer.pk, "q": "until"})
    assert len(found.context["cl"].result_list) == 1


def test_the_log_asks_as_often_for_many_entries_as_for_one(
    staff: Client, meter: Meter, django_assert_max_num_queries: Any
) -> None:
    make_plan("Basic", {meter: STORY_RATE}, is_default=True)
    for number in range(5):
        make_customer(f"c{number}")
    with django_assert_max_num_queries(6):
        response = staff.get("/admin/pricing/assignmentlog/")
    assert len(response.context["cl"].result_list) == 5
