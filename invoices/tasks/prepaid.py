"""Celery's part of credits: what time alone moves."""

import logging

from celery import shared_task
from django.utils import timezone

from invoices.figures import failed
from invoices.prepaid.credits import customers_with_expired, expire_grants
from invoices.prepaid.rules import follow_rule, turned_rules

logger = logging.getLogger(__name__)

# One run enters the expiries of at most so many customers; the next tick goes on.
BATCH = 1000


@shared_task
def follow_credits() -> None:
    """Enters what has expired, then looks at whose credit has become low, or is above again. Done twice, or by two
    workers, it does no harm: each customer is looked at anew under its lock."""
    now = timezone.now()
    for service, customers in (
        (expire_grants, customers_with_expired(now, BATCH)),
        (follow_rule, turned_rules(now)),
    ):
        for customer in customers:
            try:
                service(customer)
            except Exception:
                logger.exception("%s failed for customer %s", service.__name__, customer)
                failed(service.__name__)
