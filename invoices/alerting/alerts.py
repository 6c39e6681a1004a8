"""Making, changing and removing alerts: by staff, and by a customer its own. What they tell is in `watching.py`.

Who changes what an alert watches has the bills that it is about computed anew, in the same transaction: what is
reached already is told of within seconds, and not only with the next usage.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from invoices.locking import lock_customer
from invoices.mailing.recipients import recipients_of
from invoices.models import Alert, AlertFiring, Invoice
from invoices.prepaid.checks import currency_of, money
from invoices.services import mark_stale
from meters.models import Customer
from pricing.inputs import check_row, known, number
from pricing.models import ProductItem, Rate

Kind, Audience = Alert.Kind, Alert.Audience
# What a kind has beside its threshold.
NEEDS: Mapping[str, tuple[str, ...]] = {
    Kind.AMOUNT: ("currency",),
    Kind.QUANTITY: ("product_item",),
    Kind.FREE_TIER: ("product_item",),
    Kind.BUDGET: ("budget", "currency"),
}
PERCENTS = (Kind.FREE_TIER, Kind.BUDGET)
# An alert about something else is another alert, with firings of its own.
EDITABLE = ("name", "threshold", "budget", "currency", "recipients", "enabled")
OWN = (*EDITABLE, "kind", "product_item")
FIELDS = (*OWN, "audience", "customer")
# What a bill may have reached when it is changed.
WATCHED = ("threshold", "budget", "currency", "enabled")
MOST_PERCENT = 1000
MOST_RECIPIENTS = 20
# Of its own, that a customer may have.
MOST_OWN = 20


@transaction.atomic
def create_alert(*, actor: str = "", now: datetime | None = None, **fields: Any) -> Alert:
    """A new alert; `fields`: some of FIELDS. Without a customer it watches each of them. It watches the periods that
    are not over, and tells at once of those that are beyond its threshold. Raises ValidationError by field."""
    known(fields, FIELDS)
    alert = new_alert(actor=actor, now=now, **fields)
    alert.save(force_insert=True)
    _look_again(alert)
    return alert


def new_alert(*, actor: str = "", now: datetime | None = None, **fields: Any) -> Alert:
    """The alert that `create_alert` would make, not stored. Raises ValidationError by field."""
    alert = Alert(actor=actor[:150], created_at=now or timezone.now(), **fields)
    _check(alert, fields)
    return alert


@transaction.atomic
def change_alert(alert: Alert, *, changes: Mapping[str, Any]) -> Alert:
    """Changes some of EDITABLE. A threshold that is moved is another one, which is told of by itself; so it is at once,
    where it is reached already. Raises ValidationError by field."""
    known(changes, EDITABLE)
    if any(name in changes for name in WATCHED):
        # Customers are held before anything else.
        _look_again(alert)
    alert = Alert.objects.select_for_update(of=("self",), no_key=True).select_related("customer").get(pk=alert.pk)
    for name, value in changes.items():
        setattr(alert, name, value)
    _check(alert, changes)
    alert.save(update_fields=list(changes))
    return alert


@transaction.atomic
def remove_alert(alert: Alert) -> None:
    """Removes an alert, and what is known of when it was told. One that is switched off keeps that."""
    # Whoever is telling of it is waited for, with what it writes.
    Alert.objects.select_for_update().filter(pk=alert.pk).first()
    Alert.objects.filter(pk=alert.pk).delete()


# --- A customer's own ---


def own_alerts(customer: Customer) -> "QuerySet[Alert]":
    """The alerts that a customer sees and changes: those that are for it, whoever made them. What staff watch it by
    is not its to know."""
    return Alert.objects.filter(customer=customer, audience=Audience.CUSTOMER)


def own_firings(customer: Customer) -> "QuerySet[AlertFiring]":
    """When its own alerts were told."""
    return AlertFiring.objects.filter(
        alert__customer=customer, alert__audience=Audience.CUSTOMER, invoice__customer=customer
    )


def watchable_items(customer: Customer) -> "QuerySet[ProductItem]":
    """The product items that a customer's running bills price; of others it does not know."""
    versions = _live(customer).values("plan_version")
    priced = Rate.objects.filter(plan_version__in=versions).values("product_item")
    on_bills = _live(customer).filter(lines__product_item__isnull=False).values("lines__product_item")
    return ProductItem.objects.filter(Q(pk__in=priced) | Q(pk__in=on_bills)).order_by("name", "id")


def watchable_currencies(customer: Customer) -> list[str]:
    """Those of its running bills."""
    return sorted(set(_live(customer).order_by().values_list("currency", flat=True)))


@transaction.atomic
def create_own_alert(customer: Customer, *, actor: str = "", now: datetime | None = None, **fields: Any) -> Alert:
    """A new alert of a customer, for itself; `fields`: some of OWN. It is about what its running bills have, and where
    these are in one currency it need not say which. Raises ValidationError by field."""
    known(fields, OWN)
    # Two at once count together.
    lock_customer(customer.pk)
    if own_alerts(customer).count() >= MOST_OWN:
        raise ValidationError(f"There are {MOST_OWN} alerts, which is as many as there can be: remove one.")
    currencies = watchable_currencies(customer)
    if "currency" in NEEDS.get(fields.get("kind", ""), ()) and not fields.get("currency") and len(currencies) == 1:
        fields["currency"] = currencies[0]
    _check_own(customer, fields)
    return create_alert(audience=Audience.CUSTOMER, customer=customer, actor=actor, now=now, **fields)


