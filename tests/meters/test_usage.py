"""Reading usage: any bounds, every aggregation, by window and group; always what a recount of the events says."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from meters import catalogue, partitions
from meters.events import record_events
from meters.models import Event, Meter
from meters.periods import Period, windows
from meters.usage import read_usage
from tests.factories import event, make_customer, make_meter, send

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.django_db
class TestAggregations:
    VALUES = (3, -2, 10, 3)

    @pytest.mark.parametrize(
        ("aggregation", "expected"), [("sum", 14), ("count", 4), ("max", 10), ("unique_count", 3)], ids=str
    )
    def test_quantity(self, aggregation: str, expected: int) -> None:
        unique = "user" if aggregation == "unique_count" else ""
        meter = make_meter("M", aggregation=aggregation, unique_dimension=unique)
        acme = make_customer("acme")
        for value in self.VALUES:
            send("acme", "M", value, time=NOW, now=NOW, user=f"user {value}")
        usage = read_usage(acme, [meter], [NOVEMBER])
        assert (usage.quantity(meter), usage.events(meter), usage.version) == (expected, 4, 4)

    def test_of_nothing_is_zero(self) -> None:
        acme = make_customer("acme")
        for aggregation in ("sum", "count", "max", "unique_count"):
            unique = "user" if aggregation == "unique_count" else ""
            meter = make_meter(f"M{aggregation}", aggregation=aggregation, unique_dimension=unique)
            usage = read_usage(acme, [meter], [NOVEMBER])
            assert (usage.quantity(meter), usage.version, usage.at) == (0, 0, None)

    def test_the_greatest_of_negative_values_is_negative(self) -> None:
        meter, acme = make_meter("M", aggregation="max"), make_customer("acme")
        send("acme", "M", -5, time=NOW, now=NOW)
        assert read_usage(acme, [meter], [NOVEMBER]).quantity(meter) == -5

    def test_different_values_are_counted_once_across_days_and_edges(self) -> None:
        meter, acme = make_meter("M", aggregation="unique_count", unique_dimension="user"), make_customer("acme")
        for days, user in ((0, "a"), (1, "a"), (2, "b"), (3, "a")):
            send("acme", "M", time=NOW - timedelta(days=days), now=NOW, user=user)
        ragged = Period(NOW - timedelta(days=3, minutes=1), NOW + timedelta(minutes=1))
        assert read_usage(acme, [meter], [ragged]).quantity(meter) == 2


@pytest.mark.django_db
class TestWindowsAndGroups:
    def test_are_zero_filled(self) -> None:
        meter, acme = make_meter(), make_customer("acme")
        send("acme", "ApiCalls", 5, time=NOW, now=NOW)
        usage = read_usage(acme, [meter], list(windows(NOVEMBER, "day", ZoneInfo("UTC"))))
        assert usage.series(meter) == [Decimal(0)] * 21 + [Decimal(5)] + [Decimal(0)] * 8

    def test_days_are_the_customers_own(self) -> None:
        meter, acme = make_meter(), make_customer("acme", time_zone="Asia/Kolkata")
        zone = ZoneInfo("Asia/Kolkata")  # half an hour off: days begin inside a bucket
        midnight = datetime(2026, 11, 21, 0, 0, tzinfo=zone)
        for seconds, value in ((-1, 1), (0, 10), (86399, 100), (86400, 1000)):
            send("acme", "ApiCalls", value, time=midnight + timedelta(seconds=seconds), now=NOW)
        span = Period((midnight - timedelta(days=1)).astimezone(UTC), (midnight + timedelta(days=2)).astimezone(UTC))
        usage = read_usage(acme, [meter], list(windows(span, "day", zone)))
        assert usage.series(meter) == [1, 110, 1000]

    def test_groups_by_declared_dimensions(self) -> None:
        meter, acme = make_meter(), make_customer("acme")
        for value, dimensions in (
            (1, {"source": "a"}),
            (2, {"source": "b", "target": "x"}),
            (4, {}),
            (8, {"source": "a"}),
        ):
            send("acme", "ApiCalls", value, time=NOW, now=NOW, **dimensions)
        usage = read_usage(acme, [meter], [NOVEMBER], group_by=["source"])
        assert {group: usage.quantity(meter, 0, group) for group in usage.groups(meter)} == {
            ("",): 4,
            ("a",): 9,
            ("b",): 2,
        }
        usage = read_usage(acme, [meter], [NOVEMBER], group_by=["target", "source"])
        assert usage.quantity(meter, 0, ("x", "b")) == 2

    def test_another_customers_usage_is_not_in_it(self) -> None:
        meter, acme = make_meter(), make_customer("acme")
        make_customer("globex")
        send("globex", "ApiCalls", 5, time=NOW, now=NOW)
        assert read_usage(acme, [meter], [NOVEMBER]).quantity(meter) == 0


MOMENTS = st.integers(0, 14 * 24 * 3600).map(lambda seconds: NOW - timedelta(days=14) + timedelta(seconds=seconds))
FACTS = st.lists(
    st.tuples(MOMENTS, st.decimals(-1000, 1000, places=3), st.sampled_from(["", "eu", "us"]), st.sampled_from("abc")),
    max_size=25,
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns"])


class TestUsageEqualsARecount(TestCase):
    """Any facts, in any batches, read over any span in any windows."""

    @hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(facts=FACTS, size=st.integers(1, 30), bounds=st.tuples(MOMENTS, MOMENTS), zone=ZONES, data=st.data())
    def test_of_the_raw_events(self, facts, size, bounds, zone, data) -> None:
        catalogue.forget()
        partitions.forget()
        meters = [
            make_meter("Sum", dimensions=["region"]),
            make_meter("Count", aggregation="count", dimensions=["region"]),
            make_meter("Max", aggregation="max", dimensions=["region"]),
            make_meter("Users", aggregation="unique_count", unique_dimension="user", dimensions=["region"]),
        ]
        acme = make_customer("acme")
        sent = [
            event("acme", meter.key, value, time=time, user=user, **({"region": region} if region else {}))
            for time, value, region, user in facts
            for meter in meters
        ]
        for first in range(0, len(sent), size):
            record_events(sent[first : first + size], now=NOW)
        span = Period(min(bounds), max(bounds))
        spans = [span, *windows(span, data.draw(st.sampled_from(["day", "month"])), ZoneInfo(zone))]
        usage = read_usage(acme, meters, spans, group_by=["region"])
        for index, window in enumerate(spans):
            for region in ("", "eu", "us"):
                inside = [(v, user) for t, v, r, user in facts if t in window and r == region]
                expected = {
                    "Sum": sum((v for v, _ in inside), Decimal(0)),
                    "Count": len(inside),
                    "Max": max((v for v, _ in inside), default=0),
                    "Users": len({user for _, user in inside}),
                }
                for meter in meters:
                    assert usage.quantity(meter, index, (region,)) == expected[meter.key], (meter.key, window, region)
        assert Event.objects.count() == len(sent)
        total = usage.quantity(meters[0], 0, ("eu",))
        assert total == sum(usage.quantity(meters[0], index, ("eu",)) for index in range(1, len(spans)))


def test_a_meter_of_usage_keeps_its_meaning(db: None) -> None:
    from django.core.exceptions import ValidationError

    from meters.metering import save_meter

    meter = make_meter("ApiCalls", aggregation="sum")
    make_customer("acme")
    save_meter(meter, changes={"aggregation": "count"})
    send("acme", "ApiCalls", 5, time=NOW, now=NOW)
    with pytest.raises(ValidationError) as refused:
        save_meter(meter, changes={"aggregation": "sum"})
    assert "Make a new meter" in str(refused.value)
    save_meter(meter, changes={"name": "API calls", "dimensions": ["source", "target", "region"]})
    with pytest.raises(ValidationError):
        save_meter(meter, changes={"dimensions": ["source"]})
    assert Meter.objects.get().aggregation == "count"
