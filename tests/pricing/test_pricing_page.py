"""The worked examples of docs/pricing.md, priced for real."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from invoices.drafting import ItemUsage, draft
from meters.cycles import Cycle, period_at
from meters.periods import local_date, local_midnight
from pricing.explain import describe_rate
from pricing.money import amount_text
from pricing.rate_models import MODELS
from pricing.rates import charge, needs_events, parse_rate, scaled
from pricing.terms import FeeTerms, PromotionTerms, TaxTerms, Terms

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "pricing.md").read_text()
ZONE = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class Example:
    """A block of JSON with what the page says below it."""

    value: dict[str, Any]
    words: list[str]
    unit: str
    rows: list[list[str]]


def tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The head and the rows of each table."""
    for found in re.finditer(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in found[0].splitlines())
        yield head, rows


def examples() -> Iterator[Example]:
    for block in re.finditer(r"^```json\n(.*?)^```\n(.*?)(?=^```json|^#|\Z)", PAGE, re.MULTILINE | re.DOTALL):
        head, rows = next(tables(block[2]))
        words = re.findall(r"^> - (.*)$", block[2], re.MULTILINE)
        yield Example(value=json.loads(block[1]), words=words, unit=head[0], rows=rows)


EXAMPLES = list(examples())
RATES = [example for example in EXAMPLES if "model" in example.value]
INVOICES = [example for example in EXAMPLES if "usage" in example.value]
CASES = [(example, row) for example in RATES for row in example.rows]


def table(head: str) -> list[list[str]]:
    return next(rows for first, rows in tables(PAGE) if first[0] == head)


def test_the_page_has_an_example_of_every_model() -> None:
    assert {example.value["model"] for example in RATES} == set(MODELS)
    assert len(RATES) + len(INVOICES) == len(EXAMPLES) == PAGE.count("```json")
    assert all(example.rows for example in EXAMPLES)
    headings = re.findall(r"^### `(\w+)`", PAGE, re.MULTILINE)
    assert headings == list(MODELS)


@pytest.mark.parametrize(("example", "row"), CASES, ids=[f"{e.value['model']} {row[0]}" for e, row in CASES])
def test_the_amounts_of_rates(example: Example, row: list[str]) -> None:
    rate = parse_rate(example.value)
    if example.unit.startswith("events in order"):
        events = [Decimal(value) for value in row[0].split(", ")]
        assert needs_events(rate)
        charged = charge(rate, sum(events, Decimal(0)), events)
    else:
        charged = charge(rate, Decimal(row[0]))
    assert charged.amount == Decimal(row[1])


@pytest.mark.parametrize("example", RATES, ids=[json.dumps(example.value)[:60] for example in RATES])
def test_the_words_of_rates(example: Example) -> None:
    unit = example.unit.removeprefix("events in order, ")
    assert describe_rate(parse_rate(example.value), unit=unit, currency="USD") == example.words


@pytest.mark.parametrize("row", table("exact"), ids=" ".join)
def test_rounding(row: list[str]) -> None:
    exact, currency, rounded = row
    assert amount_text(Decimal(exact), currency) == rounded


def number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def fee_of(fee: dict[str, Any], days_before: int, days: int, of_days: int) -> FeeTerms:
    runs = fee.get("runs", [] if fee["kind"] == "percent" else [[fee.get("quantity", "1"), days]])
    return FeeTerms(
        key=fee["name"],
        name=fee["name"],
        unit="",
        kind=fee["kind"],
        amount=number(fee.get("amount")),
        percent=number(fee.get("percent")),
        runs=tuple((Decimal(quantity), run) for quantity, run in runs),
        days_before=days_before,
        of_days=of_days,
        prorated=fee.get("prorated", True),
    )


def promotion_of(promotion: dict[str, Any], position: int, items: dict[str, int]) -> PromotionTerms:
    return PromotionTerms(
        id=position,
        name=promotion["name"],
        percent=number(promotion.get("percent")),
        amount=number(promotion.get("amount")),
        product_item_ids=frozenset(items[name] for name in promotion.get("on", [])),
        left=number(promotion.get("left")),
    )


@pytest.mark.parametrize("example", INVOICES, ids=[example.rows[-1][1] for example in INVOICES])
def test_the_lines_of_invoices(example: Example) -> None:
    value = example.value
    days, of_days = value.get("days", 1), value.get("of_days", 1)
    items = {usage["name"]: place for place, usage in enumerate(value["usage"], start=1)}
    usages = []
    for usage in value["usage"]:
        rate = parse_rate(usage["rate"])
        rate = scaled(rate, days, of_days) if usage.get("prorated") else rate
        usages.append(ItemUsage(items[usage["name"]], usage["name"], "", Decimal(usage["quantity"]), rate))
    promotions = enumerate(value.get("promotions", []))
    drafted = draft(
        usages,
        Terms(
            currency=value["currency"],
            fees=tuple(fee_of(fee, value.get("days_before", 0), days, of_days) for fee in value.get("fees", [])),
            minimum=Decimal(value.get("minimum", "0")),
            commitment=number(value.get("commitment")),
            overage_factor=Decimal(value.get("overage_factor", "1")),
            days=days,
            of_days=of_days,
            promotions=tuple(promotion_of(promotion, place, items) for place, promotion in promotions),
            taxes=tuple(
                TaxTerms(place, tax["name"], Decimal(tax["percent"]))
                for place, tax in enumerate(value.get("taxes", []))
            ),
        ),
    )
    told = [[line.name, amount_text(line.amount, value["currency"])] for line in drafted.lines]
    sums = [["subtotal", f"{drafted.subtotal:f}"], ["total", f"{drafted.total:f}"]]
    assert [*told, *sums] == [row[:2] for row in example.rows]


@pytest.mark.parametrize("row", table("every"), ids=" ".join)
def test_periods(row: list[str]) -> None:
    every, aligned, *days = row
    count, interval = every.split()
    anchor, day, first, end = (date.fromisoformat(text) for text in days)
    cycle = Cycle(interval, int(count), aligned == "anniversary", anchor)
    period = period_at(cycle, local_midnight(day, ZONE), ZONE)
    assert (local_date(period.start, ZONE), local_date(period.end, ZONE)) == (first, end)
