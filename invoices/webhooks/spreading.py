"""From the outbox to deliveries: one for each endpoint that wants an event, in the order of the events' ids."""

from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from invoices.failing import Kind, attempt, known, left_alone
from invoices.models import OutboxEvent, WebhookDelivery, WebhookEndpoint
from invoices.outbox import LONGEST_WAIT
from invoices.webhooks.delivery_sql import SPREADING
from invoices.webhooks.payloads import data_now
from meters.statements import execute

# So many at once; the next call goes on.
MOST = 500
# How long what was delivered, or given up, can be looked at and sent again.
KEPT = timedelta(days=30)


@transaction.atomic
def spread(*, now: datetime | None = None, most: int = MOST) -> int:
    """Makes the deliveries of the oldest events that wait, and answers how many events it took.

    One at a time: who comes while another one is at it leaves it to that one. An endpoint gets what has happened since
    it was made. A throttled event says what is so by now.
    """
    now = now or timezone.now()
    if execute(SPREADING, {}) == [(False,)]:
        return 0
    is_due = Q(not_before=None) | Q(not_before__lte=now) | Q(not_before__gt=now + LONGEST_WAIT)
    due = OutboxEvent.objects.filter(is_due, spread_at=None).exclude(pk__in=left_alone(Kind.TELL, now))
    # What is held is a throttled one that a bill under work relies on: it waits for the next time.
    events = list(due.order_by("id").select_for_update(skip_locked=True)[:most])
    endpoints = list(WebhookEndpoint.objects.filter(enabled=True)) if events else []
    failed = known(Kind.TELL) if events else set()
    told: list[OutboxEvent] = []
    deliveries: list[WebhookDelivery] = []
    for event in events:
        if not attempt(Kind.TELL, event.pk, partial(_say_what_is_so, event, now), known=failed, now=now):
            continue
        event.spread_at = now
        told.append(event)
        deliveries += [_delivery(event, endpoint, now) for endpoint in endpoints if _wants(endpoint, event)]
    OutboxEvent.objects.bulk_update(told, ["data", "created_at", "spread_at"])
    WebhookDelivery.objects.bulk_create(deliveries)
    return len(events)


def _say_what_is_so(event: OutboxEvent, now: datetime) -> None:
    if event.type == OutboxEvent.Type.INVOICE_UPDATED:
        with transaction.atomic():
            event.data = data_now(event) or event.data
        event.created_at = max(event.created_at, now)


def _wants(endpoint: WebhookEndpoint, event: OutboxEvent) -> bool:
    # By ids, not by times: who made the endpoint may have another clock than who tells.
    is_since = event.pk > endpoint.after_event or event.type == OutboxEvent.Type.INVOICE_UPDATED
    return is_since and (not endpoint.types or event.type in endpoint.types)


def _delivery(event: OutboxEvent, endpoint: WebhookEndpoint, now: datetime) -> WebhookDelivery:
    return WebhookDelivery(endpoint=endpoint, event=event, about=event.about, next_try_at=now, created_at=now)


def forget_old(*, now: datetime | None = None) -> int:
    """Removes events that went out KEPT ago, with their log; answers how many they were."""
    now = now or timezone.now()
    waiting = WebhookDelivery.objects.filter(event=OuterRef("pk"), status=WebhookDelivery.Status.WAITING)
    old = OutboxEvent.objects.filter(~Exists(waiting), spread_at__lt=now - KEPT).values_list("pk", flat=True)
    ids = list(old.order_by("pk")[:10_000])
    OutboxEvent.objects.filter(pk__in=ids).delete()
    return len(ids)
