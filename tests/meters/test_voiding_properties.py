"""Sends, repeats, voids and unvoids in any order: every aggregation, and every page of events, says what is left."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from meters import catalogue, event_log, partitions, verification
from meters.event_log import EventQuery
from meters.events import record_events
from meters.models import Event, Meter, VoidRecord
from meters.periods import Period, windows
from meters.usage import read_usage, read_usage_of
from meters.voiding import EventRef, select_events, selection_of, unvoid_events, void_events
from tests.factories import event, make_customer, make_meter
from tests.meters.recount import recount, stored_facts
from tests.meters.rollups import assert_rollups_equal_events

NOW = datetime(2026, 11, 5, tzinfo=UTC)
# Clocks change on it, by half an hour on Lord Howe, and hours of Kathmandu begin inside buckets.
DAYS = st.sampled_from(
    [
        ("Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2026, 11, 1, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 10, 4, tzinfo=UTC)),
    ]
)
# Often at the same few times, so that there are ties.
OFFSETS = st.one_of(
    st.integers(-4, 4).map(lambda quarters: timedelta(hours=6 * quarters)),
    st.timedeltas(timedelta(days=-2), timedelta(days=2)),
)
FACT = st.tuples(
    OFFSETS,
    st.one_of(st.integers(-3, 3).map(Decimal), st.decimals(-1000, 1000, places=3)),
    st.sampled_from(["eu", "us", ""]),
    st.sampled_from("aab"),
    st.sampled_from(["acme", "acme", "globex"]),
)
OWN: dict[str, dict[str, Any]] = {
    "unique_count": {"unique_dimension": "user"},
    "percentile": {"percentile": Decimal(95)},
    "time_weighted_sum": {"time_unit": "hour"},
}


def made(numbers: list[int], facts: list[Any], day: datetime, meters: list[Meter]) -> Iterator[Any]:
    for number in numbers:
        offset, value, region, user, customer = facts[number]
        dimensions = {"user": user} | ({"region": region} if region else {})
        for meter in meters:
            yield event(customer, meter.key, value, time=day + offset, id=f"{number}", **dimensions)


class TestEveryAggregation(TestCase):
    @hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        place=DAYS,
        facts=st.lists(FACT, min_size=6, max_size=16),
        cut=st.sampled_from(["hour", "day", "month"]),
        bounds=st.tuples(OFFSETS, OFFSETS),
        shuffle=st.randoms(use_true_random=False),
    )
    def test_counts_what_is_not_voided(self, place, facts, cut, bounds, shuffle: random.Random) -> None:
        catalogue.forget()
        partitions.forget()
        zone, day = ZoneInfo(place[0]), place[1]
        meters = [
            make_meter(name, aggregation=name, dimensions=["region"], **OWN.get(name, {}))
            for name in Meter.Aggregation.values
        ]
        for meter in meters:
            meter.refresh_from_db()
        customers = {key: make_customer(key) for key in ("acme", "globex")}
        everything = list(range(len(facts)))
        for _ in range(6):
            some = shuffle.sample(everything, shuffle.randint(1, len(facts)))
            if shuffle.random() < 0.5:
                batch = list(made(some, facts, day, meters))
                shuffle.shuffle(batch)
                record_events(batch, now=NOW)
                continue
            change = shuffle.choice([void_events, void_events, unvoid_events])
            if shuffle.random() < 0.5:
                refs = [EventRef(facts[number][-1], f"{number}") for number in some]
                selection = select_events(refs=refs)
            else:
                start = day + timedelta(hours=shuffle.randrange(-48, 48))
                query = EventQuery(
                    customer=customers[shuffle.choice(["acme", "globex"])],
                    meter=shuffle.choice([None, *meters]),
                    start=start,
                    end=start + timedelta(hours=shuffle.randrange(1, 48)),
                )
                selection = select_events(query=query)
            change(selection, reason="x", actor="x")
        assert_rollups_equal_events()
        assert [d for span in verification.spans_of_all() for d in verification.differences(span)] == []
        span = Period(day + min(bounds), day + max(bounds))
        spans = [span, *windows(span, cut, zone)]
        for usage, whose in (
            (read_usage(customers["acme"], meters, spans, until=NOW), ["acme"]),
            (read_usage_of(None, meters, spans, until=NOW), ["acme", "globex"]),
        ):
            for meter in meters:
                left = [fact for fact in stored_facts(meter) if fact.customer in whose]
                for index, window in enumerate(spans):
                    expected = recount(meter, left, window, until=NOW)
                    assert Fraction(usage.quantity(meter, index)) == expected, (meter.key, window, whose)


class TestPagesOfEvents(TestCase):
    @hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        facts=st.lists(FACT, max_size=16),
        voided=st.sets(st.integers(0, 15)),
        limit=st.integers(1, 7),
        examined=st.sampled_from([2, 5, 1000]),
        asked=st.fixed_dictionaries(
            {
                "customer": st.sampled_from([None, "acme", "acme"]),
                "meter": st.sampled_from([None, "Sum", "Eu"]),
                "state": st.sampled_from(["all", "counted", "voided"]),
                "dimensions": st.sampled_from([{}, {"region": "eu"}, {"user": "a"}, {"user": "a", "region": ""}]),
                "hours": st.sampled_from([None, (-48, 12), (-12, 12), (0, 1)]),
            }
        ),
    )
    def test_hold_every_event_that_matches_once_in_order(self, facts, voided, limit, examined, asked) -> None:
        catalogue.forget()
        partitions.forget()
        day = datetime(2026, 11, 1, tzinfo=UTC)
        make_meter("Sum", dimensions=["region"])
        make_meter("Eu", dimensions=["region"], where={"region": ["eu"]})
        meters = {meter.key: meter for meter in Meter.objects.all()}
        customers = {key: make_customer(key) for key in ("acme", "globex")}
        record_events(list(made(list(range(len(facts))), facts, day, list(meters.values()))), now=NOW)
        refs = [EventRef(facts[number][-1], f"{number}") for number in voided if number < len(facts)]
        if refs:
            void_events(select_events(refs=refs), reason="x", actor="x")
        hours = asked["hours"]
        if hours == (-48, 12) and asked["customer"] is None:
            hours = None
        start, end = (day + timedelta(hours=hour) for hour in hours) if hours else (None, None)
        query = EventQuery(
            customer=customers.get(asked["customer"]),
            meter=meters.get(asked["meter"]),
            start=start,
            end=end,
            dimensions=asked["dimensions"],
            state=asked["state"],
        )
        expected = [
            e.sequence
            for e in Event.objects.order_by("-occurred_at", "-sequence").select_related("dimension_set")
            if (query.customer is None or e.customer_id == query.customer.id)
            and (query.meter is None or e.meter_id == query.meter.id)
            and (start is None or start <= e.occurred_at < end)
            and all(e.dimensions.get(name, "") == text for name, text in query.dimensions.items())
            and (
                query.state == "all"
                or (
                    (query.state == "voided") == (e.void_id is not None)
                    and (
                        query.state == "voided" or e.meter_id == meters["Sum"].id or e.dimensions.get("region") == "eu"
                    )
                )
            )
        ]
        with patch.object(event_log, "EXAMINED", examined):
            pages, cursor = [], None
            while True:
                page = event_log.page(query, limit=limit, cursor=cursor)
                pages.append(page)
                assert len(page.events) <= limit
                if page.next is None:
                    break
                cursor = page.next
            assert [e.sequence for page in pages for e in page.events] == expected
            # And back again to the first.
            back, page = [pages[-1]], pages[-1]
            while page.previous is not None:
                page = event_log.page(query, limit=limit, cursor=page.previous)
                back.append(page)
            assert [e.sequence for page in reversed(back) for e in page.events] == expected


MINUTES = st.integers(0, 3 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes))
MINUTE_FACT = st.tuples(
    MINUTES, st.decimals(-1000, 1000, places=3), st.sampled_from(["", "eu", "us"]), st.sampled_from("abc")
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.lists(st.integers(0, 19), min_size=1, max_size=8)),
        st.tuples(st.sampled_from(["void", "unvoid"]), st.lists(st.integers(0, 19), min_size=1, max_size=6)),
        st.tuples(st.sampled_from(["void span", "unvoid span"]), st.tuples(MINUTES, MINUTES)),
        st.tuples(st.sampled_from(["void region", "unvoid region"]), st.sampled_from(["", "eu", "us"])),
        st.tuples(st.just("undo"), st.integers(0, 5)),
    ),
    max_size=14,
)


class TestAnyOrder(TestCase):
    """Sends, repeats, voids and unvoids in any order: the tables hold what a recount says, and no id counts twice."""

    @hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(facts=st.lists(MINUTE_FACT, min_size=20, max_size=20), steps=STEPS)
    def test_of_sends_voids_and_unvoids(self, facts, steps) -> None:
        catalogue.forget()
        partitions.forget()
        make_meter("Sum", dimensions=["region"])
        make_meter("Users", aggregation="unique_count", unique_dimension="user", dimensions=["region"])
        acme = make_customer("acme")
        voided: set[int] = set()
        sent: set[int] = set()
        for step, what in steps:
            if step == "send":
                batch = []
                for number in what:
                    time, value, region, user = facts[number]
                    dimensions = {"user": user} | ({"region": region} if region else {})
                    for meter in ("Sum", "Users"):
                        batch.append(event("acme", meter, value, time=time, id=f"job-{number}", **dimensions))
                record_events(batch, now=NOW)
                sent |= set(what)
                continue
            if step == "undo":
                records = list(VoidRecord.objects.filter(kind="void").order_by("id"))
                if what < len(records):
                    held = Event.objects.filter(void=records[what])
                    back = {int(e.event_id.removeprefix("job-")) for e in held}
                    done = unvoid_events(selection_of(records[what]), reason="x", actor="x")
                    assert done.events == 2 * len(back)
                    voided -= back
                continue
            verb, _, by = step.partition(" ")
            if by == "span":
                start, end = min(what), max(what) + timedelta(microseconds=1)
                selection = select_events(query=EventQuery(customer=acme, start=start, end=end))
                meant = {number for number in sent if start <= facts[number][0] < end}
            elif by == "region":
                selection = select_events(query=EventQuery(customer=acme, dimensions={"region": what}))
                meant = {number for number in sent if facts[number][2] == what}
            else:
                selection = select_events(refs=[EventRef("acme", f"job-{number}") for number in what])
                meant = sent & set(what)
            change = void_events if verb == "void" else unvoid_events
            would = change(selection, reason="", actor="x", dry_run=True)
            done = change(selection, reason="x", actor="x")
            expected = meant - voided if verb == "void" else meant & voided
            assert would.events == done.events == 2 * len(expected)
            assert would.changes == done.changes
            assert would.unchanged == done.unchanged == 2 * len(meant - expected)
            voided = voided | meant if verb == "void" else voided - meant
        assert_rollups_equal_events()
        counted = Event.objects.filter(void=None).values_list("sent_id", flat=True)
        assert Counter(counted) == dict.fromkeys((f"job-{number}" for number in sent - voided), 2)
