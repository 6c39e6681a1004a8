"""Deliveries are sent, and sent again until they are taken.

A worker holds the rows of what it sends while it does: a second one passes them over, and those of one that dies are
free again with its connection. What it had sent by then goes out once more, under the same id, which receivers tell
repeats by.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import OperationalError, transaction
from django.utils import timezone

from invoices.figures import WEBHOOKS
from invoices.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from invoices.webhooks.delivery_sql import CLAIM, SENDING
from invoices.webhooks.endpoints import keys_of
from invoices.webhooks.payloads import body_of
from invoices.webhooks.sending import TOTAL_SECONDS, Answer, post
from invoices.webhooks.signing import signed_headers
from meters.statements import execute

logger = logging.getLogger(__name__)

Status = WebhookDelivery.Status

# Seconds from one try to the next; behind the last of them it goes on by that one.
WAITS = (5, 60, 300, 900, 1800, 3600, 7200, 14400, 21600)
# Up or down from that, in percent, so that what failed together does not come back together.
JITTER = 10
# For so long a delivery is tried, from when it was made.
TRIED_FOR = timedelta(days=3)
LONGEST_ASKED = 6 * 3600
# An endpoint that does not answer, or says that it is busy, is left alone for so long with everything else.
PAUSE = timedelta(seconds=60)
BUSY = (429, 503)
GONE = 410
OUTCOME_OF: dict[str, str] = {Status.DELIVERED: "delivered", Status.WAITING: "retried", Status.FAILED: "failed"}
# How many are sent at a time, and of those to one endpoint.
MOST, MOST_OF_ONE = 20, 10
# A resolver that hangs is not waited for any longer.
PATIENCE_SECONDS = TOTAL_SECONDS + 5


@transaction.atomic
def send_due(*, now: datetime | None = None, most: int = MOST, alone: bool = False) -> int:
    """Sends deliveries that are due, and answers how many it took. Where `alone`, only if no other worker does so too.

    Of each endpoint's object the earliest goes first: the others wait until it is taken, or given up.
    """
    now = now or timezone.now()
    if alone and execute(SENDING, {}) == [(False,)]:
        return 0
    claimed = [pk for (pk,) in execute(CLAIM, {"now": now, "most": most, "of_one": MOST_OF_ONE})]
    if not claimed:
        return 0
    deliveries = list(WebhookDelivery.objects.filter(pk__in=claimed).select_related("endpoint", "event").order_by("pk"))
    messages = [_message(delivery, now) for delivery in deliveries]
    made = [one for one in messages if isinstance(one, Message)]
    answers = iter(_post_all(made))
    paused: set[int] = set()
    for delivery, message in zip(deliveries, messages, strict=True):
        if isinstance(message, Answer):
            # A fault of ours, which says nothing of the endpoint.
            _note(delivery, "", message, now)
            continue
        answer = next(answers)
        _note(delivery, message.body, answer, now)
        if answer.status is None or answer.status in BUSY:
            paused.add(delivery.endpoint_id)
    _leave_alone(paused, now)
    return len(deliveries)


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted."""

    endpoint: WebhookEndpoint
    headers: Mapping[str, str]
    body: str


def _message(delivery: WebhookDelivery, now: datetime) -> Message | Answer:
    """The message of a delivery; what it could not be made for holds up no other, and is tried again like what nobody
    answered."""
    try:
        body = body_of(delivery.event)
        signed = signed_headers(delivery.event.message_id, now, body, keys_of(delivery.endpoint, now))
    except Exception as error:
        logger.exception("delivery %s cannot be made", delivery.pk)
        return Answer(None, error=f"It could not be made. {type(error).__name__}: {error}".replace("\0", ""))
    headers = {"content-type": "application/json", "user-agent": "Tollmeter-Webhooks/1", **signed}
    return Message(delivery.endpoint, headers, body)


