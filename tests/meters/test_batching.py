"""Batches that wait at the same time share a commit, and nothing else."""

import threading
import time
from datetime import UTC, datetime

import pytest
from django.db import DataError, connection, transaction

from meters import batching
from meters.batching import Rows, store
from meters.events import record_events
from meters.models import Event, UsageVersion
from meters.signals import usage_changed
from tests.factories import event, make_customer, make_meter
from tests.meters.rollups import assert_rollups_equal_events

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC)


def make_used_meter() -> None:
    """The first event of a meter goes alone, whatever waits."""
    make_meter()
    record_events([event("somebody", "ApiCalls", time=NOW)], now=NOW)


class Held:
    """Holds the first batch inside the database until all others wait; then lets them go."""

    def __init__(self) -> None:
        self.results: dict[str, object] = {}
        self.threads: list[threading.Thread] = []

    def start(self, name: str, job) -> None:
        def run() -> None:
            try:
                self.results[name] = job()
            except Exception as error:
                self.results[name] = error
            finally:
                connection.close()

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def run(self, jobs: dict[str, object]) -> dict[str, object]:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE meters_eventkey IN ACCESS EXCLUSIVE MODE")
            for waiting, (name, job) in enumerate(jobs.items()):
                self.start(name, job)
                while len(batching._queue) < waiting or not batching._busy:
                    time.sleep(0.005)
        for thread in self.threads:
            thread.join()
        return self.results


def send(number: int, customer: str = "acme"):
    sent = event(customer, "ApiCalls", number, id=f"job-{number}", time=NOW)
    return lambda: record_events([sent], now=NOW)


def poison() -> set[int] | None:
    """A batch that the database refuses; no event that passed the checks is one, so it is made by hand."""
    columns = dict.fromkeys((*batching.COLUMNS, *batching.OPTIONAL_COLUMNS), "1") | {"keys": "no-uuid"}
    return store(Rows(columns, {(1, 1, "no-uuid")}, {1}, NOW))


def test_those_that_wait_share_a_commit_and_each_gets_its_own_answer() -> None:
    make_used_meter()
    acme = make_customer("acme")
    jobs = {"first": send(1), "second": send(2), "again": send(1), "third": send(3), "twice": send(2)}
    results = Held().run(jobs)
    outcomes = {name: (r.accepted, r.duplicate) for name, r in results.items()}
    assert outcomes == {"first": (1, 0), "second": (1, 0), "again": (0, 1), "third": (1, 0), "twice": (0, 1)}
    assert UsageVersion.objects.get(customer=acme).version == 2
    assert Event.objects.count() == 4
    assert_rollups_equal_events()


def test_a_batch_that_the_database_refuses_takes_no_other_with_it() -> None:
    make_used_meter()
    make_customer("acme")
    results = Held().run({"first": send(1), "second": send(2), "poison": poison, "third": send(3)})
    assert isinstance(results.pop("poison"), DataError)
    assert {name: result.accepted for name, result in results.items()} == {"first": 1, "second": 1, "third": 1}
    assert_rollups_equal_events()
    assert record_events([event("acme", "ApiCalls", time=NOW)], now=NOW).accepted == 1


def test_one_that_is_refused_alone_leaves_the_way_free() -> None:
    make_used_meter()
    make_customer("acme")
    with pytest.raises(DataError):
        poison()
    assert send(1)().accepted == 1


def test_large_batches_do_not_pile_up_in_one_statement(monkeypatch) -> None:
    monkeypatch.setattr(batching, "MAX_ROWS", 2)
    make_used_meter()
    acme = make_customer("acme")
    results = Held().run({str(number): send(number) for number in range(6)})
    assert all(result.accepted == 1 for result in results.values())
    # The one that was held, then two, two and one.
    assert UsageVersion.objects.get(customer=acme).version == 4
    assert_rollups_equal_events()


def test_the_change_is_announced_once_for_all_that_shared_the_commit(monkeypatch) -> None:
    monkeypatch.setattr(batching, "ANNOUNCE_WITHIN", 0)
    make_used_meter()
    ids = {make_customer(key).id for key in ("acme", "globex")}
    heard: list[list[int]] = []

    def hear(customer_ids, **_) -> None:
        heard.append(customer_ids)

    usage_changed.connect(hear)
    try:
        Held().run({"first": send(1), "second": send(2), "third": send(3, "globex"), "again": send(1)})
    finally:
        usage_changed.disconnect(hear)
    assert len(heard) == 2
    assert set(heard[1]) == ids


def test_writers_that_follow_each_other_closely_announce_their_changes_together(monkeypatch) -> None:
    monkeypatch.setattr(batching, "MAX_ROWS", 1)
    monkeypatch.setattr(batching, "ANNOUNCE_WITHIN", 10**12)
    monkeypatch.setattr(batching, "_announced_at", time.monotonic_ns())
    make_used_meter()
    ids = {make_customer(key).id for key in ("acme", "globex", "initech")}
    heard: list[list[int]] = []

    def hear(customer_ids, **_) -> None:
        heard.append(customer_ids)

    usage_changed.connect(hear)
    try:
        Held().run({"1": send(1), "2": send(2, "globex"), "3": send(3, "initech"), "again": send(1)})
    finally:
        usage_changed.disconnect(hear)
    # By the last one, though it brought nothing new itself.
    assert heard == [sorted(ids)]


def test_inside_a_transaction_the_batch_is_part_of_it() -> None:
    make_used_meter()
    make_customer("acme")
    heard: list[object] = []

    def hear(**arguments) -> None:
        heard.append(arguments)

    usage_changed.connect(hear)
    with transaction.atomic():
        assert send(1)().accepted == 1
        transaction.set_rollback(True)
    assert Event.objects.count() == 1
    assert heard == []
