"""Processes that fork, as web servers with several workers do."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import FakeServer, refuse

from tollmeter import Tollmeter
from tollmeter.facts import new_id

Make = Callable[..., Tollmeter]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="This system does not fork.")

FORKS = """
import os, sys
from tollmeter import Tollmeter
url, spool, how = sys.argv[1], sys.argv[2] or None, sys.argv[3]
tollmeter = Tollmeter("key", url, spool=spool, batch_seconds=0.02, retry_wait=0.01, retry_wait_max=0.05)
for _ in range(10):
    tollmeter.meter("acme", "parent")
if how == "flushed":
    tollmeter.flush()  # The thread and its connection are there before the fork.
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        assert tollmeter.counters.sent == 0
        for _ in range(100):
            tollmeter.meter("acme", f"child {number}")
        sys.exit(0)  # As the workers of gunicorn end.
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
for _ in range(10):
    tollmeter.meter("acme", "parent")
"""


@pytest.mark.parametrize("how", ["at once", "flushed"])
@pytest.mark.parametrize("with_spool", [False, True])
def test_children_send_their_own_facts_and_none_of_their_parents(
    server: FakeServer, tmp_path: Path, how: str, with_spool: bool
) -> None:
    spool = str(tmp_path / "spool.db") if with_spool else ""
    command = [sys.executable, "-W", "ignore", "-c", FORKS, server.url, spool, how]
    subprocess.run(command, check=True, timeout=60)
    counts: dict[str, int] = {}
    for fact in server.facts.values():
        counts[fact["meter"]] = counts.get(fact["meter"], 0) + 1
    assert counts == {"parent": 20, "child 0": 100, "child 1": 100, "child 2": 100}
    assert sum(server.batches) == 320


def test_children_draw_ids_of_their_own() -> None:
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    # Beside the time, 62 random bits.
    assert os.read(reading, 100).decode()[19:] != new_id()[19:]
    os.close(reading)
    os.close(writing)


def test_two_threads_fork_at_once(server: FakeServer, client: Make) -> None:
    """Whoever forks holds the clients, and lets go of those that it holds alone."""
    clients = [client() for _ in range(5)]
    failed: list[Any] = []

    def fork() -> None:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)

    before, sys.unraisablehook = sys.unraisablehook, failed.append
    try:
        threads = [threading.Thread(target=fork) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.unraisablehook = before
    assert not failed
    assert not any(thread.is_alive() for thread in threads)
    for each in clients:
        each.meter("acme", "ApiCalls")
        assert each.flush(30)
    assert len(server.facts) == 5


def _note(tollmeter: Tollmeter) -> None:
    for _ in range(50):
        tollmeter.meter("acme", "ApiCalls")


def test_a_process_of_multiprocessing_sends_at_its_end(server: FakeServer, client: Make) -> None:
    tollmeter = client(batch_seconds=60, batch_size=10_000, close_timeout=20)
    process = multiprocessing.get_context("fork").Process(target=_note, args=(tollmeter,))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert len(server.facts) == 50


def test_forks_in_the_middle_of_things(server: FakeServer, client: Make, spool_path: Path) -> None:
    """Children of a process whose threads note facts all the time can note and send theirs."""
    tollmeter = client(spool=spool_path, batch_size=20)
    stop = threading.Event()
    server.always = refuse(503)

    def note() -> None:
        while not stop.is_set():
            tollmeter.meter("acme", "parent")
            time.sleep(0.0005)

    threads = [threading.Thread(target=note) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(10):
        child = os.fork()
        if child == 0:
            tollmeter.meter("acme", "child")
            os._exit(0)
        children.append(child)
        time.sleep(0.01)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    stop.set()
    for thread in threads:
        thread.join()
    server.always = None
    assert statuses == [0] * 10
    assert tollmeter.flush(20)
    assert sum(fact["meter"] == "child" for fact in server.facts.values()) == 10
