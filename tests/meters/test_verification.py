"""The recount: clean where nothing went wrong, and every kind of damage found and repaired."""

import io
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection

from meters import verification
from meters.events import record_events
from meters.models import Customer, DimensionSet, Event, EventKey, Meter, UsageBucket, UsageDistinct, UsageVersion
from meters.voiding import EventRef, select_events, unvoid_events, void_events
from portal import demo
from tests.factories import event, make_customer, make_meter, send
from tests.meters.rollups import assert_rollups_equal_events
from tests.racing import race

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def check(*arguments: str) -> str:
    out = io.StringIO()
    call_command("verify_usage", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def refused(*arguments: str) -> tuple[str, str]:
    """What it prints, and what it ends with."""
    out = io.StringIO()
    with pytest.raises(CommandError) as error:
        call_command("verify_usage", *arguments, stdout=out, stderr=io.StringIO())
    assert error.value.returncode == 1
    return out.getvalue(), str(error.value)


@pytest.fixture
def usage(db: None) -> None:
    make_meter()
    make_meter("Users", aggregation="unique_count", unique_dimension="user")
    for customer in ("acme", "globex"):
        make_customer(customer)
        for number in range(6):
            time = NOW - timedelta(hours=number // 2)
            send(customer, "ApiCalls", 10 + number, id=f"job-{number}", time=time, now=NOW, source="crm")
            send(customer, "Users", id=f"job-{number}", time=time, now=NOW, user=f"user {number}")


@pytest.mark.django_db
def test_the_demo_is_clean() -> None:
    now = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
    with time_machine.travel(now, tick=False):
        demo.fill(now)
    assert UsageBucket.objects.exists()
    assert UsageDistinct.objects.exists()
    assert check() == f"Customers checked: {len(demo.CUSTOMERS)}. Differences: 0.\n"
    selection = select_events(refs=[EventRef(e.customer.key, e.event_id) for e in Event.objects.all()[:500]])
    void_events(selection, reason="test", actor="x")
    assert "Differences: 0" in check()
    bucket = UsageBucket.objects.first()
    assert bucket is not None
    UsageBucket.objects.filter(pk=bucket.pk).update(sum=bucket.sum + 1)
    said, _ = refused()
    assert f"sum {bucket.sum + 1}," in said


def acme(**fields: Any) -> dict[str, Any]:
    return {"customer": Customer.objects.get(key="acme"), "meter": Meter.objects.get(key="ApiCalls"), **fields}


def corrupted_sum() -> None:
    UsageBucket.objects.filter(**acme(hour=NOW.replace(minute=0))).update(sum=1)


def corrupted_last() -> None:
    UsageBucket.objects.filter(**acme(hour=NOW.replace(minute=0))).update(last_sequence=1)


def deleted_bucket() -> None:
    UsageBucket.objects.filter(**acme(hour=NOW.replace(minute=0))).delete()


def invented_bucket() -> None:
    numbers = {"count": 1, "sum": 2, "min": 2, "max": 2, "last": 2, "last_at": NOW, "last_sequence": 1}
    labels = DimensionSet.objects.order_by("id")[0]
    UsageBucket.objects.create(**acme(hour=NOW.replace(minute=0) - timedelta(days=3), dimension_set=labels), **numbers)


def removed_distinct() -> None:
    UsageDistinct.objects.filter(pk=UsageDistinct.objects.filter(customer__key="acme")[0].pk).delete()


def invented_distinct() -> None:
    known = UsageDistinct.objects.filter(customer__key="acme")[0]
    UsageDistinct.objects.create(
        customer=known.customer,
        meter=known.meter,
        day=known.day,
        dimension_set=known.dimension_set,
        value=uuid.uuid4(),
    )


def marked_by_hand() -> None:
    Event.objects.filter(**acme(sent_id="job-0")).update(void_id=1)


@pytest.mark.parametrize(
    ("damage", "table", "versions"),
    [
        (corrupted_sum, "bucket", 1),
        (corrupted_last, "bucket", 1),
        (deleted_bucket, "bucket", 1),
        (invented_bucket, "bucket", 1),
        (removed_distinct, "distinct value", 1),
        (invented_distinct, "distinct value", 1),
        (marked_by_hand, "bucket", 1),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_damage_is_found_and_repaired(usage: None, damage: Callable[[], None], table: str, versions: int) -> None:
    assert "Differences: 0" in check()
    before = dict(UsageVersion.objects.values_list("customer__key", "version"))
    damage()
    said, ended = refused()
    assert ended == "Customers checked: 2. Differences: 1."
    assert said.startswith(f"{table} acme ")
    assert len(said.splitlines()) == 1
    assert dict(UsageVersion.objects.values_list("customer__key", "version")) == before
    repaired = check("--repair")
    assert repaired.splitlines() == [
        said.strip(),
        "Customers checked: 2. Differences: 1, left after the repair: 0.",
    ]
    assert "Differences: 0" in check()
    after = dict(UsageVersion.objects.values_list("customer__key", "version"))
    assert after == before | {"acme": before["acme"] + versions}
    assert_rollups_equal_events()


def test_the_line_says_what_is_stored_and_what_the_events_say(usage: None) -> None:
    corrupted_sum()
    said, _ = refused("--customer", "acme")
    last = Event.objects.get(**acme(sent_id="job-1")).sequence
    assert said == (
        "bucket acme ApiCalls 2026-11-22 14:00:00 UTC [source=crm]: "
        f"stored 2 events, sum 1, from 10 to 11, last 11 of 2026-11-22 14:30:00 (arrival {last}); "
        f"events 2 events, sum 21, from 10 to 11, last 11 of 2026-11-22 14:30:00 (arrival {last})\n"
    )


def test_an_event_without_its_key_gets_it_back(usage: None) -> None:
    lost = Event.objects.get(**acme(sent_id="job-0"))
    EventKey.objects.filter(customer=lost.customer, meter=lost.meter, key=lost.key).delete()
    said, _ = refused()
    assert said.startswith("event key acme ApiCalls 2026-11-22 14:30:00 UTC: stored none; events ")
    check("--repair")
    again = send("acme", "ApiCalls", 10, id="job-0", time=NOW, now=NOW, source="crm")
    assert (again.accepted, again.conflict) == (0, 1)
    assert "Differences: 0" in check()


def lose(event: Event) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM meters_event WHERE sequence = %s", [event.sequence])
        assert cursor.rowcount == 1


LOST = "Their events are lost, and count once they are sent again."


def test_a_lost_event_is_found_and_counts_when_it_is_sent_again(usage: None) -> None:
    whole = list(UsageBucket.objects.order_by("pk").values_list("pk", "count", "sum"))
    lost = Event.objects.get(**acme(sent_id="job-0"))
    lose(lost)
    said, ended = refused()
    missing = f"event missing acme ApiCalls 2026-11-22 14:30:00 UTC: its key {lost.key} says it was accepted"
    assert [line for line in said.splitlines() if not line.startswith("bucket ")] == [missing]
    assert ended == "Customers checked: 2. Differences: 2."
    again = send("acme", "ApiCalls", 10, id="job-0", time=NOW, now=NOW, source="crm")
    assert (again.accepted, again.duplicate) == (0, 1)
    said, ended = refused("--repair")
    assert missing in said.splitlines()
    assert ended == f"Customers checked: 2. Differences: 2, left after the repair: 0. Keys released: 1. {LOST}"
    assert "Differences: 0" in check()
    assert_rollups_equal_events()
    again = send("acme", "ApiCalls", 10, id="job-0", time=NOW, now=NOW, source="crm")
    assert (again.accepted, again.duplicate) == (1, 0)
    assert list(UsageBucket.objects.order_by("pk").values_list("pk", "count", "sum")) == whole
    assert "Differences: 0" in check()
    again = send("acme", "ApiCalls", 10, id="job-0", time=NOW, now=NOW, source="crm")
    assert (again.accepted, again.duplicate) == (0, 1)


def test_a_lost_event_whose_bucket_was_blessed_is_still_found(usage: None) -> None:
    """Of a voided event, or where the bucket was made anew without it, nothing but the key is left."""
    void_events(select_events(refs=[EventRef("acme", "job-0", "ApiCalls")]), reason="test", actor="x")
    lose(Event.objects.get(**acme(sent_id="job-0")))
    said, ended = refused("--customer", "acme")
    assert said.startswith("event missing acme ApiCalls ")
    assert ended == "Customers checked: 1. Differences: 1."
    assert "Differences: 0" in check("--customer", "globex")


def test_keys_of_months_that_are_not_there_are_kept(usage: None) -> None:
    month = (NOW - timedelta(days=65)).replace(day=15)
    send("acme", "ApiCalls", 7, id="old", time=month, now=NOW)
    send("acme", "ApiCalls", 7, id="older", time=month - timedelta(days=60), now=NOW)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE meters_event DETACH PARTITION meters_event_{month:%Y_%m}")
    keys = EventKey.objects.count()
    UsageBucket.objects.filter(**acme(), hour__gte=month, hour__lt=month + timedelta(hours=1)).delete()
    lost = Event.objects.get(**acme(sent_id="job-0"))
    lose(lost)
    said, _ = refused("--repair")
    assert [line for line in said.splitlines() if line.startswith("event missing ")] == [
        f"event missing acme ApiCalls 2026-11-22 14:30:00 UTC: its key {lost.key} says it was accepted"
    ]
    assert EventKey.objects.count() == keys - 1
    assert EventKey.objects.filter(**acme(occurred_at=month)).exists()


def test_the_key_of_an_event_that_was_moved_follows_it(usage: None) -> None:
    """It is no lost event: to release the key would count it twice."""
    event = Event.objects.get(**acme(sent_id="job-0"))
    Event.objects.filter(**acme(sent_id="job-0")).update(occurred_at=NOW + timedelta(minutes=1))
    said, _ = refused()
    assert [line.split(" acme ")[0] for line in said.splitlines()] == ["bucket", "event key", "event missing"]
    assert "Keys released" not in check("--repair")
    assert EventKey.objects.get(**acme(key=event.key)).occurred_at == NOW + timedelta(minutes=1)
    again = send("acme", "ApiCalls", 10, id="job-0", time=NOW, now=NOW, source="crm")
    assert (again.accepted, again.conflict) == (0, 1)
    assert "Differences: 0" in check()


def test_a_key_whose_event_came_back_meanwhile_is_kept(usage: None) -> None:
    lost = Event.objects.get(**acme(sent_id="job-0"))
    lose(lost)
    [customer] = verification.spans_of([lost.customer])
    found = [d for d in verification.differences(customer) if d.table == "event missing"]
    assert [d.stored for d in found] == [str(lost.key)]
    assert verification._release(found) == 1
    send("acme", "ApiCalls", 10, id="job-0", time=NOW, now=NOW, source="crm")
    assert verification._release(found) == 0
    assert EventKey.objects.filter(**acme(key=lost.key)).exists()


def test_what_cannot_be_repaired_is_left_and_said(usage: None) -> None:
    """A second event under one id has no key of its own, and which of the two is right nobody can tell."""
    event = Event.objects.get(**acme(sent_id="job-0"))
    event.sequence += 1000
    event.occurred_at += timedelta(minutes=1)
    event.save(force_insert=True)
    said, ended = refused("--repair")
    assert len(said.splitlines()) == 2
    assert ended == "Customers checked: 2. Differences: 2, left after the repair: 1."


def test_usage_of_a_customer_that_does_not_exist_is_found(usage: None) -> None:
    customer = acme()["customer"]
    UsageBucket.objects.filter(customer=customer, hour=NOW.replace(minute=0)).update(customer_id=customer.id + 1000)
    said, _ = refused()
    assert f"customer {customer.id + 1000} (unknown)" in said
    assert "left after the repair: 0" in check("--repair")
    assert not UsageVersion.objects.filter(customer_id=customer.id + 1000).exists()


def test_one_customer_alone_or_a_sample(usage: None) -> None:
    corrupted_sum()
    assert check("--customer", "globex") == "Customers checked: 1. Differences: 0.\n"
    refused("--customer", "acme")
    assert "Customers checked: 2." in refused("--sample", "5")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--customer", "nobody"], "no customer 'nobody'"),
        (["--sample", "0"], "above 0"),
        (["--sample", "-1"], "above 0"),
        (["--sample", "1", "--customer", "acme"], "not allowed with"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(db: None, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("verify_usage", *arguments)


def test_hours_of_months_that_are_gone_are_left_alone(usage: None) -> None:
    old = NOW - timedelta(days=300)
    send("acme", "Users", 7, id="old", time=old, now=NOW, user="old")
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'meters_event'::regclass")
        names = sorted(name for (name,) in cursor.fetchall())
        for name in names:
            if name <= f"meters_event_{old:%Y_%m}":
                cursor.execute(f"ALTER TABLE meters_event DETACH PARTITION {name}")
    assert UsageBucket.objects.filter(hour__lt=NOW - timedelta(days=299)).exists()
    assert "Differences: 0" in check("--repair")
    assert UsageBucket.objects.filter(hour__lt=NOW - timedelta(days=299)).exists()
    assert UsageDistinct.objects.filter(day=old.date()).exists()


def test_in_chunks_of_customers(usage: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "CHUNK", 2)
    for number in range(3):
        send(f"c{number}", "ApiCalls", 1, now=NOW)
    spans = verification.spans_of_all()
    ids = list(Customer.objects.order_by("id").values_list("id", flat=True))
    assert [span.customers for span in spans] == [2, 2, 1]
    assert (spans[0].first, spans[-1].last) == (0, 2**31 - 1)
    assert [span.first for span in spans[1:]] == [ids[2], ids[4]]
    assert all(before.last + 1 == after.first for before, after in zip(spans, spans[1:], strict=False))
    assert "Customers checked: 5. Differences: 0" in check()
    Customer.objects.filter(id__in=ids[2:]).delete()
    bar = Terminal()
    call_command("verify_usage", "--sample", "2", stdout=io.StringIO(), stderr=bar)
    assert f"[{'#' * 20}{'.' * 20}] 1 of 2 customers" in bar.getvalue()


def test_of_nothing_there_is_nothing_to_say(db: None) -> None:
    assert check() == "Customers checked: 0. Differences: 0.\n"


@pytest.mark.django_db(transaction=True)
def test_exact_beside_senders_and_voiders() -> None:
    make_meter()
    make_meter("Users", aggregation="unique_count", unique_dimension="user")
    make_customer("acme")
    now = datetime.now(UTC)
    found: list[verification.Difference] = []

    def sender(seed: int) -> None:
        chance = random.Random(seed)
        for batch in range(12):
            sent = [
                event("acme", meter, 1, time=now, id=f"{seed}-{batch}-{n}", user=chance.choice("abc"))
                for n in range(10)
                for meter in ("ApiCalls", "Users")
            ]
            record_events(sent, now=now)

    def voider() -> None:
        for batch in range(12):
            selection = select_events(refs=[EventRef("acme", f"0-{batch}-{n}") for n in range(10)])
            void_events(selection, reason="race", actor="x")
            unvoid_events(selection, reason="race", actor="x")

    def verifier() -> None:
        for _ in range(15):
            for chunk in verification.verify(verification.spans_of_all(), repair=True):
                found.extend(chunk.differences)

    raised = race(*(lambda s=s: sender(s) for s in range(4)), voider, verifier, verifier)
    assert raised == []
    assert found == []
    assert_rollups_equal_events()
