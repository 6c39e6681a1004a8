"""Redis flushed, Redis gone, messages lost and messages twice: bills become what they would have been anyhow."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
import time_machine
from django.conf import settings
from django.db import transaction

from invoices import wake
from invoices.models import Invoice, InvoiceEvent, NumberSeries
from invoices.tasks import bills
from meters.models import Customer
from tests import servers
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.closing import AFTER, CLOSE, check_numbers, check_whole, make_closing, november, outcome
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, plan_with
from tests.killing import Gate, Workers, database_url, wait_for_waiting, wait_until_gone
from tests.scenarios.live import Live, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    # Another test may have found it gone.
    monkeypatch.setattr(wake, "_paused_until", float("-inf"))
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushall()
    yield client
    client.flushall()


def test_gone_while_events_come_and_invoices_close(broker: redis.Redis) -> None:
    """Services and tasks need no broker: whoever runs them finds in the rows what is to be done."""
    with time_machine.travel(NOW, tick=False) as clock:
        [acme, steady] = make_closing("acme", "steady")
        valkey = servers.valkey()
        valkey.stop()
        try:
            assert send("acme", "ApiCalls", 3).accepted == 1
            clock.move_to(AFTER)
            run_sweep()
            assert november(acme).status == Invoice.Status.FINAL
            # Late for November, and in time for December.
            send("acme", "ApiCalls", 2, time=AFTER - timedelta(days=5))
            send("acme", "ApiCalls", 1)
        finally:
            valkey.start()
        broker.flushall()
        run_sweep()
        bill = live_invoice(acme)
        # 11.90 for the 2 of November, without a discount, as the promotion's cap is used up; 9.52 for December.
        assert {line.kind for line in bill.lines.all()} >= {"correction", "tax_corr", "usage"}
        assert bill.lines.get(kind="usage").quantity == 1
        assert bill.lines.get(kind="correction", corrects=november(acme)).quantity == 2
        check_numbers()
        assert outcome(steady)["status"] == "final"


def test_flushed_between_all_steps(broker: redis.Redis) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        customers = make_closing("acme", "globex")
        for moment in (NOW, NOW + timedelta(hours=1), AFTER):
            clock.move_to(moment)
            broker.flushall()
            bills.sweep()
            broker.flushall()
            bills.close_periods()
        for customer in customers:
            check_whole(customer)
        check_numbers()
        assert broker.llen("celery") == 0


def test_the_same_message_many_times_at_once(broker: redis.Redis, workers: Workers) -> None:
    """Each is worked on by a process of its own, and all of them stand before the same customer."""
    with time_machine.travel(NOW, tick=False) as clock:
        customers = make_closing("acme", "globex")
        clock.move_to(AFTER)
        with transaction.atomic():
            Customer.objects.select_for_update().get(pk=customers[0].pk)
            started = [workers.start(CLOSE, clock=AFTER) for _ in range(4)]
            wait_for_waiting(4)
        assert [worker.end() for worker in started] == [0] * 4
        for customer in customers:
            check_whole(customer)
        assert outcome(customers[0]) == outcome(customers[1])
        check_numbers()


def test_a_worker_killed_and_its_messages_flushed(broker: redis.Redis, tmp_path: Path) -> None:
    """A real worker of Celery: what it had begun is rolled back, what waited is lost, and the next tick does it all."""
    customer = make_customer("acme")
    today = datetime.now(UTC).date()
    first = (today.replace(day=1) - timedelta(days=40)).replace(day=1)
    put_on(customer, plan_with("Basic", {make_meter(): ONE_EACH}), first)
    old = customer.invoices.order_by("period_start")[0]
    send("acme", "ApiCalls", 12, time=old.period_start)
    installation = Live(database_url(), tmp_path)
    with Gate("invoices_numberseries", "UPDATE") as gate:
        installation.start("worker")
        for _ in range(3):
            bills.close_periods.delay()
        backend = gate.wait()
        broker.flushall()
        os.killpg(installation.processes["worker"].pid, signal.SIGKILL)
        installation.processes["worker"].wait()
        gate.open()
        wait_until_gone(backend)
    assert (fresh(old).status, fresh(old).number) == (Invoice.Status.OPEN, "")
    assert not NumberSeries.objects.filter(last__gt=0).exists()
    installation.start("worker")
    try:
        for _ in range(2):
            bills.close_periods.delay()
        wait_for(lambda: Invoice.objects.exclude(number="").count() == finals(), 60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(installation.processes["worker"].pid, signal.SIGKILL)
        installation.processes["worker"].wait()
    assert (fresh(old).status, fresh(old).total, fresh(old).lines.count()) == (Invoice.Status.FINAL, 12, 1)
    assert InvoiceEvent.objects.filter(invoice=old, kind="finalized").count() == 1
    check_numbers()


def finals() -> int:
    """How many periods, with their grace time, are over by the machine's clock."""
    return Invoice.objects.filter(closes_at__lte=datetime.now(UTC)).count()


def fresh(invoice: Invoice) -> Invoice:
    return Invoice.objects.get(pk=invoice.pk)
