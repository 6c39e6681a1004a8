"""Around every request, outermost: its id, taken from a proxy or made here, and answered; its line in the log."""

import logging
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase

from config.middleware import EVENTS
from config.watching import discreet
from config.watching.figures import REQUESTS, part_of
from meters import request_id
from meters.figures import CLASSES, INGEST

META = "HTTP_" + request_id.HEADER.upper().replace("-", "_")
# Who looks after an installation asks for these every few seconds.
ASKED_ALL_THE_TIME = ("/healthz", "/metrics")
access = logging.getLogger(discreet.ACCESS)
logger = logging.getLogger(__name__)


class BrokenOff(Exception):
    """What was written out failed on the way, and has been logged."""


def watching(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        began = perf_counter()
        token = request_id.begin(request.META.get(META))
        try:
            response = get_response(request)
            response.headers[request_id.HEADER] = known = request_id.current()
            seconds = perf_counter() - began
            _count(request, response.status_code, seconds)
            if access.isEnabledFor(logging.INFO):
                _log(request, response.status_code, seconds)
        finally:
            request_id.end(token)
        if response.streaming and not isinstance(response, FileResponse):
            _go_on_as(known, response)
        return response

    return middleware


def _count(request: HttpRequest, status: int, seconds: float) -> None:
    path, group = request.path_info, CLASSES[min(max(status // 100, 2), 5) - 2]
    if path == EVENTS and request.method == "POST":
        INGEST[group].observe(seconds)
    else:
        REQUESTS[part_of(path), group].observe(seconds)


def _log(request: HttpRequest, status: int, seconds: float) -> None:
    """A line without the search for who logs it, which costs as much as all the rest."""
    if status == 200 and request.path_info in ASKED_ALL_THE_TIME:
        return
    method, path = discreet.method(request), discreet.path(request)
    record = logging.LogRecord(access.name, logging.INFO, "", 0, f"{method} {path} {status}", None, None)
    marks: dict[str, Any] = {"method": method, "path": path, "status": status, "seconds": round(seconds, 6)}
    if (key := getattr(request, "auth", None)) is not None:
        marks["key"] = key.pk
    record.marks = marks
    access.handle(record)


def _go_on_as(known: str, response: Any) -> None:
    """What is written out once the middleware is over belongs to the same request."""

    def parts(content: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            with request_id.of(known):
                try:
                    part = next(content, None)
                except Exception:
                    logger.exception("an answer broke off while it was written out")
                    # The web server prints what it gets.
                    raise BrokenOff from None
            if part is None:
                return
            yield part

    response.streaming_content = parts(response.streaming_content)
