"""The forms of fees and terms, as a browser posts them."""

from decimal import Decimal

import pytest
from django.test import Client

from pricing.admin.fee_form import key_of_name
from pricing.models import Fee, Plan, PlanVersion
from pricing.plans import activate, draft_version, set_fee, set_terms
from tests.factories import STORY_RATE, make_meter, make_plan
from tests.pricing.pages import faults, text, words

pytestmark = pytest.mark.django_db

SEATS = {"name": "Seats", "kind": "recurring", "amount": "12.50", "quantity": "5", "unit": "seats", "prorated": "on"}
TERMS = {
    "interval_count": "1",
    "interval": "month",
    "alignment": "calendar",
    "currency": "USD",
    "trial_days": "0",
    "floor": "none",
    "overage_factor": "1",
}


@pytest.fixture
def draft() -> PlanVersion:
    return draft_version(Plan.objects.create(key="Basic"))


def page(version: PlanVersion, action: str = "change") -> str:
    return f"/admin/pricing/plan/{version.plan_id}/{action}/"


# --- Fees ---


def test_a_fee_for_seats_is_added_changed_and_removed(staff: Client, draft: PlanVersion) -> None:
    response = staff.post(page(draft, "fees/add"), SEATS, follow=True)
    assert response.redirect_chain[-1][0] == f"{page(draft)}#draft"
    assert "Seats in Basic v1: $12.50 each for 5 seats, every period." in words(response)
    fee = Fee.objects.get()
    assert (fee.key, fee.amount, fee.quantity, fee.unit, fee.prorated) == (
        *("seats", Decimal("12.5"), Decimal(5), "seats", True),
    )

    form = staff.get(page(draft, f"fees/{fee.pk}")).context["form"]
    assert (form["amount"].value(), form["quantity"].value()) == ("12.5", "5")
    assert "key" not in form.fields
    changed = {"name": "Users", "kind": "recurring", "amount": "9", "quantity": "", "unit": "", "key": "stolen"}
    staff.post(page(draft, f"fees/{fee.pk}"), changed)
    fee.refresh_from_db()
    assert (fee.key, fee.name, fee.amount, fee.quantity, fee.prorated) == ("seats", "Users", 9, 1, False)

    assert "Users is no longer in Basic v1." in words(staff.post(page(draft, f"fees/{fee.pk}/remove"), follow=True))
    assert not Fee.objects.exists()


def test_only_the_fields_of_the_chosen_kind_count(staff: Client, draft: PlanVersion) -> None:
    staff.post(page(draft, "fees/add"), SEATS | {"name": "Support", "kind": "percent", "percent": "10"})
    staff.post(page(draft, "fees/add"), SEATS | {"name": "Set-up", "kind": "one_time", "percent": "10"})
    support, setup = Fee.objects.order_by("id")
    assert (support.key, support.percent, support.amount, support.quantity) == ("support", 10, None, 1)
    assert (setup.key, setup.percent, setup.amount, setup.quantity) == ("set-up", None, Decimal("12.5"), 5)
    shown = words(staff.get(page(draft)))
    assert "10% of usage and other fees" in shown
    assert "$12.50 each for 5 seats, once" in shown


BAD = [
    (SEATS | {"amount": ""}, "amount", "Write a number; 0 is one too."),
    (SEATS | {"amount": "-1"}, "amount", "greater than or equal to 0"),
    (SEATS | {"amount": "a lot"}, "amount", "Enter a number."),
    (SEATS | {"amount": "NaN"}, "amount", "Enter a number."),
    (SEATS | {"amount": "0.0000000000000001"}, "amount", "more than 15 decimals"),
    (SEATS | {"quantity": "-1"}, "quantity", "greater than or equal to 0"),
    (SEATS | {"name": ""}, "name", "required"),
    (SEATS | {"name": "Se\0ats"}, "name", "Null characters"),
    (SEATS | {"kind": "yearly"}, "kind", "valid choice"),
    (SEATS | {"kind": "percent", "percent": ""}, "percent", "Write a number."),
    (SEATS | {"kind": "percent", "percent": "0"}, "percent", "greater than 0"),
    (SEATS | {"name": "座席"}, "key", "write one"),
    (SEATS | {"key": "no spaces"}, "key", "Use letters"),
    (SEATS | {"key": "taken"}, "key", "Another fee has this key."),
    (SEATS | {"name": "Taken"}, "key", "Another fee has this key."),
]


@pytest.mark.parametrize(("typed", "field", "error"), BAD)
def test_a_refusal_stands_beside_its_field(
    staff: Client, draft: PlanVersion, typed: dict[str, str], field: str, error: str
) -> None:
    set_fee(draft, key="taken", name="There already", amount="1")
    found = faults(staff.post(page(draft, "fees/add"), typed))
    assert list(found) == [field]
    assert error in found[field][0]
    assert Fee.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Priority support", "priority-support"),
        ("  Prämie & mehr! ", "pramie-mehr"),
        ("24/7 hotline", "hotline"),
        ("100%", ""),
        ("座席", ""),
        ("x" * 200, "x" * 100),
    ],
)
def test_a_key_is_made_of_the_name(name: str, key: str) -> None:
    assert key_of_name(name) == key


