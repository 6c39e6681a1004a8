"""What services check of every value they are given, whichever way it came in. Refusals name the field."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from pricing.rate_fields import RateError, read_number

# Days further away than this are slips of the pen, or of no meaning to a calendar.
FURTHEST = timedelta(days=100 * 366)


def number(value: object, field: str) -> Decimal:
    """A number from 0 to 10^24 with at most 15 decimals, from decimal text, an int or a Decimal.

    Raises ValidationError at `field`.
    """
    try:
        return read_number(value, field)
    except RateError as error:
        raise ValidationError({field: f"This {error.message}."}) from None


def sensible_day(day: date | None, field: str) -> None:
    """Raises ValidationError at `field` for a day more than a hundred years away."""
    today = timezone.now().date()
    if day is not None and not today - FURTHEST <= day <= today + FURTHEST:
        raise ValidationError({field: "This day is too far away."})


def check_row(row: models.Model, *, but: Iterable[str] = (), unique: bool = True) -> None:
    """Raises ValidationError by field for values that a row's columns do not take, and where it is there already."""
    texts = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    if errors := {
        name: ["This has a NUL character."] for name, text in texts.items() if isinstance(text, str) and "\0" in text
    }:
        raise ValidationError(errors)
    try:
        row.full_clean(exclude=set(but), validate_unique=unique, validate_constraints=False)
    except ValidationError as error:
        raise ValidationError(_in_our_words(row, error)) from None


def _in_our_words(row: models.Model, error: ValidationError) -> dict[str, list[Any]]:
    """The faults by field; a key that is taken is told in the same words wherever it is."""
    faults: dict[str, list[Any]] = dict(error.error_dict)
    if any(fault.code == "unique" for fault in faults.get("key", ())):
        faults["key"] = [key_taken(row)]
    return faults


def key_taken(row: models.Model | type[models.Model]) -> str:
    return f"Another {row._meta.verbose_name} has this key."


def save_row(row: models.Model, *, check: Callable[[], None] | None = None) -> None:
    """Saves a row that was checked. Raises ValidationError by field where another one took its place meanwhile, as the
    columns or its own `check` then say."""
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        check_row(row)
        if check is not None:
            check()
        raise


def known(changes: Mapping[str, Any], names: Collection[str]) -> None:
    """Raises ValidationError for changes of what cannot be changed here."""
    if unknown := [name for name in changes if name not in names]:
        raise ValidationError(dict.fromkeys(unknown, "This is not known here."))
