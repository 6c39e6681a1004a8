"""Blocks in tiers, percentages, single events and stairs in words."""

from decimal import Decimal
from typing import Any

import pytest

from pricing.explain import describe_rate, rows, sentences
from pricing.rates import Step, charge, parse_rate

BLOCK_TIERS = [
    {"up_to": "1500", "block_size": "1000", "block_price": "5"},
    {"up_to": None, "block_size": "100", "block_price": "0.4", "flat_fee": "1"},
]
GRADUATED_BLOCK = {"model": "graduated_block", "tiers": BLOCK_TIERS}
VOLUME_BLOCK = {"model": "volume_block", "tiers": BLOCK_TIERS}
PERCENT_TIERS = [{"up_to": "1000", "rate_percent": "2.50"}, {"up_to": None, "rate_percent": "1", "flat_fee": "3"}]
GRADUATED_PERCENTAGE = {"model": "graduated_percentage", "tiers": PERCENT_TIERS}
STAIRSTEP = {
    "model": "stairstep",
    "tiers": [
        {"up_to": "10", "flat_price": "0"},
        {"up_to": "50", "flat_price": "20"},
        {"up_to": None, "flat_price": "90"},
    ],
}
PERCENTAGE = {"model": "percentage", "rate_percent": "2.9"}
EVENTS = {
    **PERCENTAGE,
    "fixed_fee_per_event": "0.04",
    "free_events": "10",
    "free_amount": "100",
    "per_event_min": "0.05",
    "per_event_max": "5",
}
VALUES = ["60", "60", "230", "1", "0"]


def steps(parameters: dict[str, Any], values: list[str]) -> tuple[Step, ...]:
    events = [Decimal(value) for value in values]
    return charge(parse_rate(parameters), sum(events, Decimal(0)), events).steps


ROWS: list[tuple[str, dict[str, Any], list[str], list[tuple[str, str, str]]]] = [
    (
        "blocks of tiers",
        GRADUATED_BLOCK,
        ["1710"],
        [
            ("Tier 1: up to 1,500", "1,500 euros = 2 blocks of 1,000 x $5.00", "$10.00"),
            ("Tier 2: over 1,500", "210 euros = 3 blocks of 100 x $0.40", "$1.20"),
            ("Flat fee", "Owed once tier 2 is reached", "$1.00"),
        ],
    ),
    (
        "all units in blocks of a tier",
        VOLUME_BLOCK,
        ["1"],
        [("Tier 1: up to 1,500", "1 euro = 1 block of 1,000 x $5.00", "$5.00")],
    ),
    (
        "percentages of tiers",
        GRADUATED_PERCENTAGE,
        ["1001"],
        [
            ("Tier 1: up to 1,000", "2.5% of 1,000 euros", "$25.00"),
            ("Tier 2: over 1,000", "1% of 1 euro", "$0.01"),
            ("Flat fee", "Owed once tier 2 is reached", "$3.00"),
        ],
    ),
    ("stairs", STAIRSTEP, ["12"], [("Tier 2: over 10 up to 50", "12 euros for one price", "$20.00")]),
    ("a percentage", PERCENTAGE, ["1000"], [("Percentage", "2.9% of 1,000 euros", "$29.00")]),
    (
        "single events",
        EVENTS,
        VALUES,
        [
            ("Percentage", "2.9% of 251 of 351 euros", "$7.279"),
            ("Fee per event", "4 events x $0.04", "$0.16"),
            ("Minimum per event", "1 event raised to the minimum of $0.05", "$0.01"),
            ("Maximum per event", "1 event cut to the maximum of $5.00", "-$1.71"),
        ],
    ),
    (
        "corrections",
        {**PERCENTAGE, "per_event_max": "50"},
        ["100", "-30"],
        [("Percentage", "2.9% of 100 euros", "$2.90")],
    ),
    ("free events only", EVENTS, ["60"], [("Percentage", "2.9% of 0 of 60 euros", "$0.00")]),
]


