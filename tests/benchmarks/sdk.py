"""What the middlewares of the Python SDK add to a request, with facts being sent all the while by the same process."""

import asyncio
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import flask
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import ResolverMatch
from tollmeter import Tollmeter
from tollmeter.asgi import TollmeterASGI
from tollmeter.django import metering
from tollmeter.flask import metered
from tollmeter.wsgi import TollmeterWSGI

ROUNDS = 30
REQUESTS = 1000
LIMIT = 20.0
ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/jobs/7",
    "QUERY_STRING": "",
    "SERVER_NAME": "api",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.url_scheme": "http",
    "HTTP_X_CUSTOMER": "acme",
}
# Takes what is sent and says that it was counted.
SINK = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        body = b'{"accepted": 1, "outcomes": []}'
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""

# Handles so many requests.
Serve = Callable[[int], None]


@dataclass(frozen=True)
class Overhead:
    """Microseconds of processor time a request: without the middleware, what it adds to the thread that serves, and
    what the thread that sends takes beside."""

    name: str
    bare: float
    added: float
    sending: float
    limit: float = LIMIT

    @property
    def ratio(self) -> float:
        return (self.bare + self.added) / self.bare


@dataclass(frozen=True)
class Turn:
    """Microseconds a request, in the thread that serves and beside it."""

    own: float
    beside: float


def measure() -> list[Overhead]:
    with _client() as client:
        found = [
            _measured("WSGI", _wsgi(_plain), _wsgi(TollmeterWSGI(_plain, client, customer="X-Customer"))),
            _measured("ASGI", _asgi(_plain_async), _asgi(TollmeterASGI(_plain_async, client, customer="X-Customer"))),
            _measured("Django", *_django(client)),
            _measured("Flask, decorator", _wsgi(_flask(None)), _wsgi(_flask(client))),
            _measured("WSGI, three meters", _wsgi(_plain), _wsgi(_counting(client))),
        ]
        client.flush(60)
        counted = client.counters
        assert counted.dropped == counted.rejected == 0
    return found


@contextmanager
def _client() -> Iterator[Tollmeter]:
    with subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True) as sink:
        assert sink.stdout is not None
        try:
            with Tollmeter("key", f"http://127.0.0.1:{sink.stdout.readline().strip()}", queue_size=10**6) as client:
                yield client
        finally:
            sink.kill()


def _measured(name: str, bare: Serve, metered: Serve) -> Overhead:
    for serve in (bare, metered):
        serve(REQUESTS)
    pairs = []
    for number in range(ROUNDS):
        # Turn by turn, each the first one as often as the other, so that both have the same neighbours.
        if number % 2:
            with_it, without = _time(metered), _time(bare)
        else:
            without, with_it = _time(bare), _time(metered)
        pairs.append((without, with_it))
    return Overhead(
        name,
        bare=statistics.median(without.own for without, _ in pairs),
        added=statistics.median(with_it.own - without.own for without, with_it in pairs),
        sending=statistics.median(with_it.beside - without.beside for without, with_it in pairs),
    )


def _time(serve: Serve) -> Turn:
    gc.collect()
    thread, process = time.thread_time(), time.process_time()
    serve(REQUESTS)
    took = time.thread_time() - thread
    return Turn(took / REQUESTS * 1e6, (time.process_time() - process - took) / REQUESTS * 1e6)


def _plain(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]


def _counting(client: Tollmeter) -> Callable[..., Iterable[bytes]]:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["tollmeter.usage"].add(52)
        environ["tollmeter.usage"].add(1, "Jobs")
        return _plain(environ, start_response)

    return TollmeterWSGI(app, client, customer="X-Customer", records="Records", route=lambda environ: "/jobs/<number>")


def _wsgi(app: Callable[..., Iterable[bytes]]) -> Serve:
    def serve(count: int) -> None:
        for _ in range(count):
            answer = app(ENVIRON.copy(), lambda status, headers, exc_info=None: None)
            for _part in answer:
                pass
            if hasattr(answer, "close"):
                answer.close()

    return serve


async def _plain_async(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def _asgi(app: Callable[..., Any]) -> Serve:
    headers = [(b"host", b"api"), (b"accept", b"*/*"), (b"x-customer", b"acme")]

    async def receive() -> None:
        return None

    async def send(message: Any) -> None:
        return None

    async def ask(count: int) -> None:
        for _ in range(count):
            await app({"type": "http", "method": "GET", "path": "/jobs/7", "headers": headers}, receive, send)

    return lambda count: asyncio.run(ask(count))


def _django(client: Tollmeter) -> tuple[Serve, Serve]:
    match = ResolverMatch(_plain, (), {}, route="jobs/<int:number>/")

    def view(request: HttpRequest) -> HttpResponse:
        request.resolver_match = match
        return HttpResponse("done")

    with override_settings(TOLLMETER={"CUSTOMER": "X-Customer", "CLIENT": client}):
        around: Any = metering(view)

    def through(get_response: Callable[[HttpRequest], HttpResponse]) -> Serve:
        def serve(count: int) -> None:
            for _ in range(count):
                request = HttpRequest()
                request.method, request.META = "GET", ENVIRON
                get_response(request)

        return serve

    return through(view), through(around)


def _flask(client: Tollmeter | None) -> Callable[..., Iterable[bytes]]:
    app = flask.Flask("api")

    def job(number: int) -> str:
        return "done"

    app.get("/jobs/<int:number>")(job if client is None else metered(client, customer="X-Customer")(job))
    return app.wsgi_app
