"""Where a bill is heading: how quantities go on to the end of their period, by what the days so far were like. Pure.

Time is counted in days of the customer's calendar, and each is one day, also where the clock makes it 23 or 25 hours
long: days that are alike go on alike.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from invoices.drafting import Draft, DraftLine, ItemUsage, draft, with_corrections
from meters.periods import Period, local_date
from pricing.money import total_of
from pricing.steps import EXACT
from pricing.terms import Terms

# Of fewer full days no third says anything.
LEAST_DAYS = 3
# What a price is written with at most.
MOST_DECIMALS = 15
HALF = Fraction(1, 2)
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a period is over, in days: `full` of them whole, `passed` with the part of the running one."""

    full: int
    passed: Fraction
    days: int

    @property
    def left(self) -> Fraction:
        return self.days - self.passed

    @property
    def has_range(self) -> bool:
        return self.full >= LEAST_DAYS


def progress_of(days: Sequence[Period], now: datetime) -> Progress:
    """`days` tile the period."""
    full = sum(day.end <= now for day in days)
    running = next((day for day in days if now in day), None)
    part = Fraction(0) if running is None else Fraction((now - running.start) // INSTANT, running.length // INSTANT)
    return Progress(full, full + part, len(days))


def same_moment(now: datetime, period: Period, other: Period, zone: ZoneInfo) -> datetime:
    """The day of `other` with the number that today has in `period`, at the same time of the local day; its end where
    it has no such day."""
    local = now.astimezone(zone)
    days = local.date() - local_date(period.start, zone)
    then = datetime.combine(local_date(other.start, zone) + days, local.timetz(), tzinfo=zone).astimezone(UTC)
    return max(other.start, min(then, other.end))


@dataclass(frozen=True, slots=True)
class Course:
    """What a quantity comes to by the end: if the rest goes like the quietest days, like all so far, and like the
    busiest. `low <= even <= high`."""

    low: Decimal
    even: Decimal
    high: Decimal


def course_of(so_far: Decimal, days: Sequence[Decimal], progress: Progress, *, decimals: int | None = None) -> Course:
    """`days` are the quantities of the full days, in any order; `so_far` has the running one in it, too.

    Quiet is the mean of the third of the days (rounded up to whole days) with the least, busy that of the third with
    the most. Where the running day is beyond what the full ones were, the mean of all so far is the bound. What is to
    come is rounded to the decimals that usage has, so a count stays a count. Nothing of the period may be over: then
    nothing is to come.
    """
    if not progress.passed:
        return Course(so_far, so_far, so_far)
    places = max(map(_decimals, (so_far, *days))) if decimals is None else decimals
    mean = Fraction(so_far) / progress.passed
    quiet, busy = thirds_of(days) if progress.has_range else (mean, mean)
    low, even, high = (
        EXACT.add(so_far, _rounded(pace * progress.left, places)) for pace in (min(quiet, mean), mean, max(busy, mean))
    )
    return Course(low, even, high)


def thirds_of(days: Sequence[Decimal]) -> tuple[Fraction, Fraction]:
    """The means of the third of these with the least, and of that with the most; at least one day each."""
    in_order = sorted(map(Fraction, days))
    third = -(-len(in_order) // 3)
    return sum(in_order[:third], Fraction(0)) / third, sum(in_order[-third:], Fraction(0)) / third


@dataclass(frozen=True, slots=True)
class Range:
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an invoice would come to if the rest of its period went like all that is over (`even`), like the quietest
    third of the full days (`quiet`) or like the busiest (`busy`). Those two are None before there are three.

    Usage alone varies; fees, a minimum and the like are what they are on a bill of that usage.
    """

    even: Draft
    quiet: Draft | None
    busy: Draft | None

    @property
    def subtotal(self) -> Range | None:
        return self._range([one.subtotal for one in self._drafts])

    @property
    def total(self) -> Range | None:
        return self._range([one.total for one in self._drafts])

    @property
    def _drafts(self) -> list[Draft]:
        return [one for one in (self.quiet, self.even, self.busy) if one is not None]

    def _range(self, amounts: Sequence[Decimal]) -> Range | None:
        # More usage can cost less, where a tier lowers the price of all: so the range is that of the amounts.
        return Range(min(amounts), max(amounts)) if len(amounts) > 1 else None


def look_ahead(
    so_far: Sequence[ItemUsage],
    courses: Sequence[Course | None],
    terms: Terms,
    *,
    corrections: Sequence[DraftLine] = (),
    has_range: bool = True,
) -> Outlook:
    """The bills of these usages where each goes its course; without one it stays as it stands. Of single events the
    course is that of their number, and they come again in the same order."""

    def ahead(goes: Callable[[Course], Decimal]) -> Draft:
        usages = [
            usage if course is None else _gone_on(usage, goes(course))
            for usage, course in zip(so_far, courses, strict=True)
        ]
        return with_corrections(draft(usages, terms), corrections)

    return Outlook(
        even=ahead(lambda course: course.even),
        quiet=ahead(lambda course: course.low) if has_range else None,
        busy=ahead(lambda course: course.high) if has_range else None,
    )


def _gone_on(usage: ItemUsage, quantity: Decimal) -> ItemUsage:
    if usage.events is not None:
        again = list(itertools.islice(itertools.cycle(usage.events), int(quantity)))
        return replace(usage, events=again, quantity=total_of(again))
    return replace(usage, quantity=quantity)


def _decimals(number: Decimal) -> int:
    exponent = number.normalize(EXACT).as_tuple().exponent
    assert isinstance(exponent, int)  # finite
    return min(max(-exponent, 0), MOST_DECIMALS)


def _rounded(number: Fraction, decimals: int) -> Decimal:
    """Halves up, so that what is more never becomes less."""
    units: int = (number * 10**decimals + HALF).__floor__()
    return Decimal(units).scaleb(-decimals, EXACT)
