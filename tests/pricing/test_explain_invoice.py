"""The steps of an invoice beside its rates, in words."""

from decimal import Decimal

import pytest

from pricing.explain import rows, sentences
from pricing.steps import Step, StepKind

SEATS = {"quantity": Decimal(5), "unit_price": Decimal(10)}
CASES: list[tuple[str, Step, str, tuple[str, str, str], str]] = [
    (
        "usage in the trial",
        Step(StepKind.TRIAL, Decimal(0), quantity=Decimal(1200)),
        "calls",
        ("Trial", "1,200 calls in the trial", "$0.00"),
        "1,200 calls in the trial are free.",
    ),
    (
        "one unit in the trial",
        Step(StepKind.TRIAL, Decimal(0), quantity=Decimal(1)),
        "calls",
        ("Trial", "1 call in the trial", "$0.00"),
        "1 call in the trial is free.",
    ),
    (
        "a fee",
        Step(StepKind.FEE, Decimal(20), quantity=Decimal(1), unit_price=Decimal(20)),
        "",
        ("Fee", "$20.00", "$20.00"),
        "The fee is $20.00.",
    ),
    (
        "several of a fee without a unit",
        Step(StepKind.FEE, Decimal(60), quantity=Decimal(3), unit_price=Decimal(20)),
        "",
        ("Fee", "3 x $20.00", "$60.00"),
        "3 x $20.00 = $60.00.",
    ),
    (
        "seats",
        Step(StepKind.FEE, Decimal(50), **SEATS),
        "seats",
        ("Fee", "5 seats x $10.00", "$50.00"),
        "5 seats x $10.00 = $50.00.",
    ),
    (
        "one seat",
        Step(StepKind.FEE, Decimal(10), quantity=Decimal(1), unit_price=Decimal(10)),
        "seats",
        ("Fee", "1 seat x $10.00", "$10.00"),
        "1 seat x $10.00 = $10.00.",
    ),
    (
        "seats for a part of the period",
        Step(StepKind.FEE, Decimal(25), **SEATS, days=15, of_days=30),
        "seats",
        ("Fee", "5 seats x $10.00 for 15 of 30 days", "$25.00"),
        "5 seats x $10.00 for 15 of 30 days = $25.00.",
    ),
    (
        "a fee for a part of the period",
        Step(StepKind.FEE, Decimal(10), quantity=Decimal(1), unit_price=Decimal(20), days=1, of_days=2),
        "",
        ("Fee", "$20.00 for 1 of 2 days", "$10.00"),
        "$20.00 for 1 of 2 days = $10.00.",
    ),
    (
        "what rounding moves into a part of the period",
        Step(StepKind.ROUNDING, Decimal("0.0065")),
        "",
        ("Rounding", "So that the parts of the period come to the whole fee", "$0.0065"),
        "So that the parts of the period come to the whole fee, $0.0065 is added.",
    ),
    (
        "what rounding moves out of it",
        Step(StepKind.ROUNDING, Decimal("-0.004")),
        "",
        ("Rounding", "So that the parts of the period come to the whole fee", "-$0.004"),
        "So that the parts of the period come to the whole fee, $0.004 is taken off.",
    ),
    (
        "a fee in percent",
        Step(StepKind.PERCENT_FEE, Decimal("12.5"), percent=Decimal("2.50"), base=Decimal(500)),
        "",
        ("Percentage", "2.5% of $500.00", "$12.50"),
        "2.5% of $500.00 = $12.50.",
    ),
    (
        "a discount in percent",
        Step(StepKind.DISCOUNT, Decimal(-50), percent=Decimal(10), base=Decimal(500)),
        "",
        ("Discount", "10% of $500.00", "-$50.00"),
        "10% of $500.00: $50.00 is taken off.",
    ),
    (
        "a discount of an amount",
        Step(StepKind.DISCOUNT, Decimal(-20), of=Decimal(20), base=Decimal(500)),
        "",
        ("Discount", "$20.00 off", "-$20.00"),
        "$20.00 off.",
    ),
    (
        "a discount of more than there is",
        Step(StepKind.DISCOUNT, Decimal(-15), of=Decimal(20), base=Decimal(15)),
        "",
        ("Discount", "$15.00 of $20.00 off", "-$15.00"),
        "$15.00 of $20.00 off: no more than there is to pay.",
    ),
    (
        "the cap of a discount",
        Step(StepKind.CAP, Decimal(30), of=Decimal(20)),
        "",
        ("Limit of the discount", "At most $20.00 of this discount can be taken off", "$30.00"),
        "At most $20.00 of this discount can be taken off: $30.00 less is taken off.",
    ),
    (
        "up to the minimum",
        Step(StepKind.TRUE_UP, Decimal(20), base=Decimal(80), of=Decimal(100)),
        "",
        ("Up to what is agreed", "$80.00 raised to the agreed $100.00", "$20.00"),
        "$80.00 raised to the agreed $100.00: $20.00 is added.",
    ),
    (
        "up to the minimum of a part of the period",
        Step(StepKind.TRUE_UP, Decimal(20), base=Decimal(30), of=Decimal(50), days=15, of_days=30),
        "",
        ("Up to what is agreed", "$30.00 raised to the agreed $50.00 for 15 of 30 days", "$20.00"),
        "$30.00 raised to the agreed $50.00 for 15 of 30 days: $20.00 is added.",
    ),
    (
        "beyond the commitment, dearer",
        Step(StepKind.OVERAGE, Decimal("12.5"), base=Decimal(50), of=Decimal(100), factor=Decimal("1.25")),
        "",
        ("Beyond what is agreed", "$50.00 beyond the agreed $100.00, times 1.25", "$12.50"),
        "$50.00 beyond the agreed $100.00, times 1.25: $12.50 is added.",
    ),
    (
        "beyond the commitment, cheaper",
        Step(StepKind.OVERAGE, Decimal(-10), base=Decimal(50), of=Decimal(100), factor=Decimal("0.8")),
        "",
        ("Beyond what is agreed", "$50.00 beyond the agreed $100.00, times 0.8", "-$10.00"),
        "$50.00 beyond the agreed $100.00, times 0.8: $10.00 is taken off.",
    ),
    (
        "a tax",
        Step(StepKind.TAX, Decimal("9.5"), percent=Decimal(19), base=Decimal(50)),
        "",
        ("Tax", "19% of $50.00", "$9.50"),
        "19% of $50.00 = $9.50.",
    ),
]


@pytest.mark.parametrize(("step", "unit", "row", "sentence"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_words(step: Step, unit: str, row: tuple[str, str, str], sentence: str) -> None:
    (told,) = rows([step], unit=unit, currency="USD")
    assert (told.label, told.detail, told.formatted_amount) == row
    assert sentences([step], unit=unit, currency="USD") == [sentence]


@pytest.mark.parametrize("step", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_a_stored_step_reads_back(step: Step) -> None:
    assert Step.from_dict(step.to_dict()) == step
