"""What the services of credits check of what they are given. Refusals name the field."""

from decimal import Decimal

from django.core.exceptions import ValidationError

from invoices.settling.settlement import check_money
from pricing.inputs import number
from pricing.money import CurrencyError, minor_units


def currency_of(code: str) -> str:
    """The code. Raises ValidationError where it is no currency."""
    try:
        minor_units(code)
    except CurrencyError:
        raise ValidationError({"currency": "This is no currency of ISO 4217, such as EUR."}) from None
    return code


def money(value: object, currency: str, field: str, *, or_zero: bool = False) -> Decimal:
    """An amount above zero (`or_zero`: or zero) in whole minor units. Raises ValidationError at `field`."""
    amount = number(value, field)
    return amount if or_zero and not amount else check_money(amount, currency, field)
