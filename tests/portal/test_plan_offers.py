"""Other plans: which are offered, what the last period would have cost on them, and a change to one of them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from invoices.backtests import other_plans
from invoices.models import Invoice
from meters.models import Customer, Meter
from portal.models import Membership
from portal.roles import Role
from pricing.assignments import change_plan
from pricing.models import Assignment, AssignmentLog, Plan
from pricing.plans import activate, draft_version, retire, set_fee, set_rate, set_terms
from pricing.private_plans import make_private
from pricing.promotions import apply_promotion, save_promotion
from tests.factories import make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.portal.conftest import SignIn
from tests.portal.test_plan import HTMX, PER_CALL, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def scale(calls: Meter) -> Plan:
    return make_plan("Scale", {calls: PER_CALL}, offer=Plan.Offer.SELF_SERVICE, description="For many calls.")


def compared(client: Client) -> list[tuple[str, str, str]]:
    found = client.get("/plan/comparison/").context["comparisons"]
    return [(row.plan.key, row.total, row.change) for one in found for table in one.tables for row in table.rows]


def why_not(client: Client) -> list[str]:
    found = client.get("/plan/comparison/").context["comparisons"]
    return [one.why_not for comparison in found for one in comparison.left_out]


# --- Offered ---


def test_what_the_vendor_offers_is_shown_with_its_prices(owner: Client, scale: Plan, calls: Meter) -> None:
    make_plan("Secret", {calls: PER_CALL})
    make_plan("Basic", {calls: PER_CALL}, offer=Plan.Offer.SHOWN)
    gone = make_plan("Gone", {calls: PER_CALL}, offer=Plan.Offer.SHOWN)
    retire(gone)
    page = owner.get("/plan/")
    assert [offer.plan.key for offer in page.context["offers"]] == ["Basic", "Scale"]
    words = text(page)
    assert "For many calls." in words
    assert "$0.01 per call" in words
    assert words.count("Change to it") == 1
    assert "To get this plan, ask" in words
    assert "Secret" not in words
    assert "Gone" not in words


def test_a_private_plan_is_offered_to_its_customer_alone(
    owner: Client, stranger: Client, acme: Customer, scale: Plan
) -> None:
    private = make_private(scale, customer=acme)
    activate(private)
    assert "For you alone" not in text(owner.get("/plan/"))
    Plan.objects.filter(pk=private.pk).update(offer=Plan.Offer.SELF_SERVICE)
    assert "For you alone" in text(owner.get("/plan/"))
    assert "For you alone" not in text(stranger.get("/plan/"))
    theirs = Assignment.objects.get(customer__key="globex")
    assert stranger.get(f"/plan/{theirs.pk}/change/{private.key}/").status_code == 404


def test_one_in_another_currency_says_so(owner: Client, calls: Meter) -> None:
    plan = Plan.objects.create(key="Yen", offer=Plan.Offer.SHOWN)
    set_terms(draft_version(plan), currency="JPY")
    set_rate(draft_version(plan), product_item=calls.product_item, parameters={"model": "per_unit", "unit_price": "2"})
    activate(plan)
    assert "Billed in JPY" in text(owner.get("/plan/"))
    assert compared(owner) == [("Yen", "¥12,000", "")]
    assert "another currency" in text(owner.get("/plan/comparison/"))


# --- The last period by it ---


def test_the_last_period_by_another_plan(
    owner: Client, scale: Plan, october: Invoice, django_assert_max_num_queries: object
) -> None:
    owner.get("/plan/comparison/")
    with django_assert_max_num_queries(40):  # type: ignore[operator]
        page = owner.get("/plan/comparison/")
    # 6,000 calls: $5 by Growth, and that is what was billed; $60 by Scale.
    assert october.subtotal == Decimal(5)
    words = text(page)
    assert "1–31 Oct 2026 on Growth came to $5.00 before tax." in words
    assert compared(owner) == [("Scale", "$60.00", "$55.00 more")]
    assert "Your invoice says" not in words
    part = owner.get("/plan/comparison/", **HTMX)
    assert "<html" not in part.content.decode()
    assert "$55.00 more" in text(part)


def test_each_plan_is_as_a_bill_on_it_would_have_been(owner: Client, acme: Customer, calls: Meter) -> None:
    """Fees, a minimum and promotions count, and no cent is lost: a customer who was on it has that bill."""
    fine = {"model": "per_unit", "unit_price": "0.00333"}
    plan = Plan.objects.create(key="Fine", offer=Plan.Offer.SHOWN)
    set_rate(draft_version(plan), product_item=calls.product_item, parameters=fine)
    set_fee(draft_version(plan), key="base", name="Base", amount=Decimal("9.99"))
    set_fee(draft_version(plan), key="support", name="Support", kind="percent", percent=Decimal("7.5"))
    activate(plan)
    other = make_customer("umbrella")
    put_on(other, plan, date(2026, 10, 1))
    off = save_promotion(changes={"key": "off", "name": "Off", "percent": "33.3"})
    for customer in (acme, other):
        apply_promotion(customer=customer, promotion=off, starts_on=date(2026, 11, 1))
    send("umbrella", "ApiCalls", 6000, time=datetime(2026, 10, 3, 9, tzinfo=UTC))
    run_sweep()
    run_sweep()
    theirs = Invoice.objects.get(customer=other, period_start=datetime(2026, 10, 1, tzinfo=UTC))
    assert compared(owner) == [("Fine", f"${theirs.subtotal}", f"${theirs.subtotal - 5} more")]


def test_one_that_costs_less_and_one_that_costs_the_same(owner: Client, growth: Plan, calls: Meter) -> None:
    make_plan("Cheap", {calls: {"model": "per_unit", "unit_price": "0.0001"}}, offer=Plan.Offer.SHOWN)
    make_plan("Same", {calls: growth.versions.get().rates.get().parameters}, offer=Plan.Offer.SHOWN)
    assert compared(owner) == [("Cheap", "$0.60", "$4.40 less"), ("Same", "$5.00", "The same")]


def test_what_another_plan_has_no_price_for_is_told(owner: Client, calls: Meter) -> None:
    make_plan("Exports", {make_meter("Exports"): PER_CALL}, offer=Plan.Offer.SHOWN)
    assert compared(owner) == [("Exports", "$0.00", "$5.00 less")]
    assert "Has no price for API calls, which you used" in text(owner.get("/plan/comparison/"))


def test_periods_that_do_not_fit_and_those_that_do_together(owner: Client, acme: Customer, calls: Meter) -> None:
    for key, interval in (("Weekly", "week"), ("Daily", "day")):
        plan = make_plan(key, {calls: PER_CALL}, offer=Plan.Offer.SHOWN)
        set_terms(draft_version(plan), interval=interval)
        activate(plan)
    assert why_not(owner) == ["It is billed every week, and its periods and yours do not begin and end together."]
    assert [row[:2] for row in compared(owner)] == [("Daily", "$60.00")]


def test_prices_of_single_events_are_read_but_for_too_many(
    owner: Client, calls: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = {"model": "percentage", "rate_percent": "1", "fixed_fee_per_event": "0.30"}
    make_plan("Cards", {calls: cards}, offer=Plan.Offer.SHOWN)
    assert compared(owner) == [("Cards", "$60.30", "$55.30 more")]
    monkeypatch.setattr(other_plans, "MOST_EVENTS", 0)
    assert why_not(owner) == ["The price of API calls is made of single events, and 1 are too many for a page."]


def test_an_item_of_another_plan_of_mine_is_not_counted_twice(owner: Client, acme: Customer, calls: Meter) -> None:
    exports = make_meter("Exports")
    put_on(acme, make_plan("Beside", {exports: PER_CALL}), date(2026, 11, 1))
    make_plan("Both", {calls: PER_CALL, exports: PER_CALL}, offer=Plan.Offer.SHOWN)
    found = why_not(owner)
    assert "It has a price for Exports as well, which another plan of yours has." in found


def test_usage_that_came_late_is_in_it_and_the_invoice_is_told(owner: Client, acme: Customer, scale: Plan) -> None:
    send("acme", "ApiCalls", 4000, time=datetime(2026, 10, 9, tzinfo=UTC), now=timezone.now())
    run_sweep()
    words = text(owner.get("/plan/comparison/"))
    assert "came to $25.00 before tax" in words
    assert "Your invoice says $5.00 before tax" in words
    assert compared(owner) == [("Scale", "$100.00", "$75.00 more")]


def test_without_a_period_that_is_over(stranger: Client, scale: Plan) -> None:
    assert "No period on Growth is over yet." in text(stranger.get("/plan/comparison/"))


# --- A change ---


def change_url(acme: Customer, plan: Plan) -> str:
    return f"/plan/{acme.assignments.order_by('pk')[0].pk}/change/{plan.key}/"


SHOWN = {"day": "2026-12-01", "version": "1"}


def test_it_is_told_before_it_is_done_then_done_shown_and_taken_back(
    owner: Client, acme: Customer, scale: Plan
) -> None:
    asked = owner.get(change_url(acme, scale))
    words = text(asked)
    assert "You stay on Growth up to and with 30 Nov 2026" in words
    assert "From 1 Dec 2026 on you are on Scale" in words
    assert "The first period is 1–31 Dec 2026" in words
    assert "$0.01 per call" in words
    assert acme.assignments.count() == 1
    done = owner.post(change_url(acme, scale), SHOWN, follow=True)
    assert done.redirect_chain == [("/plan/", 302)]
    words = text(done)
    assert "From 1 Dec 2026 on you are on Scale. Until then nothing changes." in words
    assert "Scale takes its place on 1 Dec 2026. alice asked for it." in words
    assert "Change to it" not in words
    assert AssignmentLog.objects.filter(actor="alice", source="portal").count() == 2
    new = acme.assignments.get(plan=scale)
    assert "Stay on Growth?" in text(owner.get(f"/plan/{new.pk}/take-back/"))
    back = owner.post(f"/plan/{new.pk}/take-back/", follow=True)
    assert "The change is taken back: you stay on Growth." in text(back)
    assert "takes its place" not in text(back)
    again = owner.post(f"/plan/{new.pk}/take-back/", follow=True)
    assert "is taken back already" in text(again)


def test_a_double_click_and_two_members(owner: Client, colleague: Client, acme: Customer, scale: Plan) -> None:
    for _ in range(2):
        assert owner.post(change_url(acme, scale), SHOWN).status_code == 302
    told = colleague.post(change_url(acme, scale), SHOWN)
    assert told.status_code == 422
    assert "Nothing is changed. A change to Scale on 1 Dec 2026 is planned already by alice." in text(told)
    assert acme.assignments.count() == 2


def test_a_page_that_is_old_is_shown_again(
    owner: Client, acme: Customer, scale: Plan, calls: Meter, clock: time_machine.Traveller, sign_in: SignIn
) -> None:
    set_rate(
        draft_version(scale), product_item=calls.product_item, parameters={"model": "per_unit", "unit_price": "0.02"}
    )
    activate(scale)
    told = owner.post(change_url(acme, scale), SHOWN)
    assert told.status_code == 422
    assert "has changed meanwhile" in text(told)
    assert "$0.02 per call" in text(told)
    clock.move_to(datetime(2026, 12, 3, tzinfo=UTC))
    later = sign_in("dave", acme)
    assert later.post(change_url(acme, scale), {"day": "2026-12-01", "version": "2"}).status_code == 422
    assert acme.assignments.count() == 1


def test_trials_and_minimum_are_told(owner: Client, acme: Customer, scale: Plan, growth: Plan) -> None:
    set_terms(draft_version(scale), trial_days=14, minimum=Decimal(50))
    activate(scale)
    words = text(owner.get(change_url(acme, scale)))
    assert "The trial of Scale is for new customers, so you are charged from the first day." in words
    assert "Minimum $50.00 a period, before tax" in words


def test_a_trial_that_runs_ends_with_the_plan(sign_in: SignIn, calls: Meter, scale: Plan) -> None:
    trying = make_plan("Try", {calls: PER_CALL})
    set_terms(draft_version(trying), trial_days=60)
    activate(trying)
    customer = make_customer("initech", name="Initech")
    mine = put_on(customer, trying, date(2026, 11, 10))
    words = text(sign_in("ines", customer).get(f"/plan/{mine.pk}/change/{scale.key}/"))
    assert "Your trial of Try ends with it." in words


def test_what_is_refused_is_told_in_words(owner: Client, acme: Customer, calls: Meter, growth: Plan) -> None:
    shown = make_plan("Shown", {calls: PER_CALL}, offer=Plan.Offer.SHOWN)
    for answer in (owner.get(change_url(acme, shown)), owner.post(change_url(acme, shown), SHOWN)):
        assert answer.status_code == 422
        assert "Shown is not one that you can change to by yourself." in text(answer)
    hidden = make_plan("Hidden", {calls: PER_CALL})
    assert owner.get(change_url(acme, hidden)).status_code == 404
    for body in ({}, {"day": "soon", "version": "1"}, {"day": "2026-12-01", "version": "x"}):
        assert owner.post(change_url(acme, shown), body).status_code == 404


def test_who_only_reads_changes_nothing(acme: Customer, sign_in: SignIn, scale: Plan) -> None:
    client = sign_in("rita", acme)
    Membership.objects.filter(user__username="rita").update(role=Role.READ_ONLY)
    words = text(client.get("/plan/"))
    assert "Change to it" not in words
    assert "Who has the role Billing can change to it here." in words
    for page in (change_url(acme, scale), f"/plan/{acme.assignments.get().pk}/take-back/"):
        assert client.get(page).status_code == 403
        assert client.post(page, SHOWN).status_code == 403
    assert acme.assignments.count() == 1
    Membership.objects.filter(user__username="rita").update(role=Role.BILLING)
    assert client.post(change_url(acme, scale), SHOWN).status_code == 302


def test_strangers_change_nothing(stranger: Client, acme: Customer, scale: Plan, owner: Client, client: Client) -> None:
    assert stranger.get(change_url(acme, scale)).status_code == 404
    assert stranger.post(change_url(acme, scale), SHOWN).status_code == 404
    owner.post(change_url(acme, scale), SHOWN)
    new = acme.assignments.get(plan=scale)
    assert stranger.post(f"/plan/{new.pk}/take-back/").status_code == 404
    assert client.post(f"/plan/{new.pk}/take-back/").status_code == 302
    assert acme.assignments.get(plan=scale).ends_on is None


def test_a_change_without_the_form_s_token_is_refused(acme: Customer, sign_in: SignIn, scale: Plan) -> None:
    sign_in("erin", acme)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(Membership.objects.get(user__username="erin").user)
    assert strict.post(change_url(acme, scale), SHOWN).status_code == 403
    assert acme.assignments.count() == 1


def test_what_staff_planned_is_shown_and_stays(owner: Client, acme: Customer, scale: Plan) -> None:
    planned = change_plan(acme.assignments.get(), plan=scale, when="period_end", actor="sam")
    words = text(owner.get("/plan/"))
    assert "has arranged it." in words
    assert "sam" not in words
    assert "Take it back" not in words
    assert owner.post(f"/plan/{planned.pk}/take-back/").status_code == 404
