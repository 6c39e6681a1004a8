"""Drafts, line by line: what is charged, in which order, and the steps that say why."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from invoices.drafting import Draft, DraftLine, ItemUsage, LineKind, draft
from invoices.models import InvoiceLine
from pricing.rates import Rate, StepKind, parse_rate
from pricing.terms import FeeTerms, PromotionTerms, TaxTerms, Terms
from tests.factories import STORY_RATE

CALLS, BYTES = 1, 2
SEATS = FeeTerms("seats", "Seats", "seats", "recurring", amount=Decimal(12), runs=((Decimal(5), 30),), of_days=30)
SETUP = FeeTerms("setup", "Setup", "", "one_time", amount=Decimal(99), runs=((Decimal(1), 30),), of_days=30)
SUPPORT = FeeTerms("support", "Support", "", "percent", percent=Decimal(10))


def per_unit(price: str, **more: str) -> Rate:
    return parse_rate({"model": "per_unit", "unit_price": price} | more)


def used(quantity: Any, rate: Rate | None = None, item: int = CALLS, **more: Any) -> ItemUsage:
    return ItemUsage(item, {CALLS: "ApiCalls", BYTES: "Bytes"}[item], "calls", Decimal(quantity), rate, **more)


def fee(**changes: Any) -> FeeTerms:
    """Five seats for $12 each in a month of 30 days."""
    values = {name: getattr(SEATS, name) for name in SEATS.__slots__} | changes
    return FeeTerms(**values)


def promotion(number: int = 1, name: str = "Welcome", **more: Any) -> PromotionTerms:
    return PromotionTerms(number, name, **more)


def bill(*usages: ItemUsage, currency: str = "USD", **terms: Any) -> Draft:
    return draft(usages, Terms(currency, **terms))


def told(lines: Sequence[DraftLine]) -> list[tuple[str, str, str]]:
    return [(line.kind, line.name, f"{line.amount:f}") for line in lines]


def test_the_kinds_are_those_of_stored_lines() -> None:
    assert [kind.value for kind in LineKind] == InvoiceLine.Kind.values


def test_the_story() -> None:
    drafted = bill(used(12300, parse_rate(STORY_RATE)))
    assert told(drafted.lines) == [("usage", "ApiCalls", "40.00")]
    assert (drafted.subtotal, drafted.total) == (Decimal(40), Decimal(40))


def test_all_lines_stand_in_the_order_they_are_computed_in() -> None:
    drafted = bill(
        used(40, item=BYTES),
        used(7, per_unit("1"), in_trial=True),
        used(100, per_unit("0.5")),
        fees=(SUPPORT, SETUP, SEATS),
        promotions=(promotion(percent=Decimal(10)), promotion(2, "Five off", amount=Decimal(5))),
        minimum=Decimal(300),
        taxes=(TaxTerms(1, "VAT", Decimal(19)), TaxTerms(2, "City", Decimal("0.5"))),
    )
    assert told(drafted.lines) == [
        ("usage", "ApiCalls", "50.00"),
        ("trial", "ApiCalls", "0.00"),
        ("unpriced", "Bytes", "0.00"),
        ("fee", "Seats", "60.00"),
        ("fee", "Setup", "99.00"),
        ("fee", "Support", "20.90"),
        ("promotion", "Welcome", "-22.99"),
        ("promotion", "Five off", "-5.00"),
        ("true_up", "Minimum", "98.09"),
        ("tax", "VAT", "57.00"),
        ("tax", "City", "1.50"),
    ]
    assert (drafted.subtotal, drafted.total) == (Decimal(300), Decimal("358.50"))


def test_usage_in_the_trial_costs_nothing_not_even_the_minimum_of_its_line() -> None:
    line = bill(used(7, per_unit("1", minimum="10"), in_trial=True)).lines[0]
    assert (line.kind, line.amount, line.quantity, line.rate) == ("trial", 0, 7, None)
    assert [(step.kind, step.quantity) for step in line.steps] == [(StepKind.TRIAL, 7)]


def test_the_filter_of_a_rate_stays_with_its_line() -> None:
    rates = [used(3, per_unit("1"), where={"region": ["eu"]}), used(4, per_unit("2"))]
    assert [(line.where, line.amount) for line in bill(*rates).lines] == [({"region": ["eu"]}, 3), ({}, 8)]


# --- Fees ---


@pytest.mark.parametrize(
    ("changes", "amount", "steps"),
    [
        ({}, "60.00", [("60", None)]),
        ({"runs": ((Decimal(5), 10),)}, "20.00", [("20", 10)]),
        ({"runs": ((Decimal(5), 10),), "prorated": False}, "60.00", [("60", None)]),
        # Each day counts its own quantity.
        ({"runs": ((Decimal(5), 10), (Decimal(6), 20))}, "68.00", [("20", 10), ("48", 20)]),
        ({"runs": ((Decimal(5), 10), (Decimal(6), 20)), "prorated": False}, "60.00", [("60", None)]),
        ({"runs": ((Decimal(0), 30),)}, "0.00", [("0", None)]),
        ({"kind": "one_time", "runs": ((Decimal(2), 10),)}, "24.00", [("24", None)]),
    ],
)
def test_fees(changes: dict[str, Any], amount: str, steps: list[tuple[str, int | None]]) -> None:
    line = bill(fees=(fee(**changes),), days=10, of_days=30).lines[0]
    assert (line.kind, line.fee_key, f"{line.amount:f}") == ("fee", "seats", amount)
    assert [(step.amount, step.days) for step in line.steps] == [(Decimal(exact), days) for exact, days in steps]


def test_no_digit_is_lost_between_runs() -> None:
    """A third of a cent and a sixth are half a cent, which is rounded up."""
    runs = ((Decimal(1), 10), (Decimal("0.25"), 20))
    line = bill(fees=(fee(amount=Decimal("0.01"), runs=runs),)).lines[0]
    assert line.amount == Decimal("0.01")


def test_a_fee_in_percent_is_of_usage_and_other_fees_but_of_no_other_percentage() -> None:
    other = FeeTerms("sla", "SLA", "", "percent", percent=Decimal("2.5"))
    lines = bill(used(100, per_unit("0.333")), fees=(SUPPORT, other, SETUP)).lines
    assert told(lines)[2:] == [("fee", "Support", "13.23"), ("fee", "SLA", "3.31")]
    step = lines[2].steps[0]
    assert (step.kind, step.percent, step.base) == (StepKind.PERCENT_FEE, 10, Decimal("132.30"))
    assert lines[2].quantity is None


def test_nothing_is_owed_before_the_first_charged_day() -> None:
    drafted = bill(
        used(7, per_unit("1"), in_trial=True),
        fees=(SEATS, SETUP, SUPPORT),
        minimum=Decimal(50),
        promotions=(promotion(amount=Decimal(5)),),
        days=0,
        of_days=30,
    )
    assert told(drafted.lines) == [("trial", "ApiCalls", "0.00")]


# --- Promotions ---


@pytest.mark.parametrize(
    ("promotions", "amounts"),
    [
        ([{"percent": "25"}], ["-15.00"]),
        ([{"percent": "33.335"}], ["-20.00"]),
        ([{"amount": "7.5"}], ["-7.50"]),
        ([{"amount": "70"}], ["-60.00"]),
        ([{"percent": "100"}, {"percent": "50"}, {"amount": "1"}], ["-60.00"]),
        ([{"percent": "50"}, {"percent": "50"}], ["-30.00", "-15.00"]),
        ([{"percent": "50"}, {"amount": "20"}], ["-30.00", "-20.00"]),
        ([{"amount": "20"}, {"percent": "50"}], ["-20.00", "-20.00"]),
        # On some items: of their usage, whatever else there is. ApiCalls came to 20, Bytes to 10, the fee to 30.
        ([{"percent": "50", "items": [CALLS]}], ["-10.00"]),
        ([{"percent": "50", "items": [CALLS, BYTES]}], ["-15.00"]),
        ([{"amount": "50", "items": [BYTES]}], ["-10.00"]),
        ([{"amount": "50", "items": [99]}], []),
        # Half of all is off, so half of the calls is left.
        ([{"percent": "50"}, {"percent": "50", "items": [CALLS]}], ["-30.00", "-5.00"]),
        ([{"percent": "50", "items": [CALLS]}, {"percent": "50"}], ["-10.00", "-25.00"]),
        ([{"amount": "59.99"}, {"amount": "5", "items": [BYTES]}], ["-59.99"]),
        ([{"amount": "59.97"}, {"amount": "5", "items": [BYTES]}], ["-59.97", "-0.01"]),
        # Of a cap, what is left.
        ([{"percent": "50", "left": "12"}], ["-12.00"]),
        ([{"percent": "50", "left": "30"}], ["-30.00"]),
        ([{"percent": "50", "left": "0"}, {"amount": "5"}], ["-5.00"]),
        ([{"amount": "20", "left": "-3"}], []),
    ],
    ids=str,
)
def test_promotions(promotions: list[dict[str, Any]], amounts: list[str]) -> None:
    terms = tuple(
        promotion(
            number,
            product_item_ids=frozenset(one.get("items", ())),
            **{name: Decimal(one[name]) for name in ("percent", "amount", "left") if name in one},
        )
        for number, one in enumerate(promotions)
    )
    drafted = bill(
        used(20, per_unit("1")),
        used(5, per_unit("2"), item=BYTES),
        fees=(fee(amount=Decimal(6)),),
        promotions=terms,
    )
    lines = [line for line in drafted.lines if line.kind == "promotion"]
    assert [f"{line.amount:f}" for line in lines] == amounts
    assert drafted.total == 60 + sum(Decimal(amount) for amount in amounts)


def test_the_steps_of_a_promotion() -> None:
    (line,) = bill(used(60, per_unit("1")), promotions=(promotion(percent=Decimal(50), left=Decimal(12)),)).lines[1:]
    assert (line.promotion_id, line.quantity) == (1, None)
    discount, cap = line.steps
    assert (discount.kind, discount.amount, discount.percent, discount.base) == (StepKind.DISCOUNT, -30, 50, 60)
    assert (cap.kind, cap.amount, cap.of) == (StepKind.CAP, 18, 12)
    (line,) = bill(used(60, per_unit("1")), promotions=(promotion(amount=Decimal(70)),)).lines[1:]
    assert [(step.amount, step.of, step.base) for step in line.steps] == [(-60, 70, 60)]


# --- Minimum and commitment ---


@pytest.mark.parametrize(
    ("terms", "lines", "total"),
    [
        ({"minimum": Decimal(50)}, [("true_up", "Minimum", "9.50")], "50.00"),
        ({"minimum": Decimal("40.50")}, [], "40.50"),
        ({"minimum": Decimal(30)}, [], "40.50"),
        ({"minimum": Decimal(100), "days": 15, "of_days": 31}, [("true_up", "Minimum", "7.89")], "48.39"),
        ({"minimum": Decimal("40.504")}, [], "40.50"),
        ({"minimum": Decimal("40.505")}, [("true_up", "Minimum", "0.01")], "40.51"),
        ({"commitment": Decimal(50)}, [("true_up", "Commitment", "9.50")], "50.00"),
        ({"commitment": Decimal(40)}, [], "40.50"),
        (
            {"commitment": Decimal(40), "overage_factor": Decimal("1.25")},
            [("overage", "Beyond the commitment", "0.13")],
            "40.63",
        ),
        (
            {"commitment": Decimal(60), "overage_factor": Decimal(2), "days": 15, "of_days": 30},
            [("overage", "Beyond the commitment", "10.50")],
            "51.00",
        ),
        # A factor below 1 makes what goes beyond cheaper, at most free.
        (
            {"commitment": Decimal(40), "overage_factor": Decimal(0)},
            [("overage", "Beyond the commitment", "-0.50")],
            "40.00",
        ),
        ({"commitment": Decimal("40.50"), "overage_factor": Decimal(3)}, [], "40.50"),
    ],
    ids=str,
)
def test_minimum_and_commitment(terms: dict[str, Any], lines: list[tuple[str, str, str]], total: str) -> None:
    drafted = bill(used(81, per_unit("0.5")), **terms)
    assert told(drafted.lines)[1:] == lines
    assert f"{drafted.total:f}" == total


def test_the_minimum_is_owed_after_promotions_and_without_usage() -> None:
    assert bill(minimum=Decimal(50)).total == 50
    drafted = bill(used(60, per_unit("1")), promotions=(promotion(percent=Decimal(50)),), minimum=Decimal(50))
    assert told(drafted.lines)[1:] == [("promotion", "Welcome", "-30.00"), ("true_up", "Minimum", "20.00")]
    step = drafted.lines[-1].steps[0]
    assert (step.kind, step.base, step.of, step.days) == (StepKind.TRUE_UP, 30, 50, None)


def test_the_minimum_of_a_stub_says_its_days() -> None:
    step = bill(minimum=Decimal(31), days=10, of_days=31).lines[0].steps[0]
    assert (step.amount, step.of, step.days, step.of_days) == (10, 10, 10, 31)


# --- Taxes and currencies ---


def test_taxes_do_not_stack_and_are_told_at_zero_percent_too() -> None:
    taxes = (TaxTerms(1, "VAT", Decimal(19)), TaxTerms(2, "Reverse charge", Decimal(0)))
    drafted = bill(used(1, per_unit("9.99")), taxes=taxes)
    assert told(drafted.lines)[1:] == [("tax", "VAT", "1.90"), ("tax", "Reverse charge", "0.00")]
    assert [line.tax_rate_id for line in drafted.lines[1:]] == [1, 2]
    assert [(step.percent, step.base) for line in drafted.lines[1:] for step in line.steps] == [
        (19, Decimal("9.99")),
        (0, Decimal("9.99")),
    ]


@pytest.mark.parametrize(
    ("currency", "amounts"),
    [
        ("USD", ["33.33", "3.33", "-4.58", "6.10"]),
        ("JPY", ["33", "3", "-5", "6"]),
        ("KWD", ["33.333", "3.333", "-4.583", "6.096"]),
    ],
)
def test_each_line_is_rounded_once_to_its_currency(currency: str, amounts: list[str]) -> None:
    drafted = bill(
        used(1, per_unit("33.3333")),
        currency=currency,
        fees=(SUPPORT,),
        promotions=(promotion(percent=Decimal("12.5")),),
        taxes=(TaxTerms(1, "VAT", Decimal(19)),),
    )
    assert [f"{line.amount:f}" for line in drafted.lines] == amounts
