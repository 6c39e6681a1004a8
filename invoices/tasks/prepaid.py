"""Celery's part of credits: what time alone moves."""

from collections.abc import Sequence
from datetime import datetime

from celery import shared_task
from django.utils import timezone

from invoices import failing
from invoices.failing import Kind
from invoices.prepaid.credits import customers_with_expired, expire_grants
from invoices.prepaid.rules import follow_rule, turned_rules
from invoices.tasks.bills import each

# One run enters the expiries of at most so many customers; the next tick goes on.
BATCH = 1000


@shared_task
def follow_credits() -> None:
    """Enters what has expired, then looks at whose credit has become low, or is above again. Done twice, or by two
    workers, it does no harm: each customer is looked at anew under its lock."""
    now = timezone.now()
    each(Kind.EXPIRE, expire_grants, _tried(Kind.EXPIRE, customers_with_expired(now, BATCH), now))
    each(Kind.FOLLOW_CREDIT, follow_rule, _tried(Kind.FOLLOW_CREDIT, turned_rules(now), now))


def _tried(kind: Kind, customers: Sequence[int], now: datetime) -> list[int]:
    left_alone = set(failing.left_alone(kind, now))
    return [one for one in customers if one not in left_alone]
