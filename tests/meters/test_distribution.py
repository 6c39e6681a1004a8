"""The way beyond one database: what the code does there has to be right on one PostgreSQL, too, and is tried so here.
The cluster itself is tried by hand (docs/scale.md)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, InternalError, connection
from django.test.utils import CaptureQueriesContext

from meters import distribution, distribution_sql, event_log, metering_sql, verification
from meters.event_log import EventQuery
from meters.metering import has_usage
from meters.models import EventKey, Meter, RetiredMonth, UsageBucket, UsageVersion
from meters.periods import Period
from meters.statements import execute
from meters.unavailable import GONE, unavailable
from meters.usage import read_usage
from meters.voiding import EventRef, select_events, unvoid_events, void_events
from portal.access import visible_meters
from tests.factories import make_customer, make_meter, send

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The statements for several machines, on one."""
    monkeypatch.setattr(distribution, "_distributed", True)


@pytest.fixture
def calls(db: None) -> Meter:
    return make_meter("ApiCalls", dimensions=["source"], where={"source": ["crm", ""]})


def test_one_postgresql_is_not_distributed_and_the_command_says_why_not() -> None:
    distribution.forget()
    assert not distribution.is_distributed()
    with pytest.raises(CommandError, match="has no Citus extension: run CREATE EXTENSION citus"):
        call_command("distribute", "--yes")


def test_voids_and_their_undoing_go_customer_by_customer(apart: None, calls: Meter) -> None:
    users = make_meter("Users", aggregation="unique_count", unique_dimension="user")
    customers = [make_customer("acme"), make_customer("globex")]
    for customer in customers:
        for number in range(3):
            time = NOW - timedelta(days=20 * number)
            send(customer.key, "ApiCalls", 2, id=f"c{number}", time=time, now=NOW, source="crm")
            send(customer.key, "Users", 1, id=f"u{number}", time=time, now=NOW, user=f"user {number}")
    windows = [Period(NOW - timedelta(days=60), NOW + timedelta(hours=1))]

    def figures() -> list[tuple[object, object]]:
        found = [read_usage(customer, [calls, users], windows) for customer in customers]
        return [(usage.quantity(calls), usage.quantity(users)) for usage in found]

    before = figures()
    refs = [
        EventRef("acme", "c0"),
        EventRef("globex", "c1", "ApiCalls"),
        EventRef("globex", "u2"),
        EventRef("acme", "x"),
    ]
    done = void_events(select_events(refs=refs), reason="test", actor="x")
    assert (done.events, done.unknown) == (3, (EventRef("acme", "x"),))
    assert figures() == [(4, 3), (4, 2)]
    assert _differences() == []
    assert unvoid_events(select_events(refs=refs), reason="test", actor="x").events == 3
    assert figures() == before == [(6, 3), (6, 3)]
    assert _differences() == []


def test_differences_are_found_and_repaired_also_of_customers_that_are_not_there(apart: None, calls: Meter) -> None:
    acme = make_customer("acme")
    send("acme", "ApiCalls", 2, id="a", time=NOW, now=NOW)
    send("acme", "ApiCalls", 3, id="b", time=NOW, now=NOW)
    UsageBucket.objects.filter(customer=acme).update(sum=7)
    EventKey.objects.filter(customer=acme).order_by("key").first().delete()
    other = EventKey.objects.get(customer=acme)
    EventKey.objects.filter(customer=acme).update(occurred_at=NOW - timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO meters_usageversion VALUES (7777777, 1, now(), NULL);"
            "INSERT INTO meters_eventkey VALUES (7777777, %s, gen_random_uuid(), %s, 0)",
            [calls.id, NOW],
        )
    assert sorted(d.table for d in _differences()) == [
        "bucket",
        "event key",
        "event key",
        "event missing",
        "event missing",
    ]
    list(verification.verify(verification.spans_of_all(), repair=True))
    assert _differences() == []
    assert EventKey.objects.get(customer=acme, key=other.key).occurred_at == NOW
    assert UsageBucket.objects.get(customer=acme).sum == 5