def _post_all(messages: Sequence[Message]) -> list[Answer]:
    """All at the same time, each in a thread that knows nothing of the database."""
    if not messages:
        return []
    pool = ThreadPoolExecutor(max_workers=len(messages), thread_name_prefix="webhook")
    sent = [
        pool.submit(
            post,
            message.endpoint.url,
            headers=message.headers,
            body=message.body,
            allow_private=message.endpoint.allow_private,
        )
        for message in messages
    ]
    wait(sent, timeout=PATIENCE_SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    late = Answer(None, error="The name of the host was not resolved in time.", milliseconds=PATIENCE_SECONDS * 1000)
    return [one.result() if one.done() else late for one in sent]


def _note(delivery: WebhookDelivery, body: str, answer: Answer, now: datetime) -> None:
    """Writes down a try, and what is to become of the delivery."""
    WebhookAttempt.objects.create(
        delivery=delivery,
        at=now,
        body=body,
        status_code=answer.status,
        answer=answer.body,
        error=answer.error[:300],
        milliseconds=answer.milliseconds,
    )
    delivery.attempts += 1
    if answer.status is not None and 200 <= answer.status < 300:
        delivery.status, delivery.delivered_at, delivery.next_try_at = Status.DELIVERED, now, None
    else:
        delivery.next_try_at = next_try(delivery, answer, now)
        if delivery.next_try_at is None:
            delivery.status = Status.FAILED
    WEBHOOKS[OUTCOME_OF[delivery.status]].inc()
    if answer.status == GONE:
        # The receiver wants no more, ever.
        WebhookEndpoint.objects.filter(pk=delivery.endpoint_id).update(enabled=False)
    delivery.save(update_fields=["attempts", "status", "delivered_at", "next_try_at"])


def next_try(delivery: WebhookDelivery, answer: Answer, now: datetime) -> datetime | None:
    """When a delivery that was not taken is tried again; None: it is given up."""
    if answer.status == GONE:
        return None
    seconds = WAITS[min(delivery.attempts, len(WAITS)) - 1]
    seconds = seconds * random.randint(100 - JITTER, 100 + JITTER) // 100
    if answer.retry_after is not None and answer.status in BUSY:
        seconds = max(seconds, min(answer.retry_after, LONGEST_ASKED))
    at = now + timedelta(seconds=seconds)
    return None if at > delivery.created_at + TRIED_FOR else at


def _leave_alone(endpoints: set[int], now: datetime) -> None:
    """Puts off what else is due for endpoints that have just not answered. It is no try of it."""
    if endpoints:
        due = WebhookDelivery.objects.filter(endpoint__in=endpoints, status=Status.WAITING, next_try_at__lte=now)
        ids = list(due.order_by("pk").select_for_update(skip_locked=True).values_list("pk", flat=True))
        WebhookDelivery.objects.filter(pk__in=ids).update(next_try_at=now + PAUSE)


def give_up_old(*, now: datetime | None = None) -> int:
    """Gives up what waits for endpoints that are switched off, once it would not be tried any more."""
    now = now or timezone.now()
    left = WebhookDelivery.objects.filter(
        status=Status.WAITING, endpoint__enabled=False, created_at__lt=now - TRIED_FOR
    )
    return left.update(status=Status.FAILED, next_try_at=None)


@transaction.atomic
def replay(delivery_id: int, *, now: datetime | None = None) -> WebhookDelivery:
    """Has a delivery sent once more, at once, under the same id; while it is young enough, until it is taken.

    Raises ValidationError where its endpoint is switched off, or it is being sent at this moment, and
    WebhookDelivery.DoesNotExist.
    """
    now = now or timezone.now()
    deliveries = WebhookDelivery.objects.select_for_update(of=("self",), nowait=True).select_related(
        "endpoint", "event"
    )
    try:
        with transaction.atomic():
            delivery = deliveries.get(pk=delivery_id)
    except OperationalError:
        raise ValidationError("It is being sent at this moment.") from None
    if not delivery.endpoint.enabled:
        raise ValidationError("Its endpoint is switched off.")
    delivery.status, delivery.next_try_at = Status.WAITING, now
    delivery.save(update_fields=["status", "next_try_at"])
    return delivery
