"""The client for asyncio: the same, with what waits awaited. Facts are sent by a thread, so the loop is never held."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any

import httpx

from tollmeter import reads
from tollmeter.client import Tollmeter
from tollmeter.counters import Counters
from tollmeter.errors import Unreachable
from tollmeter.facts import Number
from tollmeter.http import answer_of


class AsyncTollmeter:
    """As Tollmeter, and with its options. Middlewares take either; `sync` is the client inside."""

    def __init__(self, api_key: str | None = None, base_url: str | None = None, **options: Any) -> None:
        self.sync = Tollmeter(api_key, base_url, **options)
        self._reader: httpx.AsyncClient | None = None

    async def meter(
        self,
        customer: str,
        meter: str | None = None,
        value: Number = 1,
        *,
        values: Mapping[str, Number] | None = None,
        dimensions: Mapping[str, str] | None = None,
        time: datetime | None = None,
        id: str | None = None,
    ) -> str:
        """As Tollmeter.meter(); where the queue is full and `when_full` is "block", other tasks go on meanwhile."""
        note = partial(self.sync.meter, customer, meter, value, values=values, dimensions=dimensions, time=time, id=id)
        if self.sync.queue.when_full == "block" and self.sync.queue.is_full():
            return await asyncio.get_running_loop().run_in_executor(None, note)
        return note()

    @property
    def counters(self) -> Counters:
        return self.sync.counters

    async def flush(self, timeout: float | None = None) -> bool:
        return await asyncio.get_running_loop().run_in_executor(None, self.sync.flush, timeout)

    async def close(self, timeout: float | None = None) -> bool:
        if self._reader is not None:
            await self._reader.aclose()
        return await asyncio.get_running_loop().run_in_executor(None, self.sync.close, timeout)

    async def __aenter__(self) -> AsyncTollmeter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def usage(
        self,
        meter: str,
        *,
        customer: str | Sequence[str] | None = None,
        period: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        window: str | None = None,
        group_by: Sequence[str] = (),
        filter: Mapping[str, str | Sequence[str]] | None = None,
        top: int | None = None,
        time_zone: str | None = None,
    ) -> reads.Usage:
        asked = reads.usage_parameters(meter, customer, period, start, end, window, group_by, filter, top, time_zone)
        return reads.usage_of(await self.request("GET", "/v1/usage", params=asked))

    async def current_invoice(self, customer: str | None = None) -> reads.Invoice | None:
        asked = reads.current_invoice_parameters(customer)
        return reads.first_invoice_of(await self.request("GET", "/v1/invoices", params=asked))

    async def portal_session(
        self,
        customer: str,
        *,
        return_url: str | None = None,
        page: str | None = None,
        invoice: str | None = None,
        expires_in: int | None = None,
        role: str | None = None,
        member: str | None = None,
    ) -> reads.PortalSession:
        body = reads.portal_session_body(return_url, page, invoice, expires_in, role, member)
        return reads.portal_session_of(await self.request("POST", reads.portal_session_path(customer), json=body))

    async def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        if self._reader is None:
            self._reader = self.sync.server.connect_async()
        try:
            response = await self._reader.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        return answer_of(response)
