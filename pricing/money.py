"""Currencies, and the only place that rounds money.

Amounts are Decimals in the major unit (dollars, not cents). Everything here raises CurrencyError, a ValueError,
for a code that is not in the list, TypeError for an amount that is not a Decimal and ValueError for one that is
not finite or absurdly long.
"""

from collections.abc import Iterable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, InvalidOperation, localcontext

from pricing.steps import EXACT

# ISO 4217, list one, without the codes that have no minor unit because nobody bills in them (metals, bond
# units, XDR, XTS, XXX). BGN stays for the years it was money.
CURRENCIES = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD
    CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS
    GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD
    KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK
    NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
    STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST
    XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - a hundred and fifty quoted words read worse
)

_EXCEPTIONS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_MINOR_UNITS = {code: digits for digits, codes in _EXCEPTIONS.items() for code in codes.split()}

# Only signs that the standard fonts of a PDF can print; the others are written by their code.
_SYMBOLS = {
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "¥",
    "AUD": "A$",
    "BRL": "R$",
    "CAD": "CA$",
    "CNY": "CN¥",
    "HKD": "HK$",
    "MXN": "MX$",
    "NZD": "NZ$",
    "SGD": "S$",
    "TWD": "NT$",
}

_ROUNDING = Context(prec=400, rounding=ROUND_HALF_UP, traps=[InvalidOperation])
_LARGEST_POWER = 200
_MOST_DECIMALS = 400

_READABLE_DECIMALS = 15  # what a unit price may have
_LONG_DECIMALS = 6  # shown of an amount that has more


class CurrencyError(ValueError):
    """Not the code of a currency that can be billed in."""


def total_of(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum of amounts; plain `sum` would round what has more digits than the caller's context keeps."""
    with localcontext(EXACT):
        return sum(amounts, Decimal(0))


def minor_units(currency: str) -> int:
    """The number of decimals of a currency by ISO 4217: 2 for USD, 0 for JPY, 3 for KWD."""
    if not isinstance(currency, str) or currency not in CURRENCIES:
        raise CurrencyError("not an ISO 4217 currency code in capital letters")
    return _MINOR_UNITS.get(currency, 2)


def round_money(amount: Decimal, currency: str) -> Decimal:
    """The amount in whole minor units, halves away from zero: 0.005 USD is 0.01, -0.005 is -0.01."""
    return _rounded(amount, minor_units(currency))


def round_money_down(amount: Decimal, currency: str) -> Decimal:
    """The whole minor units of an amount that is not negative: 0.019 USD is 0.01."""
    _check(amount)
    return amount.quantize(Decimal(1).scaleb(-minor_units(currency)), rounding=ROUND_DOWN, context=_ROUNDING)


def format_money(amount: Decimal, currency: str) -> str:
    """An amount as it is billed, rounded to the minor unit.

    "$40.00", "-$1.50", "€1,234.50", "¥500", and "CHF 12.00" where no symbol is common.
    """
    return _with_symbol(round_money(amount, currency), currency)


def amount_text(amount: Decimal, currency: str) -> str:
    """An amount for machines, with the decimals of its currency: "40.00", "500", "-1.500"."""
    return f"{round_money(amount, currency):f}"


def format_price(amount: Decimal, currency: str) -> str:
    """A unit price with all the digits it needs, never rounded: "$0.0004", "$5.00"."""
    return _with_symbol(amount, currency)


def format_amount(amount: Decimal, currency: str) -> str:
    """The amount of a step, before the line is rounded: all digits, so that steps visibly sum up.

    An amount with more than 15 decimals (a third of a block) is shown with 6.
    """
    _check(amount)
    if _rounded(amount, _READABLE_DECIMALS) != amount:
        amount = _rounded(amount, _LONG_DECIMALS)
    return _with_symbol(amount, currency)


def format_quantity(quantity: Decimal) -> str:
    """A quantity with thousands separators and no trailing zeros, never rounded: "12,300", "0.5"."""
    _check(quantity)
    return _sign(quantity) + _digits(quantity, 0)


def _with_symbol(amount: Decimal, currency: str) -> str:
    _check(amount)
    digits = _digits(amount, minor_units(currency))
    return f"{_sign(amount)}{_SYMBOLS.get(currency, currency + ' ')}{digits}"


def _digits(number: Decimal, least_decimals: int) -> str:
    """The digits without a sign: grouped by thousands, with the decimals it needs but at least so many."""
    # copy_abs and "f" keep every digit; abs() and arithmetic would round to the caller's context.
    whole, _, decimals = format(number.copy_abs(), ",f").partition(".")
    decimals = decimals.rstrip("0").ljust(least_decimals, "0")
    return f"{whole}.{decimals}" if decimals else whole


def _sign(number: Decimal) -> str:
    return "-" if number < 0 else ""


def _rounded(amount: Decimal, decimals: int) -> Decimal:
    _check(amount)
    rounded = amount.quantize(Decimal(1).scaleb(-decimals), context=_ROUNDING)
    # A negative fraction of a cent rounds to -0.00, which would print its sign.
    return rounded if rounded else rounded.copy_abs()


def _check(number: Decimal) -> None:
    if not isinstance(number, Decimal):
        raise TypeError("money and quantities are Decimals")
    if not number.is_finite():
        raise ValueError("money and quantities are finite")
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # finite
    # Written out, 1E+999999999 is a gigabyte of zeros.
    if number.adjusted() > _LARGEST_POWER or exponent < -_MOST_DECIMALS:
        raise ValueError("money and quantities must be of a sensible size")
