"""Which spans of time the usage page shows: named ones and days of one's own, what is before and after, and how fine
it cuts. Days are those of the customer's zone."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from meters.charts import AHEAD, PAST, TODAY, Slot
from meters.periods import Period, local_date, local_midnight, month_of, next_month, read_day, windows
from meters.words import INSTANT, days_in, last_day, period_words, short_day_words

# About 13 months.
MOST_DAYS = 400
# To so many days by hour, and by day.
HOURS_UNTIL, DAYS_UNTIL = 3, 92
RECENT_DAYS = (7, 30, 90)
OFFERED_MONTHS = 24
FIRST_YEAR = 2000
RANGE = "range"
DAY = timedelta(days=1)
_MONTH = re.compile("([0-9]{4})-([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Span:
    """A period with what it is called in addresses: `key`, and days of one's own (RANGE) by these."""

    key: str
    period: Period
    zone: ZoneInfo

    @property
    def first(self) -> date:
        return local_date(self.period.start, self.zone)

    @property
    def last(self) -> date:
        return last_day(self.period, self.zone)

    @property
    def days(self) -> int:
        return days_in(self.period, self.zone)

    @property
    def words(self) -> str:
        return period_words(self.period, self.zone)

    @property
    def cut(self) -> str:
        """How fine it is shown: "hour", "day" or "month"."""
        return "hour" if self.days <= HOURS_UNTIL else "day" if self.days <= DAYS_UNTIL else "month"

    @property
    def file_name(self) -> str:
        return self.key if _MONTH.fullmatch(self.key) else f"{self.first}-to-{self.last}"

    def windows(self) -> list[Period]:
        return list(windows(self.period, self.cut, self.zone))

    @property
    def address(self) -> dict[str, str]:
        if self.key != RANGE:
            return {"period": self.key}
        return {"period": RANGE, "from": self.first.isoformat(), "to": self.last.isoformat()}


