"""The checks of `make chaos` find what they are there for: each fault is planted once."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from invoices.models import Invoice, Mail, NumberSeries, OutboxEvent
from meters.decoding import EventIn
from meters.events import record_events
from tests.chaos.checks import Figures, all_breaches
from tests.chaos.outside import Mailbox, Outside
from tests.chaos.scene import CALLS, make_scene
from tests.chaos.senders import Memory, Sent
from tests.factories import run_sweep
from tests.invoices.receiver import Got, Receiver

pytestmark = pytest.mark.django_db


class World:
    """One customer's days, of which some are final, and all that was told of them has arrived."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.scene = make_scene(1, "http://127.0.0.1:9/hook", self.now - timedelta(days=1))
        self.memory, self.outside = Memory(), Outside(Receiver(), Mailbox())
        sent = [
            Sent(f"e{n}", self.scene.customers[0], CALLS, 7, self.scene.first + timedelta(hours=n)) for n in range(4)
        ]
        events = [
            EventIn(customer=one.customer, meter=one.meter, value=Decimal(one.value), id=one.id, time=one.time)
            for one in sent
        ]
        record_events(events)
        self.memory.note(sent, answered=True)
        for _ in range(3):
            run_sweep()
        for mail in Mail.objects.all():
            self.outside.mailbox.got[f"<{mail.pk}>"].append((mail.recipient, mail.subject))
        for event in OutboxEvent.objects.all():
            self.outside.receiver.got.append(Got("/hook", {"webhook-id": event.message_id}, "{}"))

    def breaches(self) -> str:
        return "\n".join(all_breaches(self.memory, self.outside, Figures(), self.now))


def sql(statement: str) -> Callable[[World], None]:
    def plant(world: World) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = 'replica'")  # past what guards final invoices
            cursor.execute(statement)
            cursor.execute("SET LOCAL session_replication_role = 'origin'")

    return plant


def final() -> Invoice:
    return Invoice.objects.filter(status="final").order_by("number")[0]


PLANTED: dict[str, tuple[Callable[[World], object], str]] = {
    "an event is lost": (sql("DELETE FROM meters_event WHERE sent_id = 'e1'"), "1 answered events are lost: e1"),
    "an event is there twice": (
        sql(
            "INSERT INTO meters_event (sequence, occurred_at, received_at, customer_id, meter_id, key, "
            "dimension_set_id, value, sent_id) "
            "SELECT sequence + 9000, occurred_at, received_at, customer_id, meter_id, gen_random_uuid(), "
            "dimension_set_id, value, sent_id FROM meters_event WHERE sent_id = 'e1'"
        ),
        "1 events are there more than once: e1",
    ),
    "an event nobody sent": (lambda world: world.memory.answered.pop("e2"), "1 events that nobody sent: e2"),
    "an event is another": (sql("UPDATE meters_event SET value = 8 WHERE sent_id = 'e3'"), "not as they were sent: e3"),
    "usage is more": (sql("UPDATE meters_usagebucket SET sum = sum + 1"), "usage is not what the events say"),
    "a line is more": (sql("UPDATE invoices_invoiceline SET amount = amount + 1"), "audit: amounts"),
    "a call is not billed": (
        sql("UPDATE invoices_invoiceline SET amount = 0 WHERE kind = 'usage'"),
        "was billed 0",
    ),
    "a number is missing": (lambda world: NumberSeries.objects.update(last=99), "numbers are missing"),
    "a number is beyond": (lambda world: NumberSeries.objects.update(last=0), "or beyond the last one"),
    "it is told of twice": (
        lambda world: OutboxEvent.objects.create(
            type="invoice.finalized", about=f"invoice:{final().pk}", data={}, message_id="x", created_at=world.now
        ),
        "events of final invoices",
    ),
    "a webhook is lost": (lambda world: world.outside.receiver.got.pop(), "1 webhooks did not arrive"),
    "a webhook of nothing": (
        lambda world: world.outside.receiver.got.append(Got("/hook", {"webhook-id": "none"}, "{}")),
        "1 webhooks arrived for what did not happen: none",
    ),
    "a webhook says another thing": (
        lambda world: world.outside.receiver.got.append(
            Got("/hook", dict(world.outside.receiver.got[0].headers), '{"other": 1}')
        ),
        "1 webhooks said another thing the second time",
    ),
    "a mail is lost": (lambda world: world.outside.mailbox.got.popitem(), "mails did not arrive"),
    "a mail under two ids": (
        lambda world: world.outside.mailbox.got.update({"<9>": next(iter(world.outside.mailbox.got.values()))}),
        "or under two ids",
    ),
    "a complaint of a sender": (lambda world: world.memory.complain("a 500"), "a 500"),
}


def test_each_fault_is_found_and_nothing_else() -> None:
    world = World()
    assert world.breaches() == ""
    assert Invoice.objects.filter(status="final").count() >= 2
    for fault, (plant, words) in PLANTED.items():
        memory = deepcopy(world.memory.answered)
        outside = deepcopy((world.outside.receiver.got, world.outside.mailbox.got))
        with transaction.atomic():
            plant(world)
            assert words in world.breaches(), fault
            transaction.set_rollback(True)
        world.memory.answered, world.memory.faults = memory, []
        world.outside.receiver.got, world.outside.mailbox.got = outside
    # What arrives again under the same id is no breach.
    world.outside.receiver.got.append(world.outside.receiver.got[0])
    assert world.breaches() == ""
