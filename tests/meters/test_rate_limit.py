"""The limit of requests a second: exact over processes, and never in the way when Redis is gone."""

import multiprocessing
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.conf import settings
from rest_framework.test import APIClient

from meters import rate_limit
from meters.keys import create_api_key
from meters.models import ApiKey, Event
from meters.rate_limit import UNIT, burst, take
from tests.factories import json_event, make_meter
from tests.racing import race
from tests.servers import valkey


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    """Nothing counted in Redis, and a client of its own."""
    connected = rate_limit._pour
    connected.cache_clear()
    redis.Redis.from_url(settings.REDIS_URL).flushdb()
    yield
    connected.cache_clear()


@pytest.fixture(params=["redis", "here"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of counting keep the same rules."""
    if request.param == "here":
        monkeypatch.setattr(rate_limit, "_may_ask", lambda: False)
    return str(request.param)


class TestTheBucket:
    @pytest.mark.parametrize(("limit", "at_once"), [(1, 2), (10, 2), (11, 3), (1000, 200), (100_000, 20_000)])
    def test_the_burst_is_a_fifth_of_a_second_and_at_least_two(self, limit: int, at_once: int) -> None:
        assert burst(limit) == at_once

    @pytest.mark.parametrize("limit", [1, 3, 10])
    def test_a_full_bucket_says_how_long_until_one_fits(self, where: str, limit: int) -> None:
        waits = [take("k", limit=limit) for _ in range(burst(limit) + 3)]
        assert waits[: burst(limit)] == [0] * burst(limit)
        # A refused request counts for nothing, so the wait only shrinks.
        refused = waits[burst(limit) :]
        assert all(0 < wait <= -(-UNIT // limit) for wait in refused)
        assert refused == sorted(refused, reverse=True)

    def test_names_are_counted_apart(self, where: str) -> None:
        for _ in range(2):
            assert take("one", limit=1) == 0
        assert take("one", limit=1) > 0
        assert take("other", limit=1) == 0

    def test_it_leaks_exactly(self) -> None:
        """Three a second: a third of a second is no whole number of microseconds, and nothing adds up."""
        taken = [now for now in range(0, 100 * UNIT, 1000) if not rate_limit._take_here("k", 3, now)]
        assert len(taken) == 2 + 299
        assert not rate_limit._take_here("k", 3, 100 * UNIT)

    def test_a_lower_limit_holds_at_once(self, where: str) -> None:
        for _ in range(20):
            take("k", limit=100)
        assert take("k", limit=1) > UNIT

    def test_a_clock_of_redis_that_is_set_back_gives_nothing_away(self) -> None:
        server = redis.Redis.from_url(settings.REDIS_URL)
        for _ in range(2):
            assert take("k", limit=1) == 0
        ahead = int(server.time()[0] + 3600) * UNIT
        server.hset("tollmeter:rate:k", "at", ahead)
        assert 0 < take("k", limit=1) <= UNIT

    def test_what_this_process_counts_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rate_limit, "_MAX_LEVELS", 5)
        for number in range(20):
            assert rate_limit._take_here(str(number), 1, 0) == 0
            assert len(rate_limit._levels) <= 5

    def test_redis_keeps_nothing_of_who_went_away(self) -> None:
        take("k", limit=10)
        assert 0 < redis.Redis.from_url(settings.REDIS_URL).pttl("tollmeter:rate:k") <= 200


def _hammer(url: str, tries: int, start: Any, found: Any) -> None:
    """Another process's clients: two threads."""
    os.environ["REDIS_URL"] = url
    settings.REDIS_URL = url
    rate_limit._pour.cache_clear()
    start.wait()
    waits: list[int] = []
    race(*[lambda: waits.extend(take("k", limit=1) for _ in range(tries))] * 2)
    found.put(waits.count(0))


def test_two_processes_share_one_limit() -> None:
    """However fast both are, the whole burst is let in once (one a second may be added while it lasts)."""
    spawn = multiprocessing.get_context("fork")
    start, found = spawn.Event(), spawn.Queue()
    began = redis.Redis.from_url(settings.REDIS_URL).time()
    processes = [
        spawn.Process(target=_hammer, args=(settings.REDIS_URL, 50, start, found), daemon=True) for _ in range(2)
    ]
    for process in processes:
        process.start()
    start.set()
    taken = sum(found.get(timeout=60) for _ in processes)
    ended = redis.Redis.from_url(settings.REDIS_URL).time()
    elapsed = (ended[0] - began[0]) + (ended[1] - began[1]) / UNIT
    assert 2 <= taken <= 2 + elapsed
    for process in processes:
        process.join()


@pytest.mark.django_db(transaction=True)
class TestRequests:
    def client(self, rate_limit: int | None) -> APIClient:
        _, text = create_api_key(name="k", scopes=["ingest", "read"], rate_limit=rate_limit)
        client = APIClient()
        client.credentials(HTTP_X_API_KEY=text)
        return client

    def test_beyond_the_limit_it_is_429_with_the_seconds_to_wait(self) -> None:
        client = self.client(1)
        assert [client.get("/v1/meters").status_code for _ in range(2)] == [200, 200]
        answer = client.get("/v1/meters")
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert (answer["Content-Type"], answer["Retry-After"]) == ("application/problem+json", "1")

    def test_the_accounts_limit_holds_where_a_key_has_none(self, settings: Any) -> None:
        settings.API_RATE_LIMIT = 1
        assert [self.client(None).get("/v1/meters").status_code for _ in range(3)] == [200, 200, 200]  # each its own
        client = self.client(None)
        assert [client.get("/v1/meters").status_code for _ in range(3)] == [200, 200, 429]
        client = self.client(50)
        assert [client.get("/v1/meters").status_code for _ in range(3)] == [200, 200, 200]

    def test_without_a_limit_redis_is_not_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def asked() -> None:
            raise AssertionError

        monkeypatch.setattr(rate_limit, "_pour", asked)
        assert self.client(None).get("/v1/meters").status_code == 200

    def test_a_limit_that_changes_holds_from_the_next_request_on(self) -> None:
        from meters.keys import change_api_key

        client = self.client(50)
        for _ in range(5):
            assert client.get("/v1/meters").status_code == 200
        change_api_key(ApiKey.objects.get(), changes={"rate_limit": 1})
        assert client.get("/v1/meters").status_code == 429


@pytest.mark.django_db(transaction=True)
def test_without_redis_each_process_counts_and_ingest_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    make_meter()
    _, text = create_api_key(name="k", scopes=["ingest"], rate_limit=5)
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=text)
    server = valkey()
    server.stop()
    try:
        answers = [client.post("/v1/events", json_event(), format="json") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert Event.objects.count() == 2
        # It is asked once, and not again by every request.
        assert [record.name for record in caplog.records].count("meters.rate_limit") == 1
    finally:
        server.start()
    rate_limit.forget()
    assert [take("again", limit=1) for _ in range(2)] == [0, 0]
    assert redis.Redis.from_url(settings.REDIS_URL).exists("tollmeter:rate:again")


def test_a_redis_that_hangs_costs_one_request_its_time_out(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A listener that takes connections and says nothing: one waits, the others go on without it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        rate_limit._pour.cache_clear()
        assert [take("k", limit=1) for _ in range(2)] == [0, 0]
        assert take("k", limit=1) > 0
        assert len(caplog.records) == 1
        # After the pause one thread tries again; whoever comes while it waits does not.
        trying, others = threading.Event(), threading.Event()

        def pour() -> Any:
            trying.set()
            assert others.wait(10)
            raise redis.ConnectionError

        monkeypatch.setattr(rate_limit, "_pour", pour)
        monkeypatch.setattr(rate_limit, "_paused_until", float("-inf"))
        prober = threading.Thread(target=take, args=["other"], kwargs={"limit": 1})
        prober.start()
        assert trying.wait(10)
        assert take("third", limit=1) == 0
        others.set()
        prober.join()
