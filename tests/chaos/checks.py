"""What has to hold after a round, by what the senders and the receivers remember. Each check answers its breaches."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import time_machine
from django.core.exceptions import ValidationError

from invoices import due
from invoices.auditing.runs import start_audit, work_on
from invoices.models import (
    AuditFinding,
    AuditRun,
    CreditNote,
    Invoice,
    InvoiceEvent,
    InvoiceLine,
    Mail,
    NumberSeries,
    OutboxEvent,
    WebhookDelivery,
)
from meters import verification
from meters.models import Event, EventKey
from pricing.assignments import pending_customers
from tests.chaos.outside import Outside
from tests.chaos.scene import CALLS, CENTS
from tests.chaos.senders import Memory, Sent


@dataclass
class Figures:
    """Of a round's end."""

    stored: int = 0
    unanswered_stored: int = 0
    finals: int = 0
    # Of these, while parts died.
    finals_meanwhile: int = 0
    corrections: int = 0
    recounted: int = 0
    rated_again: int = 0
    webhooks: int = 0
    webhooks_again: int = 0
    mails: int = 0
    mails_again: int = 0


def unfinished(now: datetime) -> list[str]:
    """What is still to be done: nothing, once a round has settled."""
    left = {
        "customers to take in": pending_customers(1),
        "stale invoices": due.stale_invoices(1, now=now),
        "late usage": due.late_customers(1),
        "invoices to close": due.due_invoices(now, 1),
        "invoices to open": due.uncovered_assignments(now, 1),
        "events to tell": OutboxEvent.objects.filter(spread_at=None)[:1],
        "webhooks to send": WebhookDelivery.objects.filter(status="waiting")[:1],
        "mails to send": Mail.objects.filter(status="waiting")[:1],
    }
    return [name for name, rows in left.items() if rows]


def all_breaches(memory: Memory, outside: Outside, figures: Figures, now: datetime) -> list[str]:
    """By the installation's clock."""
    with time_machine.travel(now):
        return of_all_checks(memory, outside, figures)


def of_all_checks(memory: Memory, outside: Outside, figures: Figures) -> list[str]:
    return [
        *memory.faults,
        *events_once(memory, figures),
        *usage_equals_recount(figures),
        *invoices_equal_rerating(figures),
        *calls_are_billed(),
        *numbers(),
        *finals_are_told_once(figures),
        *webhooks_arrived(outside, figures),
        *mails_arrived(outside, figures),
    ]


