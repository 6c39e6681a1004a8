"""`/v1/usage`: the figures. By window, group, customer; the greatest and the rest; what is together and exact."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from meters import statements
from meters.events import record_events
from tests.factories import event, json_event, make_customer, make_meter, send

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOVEMBER = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def read(api):
    """Asks, and answers the JSON of a 200."""
    client = api("read")

    def ask(**query: Any) -> dict[str, Any]:
        answer = client.get("/v1/usage", {"meter": "ApiCalls"} | query)
        assert answer.status_code == 200, answer.json()
        return answer.json()

    return ask


def values(answer: dict[str, Any]) -> list[str]:
    return [row["value"] for row in answer["data"]]


class TestSpans:
    @pytest.fixture(autouse=True)
    def _events(self) -> None:
        make_meter()
        make_customer("acme")
        facts = [
            event("acme", "ApiCalls", day, time=datetime(2026, 11, day, 12, tzinfo=UTC), source="ab"[day % 2])
            for day in (1, 2, 3)
        ]
        assert record_events(facts).accepted == 3

    def test_of_a_span(self, read) -> None:
        answer = read(customer="acme", **NOVEMBER)
        assert answer["data"] == [
            {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z", "group": {}, "value": "6", "events": 3}
        ]
        assert (answer["unit"], answer["usage_version"], answer["at"]) == ("calls", 1, "2026-11-22T12:00:00Z")
        assert (answer["customer"], answer["customers"]) == ("acme", ["acme"])
        assert answer["total"] == {"value": "6", "events": 3}

    def test_the_default_is_the_running_month(self, read) -> None:
        answer = read(customer="acme")
        assert (answer["from"], answer["to"], values(answer)) == (*NOVEMBER.values(), ["6"])

    def test_by_day_and_group_is_zero_filled(self, read) -> None:
        answer = read(
            customer="acme",
            window="day",
            time_zone="Europe/Berlin",
            group_by="source",
            **{"from": "2026-11-01T00:00:00+01:00", "to": "2026-11-03T00:00:00+01:00"},
        )
        assert [(row["from"], row["group"]["source"], row["value"]) for row in answer["data"]] == [
            ("2026-10-31T23:00:00Z", "a", "0"),
            ("2026-10-31T23:00:00Z", "b", "1"),
            ("2026-11-01T23:00:00Z", "a", "2"),
            ("2026-11-01T23:00:00Z", "b", "0"),
        ]
        assert answer["total"] == {"value": "3", "events": 2}

    @pytest.mark.parametrize(
        ("period", "start", "end"),
        [
            ("2026-11", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"),
            ("2026-10", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"),
            ("2026-12", "2026-11-30T23:00:00Z", "2026-12-31T23:00:00Z"),
            ("2026-11-22", "2026-11-21T23:00:00Z", "2026-11-22T23:00:00Z"),
            ("2026-12-31", "2026-12-30T23:00:00Z", "2026-12-31T23:00:00Z"),
            ("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("2024-02-29", "2024-02-28T23:00:00Z", "2024-02-29T23:00:00Z"),
            ("2026", "2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z"),
            ("today", "2026-11-21T23:00:00Z", "2026-11-22T23:00:00Z"),
            ("yesterday", "2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z"),
            ("this_week", "2026-11-15T23:00:00Z", "2026-11-22T23:00:00Z"),
            ("last_week", "2026-11-08T23:00:00Z", "2026-11-15T23:00:00Z"),
            ("this_month", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"),
            ("last_month", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"),
            ("last_7_days", "2026-11-15T23:00:00Z", "2026-11-22T23:00:00Z"),
            ("last_30_days", "2026-10-23T22:00:00Z", "2026-11-22T23:00:00Z"),
            ("this_year", "2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z"),
        ],
        ids=str,
    )
    def test_periods_begin_at_midnight_of_the_zone(self, read, period: str, start: str, end: str) -> None:
        answer = read(customer="acme", period=period, time_zone="Europe/Berlin")
        assert (answer["from"], answer["to"], answer["time_zone"]) == (start, end, "Europe/Berlin")

    def test_the_zone_is_the_one_customers_else_the_accounts(self, read, settings) -> None:
        make_customer("berlin", time_zone="Europe/Berlin")
        assert read(customer="berlin")["time_zone"] == "Europe/Berlin"
        settings.ACCOUNT_TIME_ZONE = "Asia/Kolkata"
        assert read(customer="acme")["time_zone"] == "Asia/Kolkata"
        assert read(customer=["berlin", "acme"])["time_zone"] == "Asia/Kolkata"
        assert read()["time_zone"] == "Asia/Kolkata"
        assert read(customer="berlin", time_zone="UTC")["time_zone"] == "UTC"

    def test_what_nobody_used_is_zero(self, read) -> None:
        make_customer("idle")
        answer = read(customer="idle", window="week", **NOVEMBER)
        assert (values(answer), answer["usage_version"], answer["at"]) == (["0"] * 6, 0, None)
        assert read(customer="idle", group_by="source")["data"] == []


class TestWindows:
    def test_days_of_a_clock_change_have_23_and_25_hours(self, read) -> None:
        make_meter()
        make_customer("acme", time_zone="Europe/Berlin")
        # Local 02:30 comes twice on that day.
        for moment in ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"):
            send("acme", "ApiCalls", time=datetime.fromisoformat(moment))
        rows = read(customer="acme", period="2026-10", window="day")["data"]
        hours = [(at(row["to"]) - at(row["from"])) / timedelta(hours=1) for row in rows]
        assert (len(rows), hours[24], set(hours[:24] + hours[25:])) == (31, 25, {24})
        assert [(row["from"], row["value"]) for row in rows[24:26]] == [
            ("2026-10-24T22:00:00Z", "3"),
            ("2026-10-25T23:00:00Z", "1"),
        ]
        short = read(customer="acme", period="2026-03-29", window="hour")["data"]
        assert (len(short), len(read(customer="acme", period="2026-10-25", window="hour")["data"])) == (23, 25)

    @pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"])
    def test_days_of_zones_off_the_hour(self, read, zone: str) -> None:
        make_meter()
        make_customer("acme", time_zone=zone)
        midnight = datetime(2026, 11, 10, tzinfo=ZoneInfo(zone))
        for seconds, value in ((-1, 1), (0, 10), (86399, 100), (86400, 1000)):
            send("acme", "ApiCalls", value, time=midnight.astimezone(UTC) + timedelta(seconds=seconds))
        rows = read(customer="acme", period="2026-11", window="day")["data"]
        assert [row["value"] for row in rows[8:11]] == ["1", "110", "1000"]
        assert at(rows[9]["from"]) == midnight

    def test_weeks_begin_on_monday_and_tile_the_span(self, read) -> None:
        make_meter()
        make_customer("acme")
        for day, value in ((1, 1), (2, 10), (8, 100), (9, 1000), (30, 10_000)):
            send(
                "acme",
                "ApiCalls",
                value,
                time=datetime(2026, 11, day, tzinfo=UTC),
                now=datetime(2026, 12, 1, tzinfo=UTC),
            )
        answer = read(customer="acme", window="week", **NOVEMBER)
        assert [row["from"][8:10] for row in answer["data"]] == ["01", "02", "09", "16", "23", "30"]
        assert values(answer) == ["1", "110", "1000", "0", "0", "10000"]
        assert [row["to"] for row in answer["data"][:-1]] == [row["from"] for row in answer["data"][1:]]

    def test_a_total_is_read_as_one_window(self, read) -> None:
        make_meter("Peak", aggregation="max")
        make_meter("Users", aggregation="unique_count", unique_dimension="user")
        make_customer("acme")
        for day, value in ((1, 5), (2, 9), (3, 7)):
            for meter in ("Peak", "Users"):
                send("acme", meter, value, time=datetime(2026, 11, day, tzinfo=UTC), user="anna" if day < 3 else "ben")
        for meter, daily, total in (("Peak", ["5", "9", "7"], "9"), ("Users", ["1", "1", "1"], "2")):
            answer = read(meter=meter, customer="acme", window="day", **NOVEMBER)
            assert (values(answer)[:3], answer["total"]) == (daily, {"value": total, "events": 3})
            grouped = read(meter=meter, group_by="customer,source", **NOVEMBER)
            assert grouped["total"] == {"value": total, "events": 3}

    def test_a_value_that_holds_counts_up_to_now(self, read) -> None:
        make_meter("SeatDays", aggregation="time_weighted_sum", time_unit="day")
        make_customer("acme")
        send("acme", "SeatDays", 10, time=NOW - timedelta(days=2))
        answer = read(meter="SeatDays", customer="acme", window="day", **NOVEMBER)
        assert values(answer)[19:24] == ["5", "10", "5", "0", "0"]
        assert (answer["total"]["value"], answer["read_at"]) == ("20", "2026-11-22T12:00:00Z")


class TestCustomersAndGroups:
    @pytest.fixture(autouse=True)
    def _events(self) -> None:
        make_meter(dimensions=["region"])
        for number in range(1, 41):
            make_customer(f"c{number:02}")
        facts = [
            event(f"c{number:02}", "ApiCalls", number, time=NOW, region=("eu", "us", "ap")[number % 3])
            for number in range(1, 31)
        ]
        assert record_events(facts).accepted == 30

    def test_of_all_together(self, read) -> None:
        answer = read()
        assert (values(answer), answer["customer"], answer["customers"]) == (["465"], None, None)
        assert answer["usage_version"] == 30

    def test_of_some(self, read) -> None:
        answer = read(customer=["c01", "c30", "c01", "c40"])
        assert (values(answer), answer["customers"]) == (["31"], ["c01", "c30", "c40"])
        assert (answer["customer"], answer["usage_version"]) == (None, 2)

    def test_by_customer(self, read) -> None:
        answer = read(group_by="customer")
        assert [(row["group"], row["value"]) for row in answer["data"]] == [
            ({"customer": f"c{number:02}"}, str(number)) for number in range(1, 31)
        ]
        assert answer["total"] == {"value": "465", "events": 30}

    def test_a_customer_that_is_named_has_a_row(self, read) -> None:
        answer = read(customer=["c40", "c02"], group_by="customer", window="day", period="2026-11-22")
        assert [(row["group"]["customer"], row["value"]) for row in answer["data"]] == [("c02", "2"), ("c40", "0")]

    def test_by_customer_and_dimension(self, read) -> None:
        answer = read(customer=["c01", "c02", "c03"], group_by=["region", "customer"])
        assert [(row["group"], row["value"]) for row in answer["data"]] == [
            ({"region": "ap", "customer": "c02"}, "2"),
            ({"region": "eu", "customer": "c03"}, "3"),
            ({"region": "us", "customer": "c01"}, "1"),
        ]

    def test_filtered(self, read) -> None:
        assert values(read(**{"filter[region]": "eu"})) == ["165"]
        assert values(read(**{"filter[region]": ["eu", "us"]}, group_by="region")) == ["165", "145"]
        assert values(read(**{"filter[region]": "nowhere"})) == ["0"]
        assert values(read(customer="c03", **{"filter[region]": ["us", "ap"]})) == ["0"]

    def test_filtered_by_what_an_event_lacks(self, read) -> None:
        send("c01", "ApiCalls", 1000, time=NOW)
        assert values(read(**{"filter[region]": ""})) == ["1000"]
        assert read(customer="c01", group_by="region")["data"][0]["group"] == {"region": ""}

    def test_the_greatest_and_the_rest(self, read) -> None:
        answer = read(
            group_by="customer", top="2", window="day", **{"from": "2026-11-21T00:00:00Z", "to": "2026-11-23T00:00:00Z"}
        )
        assert [(row["group"], row["other"], row["value"], row["events"]) for row in answer["data"]] == [
            ({"customer": "c30"}, False, "0", 0),
            ({"customer": "c29"}, False, "0", 0),
            ({}, True, "0", 0),
            ({"customer": "c30"}, False, "30", 1),
            ({"customer": "c29"}, False, "29", 1),
            ({}, True, "406", 28),
        ]
        assert answer["top"] == 2

    def test_fewer_than_the_top_are_all_there(self, read) -> None:
        answer = read(group_by="region", top="3")
        assert [(row["group"]["region"], row["value"], row["other"]) for row in answer["data"]] == [
            ("eu", "165", False), ("ap", "155", False), ("us", "145", False)
        ]  # fmt: skip

    def test_many_customers_are_as_many_statements_as_few(self, api, monkeypatch: pytest.MonkeyPatch) -> None:
        client, run = api("read"), []

        def counted(statement: str, parameters: Any) -> Any:
            run.append(statement)
            return statements.execute(statement, parameters)

        # These bypass Django's cursor, and so what CaptureQueriesContext sees.
        monkeypatch.setattr("meters.usage.execute", counted)

        def count(**query: Any) -> int:
            run.clear()
            with CaptureQueriesContext(connection) as captured:
                assert client.get("/v1/usage", {"meter": "ApiCalls", "window": "day"} | query).status_code == 200
            return len(captured) + len(run)

        named = [f"c{number:02}" for number in range(1, 41)]
        count()
        for query, most in (({}, 5), ({"group_by": "customer"}, 6), ({"group_by": "customer", "top": 1}, 6)):
            few = count(customer=named[:2], **query)
            assert few == count(customer=named, **query) <= most
            assert count(**query) <= few


class TestTheRestIsExact:
    """What is not among the greatest is a group of its own, not a sum."""

    def test_of_a_sum(self, read) -> None:
        make_meter(dimensions=["region"])
        self.send("ApiCalls", {"eu": [5, 5], "us": [4], "ap": ["-1.5"], "sa": ["0.25"]})
        assert self.top_one(read, "ApiCalls") == ("eu", "10", "2.75")

    def test_of_different_values(self, read) -> None:
        make_meter("Users", aggregation="unique_count", unique_dimension="user", dimensions=["region"])
        for region, users in (("eu", "abc"), ("us", "ab"), ("ap", "bd"), ("sa", "b")):
            for user in users:
                send("acme", "Users", time=NOW, region=region, user=user)
        # b is in all of them, and one.
        assert self.top_one(read, "Users") == ("eu", "3", "3")

    def test_of_a_percentile(self, read) -> None:
        make_meter("Latency", aggregation="percentile", percentile=Decimal(50), dimensions=["region"])
        self.send("Latency", {"eu": [100, 200, 300], "us": [1, 2, 3, 4], "ap": [50], "sa": [60]})
        # The median of 1 2 3 4 50 60; those of the groups are 2.5, 50 and 60.
        assert self.top_one(read, "Latency") == ("eu", "200", "3.5")

    @pytest.mark.parametrize(
        ("aggregation", "rest"), [("min", "1"), ("max", "60"), ("average", "20"), ("latest", "60"), ("count", "6")]
    )
    def test_of_the_others(self, read, aggregation: str, rest: str) -> None:
        make_meter("M", aggregation=aggregation, dimensions=["region"])
        self.send("M", {"eu": [1000] * 5, "us": [1, 2, 3, 4], "ap": [50], "sa": [60]})
        region, _, other = self.top_one(read, "M")
        assert (region, other) == ("eu", rest)

    def send(self, meter: str, by_region: dict[str, list[Any]]) -> None:
        for region, numbers in by_region.items():
            for number in numbers:
                send("acme", meter, number, time=NOW, region=region)

    def top_one(self, read, meter: str) -> tuple[str, str, str]:
        first, other = read(meter=meter, group_by="region", top=1)["data"]
        assert (first["other"], other["other"], other["group"]) == (False, True, {})
        return first["group"]["region"], first["value"], other["value"]


def test_what_was_answered_is_read(api) -> None:
    make_meter()
    sender, reader = api("ingest"), api("read")
    for count in (1, 2, 3):
        assert sender.post("/v1/events", json_event(id=str(count), value="2.5"), format="json").status_code == 200
        answer = reader.get("/v1/usage", {"meter": "ApiCalls", "customer": "acme"}).json()
        assert Decimal(answer["total"]["value"]) == Decimal("2.5") * count
        assert answer["usage_version"] == count


@pytest.mark.django_db(transaction=True)
def test_all_figures_are_of_one_moment(api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the reads of one answer somebody sends: none of it is in the answer, or all."""
    from meters import usage as reading
    from meters.api import usage_table
    from tests.racing import race

    make_meter("Peak", aggregation="max", dimensions=["region"])
    make_customer("acme")
    send("acme", "Peak", 1, time=NOW, region="eu")
    client = api("read")

    def read_then_send(*args: Any, **kwargs: Any) -> Any:
        usage = reading.read_usage_of(*args, **kwargs)
        assert race(lambda: send("acme", "Peak", 50, time=NOW, region="us")) == []
        return usage

    monkeypatch.setattr(usage_table, "read_usage_of", read_then_send)
    answer = client.get("/v1/usage", {"meter": "Peak", "group_by": "region", "window": "month"}).json()
    assert (answer["total"], values(answer), answer["usage_version"]) == ({"value": "1", "events": 1}, ["1"], 1)
    assert client.get("/v1/usage", {"meter": "Peak", "customer": "acme"}).json()["total"]["value"] == "50"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)
