"""Middleware for Django, with and without async: a fact for each request.

    MIDDLEWARE = ["tollmeter.django.metering", ...]
    TOLLMETER = {"CUSTOMER": "X-Customer", "METER": "ApiCalls", "RECORDS": "Records"}

CUSTOMER is a header's name, or a function of the request (or the path of one) that is called when the view is done.
CLIENT is a client (or the path of one); without it one is made with the members of OPTIONS, `api_key` and `base_url`
among them. In a view, `request.usage.add(n)` counts records.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.utils.decorators import sync_and_async_middleware
from django.utils.module_loading import import_string

from tollmeter.client import Tollmeter
from tollmeter.request_usage import RequestMeter, RequestUsage
from tollmeter.wsgi import environ_name

KNOWN = {"CLIENT", "CUSTOMER", "METER", "OPTIONS", "RECORDS"}
GetResponse = Callable[[HttpRequest], Any]


@sync_and_async_middleware
def metering(get_response: GetResponse) -> Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]:
    meter = _of_settings()

    if iscoroutinefunction(get_response):

        async def metered_async(request: HttpRequest) -> HttpResponseBase:
            usage = request.usage = meter.begin()  # type: ignore[attr-defined]
            try:
                response = await get_response(request)
            except asyncio.CancelledError:
                # Who goes away does not get the rest for nothing; 499, as web servers call it.
                meter.end(usage, request, request.method or "", _route_of(request), 499)
                raise
            return _end(meter, request, usage, response)

        return metered_async

    def metered(request: HttpRequest) -> HttpResponseBase:
        usage = request.usage = meter.begin()  # type: ignore[attr-defined]
        return _end(meter, request, usage, get_response(request))

    return metered


def _of_settings() -> RequestMeter:
    given: dict[str, Any] = getattr(settings, "TOLLMETER", {})
    unknown = ", ".join(sorted(given.keys() - KNOWN))
    if unknown or "CUSTOMER" not in given:
        problem = f"knows no {unknown}" if unknown else "needs CUSTOMER"
        raise ImproperlyConfigured(f"The setting TOLLMETER {problem}; its members are {', '.join(sorted(KNOWN))}.")
    client = given.get("CLIENT") or Tollmeter(**given.get("OPTIONS", {}))
    if isinstance(client, str):
        client = import_string(client)
    customer = given["CUSTOMER"]
    # A header's name has no dots.
    if isinstance(customer, str) and "." in customer:
        customer = import_string(customer)
    return RequestMeter(
        client,
        customer=customer,
        header=_header,
        meter=given.get("METER", "ApiCalls"),
        records=given.get("RECORDS"),
    )


def _header(name: str) -> Callable[[HttpRequest], str | None]:
    key = environ_name(name)
    return lambda request: request.META.get(key)


def _end(
    meter: RequestMeter, request: HttpRequest, usage: RequestUsage, response: HttpResponseBase
) -> HttpResponseBase:
    route = _route_of(request)
    if isinstance(response, StreamingHttpResponse):
        # What is used while it is sent counts, too.
        end = partial(meter.end, usage, request, request.method or "", route, response.status_code)
        wrap: Any = _async_then if response.is_async else _then
        response.streaming_content = wrap(response.streaming_content, end)
    else:
        meter.end(usage, request, request.method or "", route, response.status_code)
    return response


def _route_of(request: HttpRequest) -> str | None:
    match = request.resolver_match
    return "/" + match.route if match is not None else None


def _then(parts: Iterator[bytes], end: Callable[[], None]) -> Iterator[bytes]:
    try:
        yield from parts
    finally:
        end()


async def _async_then(parts: AsyncIterator[bytes], end: Callable[[], None]) -> AsyncIterator[bytes]:
    try:
        async for part in parts:
            yield part
    finally:
        end()
