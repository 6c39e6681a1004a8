"""What a request used, and how it becomes a fact when it is over; for the middlewares."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache
from typing import Any, Union

from tollmeter.aio import AsyncTollmeter
from tollmeter.client import Tollmeter
from tollmeter.errors import TollmeterError
from tollmeter.facts import Number, encode_now, encode_what, join, new_id, time_text

# Whose request it is: the name of a header, or a function of the request. None or empty: nobody's, so not metered.
CustomerOf = Union[str, Callable[[Any], "str | None"]]
# Makes a function that reads the header of this name from a request.
HeaderReader = Callable[[str], Callable[[Any], "str | None"]]


class RequestUsage:
    """What a request used beyond being one: `add()` counts records, `dimensions` says more about it."""

    __slots__ = ("customer", "dimensions", "is_over", "late", "records_meter", "skipped", "time", "values")

    def __init__(self, records_meter: str | None) -> None:
        self.records_meter = records_meter
        self.values: dict[str, Number] | None = None
        self.dimensions: dict[str, str] | None = None
        # Instead of whom the middleware takes for the customer.
        self.customer: str | None = None
        # When it counts; without one, when the request is over.
        self.time: datetime | None = None
        self.skipped = False
        self.is_over = False
        # For what is counted once it is over: the meter of requests, whose it was, and its method, route and status.
        self.late: tuple[RequestMeter, str, str, str | None, int] | None = None

    def add(self, number: Number = 1, meter: str | None = None) -> None:
        """Counts so much of a meter, the middleware's `records` if it is not named. What is added once the request is
        over, as by a thread that it began, is a fact of its own."""
        meter = meter or self.records_meter
        if meter is None:
            raise ValueError("Name a meter here, or `records` where the middleware is set up.")
        if self.is_over:
            if self.late is not None:
                requests, customer, method, route, status = self.late
                requests.note(self, customer, method, route, status, {meter: number})
            return
        if self.values is None:
            self.values = {}
        before = self.values.get(meter)
        self.values[meter] = number if before is None else before + number  # type: ignore[operator]

    def label(self, **dimensions: str) -> None:
        """Adds dimensions to those of the request."""
        self.dimensions = {**(self.dimensions or {}), **dimensions}

    def skip(self) -> None:
        """Leaves this request out, as one that answers whether the server is up."""
        self.skipped = True


_current: ContextVar[RequestUsage] = ContextVar("tollmeter_usage")


def current_usage() -> RequestUsage:
    """The usage of the request that this code works for, wherever it is called. Raises LookupError outside of one."""
    usage = _current.get(None)
    if usage is None or usage.is_over:
        raise LookupError("This is called outside of a request that is metered.")
    return usage


class RequestMeter:
    """Begins with each request and notes a fact at its end. Never raises: a request is worth more than its fact."""

    def __init__(
        self,
        client: Tollmeter | AsyncTollmeter,
        *,
        customer: CustomerOf,
        header: HeaderReader,
        meter: str | None,
        records: str | None,
    ) -> None:
        self._client = client.sync if isinstance(client, AsyncTollmeter) else client
        self._customer_of = header(customer) if isinstance(customer, str) else customer
        self._meter, self._records = meter, records
        # Most requests are like others that were before.
        self._plain = lru_cache(maxsize=1024)(self._encode_plain)

    def begin(self) -> RequestUsage:
        usage = RequestUsage(self._records)
        _current.set(usage)
        return usage

    def route(self, route_of: Callable[[Any], str | None], request: Any) -> str | None:
        """The route that this function says; none where it fails, which is told."""
        try:
            return route_of(request)
        except Exception as error:
            self._client.sender.tell(TollmeterError(f"No route is known: {type(error).__name__}: {error}"))
            return None

    def end(
        self,
        usage: RequestUsage,
        request: Any,
        method: str,
        route: str | None,
        status: int,
    ) -> None:
        if usage.skipped:
            usage.is_over = True
            return
        try:
            customer = usage.customer or self._customer_of(request)
            if not customer:
                usage.is_over = True
                return
            # In this order: what a thread adds meanwhile is of this fact or one of its own.
            usage.late = (self, customer, method, route, status)
            usage.is_over = True
            if usage.values is None and usage.dimensions is None:
                what = self._plain(method, route, status // 100)
            else:
                values = usage.values or {}
                if self._meter is not None:
                    values = {self._meter: 1, **values}
                what = _encode(values, method, route, status // 100, usage.dimensions)
            if what is None:
                return
            if usage.time is None:
                self._client.put(encode_now(customer, what))
            else:
                self._put(customer, usage.time, what)
        except Exception as error:
            usage.is_over = True
            self._failed(error)

    def note(
        self,
        usage: RequestUsage,
        customer: str,
        method: str,
        route: str | None,
        status: int,
        values: dict[str, Number],
    ) -> None:
        """Notes a fact of a request that is over."""
        try:
            what = _encode(values, method, route, status // 100, usage.dimensions)
            if what is not None:
                self._put(customer, usage.time, what)
        except Exception as error:
            self._failed(error)

    def _put(self, customer: str, time: datetime | None, what: str) -> None:
        if time is None:
            self._client.put(encode_now(customer, what))
        else:
            self._client.put(join(new_id(), customer, time_text(time), what))

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, TollmeterError):
            error = TollmeterError(f"A request was not metered: {type(error).__name__}: {error}")
        self._client.sender.tell(error)

    def flush(self) -> None:
        """Sends what would be lost with the process, for as long as the client may take to close."""
        if not self._client.queue.lasts:
            self._client.flush(self._client.close_timeout)

    def _encode_plain(self, method: str, route: str | None, status_class: int) -> str | None:
        return None if self._meter is None else _encode({self._meter: 1}, method, route, status_class, None)


def _encode(
    values: dict[str, Number], method: str, route: str | None, status_class: int, more: dict[str, str] | None
) -> str | None:
    """The fact but for whose and when; None: there is nothing to count."""
    dimensions = {"method": method, "status": f"{status_class}xx"}
    if route:
        dimensions["route"] = route
    if more:
        dimensions.update(more)
    if len(values) == 1:
        ((meter, value),) = values.items()
        return encode_what(meter, value, None, dimensions)
    return encode_what(None, 1, values, dimensions) if values else None