@transaction.atomic
def change_own_alert(customer: Customer, alert_id: int, *, changes: Mapping[str, Any]) -> Alert:
    """Changes some of EDITABLE of a customer's own alert. Raises Alert.DoesNotExist for one that is not its own, also
    where there is one, and ValidationError by field."""
    alert = own_alerts(customer).get(pk=alert_id)
    _check_own(customer, changes)
    return change_alert(alert, changes=changes)


def remove_own_alert(customer: Customer, alert_id: int) -> None:
    """Removes a customer's own alert. Raises Alert.DoesNotExist for one that is not its own."""
    remove_alert(own_alerts(customer).get(pk=alert_id))


def _check_own(customer: Customer, fields: Mapping[str, Any]) -> None:
    item, currency = fields.get("product_item"), fields.get("currency")
    errors: dict[str, str] = {}
    if item is not None and not watchable_items(customer).filter(pk=item.pk).exists():
        errors["product_item"] = "Your bill has no such item."
    if currency and currency not in watchable_currencies(customer):
        errors["currency"] = "None of your running bills is in this currency."
    if errors:
        raise ValidationError(errors)


def _live(customer: Customer) -> "QuerySet[Invoice]":
    return Invoice.objects.filter(customer=customer, status__in=Invoice.LIVE)


# --- Checks ---


def _look_again(alert: Alert) -> None:
    """Has the bills that an alert is about computed anew."""
    mark_stale(Q() if alert.customer_id is None else Q(pk=alert.customer_id))


def _check(alert: Alert, given: Iterable[str]) -> None:
    """Puts what was given into its form. Raises ValidationError by field, for all that is wrong at once."""
    errors: dict[str, Any] = {}
    for check in (_check_name, _check_what, _check_figures, _check_whom):
        try:
            check(alert)
        except ValidationError as error:
            errors |= error.error_dict
    if "recipients" in given:
        try:
            _check_recipients(alert)
        except ValidationError as error:
            errors |= error.error_dict
    if errors:
        raise ValidationError(errors)
    check_row(alert, but=["recipients", "threshold", "budget"])


def _check_name(alert: Alert) -> None:
    alert.name = alert.name.strip() if isinstance(alert.name, str) else ""
    if not alert.name or not alert.name.isprintable():
        raise ValidationError({"name": "Give it a name, in one line."})


def _check_what(alert: Alert) -> None:
    if alert.kind not in Kind.values:
        raise ValidationError({"kind": "There is no such kind of alert."})
    needs = NEEDS[alert.kind]
    has = {"product_item": alert.product_item, "budget": alert.budget, "currency": alert.currency}
    errors: dict[str, str] = {}
    for name, value in has.items():
        is_there = value not in (None, "")
        if is_there != (name in needs):
            words = Kind(alert.kind).label
            errors[name] = f"This kind of alert has none: {words}." if is_there else _MISSING[name]
    if errors:
        raise ValidationError(errors)


_MISSING = {
    "product_item": "Say which product item.",
    "budget": "Say how much the budget of a period is.",
    "currency": "Say in which currency.",
}


def _check_figures(alert: Alert) -> None:
    if alert.kind not in Kind.values:
        return
    if alert.currency:
        alert.currency = currency_of(alert.currency)
    errors: dict[str, Any] = {}
    try:
        alert.threshold = _threshold(alert)
    except ValidationError as error:
        errors |= error.error_dict
    if alert.budget is not None and alert.currency:
        try:
            alert.budget = money(alert.budget, alert.currency, "budget")
        except ValidationError as error:
            errors |= error.error_dict
    if errors:
        raise ValidationError(errors)


def _threshold(alert: Alert) -> Decimal:
    if alert.threshold is None:
        raise ValidationError({"threshold": "Say when to tell."})
    threshold = number(alert.threshold, "threshold")
    if threshold <= 0:
        raise ValidationError({"threshold": "Give a number above zero."})
    if alert.kind == Kind.AMOUNT and alert.currency:
        return money(threshold, alert.currency, "threshold")
    if alert.kind in PERCENTS and threshold > MOST_PERCENT:
        raise ValidationError({"threshold": f"This is a percentage, of at most {MOST_PERCENT:,}: 80 is 80%."})
    return threshold


def _check_whom(alert: Alert) -> None:
    if alert.audience not in Audience.values:
        raise ValidationError({"audience": "Staff, or the customer."})
    if alert.audience == Audience.CUSTOMER and alert.customer is None:
        raise ValidationError({"customer": "An alert for the customer is of one customer."})


def _check_recipients(alert: Alert) -> None:
    """Each is an address, once; for a customer's alert one of its own people's, so that nobody has mail sent to
    strangers."""
    given = alert.recipients
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise ValidationError({"recipients": "This is a list of mail addresses."})
    addresses = list({one.strip().casefold(): one.strip() for one in given if one.strip()}.values())
    if len(addresses) > MOST_RECIPIENTS:
        raise ValidationError({"recipients": f"At most {MOST_RECIPIENTS} addresses."})
    wrong = [one for one in addresses if not _is_address(one)]
    if wrong:
        raise ValidationError({"recipients": [f"{one[:100]!r} is no mail address." for one in wrong]})
    if alert.audience == Audience.CUSTOMER and alert.customer is not None:
        own = {one.casefold() for one in recipients_of(alert.customer)}
        strangers = [one for one in addresses if one.casefold() not in own]
        if strangers:
            texts = [f"{one} is neither the customer's address nor a portal member's." for one in strangers]
            raise ValidationError({"recipients": texts})
    alert.recipients = addresses


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True
