"""A customer's budget of a period: nothing but its own alerts of that kind, set and switched off together.

Alerts of one budget have the same amount in the same currency. A budget is held against each running bill in its
currency by itself, as its alerts are.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from invoices.alerting.alerts import change_own_alert, create_own_alert, own_alerts, watchable_currencies
from invoices.locking import lock_customer
from invoices.models import Alert
from invoices.prepaid.checks import money
from meters.models import Customer
from pricing.money import CurrencyError, minor_units

# Where a budget tells, in percent of it.
MARKS = (Decimal(50), Decimal(75), Decimal(100))


@dataclass(frozen=True, slots=True)
class Budget:
    """`thresholds` are those of its alerts, in percent."""

    amount: Decimal
    currency: str
    thresholds: tuple[Decimal, ...]


def budgets_of(customer: Customer) -> list[Budget]:
    """Those whose alerts are switched on, by currency and amount."""
    alerts = sorted(_alerts(customer).filter(enabled=True), key=_which)
    return [
        Budget(amount, currency, tuple(sorted({alert.threshold for alert in some})))
        for (currency, amount), some in groupby(alerts, key=_which)
    ]


@transaction.atomic
def set_budget(
    customer: Customer,
    *,
    amount: str | Decimal | None,
    currency: str = "",
    marks: Collection[Decimal] = MARKS,
    actor: str = "",
    now: datetime | None = None,
) -> Budget:
    """The customer's budget in a currency, which need not be named where its running bills are in one. It tells at
    `marks`, some of MARKS: an alert that is missing there is made, one that is not wanted is switched off. Raises
    ValidationError by field.

    All own alerts of a budget in that currency come to be of this amount, so that there is one. Those at other
    thresholds stay on or off as they are.
    """
    lock_customer(customer.pk)
    currency = currency or _only_currency(customer)
    exact = _amount(amount, currency)
    if not marks or not set(marks) <= set(MARKS):
        raise ValidationError({"marks": "Choose at least one of these."})
    found = list(_alerts(customer).filter(currency=currency))
    for alert in found:
        wanted: dict[str, object] = {"budget": exact}
        if alert.threshold in MARKS:
            wanted["enabled"] = alert.threshold in marks
        changes = {name: value for name, value in wanted.items() if getattr(alert, name) != value}
        if changes:
            change_own_alert(customer, alert.pk, changes=changes)
    for mark in sorted(set(marks) - {alert.threshold for alert in found}):
        create_own_alert(
            customer,
            kind=Alert.Kind.BUDGET,
            name=f"Budget: {mark}%",
            threshold=mark,
            budget=exact,
            currency=currency,
            actor=actor,
            now=now,
        )
    return next(budget for budget in budgets_of(customer) if budget.currency == currency)


@transaction.atomic
def switch_budget_off(customer: Customer, *, currency: str) -> int:
    """Switches the alerts of a customer's budgets in a currency off, and answers how many. They are kept, with when
    they were told."""
    lock_customer(customer.pk)
    alerts = list(_alerts(customer).filter(currency=currency, enabled=True))
    for alert in alerts:
        change_own_alert(customer, alert.pk, changes={"enabled": False})
    return len(alerts)


def _alerts(customer: Customer) -> QuerySet[Alert]:
    return own_alerts(customer).filter(kind=Alert.Kind.BUDGET).order_by("pk")


def _which(alert: Alert) -> tuple[str, Decimal]:
    assert alert.budget is not None  # by alert_kind
    return alert.currency, alert.budget


def _only_currency(customer: Customer) -> str:
    currencies: Sequence[str] = watchable_currencies(customer)
    if len(currencies) != 1:
        raise ValidationError({"currency": "Say in which currency." if currencies else "There is no running bill yet."})
    return currencies[0]


def _amount(amount: str | Decimal | None, currency: str) -> Decimal:
    if amount in (None, ""):
        raise ValidationError({"budget": "Say how much the budget of a period is."})
    try:
        minor_units(currency)
    except CurrencyError:
        raise ValidationError({"currency": "None of your running bills is in this currency."}) from None
    return money(amount, currency, "budget")
