"""What is told of the life of invoices, customers and assignments, and when: in the transaction that does it."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from invoices.models import Invoice, OutboxEvent, WebhookDelivery, WebhookEndpoint
from invoices.prepaid.credits import grant_credits
from invoices.prepaid.rules import set_credit_rule
from invoices.services import close, recalculate_many
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment, write_off
from invoices.settling.voiding import void_invoice
from invoices.webhooks.endpoints import create_endpoint
from invoices.webhooks.spreading import spread
from meters.models import Customer
from pricing.assignment_import import import_assignments
from pricing.assignments import change_plan, end
from tests.factories import live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.invoices.settled import DECEMBER, MID_NOVEMBER, make_bill, make_plan_of_two
from tests.racing import race

pytestmark = pytest.mark.django_db


@pytest.fixture
def everything() -> WebhookEndpoint:
    return create_endpoint(url="https://example.com/")


def told(*types: str) -> list[OutboxEvent]:
    events = OutboxEvent.objects.order_by("id")
    return list(events.filter(type__in=types) if types else events)


def types(*but: str) -> list[str]:
    return [event.type for event in told() if event.type not in but]


AROUND = ("customer.created", "assignment.changed", "invoice.updated")


def test_a_final_invoice_is_told_of_with_its_figures(everything: WebhookEndpoint) -> None:
    invoice = make_bill()
    [event] = told("invoice.finalized")
    assert event.about == f"invoice:{invoice.pk}"
    assert event.created_at == DECEMBER
    assert event.data == {
        "id": invoice.pk,
        "number": invoice.number,
        "status": "final",
        "customer": "acme",
        "plan": "Basic",
        "assignment": invoice.assignment_id,
        "period_start": "2026-11-01T00:00:00Z",
        "period_end": "2026-12-01T00:00:00Z",
        "time_zone": "UTC",
        "currency": "USD",
        "subtotal": "93.15",
        "total": "110.85",
        "credits_applied": "0.00",
        "credited": "0.00",
        "paid": "0.00",
        "amount_due": "110.85",
        "payment_status": "unpaid",
        "due_on": "2026-12-17",
        "usage_version": invoice.usage_version,
        "computed_at": "2026-12-03T09:00:00Z",
        "finalized_at": "2026-12-03T09:00:00Z",
    }


def test_credits_are_in_it_and_paid_comes_after_final(everything: WebhookEndpoint) -> None:
    plan = make_plan_of_two()
    customer = make_customer("globex")
    grant_credits(customer=customer, name="Pack", currency="USD", amount=500, now=MID_NOVEMBER)
    put_on(customer, plan, date(2026, 11, 1))
    send("globex", "ApiCalls", 100, time=MID_NOVEMBER, now=MID_NOVEMBER)
    close(live_invoice_of_november(customer).pk, now=DECEMBER)
    assert types(*AROUND) == ["invoice.finalized", "invoice.paid"]
    final, paid = told("invoice.finalized", "invoice.paid")
    for event in (final, paid):
        assert (event.data["credits_applied"], event.data["amount_due"]) == ("100.00", "0.00")
        assert event.data["payment_status"] == "paid"


def live_invoice_of_november(customer: Customer) -> Invoice:
    return Invoice.objects.filter(customer=customer, status__in=Invoice.LIVE).order_by("period_start")[0]


def test_paid_is_told_once_when_nothing_is_left(everything: WebhookEndpoint) -> None:
    invoice = make_bill()
    pay: dict[str, Any] = {"paid_on": date(2026, 12, 3), "actor": "anna", "now": DECEMBER}
    record_payment(invoice.pk, amount=Decimal("10.85"), reference="A", **pay)
    assert not told("invoice.paid")
    record_payment(invoice.pk, amount=Decimal(100), reference="B", **pay)
    [event] = told("invoice.paid")
    assert (event.data["paid"], event.data["amount_due"]) == ("110.85", "0.00")
    record_payment(invoice.pk, amount=Decimal(100), reference="B", **pay)
    assert len(told("invoice.paid")) == 1


def test_what_is_written_off_is_not_paid(everything: WebhookEndpoint) -> None:
    invoice = make_bill()
    write_off(invoice.pk, reason="Gone", actor="anna", now=DECEMBER)
    assert not told("invoice.paid")


def test_a_credit_note_and_a_void_are_told_of_in_their_order(everything: WebhookEndpoint) -> None:
    invoice = make_bill()
    note = issue_credit_note(invoice.pk, reason="Storage was down", amounts={2: Decimal("3.50")}, now=DECEMBER)
    [event] = told("credit_note.issued")
    assert event.about == f"invoice:{invoice.pk}"
    assert event.data == {
        "id": note.pk,
        "number": note.number,
        "invoice": {"id": invoice.pk, "number": invoice.number},
        "customer": "acme",
        "currency": "USD",
        "subtotal": "3.50",
        "total": format(note.total, "f"),
        "reason": "Storage was down",
        "issued_at": "2026-12-03T09:00:00Z",
    }
    void_invoice(invoice.pk, reason="Wrong customer", now=DECEMBER)
    assert types(*AROUND) == ["invoice.finalized", "credit_note.issued", "credit_note.issued", "invoice.voided"]
    [void] = told("invoice.voided")
    assert (void.data["status"], void.data["reason"]) == ("void", "Wrong customer")


def test_nothing_is_told_of_what_is_undone(everything: WebhookEndpoint) -> None:
    make_plan("Basic", {make_meter(): {"model": "per_unit", "unit_price": "1"}}, is_default=True)

    class Undone(Exception):
        pass

    def undone() -> None:
        with transaction.atomic():
            make_customer("acme")
            raise Undone

    with pytest.raises(Undone):
        undone()
    assert not told()


# --- Updates, throttled ---


@pytest.fixture
def running(everything: WebhookEndpoint) -> Invoice:
    make_plan("Basic", {make_meter(): {"model": "per_unit", "unit_price": "1"}}, is_default=True)
    customer = make_customer("acme")
    run_sweep()
    OutboxEvent.objects.all().delete()
    return live_invoice(customer)


def test_a_bill_that_moves_is_told_of_once_a_minute_as_it_is_by_then(running: Invoice) -> None:
    now = timezone.now()
    for _ in range(3):
        send("acme", "ApiCalls", 10)
        run_sweep()
    [event] = told("invoice.updated")
    assert event.not_before is not None
    assert now + timedelta(seconds=59) < event.not_before < now + timedelta(seconds=90)
    assert spread(now=now) == 0
    assert spread(now=now + timedelta(seconds=95)) == 1
    event.refresh_from_db()
    assert (event.data["total"], event.data["status"], event.data["number"]) == ("30.00", "open", None)
    send("acme", "ApiCalls", 1)
    run_sweep()
    assert len(told("invoice.updated")) == 2


def test_a_bill_that_stays_the_same_is_not_told_of(running: Invoice) -> None:
    recalculate_many([running.pk])
    assert not told()


def test_an_update_does_not_come_behind_the_final_figures(running: Invoice) -> None:
    send("acme", "ApiCalls", 10)
    run_sweep()
    end_of_it = running.closes_at + timedelta(seconds=1)
    close(running.pk, now=end_of_it)
    assert spread(now=end_of_it) >= 2
    order = WebhookDelivery.objects.filter(about=f"invoice:{running.pk}").order_by("id")
    assert [delivery.event.type for delivery in order] == ["invoice.updated", "invoice.finalized"]


def test_many_bills_cost_a_few_statements(running: Invoice, django_assert_max_num_queries: Any) -> None:
    from invoices.webhooks.telling import invoices_changed

    with django_assert_max_num_queries(3):
        invoices_changed(range(1000, 1500), timezone.now())
    assert OutboxEvent.objects.count() == 500
    with django_assert_max_num_queries(3):
        invoices_changed(range(1000, 1500), timezone.now())
    assert OutboxEvent.objects.count() == 500


def test_without_endpoints_it_is_one_statement(django_assert_num_queries: Any) -> None:
    from invoices.webhooks.telling import invoices_changed

    with django_assert_num_queries(1):
        invoices_changed(range(500), timezone.now())
    make_bill()
    assert not OutboxEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_compute_one_bill_tell_of_it_once(running: Invoice) -> None:
    send("acme", "ApiCalls", 10)
    assert race(*[lambda: recalculate_many([running.pk])] * 2) == []
    assert len(told("invoice.updated")) == 1


# --- Customers and assignments ---


def test_a_customer_and_its_plan(everything: WebhookEndpoint) -> None:
    make_plan("Basic", {make_meter(): {"model": "per_unit", "unit_price": "1"}}, is_default=True)
    customer = make_customer("acme", name="Acme", email="a@acme.example", traits={"tier": "gold"})
    [created] = told("customer.created")
    assert created.about == f"customer:{customer.pk}"
    assert {name: created.data[name] for name in ("key", "name", "email", "traits", "source")} == {
        "key": "acme",
        "name": "Acme",
        "email": "a@acme.example",
        "traits": {"tier": "gold"},
        "source": "api",
    }
    [assigned] = told("assignment.changed")
    assert (assigned.data["customer"], assigned.data["plan"], assigned.data["change"]) == ("acme", "Basic", "assigned")
    assert assigned.data["source"] == "default"
    customer.name = "Acme Retail"
    customer.save()
    assert len(told("customer.created")) == 1


def test_a_customer_that_its_first_event_brings(everything: WebhookEndpoint) -> None:
    make_plan("Basic", {make_meter(): {"model": "per_unit", "unit_price": "1"}}, is_default=True)
    send("newcomer", "ApiCalls", 1)
    assert not told("customer.created")
    run_sweep()
    run_sweep()
    [created] = told("customer.created")
    assert (created.data["key"], created.data["source"]) == ("newcomer", "event")


def test_an_assignment_that_is_changed_and_ended(everything: WebhookEndpoint) -> None:
    per_unit = {"model": "per_unit", "unit_price": "1"}
    meter = make_meter()
    basic, pro = make_plan("Basic", {meter: per_unit}), make_plan("Pro", {meter: per_unit})
    customer = make_customer("acme")
    today = timezone.now().date()
    old = put_on(customer, basic, today - timedelta(days=3))
    new = change_plan(old, plan=pro, when=today)
    end(new, ends_on=today + timedelta(days=5))
    end(new, ends_on=None)
    changes = [
        (event.data["plan"], event.data["change"], event.data["ends_on"]) for event in told("assignment.changed")
    ]
    later = (today + timedelta(days=5)).isoformat()
    assert [change for change in changes if change[0] == "Basic"] == [
        ("Basic", "assigned", None),
        ("Basic", "ended", today.isoformat()),
    ]
    assert [change for change in changes if change[0] == "Pro"] == [
        ("Pro", "assigned", None),
        ("Pro", "ended", later),
        ("Pro", "reopened", None),
    ]


def test_assignments_that_are_imported(everything: WebhookEndpoint) -> None:
    make_plan("Basic", {make_meter(): {"model": "per_unit", "unit_price": "1"}})
    for key in ("acme", "globex"):
        make_customer(key)
    day = timezone.now().date().isoformat()
    rows = [{"customer": key, "plan": "Basic", "starts_on": day} for key in ("acme", "globex")]
    import_assignments(rows, actor="anna", dry_run=True)
    assert not told("assignment.changed")
    import_assignments(rows, actor="anna", dry_run=False)
    assert [event.data["customer"] for event in told("assignment.changed")] == ["acme", "globex"]


def test_low_credit(everything: WebhookEndpoint) -> None:
    customer = make_customer("acme")
    set_credit_rule(customer, currency="USD", low_below=10, top_up=50)
    [event] = told("credit.low")
    assert event.about == f"customer:{customer.pk}"
    assert (event.data["left"], event.data["top_up"]) == ("0.00", "50.00")
