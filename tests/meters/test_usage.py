"""Reading usage, case by case. That it is a recount of whatever was sent is in test_usage_properties.py."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from meters.models import Customer, Event, Meter, VoidRecord
from meters.periods import Period, windows
from meters.usage import OTHER, read_usage, read_usage_of, read_usages
from tests.factories import make_customer, make_meter, send

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


@pytest.mark.django_db
def test_the_latest_of_one_instant_is_the_last_to_arrive() -> None:
    meter, acme = make_meter("M", aggregation="latest"), make_customer("acme")
    for value, source in ((1, "a"), (9, "a"), (3, "b")):
        send("acme", "M", value, time=NOW, now=NOW, source=source)
    send("acme", "M", 100, time=NOW - timedelta(seconds=1), now=NOW)
    ragged = Period(NOW - timedelta(minutes=5), NOW + timedelta(minutes=5))
    # From the buckets of two dimension sets, and from raw events.
    assert read_usage(acme, [meter], [NOVEMBER, ragged]).series(meter) == [3, 3]
    assert read_usage(acme, [meter], [ragged], group_by=["source"]).quantity(meter, 0, ("a",)) == 9


@pytest.mark.django_db
class TestManyCustomers:
    @pytest.fixture
    def three(self) -> list[Customer]:
        customers = [make_customer(key) for key in ("acme", "globex", "initech")]
        for key, value, region, user in (
            ("acme", 1, "eu", "ann"),
            ("acme", 2, "us", "bob"),
            ("globex", 4, "eu", "ann"),
            ("globex", 8, "asia", "cyn"),
        ):
            for meter in ("Sum", "Users", "Median"):
                send(key, meter, value, time=NOW, now=NOW, region=region, user=user)
        return customers

    @pytest.fixture(autouse=True)
    def meters(self, db: None) -> list[Meter]:
        return [
            make_meter("Sum", dimensions=["region"]),
            make_meter("Users", aggregation="unique_count", unique_dimension="user", dimensions=["region"]),
            make_meter("Median", aggregation="percentile", percentile=Decimal(50), dimensions=["region"]),
        ]

    def test_together(self, three: list[Customer], meters: list[Meter]) -> None:
        usage = read_usage_of(None, meters, [NOVEMBER])
        assert [usage.quantity(meter) for meter in meters] == [15, 3, 3]
        assert [usage.events(meter) for meter in meters] == [4, 4, 4]
        assert usage.version == 12
        some = read_usage_of(three[:1], meters, [NOVEMBER])
        assert [some.quantity(meter) for meter in meters] == [3, 2, Decimal("1.5")]
        assert (some.version, read_usage_of([], meters, [NOVEMBER]).version) == (6, 0)

    def test_by_customer_and_dimension(self, three: list[Customer], meters: list[Meter]) -> None:
        usage = read_usage_of(three, meters, [NOVEMBER], group_by=["region", "customer"])
        assert usage.groups(meters[0]) == [("asia", "globex"), ("eu", "acme"), ("eu", "globex"), ("us", "acme")]
        assert usage.quantity(meters[0], 0, ("eu", "globex")) == 4

    def test_the_groups_that_are_not_kept_are_one(self, three: list[Customer], meters: list[Meter]) -> None:
        usage = read_usage_of(three, meters, [NOVEMBER], group_by=["region"], keep=[("us",)])
        assert usage.groups(meters[0]) == [("us",), OTHER]
        # Of the others: 1, 4 and 8, by ann, ann and cyn.
        assert [usage.quantity(meter, 0, OTHER) for meter in meters] == [13, 2, 4]
        nothing_kept = read_usage_of(three, meters, [NOVEMBER], group_by=["region"], keep=[])
        assert nothing_kept.groups(meters[0]) == [OTHER]
        assert nothing_kept.quantity(meters[0], 0, OTHER) == 15

    def test_apart(self, three: list[Customer], meters: list[Meter]) -> None:
        apart = read_usages(three, meters, [NOVEMBER])
        for customer in three:
            alone = read_usage(customer, meters, [NOVEMBER])
            mine = apart[customer.id]
            assert [mine.quantity(meter) for meter in meters] == [alone.quantity(meter) for meter in meters]
            assert (mine.version, mine.at) == (alone.version, alone.at)
        assert apart[three[2].id].version == 0

    def test_nothing_is_looked_up_one_by_one(
        self, three: list[Customer], meters: list[Meter], django_assert_num_queries
    ) -> None:
        # The statements themselves run below Django, which counts only what its models look up.
        with django_assert_num_queries(0):
            read_usages(three, meters, [NOVEMBER])
            read_usage_of(None, meters, [NOVEMBER], group_by=["customer"])


@pytest.mark.django_db
class TestConditions:
    def test_of_the_meter_and_of_the_question(self) -> None:
        meter = make_meter("M", dimensions=["region", "tier"], where={"region": ["eu", "us"]})
        acme = make_customer("acme")
        for value, dimensions in (
            (1, {"region": "eu", "tier": "a"}),
            (2, {"region": "us"}),
            (4, {"region": "asia", "tier": "a"}),
            (8, {}),
        ):
            send("acme", "M", value, time=NOW, now=NOW, **dimensions)
        usage = read_usage(acme, [meter], [NOVEMBER])
        assert (usage.quantity(meter), usage.events(meter)) == (3, 2)
        for where, expected in (
            ({"tier": ["a"]}, 1),
            ({"tier": [""]}, 2),
            ({"tier": ["a", ""]}, 3),
            ({"region": ["asia"]}, 0),
            ({"tier": []}, 0),
        ):
            assert read_usage(acme, [meter], [NOVEMBER], where=where).quantity(meter) == expected, where

    def test_of_one_meter_are_not_anothers(self) -> None:
        some, every = make_meter("Some", dimensions=["region"], where={"region": ["eu"]}), make_meter("Every")
        acme = make_customer("acme")
        for meter in ("Some", "Every"):
            send("acme", meter, 5, time=NOW, now=NOW, region="us")
        usage = read_usage(acme, [some, every], [NOVEMBER])
        assert (usage.quantity(some), usage.quantity(every)) == (0, 5)


@pytest.mark.django_db
class TestValuesThatHold:
    """In hours, read over the two hours from 12:00."""

    SPAN = Period(NOW.replace(hour=12, minute=0), NOW.replace(hour=14, minute=0))

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            ([], 0),
            ([("12:00", 3)], 6),
            ([("13:30", 3)], Decimal("1.5")),
            ([("14:00", 3)], 0),
            # Carried in: from another day, from the hour before, and from before a bound that cuts no hour.
            ([("09:10", 3)], 6),
            ([("09:10", 3), ("11:59", 5)], 10),
            ([("11:10", 3), ("11:20", 5)], 10),
            # Late: an earlier hour does not replace what holds, and an earlier minute of the same hour neither.
            ([("11:20", 5), ("09:10", 3)], 10),
            ([("11:20", 5), ("11:10", 3)], 10),
            ([("13:00", 5), ("12:00", 3)], 8),
            # At one instant the last to arrive holds.
            ([("12:00", 5), ("12:00", 3)], 6),
            ([("11:20", 5), ("11:20", 3)], 6),
            # Down to nothing, and below.
            ([("11:00", 5), ("13:00", 0)], 5),
            ([("11:00", 5), ("13:00", -1)], 4),
        ],
        ids=str,
    )
    def test_in_any_order(self, sent: list[tuple[str, int]], expected: Decimal) -> None:
        meter, acme = make_meter("M", aggregation="time_weighted_sum", time_unit="hour"), make_customer("acme")
        for time, value in sent:
            hour, minute = map(int, time.split(":"))
            send("acme", "M", value, time=NOW.replace(hour=hour, minute=minute), now=NOW)
        assert read_usage(acme, [meter], [self.SPAN], until=NOW).quantity(meter) == expected
        halves = (
            Period(self.SPAN.start, NOW.replace(hour=12, minute=40)),
            Period(NOW.replace(hour=12, minute=40), self.SPAN.end),
        )
        parts = read_usage(acme, [meter], halves, until=NOW)
        assert sum(part.integral for part in parts.parts.values()) == expected * 3_600_000_000

    def test_carried_into_the_middle_of_an_hour(self) -> None:
        meter, acme = make_meter("M", aggregation="time_weighted_sum", time_unit="hour"), make_customer("acme")
        for minute, value in ((10, 3), (40, 5)):
            send("acme", "M", value, time=NOW.replace(hour=12, minute=minute), now=NOW)
        ragged = Period(NOW.replace(hour=12, minute=30), NOW.replace(hour=13, minute=30))
        # 3 for ten minutes, then 5 for fifty.
        expected = Decimal("4.666666666666667")
        assert read_usage(acme, [meter], [ragged], until=NOW).quantity(meter) == expected

    def test_each_combination_of_dimensions_is_a_gauge(self) -> None:
        meter, acme = make_meter("M", aggregation="time_weighted_average"), make_customer("acme")
        for hour, value, source in ((11, 2, "a"), (12, 3, "b"), (13, 0, "b")):
            send("acme", "M", value, time=NOW.replace(hour=hour, minute=0), now=NOW, source=source, job=f"{hour}")
        usage = read_usage(acme, [meter], [self.SPAN], until=NOW)
        assert usage.quantity(meter) == Decimal("3.5")
        grouped = read_usage(acme, [meter], [self.SPAN], until=NOW, group_by=["source"])
        assert [grouped.quantity(meter, 0, group) for group in (("a",), ("b",))] == [2, Decimal("1.5")]
        assert [grouped.events(meter, 0, group) for group in (("a",), ("b",))] == [0, 2]

    def test_what_begins_later_will_follow_the_clock(self) -> None:
        meter, acme = make_meter("M", aggregation="time_weighted_sum", time_unit="hour"), make_customer("acme")
        assert not read_usage(acme, [meter], [NOVEMBER], until=NOW).follows_clock(meter)
        send("acme", "M", 3, time=NOW + timedelta(hours=5), now=NOW)
        usage = read_usage(acme, [meter], [NOVEMBER], until=NOW)
        assert (usage.quantity(meter), usage.follows_clock(meter)) == (0, True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [("sum", 3), ("count", 1), ("min", 3), ("latest", 3), ("unique_count", 1), ("percentile", 3)],
)
def test_raw_reads_leave_voided_events_out(aggregation: str, expected: int) -> None:
    own = {"unique_count": {"unique_dimension": "user"}, "percentile": {"percentile": Decimal(0)}}.get(aggregation, {})
    meter, acme = make_meter("M", aggregation=aggregation, **own), make_customer("acme")
    for value, user in ((3, "ann"), (-7, "bob")):
        send("acme", "M", value, time=NOW, now=NOW, user=user)
    record = VoidRecord.objects.create(kind="void", reason="Wrong", selection={}, events=1, actor="test")
    Event.objects.filter(value=-7).update(void=record)
    # Inside of an hour, so that nothing comes from a bucket.
    inside = Period(NOW - timedelta(minutes=5), NOW + timedelta(minutes=5))
    usage = read_usage(acme, [meter], [inside])
    assert usage.quantity(meter) == expected


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


@pytest.mark.django_db
def test_a_dimension_without_a_text_is_the_same_gauge_as_none() -> None:
    meter, acme = make_meter("Seats", aggregation="time_weighted_average", dimensions=["region"]), make_customer("acme")
    send("acme", "Seats", 10, time=NOW - timedelta(hours=2), now=NOW)
    send("acme", "Seats", 10, time=NOW - timedelta(hours=1), now=NOW, region="")
    span = Period(NOW - timedelta(hours=1), NOW)
    assert read_usage(acme, [meter], [span], until=NOW).quantity(meter) == 10
