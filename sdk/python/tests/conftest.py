"""A server for tests that need none: it counts facts by their ids, and misbehaves as it is told."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tollmeter import Tollmeter

# What a server does with a request in place of answering it: gets the handler, returns whether that was all.
Fault = Callable[["Handler"], bool]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        facts = json.loads(body)
        self.facts = facts
        self.server.batches.append(len(facts))
        self.server.headers.append(dict(self.headers))
        fault = self.server.faults.pop(0) if self.server.faults else self.server.always
        if fault is not None and fault(self):
            return
        self.answer(200, self.server.count(facts))

    def answer(self, status: int, document: Any, **headers: str) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class FakeServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.facts: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []
        # Of each request, how many facts it had, and its headers.
        self.batches: list[int] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Fault] = []
        self.always: Fault | None = None
        self.rejects: set[str] = set()
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    def count(self, facts: list[dict[str, Any]]) -> dict[str, Any]:
        outcomes: list[dict[str, Any]] = []
        with self.lock:
            for index, fact in enumerate(facts):
                about = {"index": index, "id": fact["id"], "meter": fact.get("meter", "")}
                if fact.get("meter") in self.rejects:
                    why = {"code": "unknown_meter", "pointer": f"/{index}/meter", "detail": "There is none."}
                    outcomes.append({**about, "outcome": "rejected", **why})
                elif fact["id"] in self.facts:
                    same = self.facts[fact["id"]] == fact
                    outcomes.append({**about, "outcome": "duplicate" if same else "conflict"})
                else:
                    self.facts[fact["id"]] = fact
                    self.order.append(fact["id"])
        return {"accepted": len(facts) - len(outcomes), "outcomes": outcomes}


def refuse(status: int, **headers: str) -> Fault:
    def fault(handler: Handler) -> bool:
        document = {"status": status, "code": f"code_{status}", "title": "Refused", "detail": "Said the server."}
        handler.answer(status, document, **headers)
        return True

    return fault


def cut(handler: Handler) -> bool:
    """Closes the connection without an answer, with the facts not counted."""
    handler.close_connection = True
    return True


def cut_after_counting(handler: Handler) -> bool:
    handler.server.count(handler.facts)
    return cut(handler)


def slow(seconds: float) -> Fault:
    def fault(handler: Handler) -> bool:
        time.sleep(seconds)
        return False

    return fault


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def client(server: FakeServer) -> Iterator[Callable[..., Tollmeter]]:
    """Makes clients of this server that are quick to try again; they are closed at the end."""
    made: list[Tollmeter] = []

    def make(**options: Any) -> Tollmeter:
        options = {"batch_seconds": 0.02, "retry_wait": 0.01, "retry_wait_max": 0.05, **options}
        made.append(Tollmeter("key", server.url, **options))
        return made[-1]

    yield make
    for each in made:
        each.close(timeout=0.2)


@pytest.fixture
def spool_path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"