@pytest.mark.parametrize(("parameters", "values", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_rows(parameters: dict[str, Any], values: list[str], expected: list[tuple[str, str, str]]) -> None:
    told = rows(steps(parameters, values), unit="euros", currency="USD")
    assert [(row.label, row.detail, row.formatted_amount) for row in told] == expected


SENTENCES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "blocks of tiers",
        GRADUATED_BLOCK,
        ["1710"],
        [
            "Tier 1 (up to 1,500): 1,500 euros = 2 blocks of 1,000 x $5.00 = $10.00.",
            "A started block counts in full.",
            "Tier 2 (over 1,500): 210 euros = 3 blocks of 100 x $0.40 = $1.20.",
            "Tier 2 has a flat fee of $1.00.",
        ],
    ),
    (
        "all units in blocks of a tier",
        VOLUME_BLOCK,
        ["1501"],
        [
            "Tier 2 (over 1,500): 1,501 euros = 16 blocks of 100 x $0.40 = $6.40.",
            "The tier that the total falls in sets the price of every euro.",
            "A started block counts in full.",
            "Tier 2 has a flat fee of $1.00.",
        ],
    ),
    (
        "percentages of tiers",
        GRADUATED_PERCENTAGE,
        ["400"],
        ["Tier 1 (up to 1,000): 2.5% of 400 euros = $10.00."],
    ),
    (
        "stairs",
        STAIRSTEP,
        ["51"],
        [
            "Tier 3 (over 50): 51 euros for one price = $90.00.",
            "The tier that the total falls in sets the price of all of it.",
        ],
    ),
    ("a percentage", PERCENTAGE, ["1000"], ["2.9% of 1,000 euros = $29.00."]),
    (
        "single events",
        EVENTS,
        VALUES,
        [
            "2.9% of 251 of 351 euros = $7.279.",
            "1 of 5 events is free.",
            "4 events x $0.04 = $0.16.",
            "1 event raised to the minimum of $0.05: $0.01 is added.",
            "1 event cut to the maximum of $5.00: $1.71 is taken off.",
        ],
    ),
    ("free events only", EVENTS, ["30", "60"], ["2.9% of 0 of 90 euros = $0.00.", "2 of 2 events are free."]),
]


@pytest.mark.parametrize(
    ("parameters", "values", "expected"), [row[1:] for row in SENTENCES], ids=[row[0] for row in SENTENCES]
)
def test_sentences(parameters: dict[str, Any], values: list[str], expected: list[str]) -> None:
    assert sentences(steps(parameters, values), unit="euros", currency="USD") == expected


DESCRIPTIONS: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "blocks of tiers",
        GRADUATED_BLOCK,
        [
            "First 1,500 euros: $5.00 per started block of 1,000 euros",
            "Above 1,500 euros: $0.40 per started block of 100 euros plus $1.00",
        ],
    ),
    (
        "all units in blocks of a tier",
        VOLUME_BLOCK,
        [
            "Up to 1,500 euros: $5.00 per started block of 1,000 euros",
            "Over 1,500 euros: $0.40 per started block of 100 euros plus $1.00",
            "The tier of the total counts for all euros",
        ],
    ),
    (
        "one tier of blocks",
        {**VOLUME_BLOCK, "tiers": BLOCK_TIERS[1:]},
        ["$0.40 per started block of 100 euros plus $1.00"],
    ),
    (
        "percentages of tiers",
        GRADUATED_PERCENTAGE,
        ["First 1,000 euros: 2.5% of the euros", "Above 1,000 euros: 1% of the euros plus $3.00"],
    ),
    (
        "stairs",
        {**STAIRSTEP, "included_units": "5"},
        [
            "5 euros free, then:",
            "Up to 10 euros: $0.00 in all",
            "Over 10 up to 50 euros: $20.00 in all",
            "Over 50 euros: $90.00 in all",
        ],
    ),
    ("one stair", {**STAIRSTEP, "tiers": STAIRSTEP["tiers"][2:]}, ["Any number of euros: $90.00 in all"]),
    ("a percentage", PERCENTAGE, ["2.9% of the euros"]),
    ("after included units", {**PERCENTAGE, "included_units": "500"}, ["500 euros free, then 2.9% of the euros"]),
    (
        "single events",
        {**EVENTS, "maximum": "900"},
        [
            "2.9% of the euros plus $0.04 per event",
            "At least $0.05 and at most $5.00 per event",
            "The first 10 events are free, up to 100 euros in all",
            "At most $900.00",
        ],
    ),
    ("free events", {**PERCENTAGE, "free_events": "1"}, ["2.9% of the euros", "The first event is free"]),
    ("a free amount", {**PERCENTAGE, "free_amount": "100"}, ["2.9% of the euros", "The first 100 euros are free"]),
    ("none of the events free", {**PERCENTAGE, "free_events": "0", "free_amount": "100"}, ["2.9% of the euros"]),
    ("a most of an event", {**PERCENTAGE, "per_event_max": "5"}, ["2.9% of the euros", "At most $5.00 per event"]),
]


@pytest.mark.parametrize(
    ("parameters", "expected"), [row[1:] for row in DESCRIPTIONS], ids=[row[0] for row in DESCRIPTIONS]
)
def test_describe_rate(parameters: dict[str, Any], expected: list[str]) -> None:
    assert describe_rate(parse_rate(parameters), unit="euros", currency="USD") == expected
