"""Promotions: what there is to give, and who has been given it."""

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from meters.models import Customer
from meters.periods import local_date
from meters.words import day_words
from pricing.inputs import check_row, known, number, save_row, sensible_day
from pricing.models import AppliedPromotion, Promotion
from pricing.money import CurrencyError, minor_units, round_money

FIELDS = (
    *("key", "name", "code", "kind", "percent", "amount", "currency", "product_items", "starts_on", "ends_on"),
    *("periods", "cap", "position", "enabled"),
)
NOT_BOTH = "A promotion has a percentage or an amount, not both."


@transaction.atomic
def save_promotion(promotion: Promotion | None = None, *, changes: Mapping[str, Any]) -> Promotion:
    """Makes or changes a promotion. Amounts are in the major unit of its currency. Raises ValidationError by field.

    Customers that have it get it as it is now, on invoices that are not final.
    """
    known(changes, FIELDS)
    promotion = promotion or Promotion()
    if promotion.pk is not None:
        promotion = Promotion.objects.select_for_update(no_key=True).get(pk=promotion.pk)
    if errors := _faults(promotion, changes):
        raise ValidationError(errors)
    save_row(promotion, check=partial(_check, promotion))
    if "product_items" in changes:
        promotion.product_items.set(changes["product_items"])
    return promotion


@transaction.atomic
def apply_promotion(
    *,
    customer: Customer,
    promotion: Promotion | None = None,
    code: str | None = None,
    starts_on: date | None = None,
    actor: str = "",
) -> AppliedPromotion:
    """Gives a customer a promotion, or the one that has a code, from a day on: the customer's today if none is said.

    Capitals of the code do not matter. Raises ValidationError by field where there is no such code, the promotion
    cannot be given on that day, or the customer has it already.
    """
    field = "code" if promotion is None else "promotion"
    promotion = _wanted(promotion, code)
    # Held, so that it is not switched off meanwhile, and no customer gets it twice.
    promotion = Promotion.objects.select_for_update(no_key=True).get(pk=promotion.pk)
    day = starts_on or local_date(timezone.now(), customer.zone)
    sensible_day(day, "starts_on")
    if not promotion.enabled:
        raise ValidationError({field: f"{promotion} is no longer given."})
    if promotion.starts_on is not None and day < promotion.starts_on:
        raise ValidationError({"starts_on": f"{promotion} is given from {day_words(promotion.starts_on)} on."})
    if promotion.ends_on is not None and day >= promotion.ends_on:
        raise ValidationError({"starts_on": f"{promotion} was given until {day_words(promotion.ends_on)}."})
    if promotion.applied.filter(customer=customer).exists():
        raise ValidationError({field: f"{customer} has had {promotion} already."})
    return AppliedPromotion.objects.create(
        customer=customer,
        promotion=promotion,
        starts_on=day,
        code=(code or "")[:100],
        actor=actor[:150],
    )


@transaction.atomic
def end_promotion(applied: AppliedPromotion, *, ends_on: date | None, actor: str = "") -> AppliedPromotion:
    """Ends what a customer was given, moves the end, or takes it back (None): periods without a day before `ends_on`
    no longer get it. With the day that it began it was for nothing. Raises ValidationError by field."""
    applied = (
        AppliedPromotion.objects.select_for_update(no_key=True, of=("self",))
        .select_related("promotion", "customer")
        .get(pk=applied.pk)
    )
    sensible_day(ends_on, "ends_on")
    if ends_on is not None and ends_on < applied.starts_on:
        raise ValidationError({"ends_on": "The end is not before the start."})
    if ends_on != applied.ends_on:
        applied.ends_on = ends_on
        applied.actor = actor[:150] or applied.actor
        applied.save(update_fields=["ends_on", "actor"])
    return applied


def promotion_faults(changes: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is wrong with what a new promotion is to be, by field."""
    return _faults(Promotion(), changes)


def _faults(promotion: Promotion, changes: Mapping[str, Any]) -> dict[str, list[str]]:
    """Gives a promotion, which is not saved, its new values, and answers all that is wrong with them at once."""
    errors: dict[str, list[str]] = {}
    for name, value in changes.items():
        try:
            if name != "product_items":
                setattr(promotion, name, _clean(name, value))
        except ValidationError as error:
            errors |= error.message_dict
    for check in (check_row, _check):
        try:
            check(promotion)
        except ValidationError as error:
            errors = error.message_dict | errors
    return errors


def _clean(name: str, value: Any) -> Any:
    match name:
        case "percent" | "amount" | "cap":
            return None if value is None else number(value, name)
        case "code":
            return (value or "").strip() or None
        case "currency":
            return (value or "").strip().upper()
    return value


def _wanted(promotion: Promotion | None, code: str | None) -> Promotion:
    if code is None:
        if promotion is None:
            raise ValidationError({"promotion": "Name the promotion, or its code."})
        return promotion
    found = None if "\0" in code else Promotion.objects.filter(code__iexact=code.strip()).first()
    if found is None or (promotion is not None and promotion != found):
        raise ValidationError({"code": "There is no promotion with this code."})
    return found


def _figure(promotion: Promotion) -> str:
    return "amount" if promotion.kind == Promotion.Kind.AMOUNT else "percent"


def _check(promotion: Promotion) -> None:
    errors: dict[str, str] = {}
    both = promotion.percent is not None and promotion.amount is not None
    if promotion.percent is None and promotion.amount is None:
        errors[_figure(promotion)] = "Say what is off: a percentage, or else an amount."
    elif promotion.kind == Promotion.Kind.PERCENT:
        if promotion.amount is not None:
            errors["amount"] = NOT_BOTH if both else "Of the kind percent it has a percentage, and no amount."
        if promotion.percent is None or not 0 < promotion.percent <= 100:
            errors["percent"] = "This is greater than 0 and at most 100."
    elif promotion.kind == Promotion.Kind.AMOUNT:
        if promotion.percent is not None:
            errors["percent"] = NOT_BOTH if both else "Of the kind amount it has an amount, and no percentage."
        if not promotion.amount:
            errors["amount"] = "This must be greater than 0."
    if promotion.cap is not None and not promotion.cap:
        errors["cap"] = "This must be greater than 0; leave it empty for none."
    if promotion.currency:
        try:
            errors = _too_fine(promotion) | errors
        except CurrencyError:
            errors["currency"] = "This is no currency of ISO 4217, such as EUR."
    elif promotion.amount is not None or promotion.cap is not None:
        errors["currency"] = "Say which currency the amount or the cap is in, such as EUR."
    if promotion.starts_on and promotion.ends_on and promotion.ends_on <= promotion.starts_on:
        errors["ends_on"] = "The end is the first day that is too late, and after the start."
    if promotion.code and Promotion.objects.filter(code__iexact=promotion.code).exclude(pk=promotion.pk).exists():
        errors["code"] = "Another promotion has this code."
    if errors:
        raise ValidationError(errors)


def _too_fine(promotion: Promotion) -> dict[str, str]:
    """What is wrong with amounts that no invoice can have: rounded to one, more would be taken off than they say."""
    places = minor_units(promotion.currency)
    said = f"Amounts in {promotion.currency} have {f'at most {places}' if places else 'no'} decimals."
    amounts = {"amount": promotion.amount, "cap": promotion.cap}
    return {
        name: said
        for name, amount in amounts.items()
        if amount is not None and round_money(amount, promotion.currency) != amount
    }
