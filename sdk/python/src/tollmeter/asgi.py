"""Middleware for ASGI applications, such as those of Starlette and FastAPI: a fact for each request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tollmeter.aio import AsyncTollmeter
from tollmeter.client import Tollmeter
from tollmeter.request_usage import CustomerOf, RequestMeter

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
RouteOf = Callable[[Scope], "str | None"]


class TollmeterASGI:
    """For `app.add_middleware(TollmeterASGI, client=tollmeter, customer="X-Customer")`, or around any application.

    `customer` is a header's name, or a function of the scope that is called when the request is over. The request's
    usage is `request.state.usage`. The route is what `route` says; of Starlette and FastAPI it is known.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        client: Tollmeter | AsyncTollmeter,
        *,
        customer: CustomerOf,
        meter: str | None = "ApiCalls",
        records: str | None = None,
        route: RouteOf | None = None,
    ) -> None:
        self._app = app
        self._meter = RequestMeter(client, customer=customer, header=scope_header, meter=meter, records=records)
        self._route = route or route_of_starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._sending_at_shutdown(send))
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        usage = self._meter.begin()
        scope.setdefault("state", {})["usage"] = usage
        # That of an application that fails before it says one.
        status = 500

        async def sent(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            self._meter.end(usage, scope, scope["method"], self._meter.route(self._route, scope), status)

    def _sending_at_shutdown(self, send: Send) -> Send:
        """Some servers end by the signal that they got, so nothing that waits in memory is sent at exit."""

        async def sent(message: Any) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await asyncio.get_running_loop().run_in_executor(None, self._meter.flush)
            await send(message)

        return sent


def scope_header(name: str) -> Callable[[Scope], str | None]:
    wanted = name.lower().encode("latin-1")

    def read(scope: Scope) -> str | None:
        for found, text in scope["headers"]:
            if found == wanted:
                return str(text, "latin-1")
        return None

    return read


def route_of_starlette(scope: Scope) -> str | None:
    """The path of the route, with its parameters by name, below where its application is mounted."""
    path = getattr(scope.get("route"), "path", None)
    if isinstance(path, str):
        root = scope.get("root_path", "")
        return str(root[len(scope.get("app_root_path", root)) :]) + path
    if "router" in scope and "endpoint" in scope:
        # Starlette before version 1 says who answers, not by which route.
        return _path_to(scope["router"], scope["endpoint"])
    return None


def _path_to(router: Any, endpoint: Any) -> str | None:
    """The path of the first route that leads to the endpoint."""
    for route in getattr(router, "routes", None) or ():
        path = str(getattr(route, "path", ""))
        if getattr(route, "endpoint", None) is endpoint:
            return path
        below = _path_to(route, endpoint)
        if below is not None:
            return path + below
    return None
