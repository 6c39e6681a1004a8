"""What happened, for webhooks: a row in the transaction that did it, so that both are there or neither is.

Nothing is written where no endpoint wants it. Ids of the events about one object increase as they happen, as whoever
changes it holds its customer; deliveries are made in the order of ids (`invoices.webhooks.spreading`).
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from invoices.models import OutboxEvent, WebhookEndpoint

Data = Mapping[str, Any]

# How long an event that is throttled waits for others of its object to go out as one.
THROTTLE = timedelta(seconds=60)
# No event waits for longer: one that says so was written by a clock that has been put back since.
LONGEST_WAIT = timedelta(minutes=6)
# How many rows one statement stores.
AT_ONCE = 1000


def tell(
    event: str,
    about: str,
    data: Data | Callable[[], Data],
    now: datetime,
    not_before: datetime | None = None,
) -> bool:
    """Writes that an event ("invoice.paid") happened to what `about` names ("invoice:42"), if an endpoint wants its
    type; answers whether one does. Call it in the transaction that does it, with the customer locked.

    `data` goes out as it is: ids, keys, and figures as decimal text. Give a function where it costs something to make.
    """
    if not is_wanted(event):
        return False
    made = data() if callable(data) else data
    OutboxEvent.objects.create(**_columns(event, about, made, now, not_before))
    return True


def tell_throttled(event: str, abouts: Collection[str], now: datetime) -> None:
    """Writes an event for each of these objects that has none of this type waiting: it goes out after THROTTLE, and
    says what is so by then (`invoices.webhooks.payloads`)."""
    if not abouts or not is_wanted(event):
        return
    waiting = OutboxEvent.objects.filter(type=event, about__in=abouts, spread_at=None)
    # Held until this is committed, so that none of them goes out before what it shall tell of is there; one that is
    # going out this very moment is left to go, and another one comes after it.
    held = set(waiting.select_for_update(skip_locked=True).values_list("about", flat=True))
    OutboxEvent.objects.bulk_create(
        OutboxEvent(**_columns(event, about, {}, now, now + THROTTLE)) for about in abouts if about not in held
    )


def tell_many(event: str, said: Iterable[tuple[str, Data]], now: datetime) -> None:
    """Writes an event for each object and its data; whoever calls it has asked `is_wanted`."""
    rows = (OutboxEvent(**_columns(event, about, data, now, None)) for about, data in said)
    OutboxEvent.objects.bulk_create(rows, batch_size=AT_ONCE)


def release(event: str, about: str) -> None:
    """Has a throttled event about an object wait no longer: something more is told of it now, which it goes before."""
    OutboxEvent.objects.filter(type=event, about=about, spread_at=None).update(not_before=None)


def is_wanted(event: str) -> bool:
    """Whether there is an endpoint for events of this type."""
    return wanting(event).exists()


def wanting(event: str) -> "QuerySet[WebhookEndpoint]":
    """The endpoints that want events of this type."""
    return WebhookEndpoint.objects.filter(Q(types=[]) | Q(types__contains=[event]), enabled=True)


def _columns(event: str, about: str, data: Data, now: datetime, not_before: datetime | None) -> dict[str, Any]:
    return {
        "type": OutboxEvent.Type(event),
        "about": about,
        "data": dict(data),
        "message_id": f"msg_{secrets.token_urlsafe(18)}",
        "created_at": now,
        "not_before": not_before,
    }
