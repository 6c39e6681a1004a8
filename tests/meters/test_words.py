from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from meters.periods import Period, month_of
from meters.words import day_number, days_in, every_words, instant_words, period_words

UTC_ZONE = ZoneInfo("UTC")
NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-11-01", "2026-12-01", "1–30 Nov 2026"),
        ("2026-11-18", "2026-12-04", "18 Nov – 3 Dec 2026"),
        ("2026-12-31", "2027-01-03", "31 Dec 2026 – 2 Jan 2027"),
        ("2026-11-30", "2026-12-01", "30 Nov 2026"),
    ],
)
def test_a_period_is_told_by_its_first_and_last_day(start: str, end: str, words: str) -> None:
    bounds = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    assert period_words(Period(*bounds), UTC_ZONE) == words


def test_days_are_those_of_the_customers_zone() -> None:
    # The clock goes back on 1 November, so the month is an hour longer than 30 days.
    month = month_of(datetime(2026, 11, 15, tzinfo=UTC), NEW_YORK)
    assert period_words(month, NEW_YORK) == "1–30 Nov 2026"
    assert days_in(month, NEW_YORK) == 30
    assert day_number(month, datetime(2026, 11, 18, 4, 59, tzinfo=UTC), NEW_YORK) == 17
    assert day_number(month, datetime(2026, 11, 18, 5, 0, tzinfo=UTC), NEW_YORK) == 18
    assert instant_words(datetime(2026, 11, 18, 5, 0, tzinfo=UTC), NEW_YORK) == "18 Nov 2026, 00:00 EST"


@pytest.mark.parametrize(
    ("interval", "count", "words"), [("month", 1, "every month"), ("week", 2, "every 2 weeks"), ("day", 1, "every day")]
)
def test_how_often_there_is_a_bill(interval: str, count: int, words: str) -> None:
    assert every_words(interval, count) == words
