"""Steps and rates in words."""

from decimal import Decimal
from typing import Any

import pytest

from pricing.explain import Row, describe_rate, rows, sentences
from pricing.money import CurrencyError
from pricing.rate_models import MODELS
from pricing.rates import Step, StepKind, charge, parse_rate
from pricing.steps import StepError

STORY = {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"}
BLOCK = {"model": "block", "block_size": "1000", "block_price": "5"}
PER_UNIT = {"model": "per_unit", "unit_price": "0.0004"}
TIERS = [
    {"up_to": "1000", "unit_price": "0.01"},
    {"up_to": "5000", "unit_price": "0.008", "flat_fee": "5"},
    {"up_to": None, "unit_price": "0.0004"},
]
GRADUATED = {"model": "graduated", "tiers": TIERS}
VOLUME = {"model": "volume", "tiers": TIERS}
BLOCK_TIERS = [
    {"up_to": "1500", "block_size": "1000", "block_price": "5"},
    {"up_to": None, "block_size": "100", "block_price": "0.4", "flat_fee": "1"},
]
PERCENT_TIERS = [{"up_to": "1000", "rate_percent": "2.5"}, {"up_to": None, "rate_percent": "1", "flat_fee": "3"}]
STAIRSTEP = {
    "model": "stairstep",
    "tiers": [
        {"up_to": "10", "flat_price": "0"},
        {"up_to": "50", "flat_price": "20"},
        {"up_to": None, "flat_price": "90"},
    ],
}
PERCENTAGE = {
    "model": "percentage",
    "rate_percent": "2.9",
    "fixed_fee_per_event": "0.30",
    "free_events": "10",
    "free_amount": "100",
    "per_event_min": "0.05",
    "per_event_max": "5",
}
ONE_TIER = [{"up_to": None, "unit_price": "0.5", "flat_fee": "2"}]


def table(parameters: dict[str, Any], quantity: str, unit: str = "calls") -> list[tuple[str, str, str]]:
    steps = charge(parse_rate(parameters), Decimal(quantity)).steps
    return [(row.label, row.detail, row.formatted_amount) for row in rows(steps, unit=unit, currency="USD")]


def story(parameters: dict[str, Any], quantity: str, unit: str = "calls") -> list[str]:
    steps = charge(parse_rate(parameters), Decimal(quantity)).steps
    return sentences(steps, unit=unit, currency="USD")


FREE = ("Free tier", "5,000 of 5,000 free", "$0.00")
ROWS: list[tuple[str, dict[str, Any], str, list[tuple[str, str, str]]]] = [
    ("no usage and nothing free", PER_UNIT, "0", []),
    ("no usage of the free tier", STORY, "0", [("Free tier", "0 of 5,000 free", "$0.00")]),
    ("usage inside the free tier", STORY, "3200", [("Free tier", "3,200 of 5,000 free", "$0.00")]),
    ("the first block", STORY, "5001", [FREE, ("Blocks of 1,000", "1 call = 1 block x $5.00", "$5.00")]),
    ("the story", STORY, "12300", [FREE, ("Blocks of 1,000", "7,300 calls = 8 blocks x $5.00", "$40.00")]),
    (
        "no full block",
        {**BLOCK, "partial_block": "round_down"},
        "700",
        [("Blocks of 1,000", "700 calls = 0 blocks x $5.00", "$0.00")],
    ),
    (
        "prorated blocks",
        {**BLOCK, "partial_block": "prorate"},
        "7300",
        [("Blocks of 1,000", "7,300 calls x $5.00 per 1,000 calls", "$36.50")],
    ),
    ("per unit", PER_UNIT, "12300", [("Per call", "12,300 calls x $0.0004", "$4.92")]),
    ("per unit, finer than a cent", PER_UNIT, "1", [("Per call", "1 call x $0.0004", "$0.0004")]),
    (
        "graduated",
        GRADUATED,
        "7300",
        [
            ("Tier 1: up to 1,000", "1,000 calls x $0.01", "$10.00"),
            ("Tier 2: over 1,000 up to 5,000", "4,000 calls x $0.008", "$32.00"),
            ("Flat fee", "Owed once tier 2 is reached", "$5.00"),
            ("Tier 3: over 5,000", "2,300 calls x $0.0004", "$0.92"),
        ],
    ),
    (
        "volume",
        VOLUME,
        "2000",
        [
            ("Tier 2: over 1,000 up to 5,000", "2,000 calls x $0.008", "$16.00"),
            ("Flat fee", "Owed once tier 2 is reached", "$5.00"),
        ],
    ),
    (
        "a single tier",
        {"model": "graduated", "tiers": ONE_TIER},
        "3",
        [("Tier 1", "3 calls x $0.50", "$1.50"), ("Flat fee", "Owed once tier 1 is reached", "$2.00")],
    ),
    (
        "minimum",
        {**PER_UNIT, "minimum": "10"},
        "10000",
        [
            ("Per call", "10,000 calls x $0.0004", "$4.00"),
            ("Minimum", "Raised to the minimum of $10.00", "$6.00"),
        ],
    ),
    (
        "maximum",
        {**PER_UNIT, "maximum": "1"},
        "10000",
        [
            ("Per call", "10,000 calls x $0.0004", "$4.00"),
            ("Maximum", "Capped at the maximum of $1.00", "-$3.00"),
        ],
    ),
]


@pytest.mark.parametrize(
    ("parameters", "quantity", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_rows(parameters: dict[str, Any], quantity: str, expected: list[tuple[str, str, str]]) -> None:
    assert table(parameters, quantity) == expected


def test_a_row_carries_the_exact_amount() -> None:
    rate = parse_rate({**BLOCK, "block_size": "3", "partial_block": "prorate"})
    (row,) = rows(charge(rate, Decimal(1)).steps, unit="calls", currency="EUR")
    assert row == Row("Blocks of 3", "1 call x €5.00 per 3 calls", Decimal("1." + "6" * 58 + "7"), "€1.666667")


SENTENCES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("no usage and nothing free", PER_UNIT, "0", []),
    ("usage inside the free tier", STORY, "3200", ["3,200 of 5,000 free calls used."]),
    (
        "the story",
        STORY,
        "12300",
        [
            "5,000 of 5,000 free calls used.",
            "7,300 calls = 8 blocks x $5.00 = $40.00.",
            "A started block counts in full.",
        ],
    ),
    (
        "full blocks only",
        {**BLOCK, "partial_block": "round_down"},
        "1700",
        ["1,700 calls = 1 block x $5.00 = $5.00.", "Only full blocks count."],
    ),
    (
        "prorated blocks",
        {**BLOCK, "partial_block": "prorate"},
        "1500",
        ["1,500 calls x $5.00 per 1,000 calls = $7.50.", "A partial block counts in proportion."],
    ),
    (
        "one free, one charged",
        {**PER_UNIT, "included_units": "1"},
        "2",
        ["1 of 1 free call used.", "1 call x $0.0004 = $0.0004."],
    ),
    (
        "one of several free units",
        {**PER_UNIT, "included_units": "5"},
        "1",
        ["1 of 5 free calls used."],
    ),
    (
        "graduated",
        GRADUATED,
        "1001",
        [
            "Tier 1 (up to 1,000): 1,000 calls x $0.01 = $10.00.",
            "Tier 2 (over 1,000 up to 5,000): 1 call x $0.008 = $0.008.",
            "Tier 2 has a flat fee of $5.00.",
        ],
    ),
    (
        "volume",
        VOLUME,
        "7300",
        [
            "Tier 3 (over 5,000): 7,300 calls x $0.0004 = $2.92.",
            "The tier that the total falls in sets the price of every call.",
        ],
    ),
    (
        "a single tier",
        {"model": "graduated", "tiers": ONE_TIER},
        "3",
        ["Tier 1: 3 calls x $0.50 = $1.50.", "Tier 1 has a flat fee of $2.00."],
    ),
    ("minimum", {**PER_UNIT, "minimum": "10"}, "0", ["The minimum of $10.00 applies: $10.00 is added."]),
    (
        "maximum",
        {**PER_UNIT, "maximum": "1"},
        "10000",
        ["10,000 calls x $0.0004 = $4.00.", "The maximum of $1.00 applies: $3.00 is taken off."],
    ),
]


@pytest.mark.parametrize(
    ("parameters", "quantity", "expected"), [row[1:] for row in SENTENCES], ids=[row[0] for row in SENTENCES]
)
def test_sentences(parameters: dict[str, Any], quantity: str, expected: list[str]) -> None:
    assert story(parameters, quantity) == expected


DESCRIPTIONS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("the story", STORY, ["5,000 calls free, then $5.00 per started block of 1,000 calls"]),
    ("full blocks", {**BLOCK, "partial_block": "round_down"}, ["$5.00 per full block of 1,000 calls"]),
    ("prorated blocks", {**BLOCK, "partial_block": "prorate"}, ["$5.00 per 1,000 calls, in proportion"]),
    ("per unit", PER_UNIT, ["$0.0004 per call"]),
    ("one free unit", {**PER_UNIT, "included_units": "1"}, ["1 call free, then $0.0004 per call"]),
    (
        "graduated",
        GRADUATED,
        [
            "First 1,000 calls: $0.01 per call",
            "Next 4,000 calls: $0.008 per call plus $5.00",
            "Above 5,000 calls: $0.0004 per call",
        ],
    ),
    (
        "volume after free units",
        {**VOLUME, "included_units": "100"},
        [
            "100 calls free, then:",
            "Up to 1,000 calls: $0.01 for every call",
            "Over 1,000 up to 5,000 calls: $0.008 for every call plus $5.00",
            "Over 5,000 calls: $0.0004 for every call",
        ],
    ),
    ("a single tier", {"model": "graduated", "tiers": ONE_TIER}, ["$0.50 per call plus $2.00"]),
    ("a single volume tier", {"model": "volume", "tiers": ONE_TIER}, ["$0.50 for every call plus $2.00"]),
    (
        "line limits",
        {**PER_UNIT, "minimum": "1", "maximum": "20"},
        ["$0.0004 per call", "At least $1.00, with or without usage", "At most $20.00"],
    ),
]


@pytest.mark.parametrize(
    ("parameters", "expected"), [row[1:] for row in DESCRIPTIONS], ids=[row[0] for row in DESCRIPTIONS]
)
def test_describe_rate(parameters: dict[str, Any], expected: list[str]) -> None:
    assert describe_rate(parse_rate(parameters), unit="calls", currency="USD") == expected


def test_long_bounds_lose_no_digit() -> None:
    tiers = [
        {"up_to": "0.000000000000001", "unit_price": "2"},
        {"up_to": "1000000000000000000000", "unit_price": "1"},
        {"up_to": None, "unit_price": "1"},
    ]
    lines = describe_rate(parse_rate({"model": "graduated", "tiers": tiers}), unit="", currency="USD")
    assert lines[1] == "Next 999,999,999,999,999,999,999.999999999999999 units: $1.00 per unit"


EXAMPLES: dict[str, dict[str, Any]] = {
    "per_unit": PER_UNIT,
    "block": BLOCK,
    "graduated": GRADUATED,
    "volume": VOLUME,
    "graduated_block": {"model": "graduated_block", "tiers": BLOCK_TIERS},
    "volume_block": {"model": "volume_block", "tiers": BLOCK_TIERS},
    "percentage": PERCENTAGE,
    "graduated_percentage": {"model": "graduated_percentage", "tiers": PERCENT_TIERS},
    "stairstep": STAIRSTEP,
}


@pytest.mark.parametrize("model", MODELS)
def test_every_model_can_be_described(model: str) -> None:
    assert describe_rate(parse_rate(EXAMPLES[model]), unit="calls", currency="USD")


@pytest.mark.parametrize("kind", StepKind)
def test_every_kind_of_step_has_words(kind: StepKind) -> None:
    one = Decimal(1)
    step = Step(
        kind=kind,
        amount=one,
        of=one,
        unit_price=one,
        blocks=one,
        block_size=one,
        block_price=one,
        partial_block="round_up",
        tier=0,
        lower=one,
        percent=one,
        base=one,
        factor=one,
        events=1,
    )
    assert all(sentences([step], unit="", currency="USD"))
    (row,) = rows([step], unit="", currency="USD")
    assert row.label
    assert row.detail


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("", "1 unit x $0.0004"),
        ("   ", "1 unit x $0.0004"),
        ("calls", "1 call x $0.0004"),
        ("API calls", "1 API call x $0.0004"),
        ("queries", "1 query x $0.0004"),
        ("addresses", "1 address x $0.0004"),
        ("batches", "1 batch x $0.0004"),
        ("caches", "1 cache x $0.0004"),
        ("minutes of audio", "1 minute of audio x $0.0004"),
        ("GB", "1 GB x $0.0004"),
        ("GB-hours", "1 GB-hour x $0.0004"),
        ("ms", "1 ms x $0.0004"),
        ("access", "1 access x $0.0004"),
    ],
)
def test_the_singular_of_a_unit(unit: str, expected: str) -> None:
    assert table(PER_UNIT, "1", unit)[0][1] == expected


def test_without_a_unit_label_the_words_still_read() -> None:
    assert describe_rate(parse_rate(STORY), unit="", currency="JPY") == [
        "5,000 units free, then ¥5 per started block of 1,000 units"
    ]
    assert table(STORY, "12300", "")[1] == ("Blocks of 1,000", "7,300 units = 8 blocks x $5.00", "$40.00")


def test_fractions_of_units_are_plural() -> None:
    assert table(PER_UNIT, "0.5", "GB-hours")[0][1] == "0.5 GB-hours x $0.0004"


def test_an_unknown_currency_is_refused() -> None:
    steps = charge(parse_rate(STORY), Decimal(12300)).steps
    with pytest.raises(CurrencyError):
        sentences(steps, unit="calls", currency="dollars")


def test_a_step_that_lacks_a_value_is_refused() -> None:
    with pytest.raises(StepError):
        rows([Step(kind=StepKind.UNITS, amount=Decimal(1))], unit="calls", currency="USD")
