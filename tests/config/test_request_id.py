"""One id from the proxy through the answer to whatever a worker does because of it."""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import redis
from celery import current_app, shared_task
from celery.contrib.testing.worker import start_worker
from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.test import Client, RequestFactory

from config.watching.requests import watching
from meters import request_id


def answered(sent: str | None) -> str:
    headers = {} if sent is None else {"X-Request-ID": sent}
    return str(Client(headers=headers).get("/v1/nothing-is-here")["X-Request-ID"])


@pytest.mark.parametrize("sent", ["a", "5f0c-1.B_z", "x" * 64])
def test_the_id_of_a_proxy_is_taken(sent: str) -> None:
    assert answered(sent) == sent
    assert request_id.current() == ""


@pytest.mark.parametrize("sent", [None, "", "x" * 65, "a b", "a\nb", "ä", '"}', "<b>", "a,b"])
def test_without_a_good_one_each_request_gets_its_own(sent: str | None) -> None:
    first, second = answered(sent), answered(sent)
    assert first != second
    assert {len(first), len(second)} == {32}
    assert set(first + second) <= set("0123456789abcdef")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/v1/events", "/v1/customers", "/healthz", "/sign-in/", "/static/nothing.css"])
def test_every_kind_of_answer_has_it(path: str) -> None:
    assert Client(headers={"X-Request-ID": "seen"}).get(path)["X-Request-ID"] == "seen"
    assert Client(headers={"X-Request-ID": "sent"}).post(path)["X-Request-ID"] == "sent"


def test_a_fault_of_ours_is_answered_and_logged_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(request_id.current())

    def fails(*_: Any) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("config.health.ask_database", fails)
    notes = Notes()
    logger = logging.getLogger("django.request")
    logger.addHandler(notes)
    try:
        client = Client(raise_request_exception=False, headers={"X-Request-ID": "faulty"})
        response = client.get("/healthz")
    finally:
        logger.removeHandler(notes)
    assert response.status_code == 500
    assert response["X-Request-ID"] == "faulty"
    assert seen == ["faulty"]


def test_what_is_written_out_bit_by_bit_belongs_to_it_and_nothing_else_does() -> None:
    def lines() -> Iterator[str]:
        yield request_id.current()
        yield request_id.current()

    request: HttpRequest = RequestFactory(headers={"X-Request-ID": "long"}).get("/")
    response = watching(lambda _: StreamingHttpResponse(lines()))(request)
    assert isinstance(response, StreamingHttpResponse)
    found = []
    for part in response:
        found.append((part, request_id.current()))
    assert found == [(b"long", ""), (b"long", "")]


def test_requests_at_the_same_time_have_their_own() -> None:
    both = threading.Barrier(2, timeout=10)
    found: dict[str, str] = {}

    def work(name: str) -> None:
        with request_id.of(name):
            both.wait()
            found[name] = request_id.current()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"one": "one", "two": "two"}


@shared_task(name="tests.say_request_id")
def say_request_id(queue: str, again: bool = False) -> None:
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        broker.rpush(f"{queue}-found", f"{request_id.current()} {say_request_id.request.id}")
    if again:
        say_request_id.apply_async((queue,), retry=False, queue=queue)


@pytest.fixture
def done_by_a_worker() -> Iterator[Callable[..., list[str]]]:
    """Sends the task, and answers which request ids and task ids it ran under."""
    queue = f"tests-{uuid.uuid4().hex}"
    broker = redis.Redis.from_url(settings.REDIS_URL)

    def done(*, again: bool = False) -> list[str]:
        say_request_id.apply_async((queue, again), retry=False, queue=queue)
        found = []
        for _ in range(1 + again):
            answer = cast(Any, broker.blpop([f"{queue}-found"], timeout=20))
            found.append(answer[1].decode())
        return found

    with start_worker(current_app, queues=[queue], perform_ping_check=False, loglevel="ERROR", pool="solo"):
        yield done
    broker.delete(queue, f"{queue}-found")
    broker.close()


def test_a_task_runs_under_the_id_of_the_request_that_sent_it(done_by_a_worker: Callable[..., list[str]]) -> None:
    with request_id.of("from-a-request"):
        first, second = done_by_a_worker(again=True)
    assert [first.split()[0], second.split()[0]] == ["from-a-request", "from-a-request"]
    own, sent_on = done_by_a_worker(again=True)
    # Nobody's request: its own id, and what it sends on goes by that, too.
    assert own.split()[0] == own.split()[1] == sent_on.split()[0]
    assert sent_on.split()[1] != own.split()[1]
    assert request_id.current() == ""