def test_fees_and_terms_of_a_frozen_version_are_refused(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    set_fee(draft_version(plan), key="seats", name="Seats", amount="1")
    fee = Fee.objects.get()
    asked = staff.get(f"/admin/pricing/plan/{plan.pk}/fees/{fee.pk}/").context["form"]
    assert asked.fee == fee
    version = activate(plan)
    for action in ("fees/add", f"fees/{fee.pk}", "terms"):
        response = staff.post(page(version, action), SEATS | TERMS, follow=True)
        assert "is frozen. Change prices starts a new version." in words(response)
    response = staff.post(page(version, f"fees/{fee.pk}/remove"), follow=True)
    assert "its prices are frozen" in words(response)
    fee.refresh_from_db()
    assert fee.amount == 1


def test_the_fee_of_another_plan_is_not_found_here(staff: Client, draft: PlanVersion) -> None:
    set_fee(draft, key="seats", name="Seats", amount="1")
    fee = Fee.objects.get()
    other = Plan.objects.create(key="Other")
    for action in (f"fees/{fee.pk}/", f"fees/{fee.pk}/remove/", f"fees/{fee.pk}/take-back/"):
        assert staff.post(f"/admin/pricing/plan/{other.pk}/{action}").status_code == 404
    assert Fee.objects.exists()


# --- Terms ---


def test_terms_are_changed_and_told(staff: Client, draft: PlanVersion) -> None:
    typed = TERMS | {"interval_count": "2", "interval": "week", "alignment": "anniversary", "currency": "eur"}
    typed |= {"trial_days": "14", "floor": "commitment", "commitment": "100", "overage_factor": "1.25", "minimum": "7"}
    response = staff.post(page(draft, "terms"), typed, follow=True)
    draft.refresh_from_db()
    assert (draft.interval, draft.interval_count, draft.alignment, draft.currency) == ("week", 2, "anniversary", "EUR")
    assert (draft.trial_days, draft.minimum, draft.commitment, draft.overage_factor) == (14, 0, 100, Decimal("1.25"))
    shown = words(response)
    assert "every 2 weeks, from the day that the customer began" in shown
    assert "€100.00 a period" in shown
    assert "charged times 1.25" in shown


def test_a_commitment_gives_way_to_a_minimum_and_that_to_nothing(staff: Client, draft: PlanVersion) -> None:
    set_terms(draft, commitment="100", overage_factor="1.25")
    form = staff.get(page(draft, "terms")).context["form"]
    assert (form["floor"].value(), form["commitment"].value()) == ("commitment", "100")
    staff.post(page(draft, "terms"), TERMS | {"floor": "minimum", "minimum": "49", "commitment": "100"})
    draft.refresh_from_db()
    assert (draft.minimum, draft.commitment, draft.overage_factor) == (49, None, 1)
    staff.post(page(draft, "terms"), TERMS | {"minimum": "49"})
    draft.refresh_from_db()
    assert (draft.minimum, draft.commitment) == (0, None)


BAD_TERMS = [
    ({"interval_count": "0"}, "interval_count", "greater than or equal to 1"),
    ({"interval_count": "367"}, "interval_count", "less than or equal to 366"),
    ({"interval_count": "1.5"}, "interval_count", "whole number"),
    ({"interval": "decade"}, "interval", "valid choice"),
    ({"alignment": ""}, "alignment", "required"),
    ({"currency": "XXX"}, "currency", "no currency of ISO 4217"),
    ({"currency": "EURO"}, "currency", "at most 3 characters"),
    ({"trial_days": "-1"}, "trial_days", "greater than or equal to 0"),
    ({"floor": "minimum"}, "minimum", "Write an amount above 0."),
    ({"floor": "minimum", "minimum": "x"}, "minimum", "Enter a number."),
    ({"floor": "commitment", "commitment": "0"}, "commitment", "Write an amount above 0."),
    ({"floor": "commitment", "commitment": "5", "overage_factor": "-1"}, "overage_factor", "greater than or equal"),
]


@pytest.mark.parametrize(("typed", "field", "error"), BAD_TERMS)
def test_refused_terms_stand_beside_their_field(
    staff: Client, draft: PlanVersion, typed: dict[str, str], field: str, error: str
) -> None:
    response = staff.post(page(draft, "terms"), TERMS | typed)
    found = faults(response)
    assert list(found) == [field]
    assert error in found[field][0]
    assert error in text(response)
    before = draft.currency, draft.interval, draft.interval_count, draft.minimum
    draft.refresh_from_db()
    assert before == (draft.currency, draft.interval, draft.interval_count, draft.minimum)


def test_a_plan_of_fees_alone_can_be_activated(staff: Client, draft: PlanVersion) -> None:
    staff.post(page(draft, "fees/add"), SEATS)
    assert staff.get(page(draft)).context["can_activate"]
    assert "Basic v1 is active." in words(staff.post(page(draft, "activate"), follow=True))
