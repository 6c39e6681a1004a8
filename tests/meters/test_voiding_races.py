"""Voids and senders at the same time: no deadlock, each event voided once, and the tables are what a recount says."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from meters.event_log import EventQuery
from meters.events import record_events
from meters.models import Event, EventKey, UsageVersion, VoidRecord
from meters.voiding import EventRef, Voided, select_events, unvoid_events, void_events
from tests.factories import event, make_customer, make_meter, send
from tests.meters.rollups import assert_rollups_equal_events
from tests.racing import race


def void(*refs: tuple[str, ...], reason: str = "sent twice") -> Voided:
    return void_events(select_events(refs=[EventRef(*ref) for ref in refs]), reason=reason, actor="anna")


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_senders_and_voiders_on_one_hot_customer(self) -> None:
        make_meter("Sum", dimensions=["region"])
        make_meter("Users", aggregation="unique_count", unique_dimension="user", dimensions=["region"])
        acme = make_customer("acme")
        now = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
        chance = random.Random(7)
        ids = [f"job-{number}" for number in range(240)]
        made = [
            event(
                "acme",
                meter,
                chance.randint(-50, 1000),
                time=now - timedelta(minutes=chance.randrange(300)),
                id=identifier,
                region=chance.choice(["eu", "us"]),
                user=chance.choice("abcdefgh"),
            )
            for identifier in ids
            for meter in ("Sum", "Users")
        ]

        def sender(seed: int) -> None:
            mine = made[:]
            random.Random(seed).shuffle(mine)
            for first in range(0, len(mine), 40):
                record_events(mine[first : first + 40], now=now)

        def voider(seed: int) -> None:
            mine = random.Random(seed)
            for _ in range(12):
                change = mine.choice([void_events, void_events, unvoid_events])
                if mine.random() < 0.3:
                    start = now - timedelta(minutes=mine.randrange(60, 300))
                    selection = select_events(
                        query=EventQuery(customer=acme, start=start, end=start + timedelta(minutes=60))
                    )
                else:
                    selection = select_events(refs=[EventRef("acme", i) for i in mine.sample(ids, 30)])
                change(selection, reason="race", actor="x")

        raised = race(*(lambda s=s: sender(s) for s in range(8)), *(lambda s=s: voider(100 + s) for s in range(3)))
        assert raised == []
        assert Event.objects.count() == EventKey.objects.count() == len(made)
        assert VoidRecord.objects.exists()
        assert_rollups_equal_events()

    def test_two_voids_of_the_same_events_void_them_once(self) -> None:
        make_meter()
        make_customer("acme")
        now = datetime.now(UTC)
        record_events([event("acme", "ApiCalls", 1, time=now, id=f"job-{n}") for n in range(50)], now=now)
        done: list[Voided] = []
        refs = [("acme", f"job-{n}") for n in range(50)]
        raised = race(*(lambda seed=seed: done.append(void(*refs, reason=f"void {seed}")) for seed in range(6)))
        assert raised == []
        assert sorted(voided.events for voided in done) == [0, 0, 0, 0, 0, 50]
        assert sorted(voided.unchanged for voided in done) == [0, 50, 50, 50, 50, 50]
        record = VoidRecord.objects.get()
        assert (record.events, Event.objects.filter(void=record).count()) == (50, 50)
        assert UsageVersion.objects.get().version == 2
        assert_rollups_equal_events()

    def test_a_void_that_fails_in_the_middle_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_meter()
        make_customer("acme")
        send("acme", "ApiCalls", 1, id="job")
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE meters_usageversion ADD CONSTRAINT short CHECK (version < 2)")
        try:
            with pytest.raises(Exception, match="short"):
                void(("acme", "job"))
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE meters_usageversion DROP CONSTRAINT short")
        assert Event.objects.get().void is None
        assert not VoidRecord.objects.exists()
        assert_rollups_equal_events()
