"""What a request used, and how it becomes a fact when it is over; for the middlewares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Union

from tollmeter.aio import AsyncTollmeter
from tollmeter.client import Tollmeter
from tollmeter.errors import TollmeterError
from tollmeter.facts import Number

# Whose request it is: the name of a header, or a function of the request. None or empty: nobody's, so not metered.
CustomerOf = Union[str, Callable[[Any], "str | None"]]


class RequestUsage:
    """What a request used beyond being one: `add()` counts records, `dimensions` says more about it."""

    __slots__ = ("customer", "dimensions", "is_over", "records_meter", "skipped", "values")

    def __init__(self, records_meter: str | None) -> None:
        self.records_meter = records_meter
        self.values: dict[str, Number] | None = None
        self.dimensions: dict[str, str] | None = None
        # Instead of whom the middleware takes for the customer.
        self.customer: str | None = None
        self.skipped = False
        self.is_over = False

    def add(self, number: Number = 1, meter: str | None = None) -> None:
        """Counts so much of a meter, the middleware's `records` if it is not named."""
        meter = meter or self.records_meter
        if meter is None:
            raise ValueError("Name a meter here, or `records` where the middleware is set up.")
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
        self, client: Tollmeter | AsyncTollmeter, *, customer: CustomerOf, meter: str | None, records: str | None
    ) -> None:
        self._client = client.sync if isinstance(client, AsyncTollmeter) else client
        self._customer = customer
        self._meter, self._records = meter, records

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
        *,
        request: Any,
        header: Callable[[str], str | None],
        method: str,
        route: str | None,
        status: int,
    ) -> None:
        """`header` reads one header of the request, by its name as it was configured."""
        usage.is_over = True
        if usage.skipped:
            return
        try:
            customer = usage.customer or self._customer_of(request, header)
            if not customer:
                return
            dimensions = {"method": method, "status": f"{status // 100}xx"}
            if route:
                dimensions["route"] = route
            if usage.dimensions:
                dimensions.update(usage.dimensions)
            self._note(customer, usage.values, dimensions)
        except TollmeterError as error:
            self._client.sender.tell(error)
        except Exception as error:
            self._client.sender.tell(TollmeterError(f"A request was not metered: {type(error).__name__}: {error}"))

    def flush(self) -> None:
        """Sends what would be lost with the process, for as long as the client may take to close."""
        if not self._client.queue.lasts:
            self._client.flush(self._client.close_timeout)

    def _customer_of(self, request: Any, header: Callable[[str], str | None]) -> str | None:
        if isinstance(self._customer, str):
            return header(self._customer)
        return self._customer(request)

    def _note(self, customer: str, values: Mapping[str, Number] | None, dimensions: Mapping[str, str]) -> None:
        if values is None:
            if self._meter is not None:
                self._client.meter(customer, self._meter, dimensions=dimensions)
        elif self._meter is None:
            self._client.meter(customer, values=values, dimensions=dimensions)
        else:
            self._client.meter(customer, values={self._meter: 1, **values}, dimensions=dimensions)
