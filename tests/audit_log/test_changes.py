"""Plans, rates, assignments, invoices, credits, keys, roles, settings: by the admin, the API and the portal."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from invoices.models import Invoice, NumberSeries
from invoices.numbering import next_number
from invoices.settling.payments import record_payment
from meters.keys import create_api_key
from meters.models import AuditRow, Customer
from portal.models import Membership
from portal.roles import Role
from pricing.models import Plan, Rate
from pricing.plans import draft_version
from tests.audit_log.written import of, written
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, role_group, run_sweep, send
from tests.invoices.settled import DECEMBER, finalize, make_bill
from tests.portal.guests import come_by_link

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(db: None) -> Client:
    _, text = create_api_key(name="server", scopes=["read", "write"])
    return Client(headers={"Authorization": f"Bearer {text}"}, REMOTE_ADDR="198.51.100.2")


def ask(client: Client, method: str, path: str, body: Any = None) -> Any:
    answer = getattr(client, method)(path, body or {}, "application/json")
    assert answer.status_code < 300, answer.content
    return answer.json() if answer.content else None


def is_by(row: AuditRow, kind: str, name: str, address: str) -> None:
    assert (row.who_kind, row.who_name.split(" (")[0], row.address) == (kind, name, address)
    assert row.request_id


ADA = ("staff", "ada", "203.0.113.7")
SERVER = ("key", "server", "198.51.100.2")


class TestByTheAdmin:
    def test_settings_keys_and_roles(self, ada: Client) -> None:
        policy = {
            "grace_hours": "", "payment_days": "30", "invoice_numbers": "INV-{year}-{number:05}",
            "credit_note_numbers": "CN-{year}-{number:04}", "late_usage": "next", "late_ignored_below": "0",
        }  # fmt: skip
        with written() as rows:
            assert ada.post("/admin/invoices/billingpolicy/", policy).status_code == 302
        assert [row.action for row in rows if row.table_name == "invoices_billingpolicy"] == ["insert", "update"]
        with written() as rows:
            ada.post("/admin/invoices/billingpolicy/", policy | {"payment_days": "7"})
        is_by(row := of(rows, "invoices_billingpolicy"), *ADA)
        assert (row.before, row.after) == ({"payment_days": 30}, {"payment_days": 7})

        key, _ = create_api_key(name="old", scopes=["read"])
        with written() as rows:
            ada.post("/admin/meters/apikey/", {"action": "revoke_keys", "_selected_action": [key.pk]})
        is_by(row := of(rows, "meters_apikey"), *ADA)
        assert (list(row.before or {}), list(row.after or {})) == (["revoked_at"], ["revoked_at"])
        assert row.label == f"old {key.start}"

        person, group = User.objects.create_user("bob", is_staff=True), role_group("finance")
        with written() as rows:
            person.groups.add(group)
            person.groups.remove(group)
        assert [(row.action, row.owner_table, row.owner_id) for row in rows] == [
            ("insert", "auth_user", str(person.pk)),
            ("delete", "auth_user", str(person.pk)),
        ]

    def test_fees_of_a_draft(self, ada: Client) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})
        plan = Plan.objects.get()
        fee = {"name": "Base", "kind": "recurring", "amount": "9", "quantity": "", "unit": "", "key": "base"}
        draft_version(plan)
        with written() as rows:
            assert ada.post(f"/admin/pricing/plan/{plan.pk}/fees/add/", fee).status_code == 302
        is_by(row := of(rows, "pricing_fee"), *ADA)
        assert (row.owner_table, row.owner_id, row.label) == ("pricing_plan", str(plan.pk), "base")
        assert Decimal((row.after or {})["amount"]) == 9


class TestByTheApi:
    def test_plans_rates_and_assignments(self, server: Client) -> None:
        make_meter()
        make_customer("acme")
        with written() as rows:
            ask(server, "post", "/v1/plans", {"key": "Basic"})
            rate = {"product_item": "ApiCalls", "parameters": STORY_RATE}
            made = ask(server, "post", "/v1/plans/Basic/versions/draft/rates", rate)
            path = f"/v1/plans/Basic/versions/draft/rates/{made['id']}"
            ask(server, "patch", path, {"parameters": STORY_RATE | {"block_price": "6"}})
            ask(server, "post", "/v1/plans/Basic/activate")
            given = {"customer": "acme", "plan": "Basic", "starts_on": "2026-11-01"}
            ask(server, "post", "/v1/assignments", given)
        for row in rows:
            is_by(row, *SERVER)
        plan = str(Plan.objects.get().pk)
        rates = [row for row in rows if row.table_name == "pricing_rate"]
        assert [row.action for row in rates] == ["insert", "update"]
        assert [(row.owner_table, row.owner_id) for row in rates] == [("pricing_plan", plan)] * 2
        assert (rates[1].before or {})["parameters"]["block_price"] == "5"
        assert (rates[1].after or {})["parameters"]["block_price"] == "6"
        assert [row.after for row in rows if (row.table_name, row.action) == ("pricing_plan", "update")] == [
            {"status": "active"}
        ]
        assert of(rows, "pricing_assignment").owner_table == "meters_customer"
        with written() as rows:
            Rate.objects.all().delete()
        assert (rows[0].before or {})["parameters"] == STORY_RATE | {"block_price": "6"}

    def test_credits_and_payments(self, server: Client) -> None:
        with time_machine.travel(DECEMBER, tick=False):
            bill = make_bill()
            with written() as rows:
                grant = {"customer": "acme", "name": "Pack", "amount": "100", "currency": "USD"}
                ask(server, "post", "/v1/credits", grant)
                ask(server, "post", f"/v1/invoices/{bill.pk}/payments", {"amount": "10.85", "paid_on": "2026-12-02"})
        is_by(row := of(rows, "invoices_creditgrant"), *SERVER)
        assert (row.owner_table, row.owner_id) == ("meters_customer", str(bill.customer_id))
        assert of(rows, "invoices_creditentry").owner_table == "invoices_creditgrant"
        is_by(row := of(rows, "invoices_payment"), *SERVER)
        assert (row.owner_table, row.owner_id) == ("invoices_invoice", str(bill.pk))
        is_by(row := of(rows, "invoices_invoice"), *SERVER)
        assert str((row.after or {})["paid"]) == "10.85"
        assert ((row.before or {})["payment_status"], (row.after or {})["payment_status"]) == ("unpaid", "partly")
        assert "total" not in (row.before or {})
        assert Decimal((row.after or {})["total"]) == bill.total


class TestByThePortal:
    def test_members_and_keys_by_a_person_of_the_customer(self, db: None) -> None:
        acme = make_customer("acme")
        olga, bill = (User.objects.create_user(name, f"{name}@acme.example") for name in ("olga", "bill"))
        Membership.objects.create(user=olga, customer=acme)
        member = Membership.objects.create(user=bill, customer=acme, role=Role.BILLING)
        client = Client(REMOTE_ADDR="192.0.2.8")
        client.force_login(olga)
        with written() as rows:
            assert client.post(f"/team/members/{member.pk}/role/", {"role": "read_only"}).status_code == 302
            assert client.post("/api-access/add/", {"name": "Sheet", "life": "90"}).status_code == 200
        is_by(row := of(rows, "portal_membership"), "person", "olga", "192.0.2.8")
        assert (row.before, row.after) == ({"role": "billing"}, {"role": "read_only"})
        assert row.who_id == str(olga.pk)
        is_by(row := of(rows, "meters_apikey"), "person", "olga", "192.0.2.8")
        assert (row.owner_table, row.owner_id) == ("meters_customer", str(acme.pk))

    def test_by_a_guest_who_came_by_a_link(self, db: None) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
        acme = make_customer("acme")
        client, session = come_by_link(acme, Client(REMOTE_ADDR="192.0.2.9"), role=Role.OWNER, member="Jane")
        billing = {"legal_name": "Acme Ltd", "address": "", "tax_id": ""}
        with written() as rows:
            assert client.post("/settings/billing/", billing | {"email": "", "recipients": ""}).status_code in (
                200,
                302,
            )
        is_by(row := of(rows, "pricing_billingprofile"), "guest", "Jane", "192.0.2.9")
        assert row.who_id == str(session.pk)


class TestInvoices:
    def test_recalculation_is_no_change_and_becoming_final_is_one(self, db: None) -> None:
        moment = DECEMBER - timedelta(days=20)
        with time_machine.travel(moment, tick=False):
            plan = make_plan("Basic", {make_meter(): STORY_RATE})
            acme = make_customer("acme")
            with written() as opened:
                put_on(acme, plan, date(2026, 11, 1))
                run_sweep()
            send("acme", "ApiCalls", 6000, time=moment)
            with written() as rows:
                run_sweep()
        assert (of(opened, "invoices_invoice").action, rows) == ("insert", [])
        assert Invoice.objects.get().total == 5
        with time_machine.travel(DECEMBER, tick=False), written() as rows:
            bill = finalize(acme)
        row = [row for row in rows if row.table_name == "invoices_invoice"][-1]
        assert (row.after or {})["status"] == "final"
        assert (row.after or {})["number"] == bill.number
        assert (Decimal((row.after or {})["total"]), (row.after or {})["currency"]) == (5, "USD")
        assert (row.owner_table, row.owner_id, row.label) == ("meters_customer", str(acme.pk), bill.number)

    def test_the_total_of_a_final_one_is_never_changed_in_silence(self, db: None) -> None:
        with time_machine.travel(DECEMBER, tick=False):
            bill = make_bill()
        with written() as rows, connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE invoices_invoice DISABLE TRIGGER invoices_keep_final_invoice")
            cursor.execute("UPDATE invoices_invoice SET total = 1, usage_version = 0")
        assert (rows[0].before, rows[0].who_kind) == ({"total": bill.total}, "database")

    def test_numbers_count_on_without_a_word_and_a_jump_is_one(self, db: None) -> None:
        next_number(DECEMBER)
        with written() as rows:
            next_number(DECEMBER)
        assert rows == []
        with written() as rows:
            NumberSeries.objects.update(last=1)
        assert ((rows[0].before or {})["last"], (rows[0].after or {})["last"]) == (2, 1)

    def test_logs_of_their_own_are_watched_for_what_never_happens(self, db: None) -> None:
        with time_machine.travel(DECEMBER, tick=False):
            bill = make_bill()
            record_payment(bill.pk, amount=Decimal(1), paid_on=date(2026, 12, 2), actor="x", now=timezone.now())
        with written() as rows:
            bill.events.all().delete()
        assert {(row.table_name, row.action, row.owner_id) for row in rows} == {
            ("invoices_invoiceevent", "delete", str(bill.pk))
        }


def test_a_customer_that_its_first_event_brings_is_no_change_and_what_staff_say_of_it_is(db: None) -> None:
    make_meter()
    with written() as rows:
        send("new", "ApiCalls", 5)
    assert [row for row in rows if row.table_name == "meters_customer"] == []
    with written() as rows:
        Customer.objects.update(name="New")
    assert of(rows, "meters_customer").after == {"name": "New"}
