"""Whatever was sent, in whatever order, batches and repetitions: usage is what a recount of the facts says."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from meters import catalogue, partitions
from meters.aggregation import EXACT, Part
from meters.events import record_events
from meters.models import Meter
from meters.periods import Period, windows
from meters.usage import OTHER, Group, Usage, read_usage, read_usage_of, read_usages
from tests.factories import event, make_customer, make_meter
from tests.meters.recount import Fact, recount, recounted_events

# Zones with the days that are hardest on them: clocks that change, by half an hour too, and hours of UTC that
# begin inside local ones.
PLACES = st.sampled_from(
    [
        ("UTC", datetime(2026, 11, 1, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC)),
        ("America/St_Johns", datetime(2026, 11, 1, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2026, 11, 1, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 10, 4, tzinfo=UTC)),
    ]
)
# From three days before that day to three days after: often at the same few times, so that there are ties and long
# holds, and on half hours.
OFFSETS = st.one_of(
    st.integers(-6, 6).map(lambda half_days: timedelta(hours=12 * half_days)),
    st.integers(-3 * 48, 3 * 48).map(lambda half_hours: timedelta(minutes=30 * half_hours)),
    st.timedeltas(timedelta(days=-3), timedelta(days=3)),
)
FACT = st.tuples(
    OFFSETS,
    st.one_of(st.integers(-3, 3).map(Decimal), st.decimals(-1000, 1000, places=3)),
    st.sampled_from(["eu", "eu", "eu", "", "us", '"o\\{']),
    st.sampled_from("aaaabc"),
    st.sampled_from(["acme", "acme", "globex"]),
)
FACTS = st.one_of(st.lists(FACT, max_size=3), *[st.lists(FACT, min_size=8, max_size=24)] * 3)
# Mostly after all of it, as when a past period is read.
UNTIL = st.one_of(OFFSETS, st.just(timedelta(days=4)), st.just(timedelta(days=4)))
OPTIONS = st.fixed_dictionaries(
    {
        "where": st.sampled_from([{}, {}, {"region": ["eu", ""]}, {"region": ["us"], "user": ["a", "b"]}]),
        "multiplier": st.sampled_from([Decimal(1), Decimal("0.001"), Decimal(3)]),
        "rounding": st.sampled_from(["none", "none", "up", "down", "half"]),
        "rounding_places": st.integers(0, 4),
    }
)
PERCENTS = st.one_of(st.sampled_from(["0", "50", "95", "99.9", "100"]).map(Decimal), st.decimals(0, 100, places=4))
TIME_UNITS = st.sampled_from(["second", "minute", "hour", "day"])
NOW = datetime(2026, 11, 5, tzinfo=UTC)
REGIONS = ("", "eu", "us", '"o\\{')


def meter_of(aggregation: str, percent: Decimal, time_unit: str, options: dict[str, Any]) -> Meter:
    own: dict[str, Any] = {
        "unique_count": {"unique_dimension": "user"},
        "percentile": {"percentile": percent},
        "time_weighted_sum": {"time_unit": time_unit},
    }.get(aggregation, {})
    meter = make_meter(aggregation, aggregation=aggregation, dimensions=["region", "user"], **own, **options)
    meter.refresh_from_db()
    return meter


def send_in_disorder(
    facts: Sequence[tuple[Any, ...]], meters: Sequence[Meter], shuffle: random.Random
) -> dict[str, list[Fact]]:
    """Sends each fact to each meter, some several times, in any order and batches; answers what each meter then has."""
    numbered = [(number, fact, meter) for number, fact in enumerate(facts) for meter in meters]
    sent = numbered + shuffle.sample(numbered, len(numbered) // 3)
    shuffle.shuffle(sent)
    told: dict[str, dict[int, Fact]] = {meter.key: {} for meter in meters}
    events = []
    for order, (number, (time, value, region, user, customer), meter) in enumerate(sent):
        dimensions = {"user": user} | ({"region": region} if region else {})
        told[meter.key].setdefault(number, Fact(customer, time, value, dimensions, order))
        events.append(event(customer, meter.key, value, time=time, id=f"{number}", **dimensions))
    accepted = 0
    while events:
        size = shuffle.randint(1, 40)
        accepted += record_events(events[:size], now=NOW).accepted
        events = events[size:]
    assert accepted == len(numbered)
    return {key: list(by_number.values()) for key, by_number in told.items()}


class TestUsageEqualsARecount(TestCase):
    @hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        place=PLACES,
        facts=FACTS,
        bounds=st.tuples(OFFSETS, OFFSETS),
        until=UNTIL,
        cut=st.sampled_from(["hour", "day", "day", "week", "month"]),
        options=st.lists(OPTIONS, min_size=10, max_size=10),
        percent=PERCENTS,
        time_unit=TIME_UNITS,
        group_by=st.sampled_from([[], ["region"], ["user", "region"], ["customer"], ["region", "customer"]]),
        where=st.sampled_from([None, None, {"user": ["a", "c"]}, {"region": ["", '"o\\{']}]),
        shuffle=st.randoms(use_true_random=False),
    )
    def test_of_the_facts(
        self, place, facts, bounds, until, cut, options, percent, time_unit, group_by, where, shuffle
    ) -> None:
        catalogue.forget()
        partitions.forget()
        zone, day = ZoneInfo(place[0]), place[1]
        meters = [
            meter_of(aggregation, percent, time_unit, one)
            for aggregation, one in zip(Meter.Aggregation.values, options, strict=True)
        ]
        acme, globex = make_customer("acme"), make_customer("globex")
        facts = [(day + offset, *rest) for offset, *rest in facts]
        told = send_in_disorder(facts, meters, shuffle)
        span, until = Period(day + min(bounds), day + max(bounds)), day + until
        spans = [span, *windows(span, cut, zone)]
        asked: dict[str, Any] = {"group_by": group_by, "where": where, "until": until}
        keep = shuffle.sample(sorted(groups_of(group_by)), 1) if group_by else None

        def check(usage: Usage, meter: Meter, customers: list[str], keep: list[Group] | None) -> None:
            mine = [fact for fact in told[meter.key] if fact.customer in customers]
            groups = groups_of(group_by) if keep is None else [*keep, OTHER]
            for index, window in enumerate(spans):
                for group in groups:
                    expected = recount(meter, mine, window, **asked, group=group, keep=keep)
                    figure = usage.quantity(meter, index, group)
                    assert Fraction(figure) == expected, (meter.key, window, group, figure, expected)
            assert set(usage.groups(meter)) <= set(groups)

        one = read_usage(acme, meters, spans, **asked)
        some = read_usage_of([acme, globex], meters, spans, **asked, keep=keep)
        everyone = read_usage_of(None, meters, spans, **asked)
        apart = read_usages([globex, acme], meters, spans, **asked)
        of_events = read_usages([globex, acme], meters, spans, **asked, from_events=True)
        for meter in meters:
            check(one, meter, ["acme"], None)
            check(some, meter, ["acme", "globex"], keep)
            check(everyone, meter, ["acme", "globex"], None)
            check(apart[acme.id], meter, ["acme"], None)
            check(apart[globex.id], meter, ["globex"], None)
            check(of_events[acme.id], meter, ["acme"], None)
            if not group_by and not where and not meter.aggregation.startswith("time_weighted"):
                assert everyone.events(meter) == recounted_events(meter, told[meter.key], span)
            self.check_tiling(one, meter, len(spans))
        assert everyone.version == one.version + apart[globex.id].version
        assert apart[acme.id].version == one.version

    def check_tiling(self, usage: Usage, meter: Meter, windows: int) -> None:
        """The windows after the first tile it, so what is added up of them is what it holds, to the last digit."""
        for group in usage.groups(meter):
            parts = [usage.parts.get((meter.id, index, group), Part()) for index in range(windows)]
            for figure in ("count", "sum", "integral", "elapsed"):
                total: Any = 0
                for part in parts[1:]:
                    total = EXACT.add(Decimal(total), Decimal(getattr(part, figure)))
                assert total == getattr(parts[0], figure), (meter.key, figure)


def groups_of(group_by: Sequence[str]) -> list[Group]:
    texts = {"region": REGIONS, "user": ("a", "b", "c"), "customer": ("acme", "globex")}
    groups: list[Group] = [()]
    for name in group_by:
        groups = [(*group, text) for group in groups for text in texts[name]]
    return groups
