"""Middleware for WSGI applications: a fact for each request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tollmeter.aio import AsyncTollmeter
from tollmeter.client import Tollmeter
from tollmeter.request_usage import CustomerOf, RequestMeter, RequestUsage

Environ = dict[str, Any]
RouteOf = Callable[[Environ], "str | None"]


class TollmeterWSGI:
    """Wraps an application: `app = TollmeterWSGI(app, tollmeter, customer="X-Customer")`.

    `customer` is a header's name, or a function of the environ that is called when the request is over. The request's
    usage is in `environ["tollmeter.usage"]`. The route is what `route` says; of a Flask application it is known.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        client: Tollmeter | AsyncTollmeter,
        *,
        customer: CustomerOf,
        meter: str | None = "ApiCalls",
        records: str | None = None,
        route: RouteOf | None = None,
    ) -> None:
        self._app = app
        self._meter = RequestMeter(client, customer=customer, header=environ_header, meter=meter, records=records)
        self._route = route or route_of_werkzeug

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = _Answer(self, environ, start_response)
        try:
            answer.body = self._app(environ, answer.start)
        except BaseException:
            answer.close()
            raise
        return answer

    def begin(self) -> RequestUsage:
        return self._meter.begin()

    def route(self, environ: Environ) -> str | None:
        return self._meter.route(self._route, environ)

    def end(self, usage: RequestUsage, environ: Environ, status: int, route: str | None) -> None:
        self._meter.end(usage, environ, environ.get("REQUEST_METHOD", ""), route, status)


class _Answer:
    """The application's answer. The server closes it once it is sent (PEP 3333), and then the request is over."""

    def __init__(self, middleware: TollmeterWSGI, environ: Environ, start_response: Callable[..., Any]) -> None:
        self._middleware, self._environ, self._start_response = middleware, environ, start_response
        self._usage = environ["tollmeter.usage"] = middleware.begin()
        # That of an application that fails before it says one.
        self._status = 500
        self._route: str | None = None
        self.body: Iterable[bytes] = ()

    def start(self, status: str, *rest: Any) -> Any:
        self._status = int(status[:3])
        # While the application still knows: Flask forgets it before the answer is closed.
        self._route = self._middleware.route(self._environ)
        return self._start_response(status, *rest)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.body)

    def close(self) -> None:
        try:
            if hasattr(self.body, "close"):
                self.body.close()
        finally:
            if not self._usage.is_over:
                self._middleware.end(self._usage, self._environ, self._status, self._route)


def environ_header(name: str) -> Callable[[Environ], str | None]:
    key = environ_name(name)
    return lambda environ: environ.get(key)


def environ_name(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def route_of_werkzeug(environ: Environ) -> str | None:
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return None if rule is None else str(rule.rule)