class Calendar:
    """The spans that a customer can choose. `billed` are periods of invoices, the newest first."""

    def __init__(self, billed: Sequence[Period], *, now: datetime, zone: ZoneInfo) -> None:
        self.now, self.zone = now, zone
        spans = [self._billed(period) for period in dict.fromkeys(billed)]
        self.billed = [span for span in spans if span.days <= MOST_DAYS]
        self.by_key = {span.key: span for span in reversed(self.billed)}

    @property
    def default(self) -> Span:
        """The period that is billed now, or this month."""
        return next((span for span in self.billed if self.now in span.period), self.month(self.now))

    def groups(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """The named spans by kind, each with its key and its name."""
        shown = [(span.key, f"{self._running(span)}{span.words}") for span in self.billed]
        months, month = [], self.month(self.now)
        for _ in range(OFFERED_MONTHS):
            months.append((month.key, f"{month.first:%B %Y}"))
            month = self.month(month.period.start - INSTANT)
        recent = [(f"last-{count}-days", f"Last {count} days") for count in RECENT_DAYS]
        billed = [("Invoice periods", shown)] if shown else []
        known = {key for key, _ in shown}
        return [
            *billed,
            ("Up to today", recent),
            ("Months", [one for one in months if one[0] not in known]),
            ("Other", [(RANGE, "From … to …")]),
        ]

    def month(self, instant: datetime) -> Span:
        period = month_of(instant, self.zone)
        return Span(f"{local_date(period.start, self.zone):%Y-%m}", period, self.zone)

    def named(self, key: str) -> Span | None:
        """The span of this key; None where there is none that has begun."""
        if key in self.by_key:
            return self.by_key[key]
        if match := re.fullmatch("last-([0-9]+)-days", key):
            count = int(match[1]) if len(match[1]) < 4 else 0
            today = local_date(self.now, self.zone)
            return self._of_days(today - (count - 1) * DAY, today, key) if count in RECENT_DAYS else None
        first_text, dots, last_text = key.partition("..")
        try:
            if match := _MONTH.fullmatch(key):
                first = date(int(match[1]), int(match[2]), 1)
                return self._begun(self._of_days(first, next_month(first) - DAY, key))
            return self._begun(self._of_days(read_day(first_text), read_day(last_text), RANGE)) if dots else None
        except (ValueError, OverflowError):
            return None

    def own(self, first: date, last: date) -> Span:
        return self._of_days(first, last, RANGE)

    def before(self, span: Span) -> Span | None:
        """The one before: of an invoice's period and a month that of the same kind, else as many days."""
        return self._beside(span, span.period.start - INSTANT, -span.days)

    def after(self, span: Span) -> Span | None:
        """The one after it, where that has begun."""
        return self._beside(span, span.period.end, span.days)

    def _beside(self, span: Span, instant: datetime, days: int) -> Span | None:
        found = next((one for one in self.billed if instant in one.period), None) if span.key in self.by_key else None
        if found is None and _MONTH.fullmatch(span.key):
            found = self.month(instant)
        if found is None:
            found = self.own(span.first + days * DAY, span.last + days * DAY)
        return self._begun(found)

    def _begun(self, span: Span) -> Span | None:
        sane = span.first.year >= FIRST_YEAR and span.first <= span.last and span.days <= MOST_DAYS
        return span if sane and span.period.start <= self.now else None

    def _of_days(self, first: date, last: date, key: str) -> Span:
        start, end = local_midnight(first, self.zone), local_midnight(last + DAY, self.zone)
        return Span(key, Period(start, max(start, end)), self.zone)

    def _billed(self, period: Period) -> Span:
        month = self.month(period.start)
        if month.period == period:
            return month
        # Where the customer's zone has changed since, the bounds are no midnights of it, and kept all the same.
        first, last = local_date(period.start, self.zone), last_day(period, self.zone)
        return Span(f"{first}..{last}", period, self.zone)

    def _running(self, span: Span) -> str:
        return "Now: " if self.now in span.period else ""


def earlier(bounds: Sequence[datetime], days: int, zone: ZoneInfo) -> list[datetime]:
    """The same places so many days before by the calendar and the clock of `zone`, in order: a midnight becomes a
    midnight, and an hour that another day has twice or not at all is as long as it is there."""
    moved: list[datetime] = []
    for bound in bounds:
        day = local_date(bound, zone)
        if bound == local_midnight(day, zone):
            instant = local_midnight(day - days * DAY, zone)
        else:
            wall = bound.astimezone(zone).replace(tzinfo=None) - days * DAY
            instant = wall.replace(tzinfo=zone).astimezone(UTC)
        moved.append(max([instant, *moved[-1:]]))
    return moved


def tiles(bounds: Sequence[datetime]) -> list[Period]:
    return [Period(start, end) for start, end in itertools.pairwise(bounds)]


def slot_of(window: Period, span: Span, now: datetime) -> Slot:
    """A window of a span as a place on a chart."""
    state = TODAY if now in window else AHEAD if window.start > now else PAST
    day = local_date(window.start, span.zone)
    if span.cut == "month":
        return Slot(f"{day:%b %Y}", state, short=f"{day:%b}")
    if span.cut == "day":
        return Slot(short_day_words(day), state)
    local = window.start.astimezone(span.zone)
    clock = f"{local:%H:%M}"
    offsets = {instant.astimezone(span.zone).utcoffset() for instant in (span.period.start, span.period.end - INSTANT)}
    if len(offsets) > 1:
        # The clock changes in between, so an hour may come twice.
        clock = f"{clock} {local:%Z}"
    begins = window.start == local_midnight(day, span.zone)
    name = clock if span.days == 1 else f"{short_day_words(day)}, {clock}"
    return Slot(name, state, short=short_day_words(day) if begins and span.days > 1 else f"{local:%H:%M}")


def stamp(window: Period, span: Span) -> str:
    """The start of a window as machines read it: "2026-11", "2026-11-02", "2026-11-02T14:00+01:00"."""
    if span.cut == "hour":
        return window.start.astimezone(span.zone).isoformat(timespec="minutes")
    day = local_date(window.start, span.zone)
    return f"{day:%Y-%m}" if span.cut == "month" else day.isoformat()
