"""When a customer's credit is low: told once, until it is above again. Taking money is not ours, so to ask for more is
a webhook event."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from invoices.locking import lock_customer
from invoices.mailing.reasons import credit_is_low
from invoices.models import CreditRule, OutboxEvent
from invoices.outbox import tell
from invoices.prepaid.balances import standings_of
from invoices.prepaid.checks import currency_of, money
from meters.models import Customer
from pricing.money import amount_text

CHUNK = 500


@transaction.atomic
def set_credit_rule(
    customer: Customer,
    *,
    currency: str,
    low_below: Decimal | str | int,
    top_up: Decimal | str | int | None = None,
    now: datetime | None = None,
) -> CreditRule:
    """Sets when a customer's credit is low, in major units of a currency, and how much more to ask for then (None:
    it is only told). A customer has one rule. Raises ValidationError by field."""
    now = now or timezone.now()
    lock_customer(customer.pk)
    code = currency_of(currency)
    rule = CreditRule.objects.filter(customer=customer).first() or CreditRule(customer=customer)
    if rule.currency != code:
        rule.told_at = None
    rule.currency = code
    rule.low_below = money(low_below, code, "low_below")
    rule.top_up = None if top_up is None else money(top_up, code, "top_up")
    rule.save()
    _check(rule, now)
    return rule


@transaction.atomic
def drop_credit_rule(customer: Customer) -> None:
    """A customer whose credit is never low. Raises ValidationError where there is no rule."""
    lock_customer(customer.pk)
    if not CreditRule.objects.filter(customer=customer).delete()[0]:
        raise ValidationError({"customer": f"{customer} has no rule."})


def check_rule(customer_id: int, now: datetime) -> None:
    """Tells that a customer's credit is low, if it is and nobody was told. Call it under the customer's lock."""
    rule = CreditRule.objects.filter(customer=customer_id).select_related("customer").first()
    if rule is not None:
        _check(rule, now)


def _check(rule: CreditRule, now: datetime) -> None:
    left = standings_of([(rule.customer_id, rule.currency)], now)[rule.customer_id, rule.currency]
    is_low = left < rule.low_below
    if is_low == (rule.told_at is not None):
        return
    rule.told_at = now if is_low else None
    rule.save(update_fields=["told_at"])
    if is_low:
        tell(OutboxEvent.Type.CREDIT_LOW, f"customer:{rule.customer_id}", event_data(rule, left), now)
        credit_is_low(rule, left, now)


def event_data(rule: CreditRule, left: Decimal) -> dict[str, str | None]:
    """What the event says. `top_up` is the amount that is asked for; null: it is only told."""
    return {
        "customer": rule.customer.key,
        "currency": rule.currency,
        "left": amount_text(left, rule.currency),
        "low_below": amount_text(rule.low_below, rule.currency),
        "top_up": None if rule.top_up is None else amount_text(rule.top_up, rule.currency),
    }


def turned_rules(now: datetime) -> list[int]:
    """The customers whose credit has become low without being told, or is above again: by usage, or by time alone."""
    found: list[int] = []
    rules = list(CreditRule.objects.order_by("pk").values_list("customer", "currency", "low_below", "told_at"))
    for start in range(0, len(rules), CHUNK):
        found += _turned(rules[start : start + CHUNK], now)
    return found


def _turned(rules: Sequence[tuple[int, str, Decimal, datetime | None]], now: datetime) -> list[int]:
    left = standings_of([(customer, currency) for customer, currency, _, _ in rules], now)
    return [
        customer
        for customer, currency, low_below, told_at in rules
        if (left[customer, currency] < low_below) == (told_at is None)
    ]


@transaction.atomic
def follow_rule(customer_id: int, *, now: datetime | None = None) -> None:
    """Looks at a customer's rule by itself, where nothing else has moved its credit."""
    now = now or timezone.now()
    lock_customer(customer_id)
    check_rule(customer_id, now)
