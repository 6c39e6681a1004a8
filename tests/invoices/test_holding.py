"""Held, released, approved, final before its time: what staff do to an invoice that is not final, and when they may."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from invoices import due, holding, services
from invoices.models import BillingPolicy, Invoice, PlanPolicy
from meters.models import Customer
from pricing.assignments import end
from tests.factories import live_invoice, send
from tests.invoices.november import MONTH_END, NOW
from tests.racing import race

pytestmark = pytest.mark.usefixtures("november")

IN_GRACE = MONTH_END + timedelta(hours=1)
AFTER = MONTH_END + timedelta(hours=25)


@pytest.fixture
def invoice(acme: Customer) -> Invoice:
    send("acme", "ApiCalls", 12300)
    return live_invoice(acme)


def close_due(now: datetime) -> None:
    """What the clock does."""
    for pk in due.due_invoices(now, 100):
        services.close(pk, now=now)


def status(invoice: Invoice, now: datetime) -> str:
    """After the clock has had its turn, twice."""
    close_due(now)
    close_due(now)
    invoice.refresh_from_db()
    return invoice.status


def events(invoice: Invoice) -> list[tuple[str, str]]:
    return list(invoice.events.values_list("kind", "actor"))


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ValidationError) as error:
        call(*args, **kwargs)
    return " ".join(error.value.messages)


class TestHolding:
    def test_keeps_it_from_becoming_final_until_it_is_released(self, invoice: Invoice) -> None:
        holding.hold(invoice.pk, reason=" Price is disputed ", actor="ada", now=NOW)
        # Its period is over all the same, and the clock may come as often as it likes.
        assert status(invoice, AFTER) == "grace"
        assert status(invoice, AFTER + timedelta(days=400)) == "grace"
        assert due.due_invoices(AFTER, 10) == []
        assert (invoice.held_at, invoice.hold_reason) == (NOW, "Price is disputed")
        holding.release(invoice.pk, actor="bob")
        assert status(invoice, AFTER) == "final"
        assert events(invoice) == [
            ("opened", ""),
            ("held", "ada"),
            ("grace", ""),
            ("released", "bob"),
            ("finalized", ""),
        ]

    def test_it_goes_on_following_usage(self, invoice: Invoice) -> None:
        holding.hold(invoice.pk, reason="Disputed")
        close_due(AFTER)
        send("acme", "ApiCalls", 1000, time=NOW)
        services.recalculate(invoice.pk, now=AFTER)
        invoice.refresh_from_db()
        assert invoice.total == 45

    def test_a_worker_that_is_late_leaves_it_alone(self, invoice: Invoice) -> None:
        """It was found before it was held."""
        close_due(MONTH_END)
        found = due.due_invoices(AFTER, 10)
        holding.hold(invoice.pk, reason="Disputed")
        for pk in found:
            services.close(pk, now=AFTER)
        assert status(invoice, AFTER) == "grace"

    def test_holding_it_again_changes_the_reason_and_not_since_when(self, invoice: Invoice) -> None:
        for reason, later in (("One", 0), ("Two", 1), ("Two", 2)):
            holding.hold(invoice.pk, reason=reason, now=NOW + timedelta(days=later))
        invoice.refresh_from_db()
        assert (invoice.held_at, invoice.hold_reason) == (NOW, "Two")
        assert [kind for kind, _ in events(invoice)] == ["opened", "held", "held"]

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 301, "two\nlines", "bell\a"])
    def test_says_why(self, invoice: Invoice, reason: str) -> None:
        with pytest.raises(ValidationError) as error:
            holding.hold(invoice.pk, reason=reason)
        assert set(error.value.message_dict) == {"reason"}
        invoice.refresh_from_db()
        assert invoice.held_at is None

    def test_what_is_not_held_is_not_released(self, invoice: Invoice) -> None:
        assert refused(holding.release, invoice.pk) == "This invoice is not held."

    def test_the_list_has_those_that_are_live(self, invoice: Invoice) -> None:
        holding.hold(invoice.pk, reason="Disputed")
        assert list(holding.held()) == [invoice]
        assignment = invoice.assignment
        end(assignment, ends_on=assignment.starts_on)  # which makes it void
        assert list(holding.held()) == []


class TestApproval:
    @pytest.fixture(autouse=True)
    def _policy(self, db: None) -> None:
        BillingPolicy.objects.create(needs_approval=True)

    def test_becoming_final_waits_for_it(self, invoice: Invoice) -> None:
        assert status(invoice, AFTER) == "grace"
        assert list(holding.to_be_approved(AFTER)) == [invoice]
        holding.approve(invoice.pk, actor="ada", now=AFTER)
        assert list(holding.to_be_approved(AFTER)) == []
        assert status(invoice, AFTER) == "final"
        assert (invoice.approved_at, invoice.approved_by) == (AFTER, "ada")
        assert ("approved", "ada") in events(invoice)

    def test_in_grace_it_does_not_end_the_grace_time(self, invoice: Invoice) -> None:
        close_due(IN_GRACE)
        holding.approve(invoice.pk, now=IN_GRACE)
        assert status(invoice, IN_GRACE) == "grace"
        assert status(invoice, AFTER) == "final"

    def test_is_not_given_before_the_period_is_over(self, invoice: Invoice) -> None:
        assert "not over" in refused(holding.approve, invoice.pk, now=MONTH_END - timedelta(seconds=1))
        assert list(holding.to_be_approved(NOW)) == []

    def test_counts_once(self, invoice: Invoice) -> None:
        holding.approve(invoice.pk, actor="ada", now=IN_GRACE)
        holding.approve(invoice.pk, actor="bob", now=AFTER)
        invoice.refresh_from_db()
        assert (invoice.approved_at, invoice.approved_by) == (IN_GRACE, "ada")
        assert [kind for kind, _ in events(invoice)].count("approved") == 1

    def test_of_another_period_is_none(self, invoice: Invoice) -> None:
        holding.approve(invoice.pk, now=IN_GRACE)
        end(invoice.assignment, ends_on=date(2026, 11, 30))
        invoice.refresh_from_db()
        assert invoice.approved_at is None

    @pytest.mark.parametrize(("of_plan", "expected"), [(None, "grace"), (True, "grace"), (False, "final")])
    def test_of_a_plan_goes_before_that_of_the_account(
        self, invoice: Invoice, of_plan: bool | None, expected: str
    ) -> None:
        PlanPolicy.objects.create(plan=invoice.assignment.plan, needs_approval=of_plan)
        assert status(invoice, AFTER) == expected

    def test_may_be_asked_for_by_a_plan_alone(self, invoice: Invoice) -> None:
        BillingPolicy.objects.update(needs_approval=False)
        PlanPolicy.objects.create(plan=invoice.assignment.plan, needs_approval=True)
        assert status(invoice, AFTER) == "grace"
        assert list(holding.to_be_approved(AFTER)) == [invoice]

    def test_is_not_needed_any_more_once_nobody_asks_for_it(self, invoice: Invoice) -> None:
        assert status(invoice, AFTER) == "grace"
        BillingPolicy.objects.update(needs_approval=False)
        assert status(invoice, AFTER) == "final"

    def test_one_that_is_held_too_waits_for_both(self, invoice: Invoice) -> None:
        holding.hold(invoice.pk, reason="Disputed")
        holding.approve(invoice.pk, now=AFTER)
        assert status(invoice, AFTER) == "grace"
        holding.release(invoice.pk)
        assert status(invoice, AFTER) == "final"


class TestFinalNow:
    def test_ends_the_grace_time(self, invoice: Invoice) -> None:
        close_due(IN_GRACE)
        made = holding.finalize_now(invoice.pk, actor="ada", now=IN_GRACE)
        assert (made.status, made.number, made.total, made.finalized_at) == ("final", "2026-0001", 40, IN_GRACE)
        assert made.due_on == date(2026, 12, 15)
        assert events(invoice)[-1] == ("finalized", "ada")

    def test_takes_one_that_the_clock_has_not_come_to(self, invoice: Invoice) -> None:
        assert holding.finalize_now(invoice.pk, now=MONTH_END).status == "final"
        assert [kind for kind, _ in events(invoice)] == ["opened", "grace", "finalized"]

    def test_never_before_the_period_is_over(self, invoice: Invoice) -> None:
        assert "not over" in refused(holding.finalize_now, invoice.pk, now=MONTH_END - timedelta(microseconds=1))
        invoice.refresh_from_db()
        assert (invoice.status, invoice.number) == ("open", "")

    def test_never_while_it_is_held(self, invoice: Invoice) -> None:
        holding.hold(invoice.pk, reason="Disputed")
        assert "release it first" in refused(holding.finalize_now, invoice.pk, now=IN_GRACE)

    def test_never_without_the_approval_it_needs(self, invoice: Invoice) -> None:
        BillingPolicy.objects.create(needs_approval=True)
        assert "approve it first" in refused(holding.finalize_now, invoice.pk, now=IN_GRACE)
        holding.approve(invoice.pk, now=IN_GRACE)
        assert holding.finalize_now(invoice.pk, now=IN_GRACE).status == "final"


@pytest.mark.parametrize("done", [holding.hold, holding.release, holding.approve, holding.finalize_now])
def test_what_is_final_stays_as_it_is(invoice: Invoice, done: Callable[..., Any]) -> None:
    assert status(invoice, AFTER) == "final"
    before = Invoice.objects.values().get(pk=invoice.pk)
    more = {"reason": "Disputed"} if done is holding.hold else {}
    assert "This invoice is final" in refused(done, invoice.pk, **more)
    assert Invoice.objects.values().get(pk=invoice.pk) == before


def test_what_there_is_not(acme: Customer) -> None:
    with pytest.raises(Invoice.DoesNotExist):
        holding.release(0)


@pytest.mark.django_db(transaction=True)
def test_hold_and_the_clock_at_once_leave_one_or_the_other(invoice: Invoice) -> None:
    close_due(MONTH_END)
    now = datetime(2026, 12, 3, tzinfo=UTC)
    raised = race(
        lambda: holding.hold(invoice.pk, reason="Disputed"),
        lambda: services.close(invoice.pk, now=now),
        lambda: services.close(invoice.pk, now=now),
    )
    invoice.refresh_from_db()
    assert (invoice.status, invoice.held_at is None, len(raised)) in [("final", True, 1), ("grace", False, 0)]
