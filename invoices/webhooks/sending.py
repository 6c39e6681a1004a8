"""One POST of a webhook: to an address that was looked at, for so long and no longer, no redirect followed."""

import contextlib
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpcore

from invoices.webhooks.guard import RefusedAddress, allowed_addresses

CONNECT_SECONDS, TOTAL_SECONDS = 5, 10
# What is kept of an answer.
ANSWER_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` is None where nothing did, and `error` says why; `retry_after` is in seconds."""

    status: int | None
    body: str = ""
    error: str = ""
    retry_after: int | None = None
    milliseconds: int = 0


class _TimeIsUp(Exception):
    pass


def post(url: str, *, headers: Mapping[str, str], body: str, allow_private: bool) -> Answer:
    """Sends a body and answers what came of it; raises nothing. Done within TOTAL_SECONDS, whatever the other side
    does, but for a resolver that hangs."""
    begun = time.monotonic()
    try:
        answer = _post(url, headers, body, allow_private)
    except Exception as error:
        answer = Answer(None, error=_words(error))
    taken = round((time.monotonic() - begun) * 1000)
    return Answer(answer.status, answer.body, answer.error, answer.retry_after, taken)


def _post(url: str, headers: Mapping[str, str], body: str, allow_private: bool) -> Answer:
    backend = _Guarded(allow_private)
    with (
        httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend) as pool,
        pool.stream("POST", url, headers=list(headers.items()), content=body.encode()) as response,
    ):
        kept = b""
        # The status is what counts; an answer that breaks off behind it has come.
        with contextlib.suppress(httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, _TimeIsUp):
            for chunk in response.iter_stream():
                kept += chunk
                if len(kept) >= ANSWER_BYTES:
                    break
        text = kept[:ANSWER_BYTES].decode(errors="replace").replace("\0", "�")
        error = "" if 200 <= response.status < 300 else f"Answered with {response.status}."
        if 300 <= response.status < 400:
            error = f"Answered with {response.status}: redirects are not followed."
        return Answer(response.status, text, error, _retry_after(response.headers))


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The authorities of the system, where it has some, and those that come along."""
    context = httpcore.default_ssl_context()
    context.load_default_certs()
    return context


class _Guarded(httpcore.NetworkBackend):
    """Connects to nothing but what the guard has looked at, and gives up when the time is up."""

    def __init__(self, allow_private: bool) -> None:
        self.allow_private = allow_private
        self.until = time.monotonic() + TOTAL_SECONDS

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: Any = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address.")
        for address in allowed_addresses(host.strip("[]"), port, allow_private=self.allow_private):
            seconds = min(CONNECT_SECONDS, _left(self.until))
            try:
                stream = httpcore.SyncBackend().connect_tcp(address, port, seconds, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self.until)
        raise failure


class _Stream(httpcore.NetworkStream):
    """A connection whose every step is bounded by what is left of the whole time."""

    def __init__(self, inner: httpcore.NetworkStream, until: Any) -> None:
        self.inner = inner
        self.until = until

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        return self.inner.read(max_bytes, _left(self.until))

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        self.inner.write(buffer, _left(self.until))

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None
    ) -> httpcore.NetworkStream:
        return _Stream(self.inner.start_tls(ssl_context, server_hostname, _left(self.until)), self.until)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


def _left(until: Any) -> Any:
    left = until - time.monotonic()
    if left <= 0:
        raise _TimeIsUp
    return left


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    for name, value in headers:
        text = value.decode("latin-1").strip()
        if name.lower() == b"retry-after" and text.isdecimal() and text.isascii() and len(text) < 8:
            return int(text)
    return None


def _words(error: Exception) -> str:
    if isinstance(error, RefusedAddress):
        return str(error)
    if isinstance(error, _TimeIsUp | httpcore.ReadTimeout | httpcore.WriteTimeout):
        return f"No answer within {TOTAL_SECONDS} seconds."
    if isinstance(error, httpcore.ConnectTimeout):
        return f"No connection within {CONNECT_SECONDS} seconds."
    if isinstance(error, httpcore.ConnectError | OSError):
        return f"No connection: {error}"[:300]
    return f"No answer: {error or type(error).__name__}"[:300]
