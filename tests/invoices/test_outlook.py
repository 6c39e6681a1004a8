"""Where a bill is heading, and between what."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoices.drafting import ItemUsage, draft
from invoices.outlook import Course, Progress, Range, course_of, look_ahead, progress_of, same_moment, thirds_of
from meters.periods import Period, local_midnight, windows
from pricing.money import total_of
from pricing.rates import parse_rate
from pricing.terms import RECURRING, FeeTerms, TaxTerms, Terms

UTC_ZONE = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")

RATES = {
    "per_unit": {"model": "per_unit", "unit_price": "0.37"},
    "block": {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"},
    "tiers": {
        "model": "graduated",
        "tiers": [{"up_to": "100", "unit_price": "2"}, {"up_to": None, "unit_price": "0.5", "flat_fee": "7"}],
    },
    "falling": {
        "model": "volume",
        "tiers": [{"up_to": "500", "unit_price": "1"}, {"up_to": None, "unit_price": "0.1"}],
    },
    "events": {"model": "percentage", "rate_percent": "3", "fixed_fee_per_event": "0.10", "free_events": "2"},
}
FEE = FeeTerms("base", "Base", "", RECURRING, Decimal(49), None, ((Decimal(1), 30),), 0, 30, True)
TERMS = Terms("USD", fees=(FEE,), minimum=Decimal(80), days=30, of_days=30, taxes=(TaxTerms(1, "VAT", Decimal(19)),))

amounts = st.decimals(-10_000, 10**9, places=3, allow_nan=False, allow_infinity=False)
parts = st.fractions(0, Fraction(999_999, 1_000_000))


def usage(rate: str, quantity: Decimal) -> ItemUsage:
    return ItemUsage(1, "Calls", "calls", quantity, parse_rate(RATES[rate]))


@st.composite
def histories(draw: st.DrawFn, most: int = 30) -> tuple[Decimal, list[Decimal], Progress]:
    """What was used so far, that of each full day, and how far the period is."""
    days = draw(st.lists(amounts, max_size=most))
    part = draw(parts)
    today = draw(amounts) if part else Decimal(0)
    ahead = draw(st.integers(1 if part else 0, 30))
    return total_of([*days, today]), days, Progress(len(days), len(days) + part, len(days) + ahead)


class TestCourses:
    @given(histories())
    def test_are_in_order(self, history: tuple[Decimal, list[Decimal], Progress]) -> None:
        course = course_of(*history)
        assert course.low <= course.even <= course.high

    @given(st.decimals(0, 10**9, places=4), st.integers(1, 40), parts, st.integers(1, 40))
    def test_of_days_that_are_alike_are_one(self, each: Decimal, full: int, part: Fraction, ahead: int) -> None:
        passed = full + part
        so_far = each * full + each * part.numerator / part.denominator
        progress = Progress(full, passed, full + ahead)
        course = course_of(so_far, [each] * full, progress, decimals=4)
        assert course.high - course.low <= Decimal("0.0001")
        assert abs(course.even - each * progress.days) <= Decimal("0.0001")
        whole = course_of(each * full, [each] * full, Progress(full, Fraction(full), full + ahead))
        assert whole == Course(each * progress.days, each * progress.days, each * progress.days)

    @given(histories())
    def test_end_at_what_was_used(self, history: tuple[Decimal, list[Decimal], Progress]) -> None:
        so_far, days, progress = history
        over = Progress(progress.full, Fraction(max(progress.full, 1)), max(progress.full, 1))
        assert course_of(so_far, days, over) == Course(so_far, so_far, so_far)

    def test_are_those_of_the_thirds_of_the_days(self) -> None:
        days = [Decimal(n) for n in (40, 10, 20, 30, 0, 50, 60)]  # a third, rounded up, is three days
        assert thirds_of(days) == (10, 50)
        progress = Progress(7, Fraction(7), 10)
        assert course_of(Decimal(210), days, progress) == Course(Decimal(240), Decimal(300), Decimal(360))

    def test_are_those_of_the_example(self) -> None:
        """As docs/invoices.md has it."""
        days = [Decimal(n) for n in (10, 20, 20, 30, 30, 40, 40, 50, 60, 100)]
        course = course_of(Decimal(400), days, Progress(10, Fraction(10), 30), decimals=2)
        assert (course.low, course.even, course.high) == (800, 1200, 1650)

    def test_have_no_range_before_three_full_days(self) -> None:
        course = course_of(Decimal(5), [Decimal(1), Decimal(4)], Progress(2, Fraction(2), 4))
        assert course == Course(Decimal(10), Decimal(10), Decimal(10))
        assert not Progress(2, Fraction(5, 2), 4).has_range
        assert Progress(3, Fraction(3), 4).has_range

    def test_count_a_running_day_that_is_beyond_the_full_ones(self) -> None:
        """Ten a day, and a thousand this morning: the mean is above the busiest day, and is the bound."""
        days = [Decimal(10)] * 4
        course = course_of(Decimal(1040), days, Progress(4, Fraction(9, 2), 9))
        assert (course.low, course.even, course.high) == (1085, 2080, 2080)

    def test_go_down_where_more_is_taken_back_than_used(self) -> None:
        days = [Decimal(n) for n in (-30, 0, 0)]
        assert course_of(Decimal(-30), days, Progress(3, Fraction(3), 6)) == Course(
            Decimal(-120), Decimal(-60), Decimal(-30)
        )

    @pytest.mark.parametrize(
        ("so_far", "days", "even"),
        [
            ("7", ["3", "4", "0"], "16"),  # a count stays one: 16.33
            ("0.7", ["0.3", "0.4", "0"], "1.6"),
            ("0.0007", ["0.0003", "0.0004", "0"], "0.0016"),
            ("0", ["0", "0", "0"], "0"),
        ],
    )
    def test_have_the_decimals_that_usage_has(self, so_far: str, days: list[str], even: str) -> None:
        progress = Progress(3, Fraction(3), 7)
        assert course_of(Decimal(so_far), [Decimal(day) for day in days], progress).even == Decimal(even)

    def test_of_nothing_that_is_over_say_nothing(self) -> None:
        assert course_of(Decimal(3), [], Progress(0, Fraction(0), 30)).even == 3


class TestBills:
    @given(histories(), st.sampled_from([name for name in RATES if name != "events"]))
    def test_what_is_projected_is_within_its_range(
        self, history: tuple[Decimal, list[Decimal], Progress], rate: str
    ) -> None:
        ahead = look_ahead([usage(rate, history[0])], [course_of(*history)], TERMS)
        assert ahead.total is not None
        assert ahead.subtotal is not None
        assert ahead.total.low <= ahead.even.total <= ahead.total.high
        assert ahead.subtotal.low <= ahead.even.subtotal <= ahead.subtotal.high
        assert ahead.subtotal.low >= 80  # the minimum

    @given(st.lists(st.integers(0, 60), min_size=3, max_size=8), st.integers(1, 8))
    def test_single_events_come_again(self, counts: list[int], ahead: int) -> None:
        values = [Decimal(10 + number % 7) for number in range(sum(counts))]
        one = ItemUsage(1, "Payments", "USD", total_of(values), parse_rate(RATES["events"]), events=values)
        progress = Progress(len(counts), Fraction(len(counts)), len(counts) + ahead)
        course = course_of(Decimal(len(values)), [Decimal(count) for count in counts], progress)
        found = look_ahead([one], [course], Terms("USD"))
        assert found.total is not None
        assert found.total.low <= found.even.total <= found.total.high
        assert found.even.lines[0].quantity == total_of((values * 9)[: int(course.even)])

    @given(histories(), st.sampled_from(sorted(RATES)))
    def test_at_the_end_all_are_the_charges(self, history: tuple[Decimal, list[Decimal], Progress], rate: str) -> None:
        so_far, days, progress = history
        if rate == "events":
            so_far, days = Decimal(len(days)), [Decimal(1)] * len(days)
        over = Progress(progress.full, Fraction(max(progress.full, 1)), max(progress.full, 1))
        one = usage(rate, so_far)
        if rate == "events":
            one = ItemUsage(1, "Payments", "USD", so_far, parse_rate(RATES[rate]), events=[Decimal(1)] * len(days))
        found = look_ahead([one], [course_of(so_far, days, over)], TERMS)
        charges = draft([one], TERMS).total
        assert (found.even.total, found.total) == (charges, Range(charges, charges))

    def test_a_price_that_falls_does_not_turn_the_range_round(self) -> None:
        """400 units at 1.00 cost 400, and 600 at 0.10 cost 60."""
        found = look_ahead(
            [usage("falling", Decimal(200))], [Course(Decimal(400), Decimal(450), Decimal(600))], Terms("USD")
        )
        assert (found.even.total, found.total) == (450, Range(Decimal(60), Decimal(450)))

    def test_what_does_not_grow_has_no_range_of_its_own(self) -> None:
        found = look_ahead([usage("per_unit", Decimal(100))], [None], TERMS)
        assert found.total is not None
        assert found.total.low == found.even.total == found.total.high

    def test_two_items_go_their_own_ways(self) -> None:
        calls, seats = usage("per_unit", Decimal(100)), usage("per_unit", Decimal(10))
        found = look_ahead([calls, seats], [Course(Decimal(100), Decimal(200), Decimal(300)), None], Terms("JPY"))
        assert [one.total for one in (found.quiet, found.even, found.busy) if one] == [41, 78, 115]

    def test_without_a_range_there_is_the_projection_alone(self) -> None:
        found = look_ahead([usage("per_unit", Decimal(100))], [None], TERMS, has_range=False)
        assert (found.total, found.subtotal, found.quiet, found.busy) == (None, None, None, None)


class TestProgress:
    def test_a_day_of_a_changed_clock_is_a_day(self) -> None:
        """In Berlin the 25th of October 2026 has 25 hours, and the 29th of March 23."""
        october = Period(local_midnight(date(2026, 10, 1), BERLIN), local_midnight(date(2026, 11, 1), BERLIN))
        days = list(windows(october, "day", BERLIN))
        noon = datetime(2026, 10, 25, 10, 30, tzinfo=UTC)  # the middle of its 25 hours
        assert progress_of(days, noon) == Progress(24, Fraction(49, 2), 31)
        assert progress_of(days, october.end) == Progress(31, Fraction(31), 31)
        each = [Decimal(7)] * 25
        after = progress_of(days, days[25].start)
        assert course_of(Decimal(175), each, after) == Course(Decimal(217), Decimal(217), Decimal(217))
        march = Period(local_midnight(date(2026, 3, 29), BERLIN), local_midnight(date(2026, 4, 5), BERLIN))
        first = list(windows(march, "day", BERLIN))
        assert progress_of(first, march.start + timedelta(hours=23)) == Progress(1, Fraction(1), 7)

    def test_nothing_is_over_before_it_begins(self) -> None:
        days = list(
            windows(Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)), "day", UTC_ZONE)
        )
        assert progress_of(days, datetime(2026, 10, 30, tzinfo=UTC)) == Progress(0, Fraction(0), 30)


class TestTheSameMoment:
    @pytest.mark.parametrize(
        ("now", "then"),
        [
            ((2026, 11, 18, 14, 2), (2026, 10, 18, 13, 2)),  # on either side of the clock's change
            ((2026, 10, 31, 22, 30), (2026, 9, 30, 22, 0)),  # a month with a day less is over by then
            ((2026, 11, 1, 0, 30), (2026, 9, 30, 23, 30)),
        ],
    )
    def test_is_the_same_day_and_time_of_the_other_period(self, now: tuple[int, ...], then: tuple[int, ...]) -> None:
        moment = datetime(*now, tzinfo=UTC)  # type: ignore[arg-type]
        local = moment.astimezone(BERLIN)
        begin = date(local.year, local.month, 1)
        before = date(begin.year, begin.month - 1, 1)
        last = Period(local_midnight(before, BERLIN), local_midnight(begin, BERLIN))
        running = Period(last.end, local_midnight(date(begin.year, begin.month + 1, 1), BERLIN))
        assert same_moment(moment, running, last, BERLIN) == datetime(*then, tzinfo=UTC)  # type: ignore[arg-type]
