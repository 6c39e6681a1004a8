"""Steps and rates in plain words, the same on every surface: portal, PDF, CSV, admin and API.

`unit` is the plural label of the meter ("calls", "API calls", "GB"); empty reads as "units". `currency` is an
ISO 4217 code. Amounts of steps are shown with all their digits, because only the line is rounded.
Raises CurrencyError, or StepError for a step that lacks what its kind needs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from pricing.explain_nouns import Say
from pricing.explain_rates import describe
from pricing.explain_steps import words
from pricing.money import format_amount
from pricing.rates import Rate
from pricing.steps import Step


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of steps: `amount` is exact, `formatted_amount` is what to show."""

    label: str
    detail: str
    amount: Decimal
    formatted_amount: str


def sentences(steps: Iterable[Step], *, unit: str, currency: str) -> list[str]:
    """The steps as sentences, in order. No steps (nothing used, nothing owed) give none."""
    say = Say(unit, currency)
    return [sentence for step in steps for sentence in words(step, say).sentences]


def rows(steps: Iterable[Step], *, unit: str, currency: str) -> list[Row]:
    """The steps as table rows, in order, one for each step."""
    say = Say(unit, currency)
    return [_row(step, say) for step in steps]


def _row(step: Step, say: Say) -> Row:
    said = words(step, say)
    return Row(said.label, said.detail, step.amount, format_amount(step.amount, say.currency))


def describe_rate(rate: Rate, *, unit: str, currency: str) -> list[str]:
    """The price in plain words, one line for each tier: "5,000 calls free, then $0.01 per call"."""
    say = Say(unit, currency)
    lines = describe(rate.model, say)
    if rate.included_units:
        free = f"{say.count(rate.included_units)} free, then"
        lines = [f"{free} {lines[0]}"] if len(lines) == 1 else [f"{free}:", *lines]
    if rate.minimum:
        lines.append(f"at least {say.price(rate.minimum)}, with or without usage")
    if rate.maximum is not None:
        lines.append(f"at most {say.price(rate.maximum)}")
    return [line[:1].upper() + line[1:] for line in lines]