def some(things: Iterable[object]) -> str:
    listed = [str(thing) for thing in things]
    return ", ".join(sorted(listed)[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")


def events_once(memory: Memory, figures: Figures) -> list[str]:
    """Every answered event is there as it was sent, none twice, and none that nobody sent."""
    breaches = []
    fields = ("sent_id", "customer__key", "meter__key", "value", "occurred_at")
    rows = list(Event.objects.values_list(*fields))
    times = Counter(row[0] for row in rows)
    figures.stored = len(rows)
    figures.unanswered_stored = sum(one in times for one in memory.unanswered)
    if lost := memory.answered.keys() - times.keys():
        breaches.append(f"{len(lost)} answered events are lost: {some(lost)}")
    if twice := [one for one, count in times.items() if count > 1]:
        breaches.append(f"{len(twice)} events are there more than once: {some(twice)}")
    sent = memory.answered | memory.unanswered
    if strange := times.keys() - sent.keys():
        breaches.append(f"{len(strange)} events that nobody sent: {some(strange)}")
    if changed := [row[0] for row in rows if row[0] in sent and row[1:] != content(sent[row[0]])]:
        breaches.append(f"{len(changed)} events are not as they were sent: {some(changed)}")
    if (keys := EventKey.objects.count()) != len(rows):
        breaches.append(f"{keys} keys for {len(rows)} events")
    return breaches


def content(sent: Sent) -> tuple[str, str, Decimal, datetime]:
    return sent.customer, sent.meter, Decimal(sent.value if not sent.user else 1), sent.time


def usage_equals_recount(figures: Figures) -> list[str]:
    """As `manage.py verify_usage`."""
    breaches = []
    for chunk in verification.verify(verification.spans_of_all()):
        figures.recounted += chunk.customers
        if chunk.differences:
            breaches.append(f"usage is not what the events say: {some(chunk.differences)}")
    return breaches


def invoices_equal_rerating(figures: Figures) -> list[str]:
    """As `manage.py audit_invoices`."""
    run = begin_audit()
    while work_on(run.pk, seconds=0):
        pass
    run.refresh_from_db()
    figures.rated_again = run.checked.get("amounts", 0)
    breaches = [f"audit: {one.check_name} {one.text}" for one in AuditFinding.objects.filter(run=run)[:5]]
    if run.status != AuditRun.Status.DONE:
        breaches.append(f"the audit could not be finished: {run.error}")
    if run.left_out:
        breaches.append(f"the audit left out {run.left_out}")
    return breaches


def begin_audit() -> AuditRun:
    """Once the one of the night is through, which the installation has begun by itself."""
    end = time.monotonic() + 120
    while True:
        try:
            return start_audit(actor="chaos")
        except ValidationError:
            if time.monotonic() > end:
                raise
        time.sleep(0.5)


def calls_are_billed() -> list[str]:
    """Of each customer, without the product's own sums: calls on all documents together are those of all its events."""
    sent: dict[str, Decimal] = defaultdict(Decimal)
    for customer, value in Event.objects.filter(meter__key=CALLS).values_list("customer__key", "value"):
        sent[customer] += value
    billed: dict[str, Decimal] = defaultdict(Decimal)
    lines = InvoiceLine.objects.filter(product_item__meter__key=CALLS, kind__in=["usage", "correction"])
    for customer, amount in lines.exclude(invoice__status="void").values_list("invoice__customer__key", "amount"):
        billed[customer] += amount * 100 / CENTS
    return [
        f"{customer} sent {sent[customer]} calls and was billed {billed[customer]}"
        for customer in sorted(sent.keys() | billed.keys())
        if sent[customer] != billed[customer]
    ]


def numbers() -> list[str]:
    """Every number up to the last one is there, once."""
    breaches = []
    documents = {"invoice": ("", Invoice), "credit_note": ("CN-", CreditNote)}
    for series in NumberSeries.objects.all():
        start, model = documents[series.series]
        start += f"{series.year}-"
        found = Counter(model.objects.filter(number__startswith=start).values_list("number", flat=True))
        wanted = {f"{start}{number:04}" for number in range(1, series.last + 1)}
        if missing := wanted - found.keys():
            breaches.append(f"numbers are missing: {some(missing)}")
        if wrong := [one for one, count in found.items() if count > 1 or one not in wanted]:
            breaches.append(f"numbers are double, or beyond the last one: {some(wrong)}")
    return breaches


def finals_are_told_once(figures: Figures) -> list[str]:
    """Each final invoice has one entry of it in its history, one event for webhooks, and one mail."""
    finals = {invoice.pk: invoice for invoice in Invoice.objects.filter(status="final")}
    figures.finals = len(finals)
    figures.corrections = InvoiceLine.objects.filter(kind="correction").count()
    about = Counter(InvoiceEvent.objects.filter(kind="finalized").values_list("invoice", flat=True))
    told = Counter(OutboxEvent.objects.filter(type="invoice.finalized").values_list("about", flat=True))
    mailed = Counter(Mail.objects.filter(kind="invoice_finalized").values_list("about", flat=True))
    wanted = Counter(f"invoice:{pk}" for pk in finals)
    breaches = []
    if any(not one.number for one in finals.values()):
        breaches.append("a final invoice has no number")
    for name, found in (
        ("histories", Counter(f"invoice:{pk}" for pk in about.elements())),
        ("events", told),
        ("mails", mailed),
    ):
        if found != wanted:
            breaches.append(
                f"{name} of final invoices: missing {some(wanted - found)}; too many {some(found - wanted)}"
            )
    return breaches


def webhooks_arrived(outside: Outside, figures: Figures) -> list[str]:
    """Every event arrived at least once, each time with the same words, and none that did not happen."""
    arrived = outside.webhooks()
    wanted = set(OutboxEvent.objects.values_list("message_id", flat=True))
    figures.webhooks = len(arrived)
    figures.webhooks_again = sum(len(bodies) - 1 for bodies in arrived.values())
    breaches = []
    if missing := wanted - arrived.keys():
        breaches.append(f"{len(missing)} webhooks did not arrive: {some(missing)}")
    if strange := arrived.keys() - wanted:
        breaches.append(f"{len(strange)} webhooks arrived for what did not happen: {some(strange)}")
    if changed := [one for one, bodies in arrived.items() if len(set(bodies)) > 1]:
        breaches.append(f"{len(changed)} webhooks said another thing the second time: {some(changed)}")
    return breaches


def mails_arrived(outside: Outside, figures: Figures) -> list[str]:
    """Every mail arrived at least once, under one id, at whom it is for."""
    arrived = outside.mailbox.got
    figures.mails = len(arrived)
    figures.mails_again = sum(len(times) - 1 for times in arrived.values())
    wanted = Counter(Mail.objects.values_list("recipient", "subject"))
    # By recipient and subject, each id once: the subject has the invoice's number.
    found = Counter(times[0] for times in arrived.values())
    breaches = []
    if changed := [one for one, times in arrived.items() if len(set(times)) > 1]:
        breaches.append(f"{len(changed)} mails were others the second time: {some(changed)}")
    if missing := wanted - found:
        breaches.append(f"mails did not arrive: {some(missing)}")
    if strange := found - wanted:
        breaches.append(f"mails arrived that are not there, or under two ids: {some(strange)}")
    return breaches
