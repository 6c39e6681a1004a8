"""Usage kept apart by filters: each combination of dimensions in one group, each group a recount of its facts."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from meters import catalogue, partitions
from meters.models import Event, Meter, VoidRecord
from meters.periods import Period, windows
from meters.usage import Values, read_usage, read_usages, read_values
from tests.factories import make_customer, make_meter, send
from tests.meters.recount import Fact, recount
from tests.meters.test_usage_properties import (
    FACTS,
    OFFSETS,
    OPTIONS,
    PERCENTS,
    PLACES,
    TIME_UNITS,
    UNTIL,
    meter_of,
    send_in_disorder,
)

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
FILTER = st.dictionaries(
    st.sampled_from(["region", "user"]),
    st.lists(st.sampled_from(["eu", "us", "", '"o\\{', "a", "b"]), min_size=1, max_size=3, unique=True),
    max_size=2,
)


def met(fact: Fact, where: dict[str, list[str]]) -> bool:
    return all(fact.dimensions.get(name, "") in texts for name, texts in where.items())


def group_of(fact: Fact, filters: list[dict[str, list[str]]]) -> tuple[str]:
    return (next((str(number) for number, where in enumerate(filters) if met(fact, where)), ""),)


class TestEachGroupIsARecount(TestCase):
    @hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        place=PLACES,
        facts=FACTS,
        bounds=st.tuples(OFFSETS, OFFSETS),
        until=UNTIL,
        options=st.lists(OPTIONS, min_size=10, max_size=10),
        percent=PERCENTS,
        time_unit=TIME_UNITS,
        filters=st.lists(st.lists(FILTER, max_size=3), min_size=10, max_size=10),
        shuffle=st.randoms(use_true_random=False),
    )
    def test_of_its_facts(self, place, facts, bounds, until, options, percent, time_unit, filters, shuffle) -> None:
        catalogue.forget()
        partitions.forget()
        zone, day = ZoneInfo(place[0]), place[1]
        meters = [
            meter_of(aggregation, percent, time_unit, one)
            for aggregation, one in zip(Meter.Aggregation.values, options, strict=True)
        ]
        by_meter = {meter.id: found for meter, found in zip(meters, filters, strict=True) if found}
        customers = [make_customer("acme"), make_customer("globex")]
        told = send_in_disorder([(day + offset, *rest) for offset, *rest in facts], meters, shuffle)
        span, until = Period(day + min(bounds), day + max(bounds)), day + until
        spans = [span, *itertools.islice(windows(span, "day", zone), 2)]
        apart = read_usages(customers, meters, spans, filters=by_meter, until=until)
        values = read_values(customers, meters, spans, filters=by_meter)
        for customer in customers:
            one = read_usage(customer, meters, spans, filters=by_meter, until=until)
            for meter in meters:
                mine = [fact for fact in told[meter.key] if fact.customer == customer.key]
                wheres = by_meter.get(meter.id, [])
                for group in [("",), *((str(number),) for number in range(len(wheres)))] if by_meter else [()]:
                    some = [fact for fact in mine if not by_meter or group_of(fact, wheres) == group]
                    for index, window in enumerate(spans):
                        expected = recount(meter, some, window, until=until)
                        figures = [usage.quantity(meter, index, group) for usage in (one, apart[customer.id])]
                        assert [Fraction(figure) for figure in figures] == [expected] * 2, (meter.key, window, group)
                        inside = [fact for fact in some if fact.time in window and met(fact, meter.where)]
                        inside.sort(key=lambda fact: (fact.time, fact.order))
                        found = values.get((customer.id, meter.id, index, group), Values())
                        assert list(found) == [fact.value * meter.multiplier for fact in inside]
                        assert len(found) == len(inside)


@pytest.mark.django_db
class TestValues:
    def test_are_in_the_order_of_time_and_then_of_arrival(self) -> None:
        meter, acme = make_meter(), make_customer("acme")
        for minutes, value in ((3, 30), (1, 10), (2, "0.5"), (1, 11), (0, -4)):
            send("acme", "ApiCalls", value, time=NOW + timedelta(minutes=minutes), now=NOW + timedelta(hours=1))
        [values] = read_values([acme], [meter], [NOVEMBER]).values()
        assert list(values) == [-4, 10, 11, Decimal("0.5"), 30]
        assert list(values) == list(values)  # as often as wanted

    def test_leave_voided_events_other_customers_and_other_times_out(self) -> None:
        meter, acme = make_meter(), make_customer("acme")
        make_customer("globex")
        for value, fields in ((1, {}), (2, {"id": "void"}), (4, {"time": NOVEMBER.start - timedelta(microseconds=1)})):
            send("acme", "ApiCalls", value, **{"time": NOW, **fields}, now=NOW)
        send("globex", "ApiCalls", 8, time=NOW, now=NOW)
        record = VoidRecord.objects.create(kind="void", reason="test", selection={}, events=1, actor="test")
        Event.objects.filter(sent_id="void").update(void=record)
        found = read_values([acme], [meter], [NOVEMBER])
        assert [list(values) for values in found.values()] == [[1]]

    def test_of_nothing_are_none(self) -> None:
        meter, acme = make_meter(), make_customer("acme")
        assert read_values([acme], [meter], [NOVEMBER]) == {}
        assert read_values([acme], [], [NOVEMBER]) == {}
        assert read_values([acme], [meter], [Period(NOW, NOW)]) == {}


@pytest.mark.django_db
def test_many_customers_are_read_in_as_few_statements_as_one(django_assert_num_queries) -> None:
    meter = make_meter(dimensions=["region"])
    customers = [make_customer(f"c{number}") for number in range(5)]
    for number, customer in enumerate(customers):
        send(customer.key, "ApiCalls", number, time=NOW, now=NOW, region="eu" if number % 2 else "us")
    with django_assert_num_queries(0):  # which count Django's own statements only: these are one each
        usages = read_usages(customers, [meter], [NOVEMBER], filters={meter.id: [{"region": ["eu"]}]})
    assert [usages[one.id].quantity(meter, group=("0",)) for one in customers] == [0, 1, 0, 3, 0]
    assert [usages[one.id].quantity(meter, group=("",)) for one in customers] == [0, 0, 2, 0, 4]
