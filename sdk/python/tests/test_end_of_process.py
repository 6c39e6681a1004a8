"""What waits when a program ends is sent."""

from __future__ import annotations

import subprocess
import sys
import time

from conftest import FakeServer, refuse

NOTES = """
import sys
from tollmeter import Tollmeter
tollmeter = Tollmeter("key", sys.argv[1], batch_seconds=60, close_timeout=float(sys.argv[2]))
for _ in range(10):
    tollmeter.meter("acme", "ApiCalls")
"""
NOTES_AT_THE_END = """
import atexit, sys
from tollmeter import Tollmeter
tollmeter = Tollmeter("key", sys.argv[1], batch_seconds=60)
atexit.register(tollmeter.meter, "acme", "ApiCalls")
"""


def test_at_exit_facts_are_sent(server: FakeServer) -> None:
    subprocess.run([sys.executable, "-c", NOTES, server.url, "20"], check=True, timeout=60)
    assert len(server.facts) == 10


def test_facts_noted_while_the_interpreter_ends_are_sent(server: FakeServer) -> None:
    subprocess.run([sys.executable, "-c", NOTES_AT_THE_END, server.url], check=True, timeout=60)
    assert len(server.facts) == 1


def test_a_server_that_is_away_does_not_keep_a_program_from_ending(server: FakeServer) -> None:
    server.always = refuse(503)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", NOTES, server.url, "0.3"], check=True, timeout=60, stderr=subprocess.PIPE, text=True
    )
    assert time.monotonic() - began < 20
    assert "10 facts are lost" in done.stderr
