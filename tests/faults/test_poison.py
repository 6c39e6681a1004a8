"""Work that fails each time: it is parked after some tries, shown to staff, and nothing else waits for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail as locmem
from django.db import OperationalError, connection
from django.test import Client

from invoices import due, failing
from invoices.failing import Kind
from invoices.mailing.contents import MailContent
from invoices.mailing.mails import queue, send_due
from invoices.models import FailingWork, Invoice, Mail, MailSetting, OutboxEvent, WebhookDelivery
from invoices.outbox import tell
from invoices.tasks import bills
from invoices.webhooks.delivering import replay
from invoices.webhooks.delivering import send_due as deliver_due
from invoices.webhooks.endpoints import create_endpoint
from invoices.webhooks.spreading import spread
from meters.models import Customer
from tests.factories import live_invoice, make_customer, make_meter, put_on, role_group, send
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, plan_with
from tests.invoices.receiver import receiving

pytestmark = pytest.mark.django_db

TRIES = len(failing.WAITS) + 1
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def customers(clock: time_machine.Traveller) -> list[Customer]:
    """Three of a plan at $1 a call, each with 5 calls that no bill has yet."""
    plan = plan_with("Basic", {make_meter(): ONE_EACH})
    made = [make_customer(key) for key in ("acme", "globex", "initech")]
    for customer in made:
        put_on(customer, plan, NOW.date())
        send(customer.key, "ApiCalls", 5)
    return made


@contextmanager
def poisoned(table: str, condition: str, change: str = "INSERT") -> Iterator[None]:
    """Has PostgreSQL refuse a change of these rows, whoever makes it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'this is poison'; END $$;
            CREATE TRIGGER poison BEFORE {change} ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION poison()
            """
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; DROP FUNCTION poison() CASCADE")


def totals(customers: list[Customer]) -> list[int]:
    return [int(live_invoice(customer).total) for customer in customers]


class TestAnInvoice:
    def test_parked_after_some_tries_while_others_go_on(
        self, customers: list[Customer], clock: time_machine.Traveller
    ) -> None:
        bad = live_invoice(customers[1])
        with poisoned("invoices_invoiceline", f"NEW.invoice_id = {bad.pk}"):
            for number in range(1, TRIES + 1):
                bills.sweep()
                row = FailingWork.objects.get()
                assert (row.kind, row.object_id, row.tries) == (Kind.RECALCULATE, bad.pk, number)
                assert row.is_parked == (number == TRIES)
                # Not before its time.
                bills.sweep()
                assert FailingWork.objects.get().tries == number
                assert due.stale_invoices(10) == []
                if not row.is_parked:
                    clock.move_to(row.next_try_at)
            assert totals(customers) == [5, 0, 5]
            assert "this is poison" in row.error
            assert row.last_at - row.first_at == timedelta(seconds=sum(failing.WAITS))
            for customer in customers:
                send(customer.key, "ApiCalls", 1)
            clock.shift(HOUR * 100)
            bills.sweep()
            assert totals(customers) == [6, 0, 6]
        # What has healed by itself is parked still, until staff say so.
        bills.sweep()
        assert totals(customers) == [6, 0, 6]
        assert list(failing.parked()) == [row]
        assert failing.try_again(failing.parked()) == 1
        bills.sweep()
        assert totals(customers) == [6, 6, 6]
        assert not FailingWork.objects.exists()

    def test_is_forgotten_once_it_goes_well(self, customers: list[Customer], clock: time_machine.Traveller) -> None:
        with poisoned("invoices_invoiceline", f"NEW.invoice_id = {live_invoice(customers[0]).pk}"):
            bills.sweep()
        assert failing.retried().count() == 1
        clock.shift(HOUR)
        bills.sweep()
        assert totals(customers) == [5, 5, 5]
        assert not FailingWork.objects.exists()

    def test_that_cannot_become_final(self, customers: list[Customer], clock: time_machine.Traveller) -> None:
        """It takes no number; those behind it have theirs without a gap."""
        bad = live_invoice(customers[0])
        clock.move_to(bad.closes_at)
        with poisoned("invoices_invoice", f"OLD.id = {bad.pk} AND NEW.status = 'final'", "UPDATE"):
            for _ in range(2 * TRIES):
                bills.close_periods()
                clock.shift(HOUR / 4)
        assert list(failing.parked().values_list("kind", "object_id")) == [(Kind.CLOSE, bad.pk)]
        finals = Invoice.objects.filter(status="final").order_by("number")
        assert [one.number for one in finals] == ["2026-0001", "2026-0002"]
        failing.try_again(failing.parked())
        bills.close_periods()
        bad.refresh_from_db()
        assert bad.number == "2026-0003"

    def test_a_clock_that_was_put_back(self, customers: list[Customer], clock: time_machine.Traveller) -> None:
        """What waits for a time that is far ahead waits no more."""
        clock.shift(HOUR * 2)
        with poisoned("invoices_invoiceline", f"NEW.invoice_id = {live_invoice(customers[0]).pk}"):
            bills.sweep()
        clock.shift(-HOUR)
        bills.sweep()
        assert totals(customers) == [5, 5, 5]

    def test_what_is_no_longer_to_be_done_is_forgotten(
        self, customers: list[Customer], clock: time_machine.Traveller
    ) -> None:
        with poisoned("invoices_invoiceline", f"NEW.invoice_id = {live_invoice(customers[0]).pk}"):
            bills.sweep()
        Invoice.objects.filter(customer=customers[0]).update(status="void")
        clock.shift(HOUR * 3)
        bills.sweep()
        bills.close_periods()
        assert not FailingWork.objects.exists()

    def test_a_database_that_is_gone_is_no_try(self, customers: list[Customer]) -> None:
        def gone() -> None:
            raise OperationalError("the connection is lost")

        with pytest.raises(OperationalError):
            failing.attempt(Kind.CLOSE, 1, gone, known=(), now=NOW)
        assert not FailingWork.objects.exists()


def test_a_customer_that_cannot_be_taken_in(customers: list[Customer], clock: time_machine.Traveller) -> None:
    plan = customers[0].assignments.get().plan
    plan.is_default = True
    plan.save()
    send("bad", "ApiCalls", 1)
    send("good", "ApiCalls", 1)
    bad = Customer.objects.get(key="bad")
    with poisoned("pricing_assignment", f"NEW.customer_id = {bad.pk}"):
        for _ in range(2 * TRIES):
            bills.sweep()
            clock.shift(HOUR / 4)
    assert list(failing.parked().values_list("kind", "object_id")) == [(Kind.ONBOARD, bad.pk)]
    assert live_invoice(Customer.objects.get(key="good")).total == 1
    failing.try_again(failing.parked())
    bills.sweep()
    assert live_invoice(bad).total == 1


class TestWhatGoesOut:
    @pytest.fixture(autouse=True)
    def _endpoint(self, clock: time_machine.Traveller) -> Iterator[None]:
        with receiving() as self.receiver:
            self.endpoint = create_endpoint(url=self.receiver.url, allow_private=True)
            yield

    def arrived(self) -> list[str]:
        return [got.message["data"]["key"] for got in self.receiver.got]

    def test_an_event_that_cannot_be_told(self, clock: time_machine.Traveller) -> None:
        tell("invoice.updated", "invoice:none", {}, NOW)
        tell("customer.created", "customer:1", {"key": "acme"}, NOW)
        for _ in range(2 * TRIES):
            spread()
            clock.shift(HOUR / 4)
        [row] = failing.parked()
        assert (row.kind, row.tries) == (Kind.TELL, TRIES)
        assert OutboxEvent.objects.get(spread_at=None).pk == row.object_id
        deliver_due()
        assert self.arrived() == ["acme"]
        OutboxEvent.objects.filter(pk=row.object_id).update(about="invoice:1")
        failing.try_again(failing.parked())
        assert spread() == 1
        assert not OutboxEvent.objects.filter(spread_at=None).exists()
        assert not FailingWork.objects.exists()

    def test_a_webhook_that_cannot_be_made(self, clock: time_machine.Traveller) -> None:
        """Of an endpoint whose secret is broken: it is tried for three days, shown, and can be sent again."""
        secret = self.endpoint.secret
        bad = create_endpoint(url=self.receiver.url, allow_private=True)
        type(bad).objects.filter(pk=bad.pk).update(secret="whsec_?")
        for number in range(3):
            tell("customer.created", f"customer:{number}", {"key": f"customer-{number}"}, NOW)
        spread()
        deliver_due()
        assert sorted(self.arrived()) == [f"customer-{number}" for number in range(3)]
        failed = WebhookDelivery.objects.filter(endpoint=bad)
        assert set(failed.values_list("status", "attempts")) == {("waiting", 1)}
        assert "It could not be made" in failed[0].tries.get().error
        for _ in range(30):
            clock.shift(HOUR * 6)
            deliver_due()
        assert set(failed.values_list("status", flat=True)) == {"failed"}
        type(bad).objects.filter(pk=bad.pk).update(secret=secret)
        for one in failed:
            replay(one.pk)
        deliver_due()
        assert set(failed.values_list("status", flat=True)) == {"delivered"}
        assert len(self.arrived()) == 6

    def test_a_mail_that_cannot_be_made(self, clock: time_machine.Traveller, settings: Any) -> None:
        """What the database refuses while it is made spoils neither the others nor what is written down of it."""
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        MailSetting.objects.create(kind="invoice_finalized", enabled=True)
        content = MailContent(subject="Hello", intro="something has happened.", facts=[])
        for about in ("invoice:1", "customer:1", "customer:2"):
            queue("invoice_finalized", about, ["anna@acme.example"], content, NOW)
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE invoices_invoice RENAME TO gone")
            assert send_due() == 3
            cursor.execute("ALTER TABLE gone RENAME TO invoices_invoice")
        assert [mail.attempts for mail in Mail.objects.all()] == [1, 1, 1]
        bad = Mail.objects.get(about="invoice:1")
        assert (bad.status, len(locmem.outbox)) == (Mail.Status.WAITING, 2)
        assert "does not exist" in bad.error
        clock.shift(HOUR)
        assert send_due() == 1
        assert set(Mail.objects.values_list("status", flat=True)) == {"sent"}


class TestStaff:
    @pytest.fixture
    def row(self) -> FailingWork:
        customer = make_customer()
        invoice_id = put_on(customer, plan_with("Basic", {make_meter(): ONE_EACH}), NOW.date()).pk
        for _ in range(TRIES):
            failing.note(Kind.OPEN, invoice_id, ValueError("this is <poison>"), now=NOW)
        return FailingWork.objects.get()

    def page(self, client: Client, path: str = "/admin/invoices/failingwork/?state=parked") -> str:
        return client.get(path).content.decode()

    def test_see_what_is_parked_and_have_it_tried_again(self, admin_client: Client, row: FailingWork) -> None:
        assert "1 piece of work is parked." in self.page(admin_client, "/admin/")
        shown = self.page(admin_client)
        assert "Opening invoices" in shown
        assert "ValueError: this is &lt;poison&gt;" in shown
        assert f"/admin/pricing/assignment/{row.object_id}/change/" in shown
        assert "Parked" in shown
        posted = {"action": "try_selected_again", "_selected_action": [str(row.pk)]}
        answer = admin_client.post("/admin/invoices/failingwork/", posted, follow=True)
        assert "To be tried again within seconds: 1." in answer.content.decode()
        assert not FailingWork.objects.exists()
        assert "parked" not in self.page(admin_client, "/admin/")

    def test_who_only_looks_changes_nothing(self, row: FailingWork) -> None:
        reader = User.objects.create_user("reader", is_staff=True)
        reader.groups.add(role_group("read-only"))
        client = Client()
        client.force_login(reader)
        assert "Opening invoices" in self.page(client)
        client.post("/admin/invoices/failingwork/", {"action": "try_selected_again", "_selected_action": [str(row.pk)]})
        assert FailingWork.objects.exists()

    def test_who_has_no_business_there_sees_nothing(self, row: FailingWork) -> None:
        client = Client()
        client.force_login(User.objects.create_user("nobody", is_staff=True))
        assert client.get("/admin/invoices/failingwork/").status_code == 403
        assert "parked" not in self.page(client, "/admin/")
