"""Currencies, rounding and how money, prices and quantities are written."""

from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.money import (
    CurrencyError,
    format_amount,
    format_money,
    format_price,
    format_quantity,
    minor_units,
    round_money,
    total_of,
)

D = Decimal


@pytest.mark.parametrize(
    ("currency", "digits"),
    [
        ("USD", 2),
        ("EUR", 2),
        ("CHF", 2),
        ("MGA", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("ISK", 0),
        ("KWD", 3),
        ("CLF", 4),
    ],
)
def test_minor_units(currency: str, digits: int) -> None:
    assert minor_units(currency) == digits


@pytest.mark.parametrize("currency", ["", "usd", "US", "USDX", "ABC", "XXX", "XAU", " USD", None, 840, ["USD"]])
def test_an_unknown_currency_is_refused_everywhere(currency: Any) -> None:
    for call in (round_money, format_money, format_price, format_amount):
        with pytest.raises(CurrencyError):
            call(D(1), currency)
    with pytest.raises(CurrencyError):
        minor_units(currency)


ROUNDED = [
    ("whole cents stay", "1.23", "USD", "1.23"),
    ("below half goes down", "0.0049999", "USD", "0.00"),
    ("half goes up", "0.005", "USD", "0.01"),
    ("half goes up from an even digit too", "0.025", "USD", "0.03"),
    ("half goes away from zero", "-0.005", "USD", "-0.01"),
    ("a negative trifle is zero", "-0.004", "USD", "0.00"),
    ("no decimals", "0.5", "JPY", "1"),
    ("three decimals", "0.0005", "KWD", "0.001"),
    ("four decimals", "0.00005", "CLF", "0.0001"),
    ("cents are filled up", "40", "USD", "40.00"),
    ("beyond 28 digits", "1" * 40 + ".005", "USD", "1" * 40 + ".01"),
]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"), [row[1:] for row in ROUNDED], ids=[row[0] for row in ROUNDED]
)
def test_round_money(amount: str, currency: str, expected: str) -> None:
    assert str(round_money(D(amount), currency)) == expected


FORMATTED = [
    ("dollars", format_money, "40", "USD", "$40.00"),
    ("a negative amount", format_money, "-1.5", "USD", "-$1.50"),
    ("thousands", format_money, "1234.5", "EUR", "€1,234.50"),
    ("pounds", format_money, "1000000", "GBP", "£1,000,000.00"),
    ("no decimals", format_money, "500", "JPY", "¥500"),
    ("no common symbol", format_money, "12", "CHF", "CHF 12.00"),
    ("no common symbol, negative", format_money, "-12", "CHF", "-CHF 12.00"),
    ("another dollar", format_money, "12", "CAD", "CA$12.00"),
    ("money is rounded", format_money, "0.005", "USD", "$0.01"),
    ("a rounded zero has no sign", format_money, "-0.001", "USD", "$0.00"),
    ("negative zero has no sign", format_money, "-0", "USD", "$0.00"),
    ("exponent notation", format_money, "1E+3", "USD", "$1,000.00"),
    ("beyond 28 digits", format_money, "-" + "1" * 30 + ".25", "USD", "-$" + ",".join(["111"] * 10) + ".25"),
    ("a price is never rounded", format_price, "0.0004", "USD", "$0.0004"),
    ("a price of whole dollars", format_price, "5", "USD", "$5.00"),
    ("a price without trailing zeros", format_price, "0.01000", "USD", "$0.01"),
    ("a price in yen", format_price, "0.5", "JPY", "¥0.5"),
    ("a price in whole yen", format_price, "5.0", "JPY", "¥5"),
    ("a price in dinars", format_price, "1.5", "KWD", "KWD 1.500"),
    ("the finest price", format_price, "1E-15", "USD", "$0.000000000000001"),
    ("a step's amount keeps its digits", format_amount, "4.9196", "USD", "$4.9196"),
    ("a step's amount of cents", format_amount, "40", "USD", "$40.00"),
    ("a negative step", format_amount, "-29", "USD", "-$29.00"),
    ("a third is cut short", format_amount, "0." + "6" * 60, "USD", "$0.666667"),
    ("a negative trifle has no sign", format_amount, "-1E-20", "USD", "$0.00"),
]


@pytest.mark.parametrize(
    ("write", "amount", "currency", "expected"),
    [row[1:] for row in FORMATTED],
    ids=[row[0] for row in FORMATTED],
)
def test_formatted(write: Any, amount: str, currency: str, expected: str) -> None:
    assert write(D(amount), currency) == expected


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("12300", "12,300"),
        ("12300.00", "12,300"),
        ("0.5", "0.5"),
        ("1E+3", "1,000"),
        ("-1234.50", "-1,234.5"),
        ("1E+24", "1" + ",000" * 8),
        ("0.1234567890123456789012345678901", "0.1234567890123456789012345678901"),
    ],
)
def test_format_quantity(quantity: str, expected: str) -> None:
    assert format_quantity(D(quantity)) == expected


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "1E+999999", "0E+999999", "1E-999999"])
def test_what_is_no_sensible_amount_is_refused(amount: str) -> None:
    for call in (round_money, format_money, format_price, format_amount):
        with pytest.raises(ValueError, match=r"^money and quantities"):
            call(D(amount), "USD")
    with pytest.raises(ValueError, match=r"^money and quantities"):
        format_quantity(D(amount))


@pytest.mark.parametrize("amount", [1, 1.5, "1", None, True])
def test_what_is_no_decimal_is_refused(amount: Any) -> None:
    for call in (round_money, format_money, format_price, format_amount):
        with pytest.raises(TypeError):
            call(amount, "USD")


amounts = st.decimals(min_value=-(10**30), max_value=10**30, allow_nan=False, places=6)


@given(amounts, st.sampled_from(["USD", "JPY", "KWD", "CLF"]))
def test_rounding_moves_an_amount_by_at_most_half_a_minor_unit(amount: Decimal, currency: str) -> None:
    with localcontext() as context:
        context.prec = 60
        assert abs(round_money(amount, currency) - amount) * 2 <= D(1).scaleb(-minor_units(currency))


@given(amounts)
def test_rounding_is_symmetric_and_done_once(amount: Decimal) -> None:
    rounded = round_money(amount, "USD")
    assert round_money(rounded, "USD") == rounded
    assert round_money(amount.copy_negate(), "USD") == rounded.copy_negate()


@given(amounts)
def test_the_callers_precision_changes_nothing(amount: Decimal) -> None:
    expected = (format_money(amount, "USD"), format_price(amount, "USD"), format_quantity(amount))
    with localcontext() as context:
        context.prec = 2
        assert (format_money(amount, "USD"), format_price(amount, "USD"), format_quantity(amount)) == expected


@given(amounts)
def test_a_formatted_price_reads_back_as_the_price(amount: Decimal) -> None:
    assert D(format_price(amount, "USD").replace("$", "").replace(",", "")) == amount


def test_a_total_keeps_every_digit() -> None:
    parts = [Decimal("4.00"), Decimal("642999999999999999999706327.93")]
    assert total_of(parts) == Decimal("642999999999999999999706331.93")
    assert total_of([]) == 0
