"""From meter() to the wire, and back to the counters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from conftest import FakeServer, cut, cut_after_counting, refuse, slow

from tollmeter import Closed, FactRejected, FactsDropped, Problem, QueueFull, Tollmeter, TollmeterError, Unreachable

Make = Callable[..., Tollmeter]


def test_a_fact_goes_out_by_itself(server: FakeServer, client: Make) -> None:
    fact_id = client().meter("acme", "ApiCalls", 52, dimensions={"source": "crm"})
    end = time.monotonic() + 5
    while not server.facts and time.monotonic() < end:
        time.sleep(0.005)
    fact = server.facts[fact_id]
    assert (fact["customer"], fact["meter"], fact["value"], fact["dimensions"]) == (
        "acme",
        "ApiCalls",
        52,
        {"source": "crm"},
    )


def test_meter_returns_before_anything_is_sent(server: FakeServer, client: Make) -> None:
    server.always = slow(0.3)
    tollmeter = client(batch_size=1)
    began = time.monotonic()
    for _ in range(1000):
        tollmeter.meter("acme", "ApiCalls")
    assert time.monotonic() - began < 0.25
    assert tollmeter.counters.queued == 1000


def test_the_client_is_told_by_the_environment(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLMETER_API_KEY", "key-of-the-environment")
    monkeypatch.setenv("TOLLMETER_URL", server.url)
    with Tollmeter() as tollmeter:
        tollmeter.meter("acme", "ApiCalls")
    assert len(server.facts) == 1
    assert server.headers[0]["X-API-KEY"] == "key-of-the-environment"


@pytest.mark.parametrize(("key", "url"), [("", "http://localhost"), ("key", ""), ("key", "localhost:8000")])
def test_a_client_without_a_key_or_an_address_is_refused_at_once(
    key: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOLLMETER_API_KEY", raising=False)
    monkeypatch.delenv("TOLLMETER_URL", raising=False)
    with pytest.raises(ValueError, match="Give a"):
        Tollmeter(key, url)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"api_key": "key\n"}, "api_key"),
        ({"api_key": "schl\u00fcssel"}, "api_key"),
        ({"base_url": "billing.example"}, "base_url"),
        ({"when_full": "wait"}, "when_full"),
        *(({name: 0}, name) for name in ("queue_size", "batch_size", "batch_bytes", "retry_wait", "timeout")),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Tollmeter(**{"api_key": "key", "base_url": "http://127.0.0.1:9", **options})


def test_batches_by_size_in_order_and_packed(server: FakeServer, client: Make) -> None:
    tollmeter = client(batch_size=100, batch_seconds=60)
    ids = [tollmeter.meter("acme", "ApiCalls") for _ in range(250)]
    assert tollmeter.flush(30)
    assert server.batches == [100, 100, 50]
    assert server.order == ids
    assert {headers["Content-Encoding"] for headers in server.headers} == {"gzip"}
    assert tollmeter.counters.sent == 250
    assert tollmeter.counters.queued == 0


def test_batches_by_bytes(server: FakeServer, client: Make) -> None:
    tollmeter = client(batch_bytes=1000, batch_seconds=60)
    for _ in range(10):
        tollmeter.meter("acme", "ApiCalls", dimensions={"text": "x" * 300})
    assert tollmeter.flush(30)
    assert server.batches == [2] * 5


def test_batches_by_time(server: FakeServer, client: Make) -> None:
    tollmeter = client(batch_size=1000, batch_seconds=0.1)
    began = time.monotonic()
    for _ in range(5):
        tollmeter.meter("acme", "ApiCalls")
    while len(server.facts) < 5 and time.monotonic() - began < 5:
        time.sleep(0.005)
    assert time.monotonic() - began >= 0.09
    assert len(server.batches) == 1


@pytest.mark.parametrize("fault", [refuse(500), refuse(503), cut, cut_after_counting], ids=lambda fault: fault.__name__)
def test_what_fails_is_sent_again_with_the_same_ids(
    server: FakeServer, client: Make, fault: Callable[..., bool]
) -> None:
    errors: list[TollmeterError] = []
    server.faults = [fault, fault]
    tollmeter = client(on_error=errors.append)
    ids = {tollmeter.meter("acme", "ApiCalls") for _ in range(3)}
    assert tollmeter.flush(30)
    assert set(server.facts) == ids
    counted = tollmeter.counters
    assert counted.sent + counted.duplicate == 3
    assert (counted.duplicate == 3) == (fault is cut_after_counting)
    assert len(errors) == 2
    assert all(isinstance(error, (Problem, Unreachable)) and error.retry_in is not None for error in errors)


def test_an_answer_that_comes_too_late_is_asked_for_again(server: FakeServer, client: Make) -> None:
    server.faults = [slow(0.5)]
    tollmeter = client(timeout=0.1)
    tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(30)
    assert len(server.facts) == 1


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(server: FakeServer, client: Make, as_date: bool) -> None:
    server.faults = [refuse(429, Retry_After=formatdate(time.time() + 2, usegmt=True) if as_date else "1")]
    tollmeter = client(retry_wait_max=0.02)
    tollmeter.meter("acme", "ApiCalls")
    began = time.monotonic()
    assert tollmeter.flush(30)
    assert time.monotonic() - began >= 0.9
    assert len(server.batches) == 2


def test_waits_grow_and_differ(client: Make) -> None:
    sender = client(retry_wait=1, retry_wait_max=60).sender
    for tries, longest in ((1, 1), (2, 2), (4, 8), (7, 60), (1000, 60)):
        waits = {sender._backoff(tries) for _ in range(50)}
        assert len(waits) > 10
        assert longest / 2 <= min(waits) <= max(waits) <= longest


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 415, 422])
def test_a_refusal_is_final(server: FakeServer, client: Make, status: int) -> None:
    errors: list[TollmeterError] = []
    server.faults = [refuse(status)]
    tollmeter = client(on_error=errors.append)
    tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(30)
    assert len(server.batches) == 1
    assert tollmeter.counters.rejected == 1
    (error,) = errors
    assert isinstance(error, Problem)
    assert (error.status, error.code, error.detail, error.retry_in) == (
        status,
        f"code_{status}",
        "Said the server.",
        None,
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_loses_nothing_and_is_told(server: FakeServer, client: Make, status: int) -> None:
    def moved(handler: Any) -> bool:
        handler.answer(status, b"<html>Moved</html>", Location="https://billing.example/v1/events")
        return True

    errors: list[TollmeterError] = []
    server.faults = [moved, moved]
    tollmeter = client(on_error=errors.append)
    tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(30)
    counted = tollmeter.counters
    assert (len(server.facts), counted.sent, counted.rejected) == (1, 1, 0)
    assert [type(error) for error in errors] == [Problem, Problem]
    assert "https://billing.example/v1/events" in str(errors[0])
    assert errors[0].retry_in is not None  # type: ignore[attr-defined]


@pytest.mark.parametrize("after", ["Mon, 01 Jan 2026 00:00:00 +99999999999999999999", "nan", "soon", "-1"])
def test_a_time_to_wait_that_is_none_stops_nothing(server: FakeServer, client: Make, after: str) -> None:
    server.faults = [refuse(503, Retry_After=after)]
    tollmeter = client()
    tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(10)
    assert len(server.facts) == 1


def test_a_batch_that_is_too_large_goes_in_halves(server: FakeServer, client: Make) -> None:
    server.always = lambda handler: len(handler.facts) > 3 and refuse(413)(handler)
    tollmeter = client(batch_seconds=60)
    ids = [tollmeter.meter("acme", "ApiCalls") for _ in range(10)]
    assert tollmeter.flush(30)
    assert server.order == ids
    assert tollmeter.counters.sent == 10


def test_a_success_that_is_none_of_ours_counts_for_nothing(server: FakeServer, client: Make) -> None:
    def portal_of_a_hotel(handler: object) -> bool:
        handler.answer(200, b"<html>Please sign in</html>")  # type: ignore[attr-defined]
        return True

    server.faults = [portal_of_a_hotel]
    tollmeter = client()
    tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(30)
    assert len(server.facts) == tollmeter.counters.sent == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b'{"errors": ["no upstream"]}'),
        (502, b'{"errors": "no upstream"}'),
        (500, b'{"errors": 5, "detail": {}}'),
        (503, b"[" * 200_000),
        (200, b"[" * 200_000),
        (200, b'{"outcomes": {}}'),
        (200, b'{"outcomes": ""}'),
        (200, b'{"outcomes": [{"index": 0.0, "outcome": "rejected"}]}'),
        (200, b'{"outcomes": [{"index": true, "outcome": "duplicate"}]}'),
    ],
    ids=lambda part: part if isinstance(part, int) else part[:24].decode(),
)
def test_what_something_in_between_says_stops_nothing(
    server: FakeServer, client: Make, status: int, body: bytes
) -> None:
    def gateway(handler: Any) -> bool:
        handler.answer(status, body)
        return True

    server.faults = [gateway]
    tollmeter = client()
    tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(10)
    assert len(server.facts) == tollmeter.counters.sent == 1


def test_rejected_facts_are_told_and_the_good_ones_land(server: FakeServer, client: Make) -> None:
    server.rejects = {"ApiCals"}
    errors: list[TollmeterError] = []
    tollmeter = client(on_error=errors.append, batch_seconds=60)
    tollmeter.meter("acme", "ApiCalls")
    bad = tollmeter.meter("acme", "ApiCals")
    tollmeter.meter("acme", "ApiCalls", id="twice")
    tollmeter.meter("acme", "ApiCalls", 2, id="twice")
    assert tollmeter.flush(30)
    counted = tollmeter.counters
    assert (counted.sent, counted.duplicate, counted.rejected) == (2, 0, 2)
    rejected, conflict = errors
    assert isinstance(rejected, FactRejected)
    assert (rejected.id, rejected.code, rejected.pointer, rejected.outcome) == (
        bad,
        "unknown_meter",
        "/1/meter",
        "rejected",
    )
    assert b'"ApiCals"' in rejected.fact
    assert isinstance(conflict, FactRejected)
    assert (conflict.id, conflict.outcome) == ("twice", "conflict")


def test_a_hook_that_fails_stops_nothing(server: FakeServer, client: Make) -> None:
    def hook(error: TollmeterError) -> None:
        raise RuntimeError("The hook is broken.")

    server.faults = [refuse(500)]
    tollmeter = client(on_error=hook)
    tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(30)
    assert len(server.facts) == 1


def held(server: FakeServer) -> threading.Event:
    """Holds all answers until it is set."""
    go = threading.Event()
    server.always = lambda handler: not go.wait(10)
    return go


def wait_for_a_request(server: FakeServer) -> None:
    end = time.monotonic() + 5
    while not server.batches and time.monotonic() < end:
        time.sleep(0.005)


def test_a_full_queue_raises(server: FakeServer, client: Make) -> None:
    go = held(server)
    tollmeter = client(queue_size=2, when_full="raise", batch_size=1)
    tollmeter.meter("acme", "ApiCalls")
    wait_for_a_request(server)
    tollmeter.meter("acme", "ApiCalls")
    tollmeter.meter("acme", "ApiCalls")
    with pytest.raises(QueueFull):
        tollmeter.meter("acme", "ApiCalls")
    go.set()
    assert tollmeter.flush(30)
    assert len(server.facts) == 3


def test_a_full_queue_drops_the_oldest(server: FakeServer, client: Make) -> None:
    go = held(server)
    errors: list[TollmeterError] = []
    tollmeter = client(queue_size=2, batch_size=1, on_error=errors.append)
    first = tollmeter.meter("acme", "ApiCalls")
    wait_for_a_request(server)
    ids = [tollmeter.meter("acme", "ApiCalls") for _ in range(5)]
    assert tollmeter.counters.dropped == 3
    go.set()
    assert tollmeter.flush(30)
    assert server.order == [first, *ids[-2:]]
    assert tollmeter.close()
    assert sum(error.count for error in errors if isinstance(error, FactsDropped)) == 3


def test_a_full_queue_blocks_until_there_is_room(server: FakeServer, client: Make) -> None:
    go = held(server)
    tollmeter = client(queue_size=2, when_full="block", batch_size=1)
    tollmeter.meter("acme", "ApiCalls")
    wait_for_a_request(server)

    def note() -> None:
        for _ in range(5):
            tollmeter.meter("acme", "ApiCalls")

    thread = threading.Thread(target=note)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    go.set()
    thread.join(5)
    assert not thread.is_alive()
    assert tollmeter.flush(30)
    assert tollmeter.counters.sent == 6
    assert tollmeter.counters.dropped == 0


def test_flush_says_when_it_was_not_enough(server: FakeServer, client: Make) -> None:
    go = held(server)
    tollmeter = client()
    tollmeter.meter("acme", "ApiCalls")
    assert not tollmeter.flush(0.05)
    go.set()
    assert tollmeter.flush(30)


def test_closing_sends_what_waits(server: FakeServer, client: Make) -> None:
    tollmeter = client(batch_seconds=60)
    for _ in range(1200):
        tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.close(5)
    assert len(server.facts) == 1200
    with pytest.raises(Closed):
        tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.close()


def test_closing_while_the_server_is_away_tells_what_is_lost(client: Make, server: FakeServer) -> None:
    server.always = refuse(503)
    errors: list[TollmeterError] = []
    tollmeter = client(on_error=errors.append)
    for _ in range(3):
        tollmeter.meter("acme", "ApiCalls")
    assert not tollmeter.close(0.2)
    assert (tollmeter.counters.dropped, tollmeter.counters.queued) == (3, 0)
    assert any(isinstance(error, FactsDropped) and error.count == 3 for error in errors)


def test_small_bodies_are_not_packed(server: FakeServer, client: Make) -> None:
    tollmeter = client()
    tollmeter.meter("acme", "ApiCalls")
    assert tollmeter.flush(30)
    assert "Content-Encoding" not in server.headers[0]


def test_many_threads_lose_nothing(server: FakeServer, client: Make) -> None:
    tollmeter = client(batch_size=50)
    threads = [
        threading.Thread(target=lambda: [tollmeter.meter("acme", "ApiCalls") for _ in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tollmeter.flush(30)
    assert len(server.facts) == tollmeter.counters.sent == 2000
