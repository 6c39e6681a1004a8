"""A worker killed with -9 in the middle of other work than closing: nothing is lost, and nothing is there twice."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core import mail as locmem

from invoices import due
from invoices.backtests import backtest
from invoices.backtests.backtest import start_backtest
from invoices.mailing.contents import MailContent
from invoices.mailing.mails import queue, send_due
from invoices.models import BacktestRow, Correction, Invoice, Mail, MailSetting, OutboxEvent, WebhookDelivery
from invoices.outbox import tell
from invoices.tasks import bills
from invoices.webhooks.delivering import send_due as deliver_due
from invoices.webhooks.endpoints import create_endpoint
from invoices.webhooks.spreading import spread
from meters.models import Customer
from pricing.plans import draft_version, set_rate
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.late import at, corrections, policy
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, plan_with
from tests.invoices.receiver import Receiver, receiving
from tests.killing import Gate, Workers, killed_at

pytestmark = pytest.mark.django_db(transaction=True)

SWEEP = "from invoices.tasks import bills; bills.sweep()"


@pytest.fixture
def clock(transactional_db: None) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def customers(clock: time_machine.Traveller) -> list[Customer]:
    """Three of the same plan, at $1 a call since October, which is final with 10 calls of each."""
    plan = plan_with("Basic", {make_meter(): ONE_EACH})
    made = [make_customer(key) for key in ("acme", "globex", "initech")]
    for customer in made:
        put_on(customer, plan, date(2026, 10, 1))
        send(customer.key, "ApiCalls", 10, time=at(10, 5))
    run_sweep()
    run_sweep()
    assert due.stale_invoices(10) == []
    return made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


class TestRecalculating:
    def test_killed_between_its_statements(self, customers: list[Customer], workers: Workers) -> None:
        """The chunk is there as a whole, or as it was; and it stays due until it is there."""
        for customer in customers:
            send(customer.key, "ApiCalls", 7)
        stale = set(due.stale_invoices(10))

        def check() -> None:
            found = {one.pk: (one.total, one.lines.get().amount) for one in map(live_invoice, customers)}
            if set(due.stale_invoices(10)) == stale:
                assert set(found.values()) == {(0, 0)}
            else:
                assert (due.stale_invoices(10), set(found.values())) == ([], {(7, 7)})

        assert workers.killed_everywhere(SWEEP, check, clock=NOW) > 10
        assert [(one.total, one.lines.get().quantity) for one in map(live_invoice, customers)] == [(7, 7)] * 3

    def test_killed_with_its_lines_written_while_more_comes_in(
        self, customers: list[Customer], workers: Workers
    ) -> None:
        for customer in customers:
            send(customer.key, "ApiCalls", 7)
        with killed_at(workers, SWEEP, Gate("invoices_invoiceline", "INSERT"), clock=NOW):
            # Events wait for no bill, be its worker alive or dead.
            send("acme", "ApiCalls", 5)
            # Nor do the bills of others wait: the next worker leaves out what the dead one still holds.
            assert {one.total for one in map(live_invoice, customers)} == {0}
        bills.sweep()
        assert [one.total for one in map(live_invoice, customers)] == [12, 7, 7]


class TestLateUsage:
    def test_killed_between_its_statements(self, customers: list[Customer], workers: Workers) -> None:
        """Also between its two transactions: what was taken up is noted at the invoice, so it is not forgotten."""
        acme = customers[0]
        send("acme", "ApiCalls", 5, time=at(10, 6))

        def check() -> None:
            assert due.late_customers(10) == [acme.pk] or Correction.objects.count() == 1
            assert Correction.objects.count() <= 1

        assert workers.killed_everywhere(f"from invoices import services; services.rerate({acme.pk})", check) > 10
        run_sweep()
        assert [amount for _, amount in corrections(live_invoice(acme))] == [5]
        assert due.late_customers(10) == []

    def test_killed_after_it_took_up_and_before_the_corrections(
        self, customers: list[Customer], workers: Workers
    ) -> None:
        acme = customers[0]
        october = acme.invoices.get(status="final")
        send("acme", "ApiCalls", 5, time=at(10, 6))
        with killed_at(workers, SWEEP, Gate("invoices_correction", "INSERT"), clock=NOW):
            october.refresh_from_db()
            assert october.rerated_version < 0
            # More comes late while nobody knows yet that the worker is dead.
            send("acme", "ApiCalls", 2, time=at(10, 7))
        assert not Correction.objects.exists()
        run_sweep()
        assert [amount for _, amount in corrections(live_invoice(acme))] == [7]
        run_sweep()
        assert Correction.objects.get().amount == 7
        assert due.late_customers(10) == []

    def test_killed_while_it_makes_up_for_it_at_once(self, customers: list[Customer], workers: Workers) -> None:
        """With an invoice of its own: one number, and no second one."""
        policy(late_usage="at_once")
        acme = customers[0]
        send("acme", "ApiCalls", 5, time=at(10, 6))

        def check() -> None:
            made = Invoice.objects.filter(is_correction=True)
            assert [one.number for one in made] in ([], ["2026-0004"])

        rerate = f"from invoices import services; services.rerate({acme.pk})"
        assert workers.killed_everywhere(rerate, check, step=4, clock=NOW) > 4
        run_sweep()
        made = Invoice.objects.get(is_correction=True)
        assert (made.number, made.total, made.lines.count()) == ("2026-0004", 5, 1)


class TestOpening:
    def test_killed_while_it_takes_a_customer_in(self, customers: list[Customer], workers: Workers) -> None:
        """One that its first event brought: it has its plan and its invoice, or neither yet."""
        plan = plan_with("Default", {make_meter("Storage"): ONE_EACH})
        plan.is_default = True
        plan.save()
        send("new", "ApiCalls", 3)
        new = Customer.objects.get(key="new")

        def check() -> None:
            new.refresh_from_db()
            taken_in = new.onboarded_at is not None
            assert new.assignments.count() == new.invoices.count() == int(taken_in)

        assert workers.killed_everywhere(SWEEP, check, step=4, clock=NOW) > 4
        assert (new.assignments.count(), new.invoices.count()) == (1, 1)

    def test_killed_while_it_opens_the_next_month(
        self, customers: list[Customer], workers: Workers, clock: time_machine.Traveller
    ) -> None:
        clock.move_to(at(12, 1, 1))

        def check() -> None:
            for customer in customers:
                starts = list(customer.invoices.values_list("period_start", flat=True))
                assert len(starts) == len(set(starts)) <= 3

        code = "from invoices.tasks import bills; bills.close_periods()"
        assert workers.killed_everywhere(code, check, step=4, clock=at(12, 1, 1)) > 5
        for customer in customers:
            assert list(customer.invoices.order_by("period_start").values_list("status", flat=True)) == [
                "final",
                "grace",
                "open",
            ]


class TestGoingOut:
    @pytest.fixture(autouse=True)
    def _told(self, clock: time_machine.Traveller, receiver: Receiver) -> None:
        create_endpoint(url=receiver.url, allow_private=True)
        create_endpoint(url=f"{receiver.url}/two", allow_private=True)
        for number in range(3):
            tell("credit.low", f"customer:{number}", {"text": str(number)}, NOW)

    def test_killed_while_it_makes_deliveries(self, workers: Workers) -> None:
        def check() -> None:
            assert WebhookDelivery.objects.count() in (0, 6)
            assert OutboxEvent.objects.filter(spread_at=None).count() in (3, 0)

        code = "from invoices.webhooks.spreading import spread; spread()"
        assert workers.killed_everywhere(code, check, clock=NOW) > 5
        assert (
            WebhookDelivery.objects.count() == len(set(WebhookDelivery.objects.values_list("endpoint", "event"))) == 6
        )

    def test_the_next_one_does_not_wait_for_it(self, workers: Workers) -> None:
        code = "from invoices.webhooks.spreading import spread; spread()"
        with killed_at(workers, code, Gate("invoices_webhookdelivery", "INSERT"), clock=NOW):
            assert spread() == 0  # somebody is at it, as far as the database knows
        assert spread() == 3
        assert WebhookDelivery.objects.count() == 6

    def test_killed_when_it_has_sent_and_not_written_it_down(self, workers: Workers, receiver: Receiver) -> None:
        """Nobody can know whether it was sent, so it is sent again: at least once, under the same id."""
        spread()
        code = "from invoices.webhooks.delivering import send_due; send_due()"
        with killed_at(workers, code, Gate("invoices_webhookattempt", "INSERT"), clock=NOW):
            assert deliver_due() == 0
        assert len(receiver.got) == 6
        assert deliver_due() == 6
        assert deliver_due() == 0
        assert set(WebhookDelivery.objects.values_list("status", "attempts")) == {("delivered", 1)}
        sent = [(got.path, got.headers["webhook-id"], got.body) for got in receiver.got]
        assert len(sent) == 12
        assert len(set(sent)) == 6

    def test_a_mail_is_sent_again_under_its_id(self, workers: Workers, tmp_path: Path, settings: Any) -> None:
        """At least once, too, and at most one of them twice: each is written down by itself."""
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        MailSetting.objects.create(kind="credit_low", enabled=True)
        content = MailContent(subject="Hello", intro="something has happened.", facts=[])
        queue("credit_low", "customer:1", ["anna@acme.example", "bea@acme.example", "cid@acme.example"], content, NOW)
        code = f"""