def test_events_of_all_customers_are_found_by_what_their_meters_count(apart: None, calls: Meter) -> None:
    for number, source in enumerate(["crm", "shop", None]):
        make_customer(f"customer {number}")
        more = {"source": source} if source else {}
        send(f"customer {number}", "ApiCalls", 1, id="a", time=NOW, now=NOW, **more)
    plain = make_meter("Plain")
    send("customer 1", "Plain", 1, id="p", time=NOW, now=NOW)
    span = {"start": NOW - timedelta(hours=1), "end": NOW + timedelta(hours=1)}

    def customers(**asked: object) -> list[str]:
        page = event_log.page(EventQuery(**span | asked), limit=10)  # type: ignore[arg-type]
        return sorted(event.customer.key for event in page.events)

    assert customers(state="counted") == ["customer 0", "customer 1", "customer 2"]
    assert customers(state="counted", meter=calls) == ["customer 0", "customer 2"]
    assert customers(meter=plain) == ["customer 1"]
    assert customers(dimensions={"source": ""}) == ["customer 1", "customer 2"]


def test_a_version_is_asked_for_before_the_figures(apart: None, calls: Meter) -> None:
    acme = make_customer("acme")
    windows = [Period(NOW - timedelta(days=1), NOW)]
    assert read_usage(acme, [calls], windows).version == 0
    assert not has_usage(calls)
    send("acme", "ApiCalls", 2, id="a", time=NOW - timedelta(hours=2), now=NOW)
    assert read_usage(acme, [calls], windows).version == UsageVersion.objects.get(customer=acme).version == 1
    assert has_usage(calls)


def test_no_statement_asks_for_usage_and_meters_at_once(apart: None, calls: Meter) -> None:
    """A customer's node has no table of meters."""
    acme, others = make_customer("acme"), make_meter("Others")
    send("acme", "ApiCalls", 2, id="a", time=NOW, now=NOW)
    with CaptureQueriesContext(connection) as captured:
        assert visible_meters(acme) == [calls]
    assert [query["sql"] for query in captured if "meters_usagebucket" in query["sql"]] == []
    assert "meters_meter" not in metering_sql.USED_BY
    assert (has_usage(calls), has_usage(others)) == (True, False)


def test_the_bytes_of_a_table_are_counted_whether_it_has_partitions_or_not(db: None) -> None:
    """What has none is not copied, as far as the command says, and is not taken away where it was."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY VIEW citus_tables AS SELECT NULL::regclass AS table_name, '' AS citus_table_type,"
            " '' AS distribution_column, 0 AS colocation_id"
        )
    rows = execute(distribution_sql.TABLES, {"tables": [*distribution.REFERENCE, *distribution.GROWING]})
    assert [size > 0 for *_, size in rows] == [True] * 6


def test_the_role_is_told_once_to_keep_connections_open(db: None) -> None:
    assert execute(distribution_sql.KEPT_CONNECTIONS, {}) == [(False,)]
    distribution.keep_connections(16)
    assert execute(distribution_sql.KEPT_CONNECTIONS, {}) == [(True,)]


def test_no_month_is_retired_or_brought_back_there(apart: None, tmp_path: Path) -> None:
    for options in (
        {"before": "2026-01", "to": tmp_path, "yes": True},
        {"restore": tmp_path / "events-2025-11.csv.gz"},
    ):
        with pytest.raises(CommandError, match=r"on several machines .* Nothing was done"):
            call_command("retire_events", **options)
    assert not RetiredMonth.objects.exists()


def test_a_machine_that_is_lost_midway_is_a_database_that_does_not_answer() -> None:
    for words in ("failure on connection marked as essential: worker-1:5432", "SSL SYSCALL error: EOF detected"):
        assert unavailable(InternalError(words)) == GONE
        # Somebody's own text that a constraint quotes.
        assert unavailable(IntegrityError(f"Key (name)=({words}) already exists.")) is None
    assert unavailable(InternalError("could not open relation with OID 1")) is None


def _differences() -> list[verification.Difference]:
    return [d for span in verification.spans_of_all() for d in verification.differences(span)]
