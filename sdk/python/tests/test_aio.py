"""The client for asyncio."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from conftest import FakeServer, refuse, slow

from tollmeter import AsyncTollmeter, Unreachable

OPTIONS: dict[str, Any] = {"batch_seconds": 0.02, "retry_wait": 0.01, "retry_wait_max": 0.05}


def test_facts_of_tasks_are_sent(server: FakeServer) -> None:
    async def main() -> None:
        async with AsyncTollmeter("key", server.url, **OPTIONS) as tollmeter:
            await asyncio.gather(*(tollmeter.meter("acme", "ApiCalls", number) for number in range(100)))
            assert await tollmeter.flush(30)
            assert tollmeter.counters.sent == 100

    asyncio.run(main())
    assert len(server.facts) == 100


def test_closing_sends_what_waits(server: FakeServer) -> None:
    async def main() -> None:
        async with AsyncTollmeter("key", server.url, batch_seconds=60) as tollmeter:
            await tollmeter.meter("acme", "ApiCalls")

    asyncio.run(main())
    assert len(server.facts) == 1


@pytest.mark.parametrize("when_full", ["block", "drop_oldest"])
def test_the_loop_goes_on_while_the_server_is_slow_and_the_queue_full(server: FakeServer, when_full: str) -> None:
    server.faults = [slow(0.3), refuse(500)]
    longest = 0.0

    async def watch(done: asyncio.Event) -> None:
        nonlocal longest
        while not done.is_set():
            began = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - began)

    async def main() -> None:
        done = asyncio.Event()
        watcher = asyncio.create_task(watch(done))
        options = {**OPTIONS, "queue_size": 2, "batch_size": 1, "when_full": when_full}
        async with AsyncTollmeter("key", server.url, **options, on_error=lambda error: None) as tollmeter:
            for _ in range(8):
                await tollmeter.meter("acme", "ApiCalls")
                await asyncio.sleep(0.01)
            assert await tollmeter.flush(30)
            counted = tollmeter.counters
            assert counted.sent + counted.dropped == 8
            assert (counted.dropped == 0) == (when_full == "block")
        done.set()
        await watcher

    asyncio.run(main())
    assert longest < 0.25


def test_reads_raise_what_the_other_client_raises() -> None:
    async def main() -> None:
        async with AsyncTollmeter("key", "http://127.0.0.1:9") as tollmeter:
            await tollmeter.usage("ApiCalls")

    with pytest.raises(Unreachable):
        asyncio.run(main())