from django.conf import settings
settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", {str(tmp_path)!r}
from invoices.mailing.mails import send_due
send_due()
"""
        gate = Gate("invoices_mail", "UPDATE", condition="NEW.recipient = 'bea@acme.example'")
        with killed_at(workers, code, gate, clock=NOW):
            pass
        assert list(Mail.objects.order_by("id").values_list("status", flat=True)) == ["sent", "waiting", "waiting"]
        assert send_due() == 2
        assert set(Mail.objects.values_list("status", "attempts")) == {("sent", 1)}
        first = "".join(path.read_text() for path in tmp_path.iterdir())
        again, new = locmem.outbox
        assert (first.count("Message-ID"), [again.to, new.to]) == (2, [["bea@acme.example"], ["cid@acme.example"]])
        assert again.extra_headers["Message-ID"] in first
        assert new.extra_headers["Message-ID"] not in first


class TestBacktest:
    def test_killed_in_the_second_of_its_chunks(self, customers: list[Customer], workers: Workers) -> None:
        plan = customers[0].assignments.get().plan
        draft = draft_version(plan)
        set_rate(
            draft, product_item=draft.rates.get().product_item, parameters={"model": "per_unit", "unit_price": "2"}
        )
        started = start_backtest(plan=plan)
        second = customers[1].assignments.get().pk
        code = f"from invoices.backtests import backtest; backtest.CHUNK = 1; backtest.work_on({started.pk})"
        gate = Gate("invoices_backtestrow", "INSERT", condition=f"NEW.assignment_id = {second}")
        with killed_at(workers, code, gate, clock=NOW):
            assert not backtest.work_on(started.pk)  # who comes meanwhile leaves it
        assert BacktestRow.objects.values("assignment").distinct().count() == 1
        assert backtest.unattended(NOW + backtest.SILENCE, 10) == [started.pk]
        assert not backtest.work_on(started.pk, seconds=60)
        started.refresh_from_db()
        assert (started.status, started.done) == ("done", 3)
        rows = list(BacktestRow.objects.values_list("assignment", "period_start"))
        assert len(rows) == len(set(rows))
        assert started.summary["totals"][0]["now"] == "60"
