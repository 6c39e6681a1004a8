"""Figures for Prometheus: of requests and tasks, and how all of them are told."""

import threading
from collections.abc import Callable, Iterable
from hmac import compare_digest
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from config.watching.standing import Standing
from meters.figures import CLASSES, SHARED, registry

PARTS = ("api", "admin", "portal", "other")
_requests = Histogram(
    "tollmeter_request_seconds",
    "Seconds from any other request to its answer, by part and status class.",
    ["part", "status"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=registry,
)
REQUESTS = {(part, status): _requests.labels(part, status) for part in PARTS for status in CLASSES}
TASKS = Histogram(
    "tollmeter_task_seconds",
    "Seconds that a task ran, by task and outcome.",
    ["task", "outcome"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=registry,
)


def part_of(path: str) -> str:
    if path.startswith("/v1/"):
        return "api"
    if path.startswith("/admin/"):
        return "admin"
    return "other" if path.startswith(("/static/", "/healthz", "/metrics")) else "portal"


def told(*, standing: bool) -> bytes:
    """The figures of all processes that share a folder with this one, and how database and broker stand."""
    telling = registry
    if SHARED:
        telling = CollectorRegistry()
        MultiProcessCollector(telling)  # type: ignore[no-untyped-call]
    found = generate_latest(telling)
    if standing:
        asked = CollectorRegistry()
        asked.register(Standing())
        found += generate_latest(asked)
    return found


def may_see(authorization: str, address: str) -> bool:
    """Whoever has METRICS_TOKEN. Without one nobody, but for the demo and this machine: a proxy may stand beside it."""
    token = settings.METRICS_TOKEN
    if token:
        return compare_digest(authorization.encode(), f"Bearer {token}".encode())
    return settings.DEMO and address in ("127.0.0.1", "::1")


@csrf_exempt
@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Nobody else is told that there is something here."""
    if not may_see(request.headers.get("Authorization", ""), request.META.get("REMOTE_ADDR", "")):
        return HttpResponse(status=404, content_type="text/plain")
    return HttpResponse(told(standing=True), content_type=CONTENT_TYPE_LATEST)


def serve(address: str) -> WSGIServer:
    """The figures of the processes of this folder on a port of their own, for machines without a web server; what the
    database says is left to those. `address`: 0.0.0.0:9464."""
    host, _, port = address.rpartition(":")
    server = make_server(host, int(port), _application, handler_class=_Silent)
    threading.Thread(target=server.serve_forever, name="figures", daemon=True).start()
    return server


class _Silent(WSGIRequestHandler):
    # One that connects and says nothing is waited for no longer.
    timeout = 5

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        pass


def _application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    asked = environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] == "/metrics"
    if not asked or not may_see(environ.get("HTTP_AUTHORIZATION", ""), environ["REMOTE_ADDR"]):
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []
    content = told(standing=False)
    start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(content)))])
    return [content]
