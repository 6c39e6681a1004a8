"""Facts in a file: across crashes, outages and processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from conftest import FakeServer, cut_after_counting, refuse, slow

from tollmeter import FactsDropped, Problem, QueueFull, SpoolFailed, Tollmeter, TollmeterError, Unreachable
from tollmeter.spool import Spool

Make = Callable[..., Tollmeter]

NOTES_AND_WAITS = """
import sys, time
from tollmeter import Tollmeter
url, spool, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
tollmeter = Tollmeter("key", url, spool=spool, batch_seconds=0.02, retry_wait=0.01, retry_wait_max=0.05,
                      on_error=lambda error: None)
for _ in range(count):
    tollmeter.meter("acme", "ApiCalls")
print("noted", flush=True)
sys.stdin.readline()
"""


class Program:
    """Another process that notes facts and then waits to be ended."""

    def __init__(self, url: str, spool: Path, count: int) -> None:
        command = [sys.executable, "-c", NOTES_AND_WAITS, url, str(spool), str(count)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def wait_noted(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"noted\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def end(self) -> None:
        self.process.communicate(b"\n", timeout=20)


def waiting(spool: Path) -> int:
    db = sqlite3.connect(spool)
    count = db.execute("SELECT count(*) FROM facts").fetchone()[0]
    db.close()
    return int(count)


def test_a_spool_sends_like_memory_does(server: FakeServer, client: Make, spool_path: Path) -> None:
    tollmeter = client(spool=spool_path, batch_size=100)
    ids = [tollmeter.meter("acme", "ApiCalls") for _ in range(250)]
    assert tollmeter.flush(30)
    assert server.order == ids
    assert (tollmeter.counters.sent, tollmeter.counters.queued) == (250, 0)
    assert waiting(spool_path) == 0


def test_killed_with_the_server_away_everything_comes_in_order_at_the_next_start(
    server: FakeServer, client: Make, spool_path: Path
) -> None:
    program = Program("http://127.0.0.1:9", spool_path, 700)
    program.wait_noted()
    program.kill()
    assert waiting(spool_path) == 700
    # Nothing has to be metered for what waits to be sent.
    tollmeter = client(spool=spool_path)
    assert tollmeter.flush(30)
    assert len(server.order) == 700
    assert server.order == sorted(server.order)


def test_killed_after_the_server_counted_and_before_it_answered(
    server: FakeServer, client: Make, spool_path: Path
) -> None:
    server.always = cut_after_counting
    program = Program(server.url, spool_path, 300)
    program.wait_noted()
    end = time.monotonic() + 10
    while not server.batches and time.monotonic() < end:
        time.sleep(0.005)
    program.kill()
    assert waiting(spool_path) == 300
    server.always = None
    tollmeter = client(spool=spool_path)
    assert tollmeter.flush(30)
    assert len(server.facts) == 300
    assert tollmeter.counters.duplicate > 0
    assert tollmeter.counters.rejected == 0


def test_what_a_closed_client_could_not_send_waits_in_the_file(
    server: FakeServer, client: Make, spool_path: Path
) -> None:
    server.always = refuse(503)
    errors: list[TollmeterError] = []
    first = client(spool=spool_path, on_error=errors.append)
    first.meter("acme", "ApiCalls")
    assert not first.close(0.1)
    assert first.counters.dropped == 0
    assert not [error for error in errors if isinstance(error, FactsDropped)]
    server.always = None
    assert client(spool=spool_path).flush(30)
    assert len(server.facts) == 1


def test_processes_that_share_a_file_do_not_fight(server: FakeServer, spool_path: Path) -> None:
    programs = [Program(server.url, spool_path, 400) for _ in range(3)]
    for program in programs:
        program.wait_noted()
    for program in programs:
        program.end()
    assert len(server.facts) == 1200
    # One of them sends at a time, so nothing went twice.
    assert sum(server.batches) == 1200


def test_another_process_takes_over_from_one_that_died(server: FakeServer, client: Make, spool_path: Path) -> None:
    server.always = refuse(503)
    program = Program(server.url, spool_path, 50)
    program.wait_noted()
    end = time.monotonic() + 10
    while not server.batches and time.monotonic() < end:
        time.sleep(0.005)
    tollmeter = client(spool=spool_path, batch_seconds=0.02)
    tollmeter.meter("acme", "ApiCalls")
    before = len(server.facts)
    server.always = None
    program.kill()
    assert tollmeter.flush(30)
    assert before == 0
    assert len(server.facts) == 51


def test_a_process_with_the_number_of_one_that_died_takes_over_at_once(
    server: FakeServer, client: Make, spool_path: Path
) -> None:
    client(spool=spool_path).close()
    db = sqlite3.connect(spool_path)
    with db:
        sender = (os.getpid(), time.time() + 100)
        db.execute("INSERT INTO sender (one, token, pid, until) VALUES (1, 'the one that died', ?, ?)", sender)
    db.close()
    tollmeter = client(spool=spool_path)
    tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(30)


def test_a_sender_that_is_silent_for_long_is_taken_for_dead(server: FakeServer, client: Make, spool_path: Path) -> None:
    client(spool=spool_path).close()
    db = sqlite3.connect(spool_path)
    with db:
        sender = (os.getppid(), time.time() + 0.3)
        db.execute("INSERT INTO sender (one, token, pid, until) VALUES (1, 'a process that hangs', ?, ?)", sender)
    db.close()
    tollmeter = client(spool=spool_path)
    tollmeter.meter("acme", "ApiCalls")
    assert not tollmeter.flush(0.1)
    assert tollmeter.flush(30)


def test_a_client_that_was_closed_while_it_sent_leaves_sending_to_others(
    server: FakeServer, client: Make, spool_path: Path
) -> None:
    server.faults = [slow(0.3)]
    first = client(spool=spool_path, retry_wait=0.3)
    first.meter("acme", "ApiCalls")
    while not server.batches:
        time.sleep(0.005)
    assert not first.close(0.01)
    # Its thread is still at it, and says so as it does between tries.
    first.queue.keep()
    second = client(spool=spool_path)
    second.meter("acme", "ApiCalls")
    assert second.flush(20)
    assert len(server.facts) == 2


def test_two_clients_of_one_process_share_a_file(server: FakeServer, client: Make, spool_path: Path) -> None:
    clients = [client(spool=spool_path) for _ in range(2)]
    for _ in range(200):
        for each in clients:
            each.meter("acme", "ApiCalls")
    assert all(each.flush(30) for each in clients)
    assert len(server.facts) == sum(server.batches) == 400


def in_file(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        return [number for (number,) in db.execute("SELECT number FROM facts")]


def test_a_full_file_raises_or_drops_the_oldest(server: FakeServer, client: Make, spool_path: Path) -> None:
    server.always = refuse(503)
    strict = client(spool=spool_path, queue_size=3, when_full="raise")
    ids = [strict.meter("acme", "ApiCalls") for _ in range(3)]
    with pytest.raises(QueueFull):
        strict.meter("acme", "ApiCalls")
    strict.close(0.05)
    lenient = client(spool=spool_path, queue_size=3)
    ids += [lenient.meter("acme", "ApiCalls") for _ in range(5)]
    server.always = None
    assert lenient.flush(30)
    # Those that are being sent are none that make room.
    assert 5 >= lenient.counters.dropped >= 4
    assert server.order == sorted(server.order)
    assert server.order[-1] == ids[-1]
    assert len(server.order) + lenient.counters.dropped >= 8


@pytest.mark.parametrize("closed_at_once", [False, True])
def test_what_a_full_disk_did_not_take_is_in_the_file_later(
    server: FakeServer, client: Make, spool_path: Path, closed_at_once: bool
) -> None:
    server.always = refuse(503)
    tollmeter = client(spool=spool_path, retry_wait=30, retry_wait_max=30)
    first = tollmeter.meter("acme", "ApiCalls")
    while not server.batches:
        time.sleep(0.005)
    assert isinstance(tollmeter.queue, Spool)
    with tollmeter.queue.changed:
        tollmeter.queue._db().execute("PRAGMA max_page_count = 1")
    ids = [first, *(tollmeter.meter("acme", "ApiCalls", dimensions={"text": "x" * 100}) for _ in range(200))]
    assert len(in_file(spool_path)) < 100
    assert tollmeter.counters.queued == 201
    with tollmeter.queue.changed:
        tollmeter.queue._db().execute("PRAGMA max_page_count = 100000")
    if not closed_at_once:
        ids.append(tollmeter.meter("acme", "ApiCalls"))
        assert len(in_file(spool_path)) == 202
    assert not tollmeter.close(timeout=0.1)
    assert len(in_file(spool_path)) == len(ids)
    assert tollmeter.counters.dropped == 0
    server.always = None
    assert client(spool=spool_path).flush(30)
    assert server.facts.keys() == set(ids)


def full_disk(tollmeter: Tollmeter) -> None:
    assert isinstance(tollmeter.queue, Spool)
    with tollmeter.queue.changed:
        tollmeter.queue._db().execute("PRAGMA max_page_count = 1")


def note_until_it_is_full(tollmeter: Tollmeter, count: int) -> None:
    for _ in range(count):
        tollmeter.meter("acme", "ApiCalls", dimensions={"text": "x" * 1000})


def test_a_full_disk_is_told_once_and_what_waits_in_memory_is_bounded(
    server: FakeServer, client: Make, spool_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollmeter.spool.SPARE_SIZE", 5)
    errors: list[TollmeterError] = []
    server.always = refuse(503)
    tollmeter = client(spool=spool_path, on_error=errors.append)
    full_disk(tollmeter)
    note_until_it_is_full(tollmeter, 40)
    in_memory = tollmeter.counters.queued - len(in_file(spool_path))
    # And those that are being sent.
    assert in_memory <= 10
    assert tollmeter.counters.dropped == 40 - tollmeter.counters.queued > 0
    server.always = None
    assert tollmeter.flush(30)
    assert tollmeter.close()
    assert ["in memory" in str(error) for error in errors if isinstance(error, SpoolFailed)] == [True]
    assert sum(error.count for error in errors if isinstance(error, FactsDropped)) == tollmeter.counters.dropped


def test_a_full_disk_and_full_memory_raise_where_that_is_asked_for(
    server: FakeServer, client: Make, spool_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollmeter.spool.SPARE_SIZE", 5)
    server.always = refuse(503)
    tollmeter = client(spool=spool_path, when_full="raise")
    full_disk(tollmeter)
    with pytest.raises(QueueFull, match="in memory"):
        note_until_it_is_full(tollmeter, 40)
    assert tollmeter.counters.dropped == 0


def test_a_full_disk_and_full_memory_block_until_there_is_room(
    server: FakeServer, client: Make, spool_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollmeter.spool.SPARE_SIZE", 5)
    tollmeter = client(spool=spool_path, when_full="block", batch_size=5)
    full_disk(tollmeter)
    note_until_it_is_full(tollmeter, 40)
    assert tollmeter.flush(30)
    assert (len(server.facts), tollmeter.counters.dropped) == (40, 0)


def test_a_full_file_blocks_until_there_is_room(server: FakeServer, client: Make, spool_path: Path) -> None:
    tollmeter = client(spool=spool_path, queue_size=5, when_full="block", batch_size=5)
    for _ in range(40):
        tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(30)
    assert len(server.facts) == 40


def test_what_the_server_refused_is_set_aside(server: FakeServer, client: Make, spool_path: Path) -> None:
    server.faults = [refuse(401)]
    server.rejects = {"ApiCals"}
    errors: list[TollmeterError] = []
    tollmeter = client(spool=spool_path, on_error=errors.append)
    tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(30)
    tollmeter.meter("acme", "ApiCals")
    assert tollmeter.flush(30)
    assert tollmeter.counters.rejected == 2
    assert isinstance(errors[0], Problem)
    db = sqlite3.connect(spool_path)
    whys = [why for (why,) in db.execute("SELECT why FROM refused ORDER BY number")]
    db.close()
    assert whys[0].startswith("401 code_401")
    assert "unknown_meter" in whys[1]
    # Once the key and the meter are right, they can go again.
    server.rejects = set()
    assert tollmeter.queue.take_back() == 2  # type: ignore[union-attr]
    assert tollmeter.flush(30)
    assert len(server.facts) == 2


def test_a_file_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpoolFailed):
        Tollmeter("key", "http://127.0.0.1:9", spool=tmp_path / "no such folder" / "spool.db")


def test_while_the_file_cannot_be_written_facts_wait_in_memory(
    server: FakeServer, client: Make, spool_path: Path
) -> None:
    tollmeter = client(spool=spool_path, on_error=lambda error: None)
    db = sqlite3.connect(spool_path, isolation_level=None)
    db.execute("DROP TABLE facts")
    tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(30)
    assert len(server.facts) == 1
    db.close()


def test_an_outage_is_told_and_nothing_is_lost(server: FakeServer, client: Make, spool_path: Path) -> None:
    errors: list[TollmeterError] = []
    server.faults = [refuse(503)] * 3
    tollmeter = client(spool=spool_path, on_error=errors.append)
    for _ in range(5):
        tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(30)
    assert len(server.facts) == 5
    assert [error.retry_in is not None for error in errors if isinstance(error, (Problem, Unreachable))] == [True] * 3
