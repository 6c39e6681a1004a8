"""Around every request, outermost: its id, taken from a proxy or made here, and answered."""

from collections.abc import Callable, Iterator
from typing import Any

from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase

from meters import request_id

META = "HTTP_" + request_id.HEADER.upper().replace("-", "_")


def watching(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        token = request_id.begin(request.META.get(META))
        try:
            response = get_response(request)
            response.headers[request_id.HEADER] = known = request_id.current()
        finally:
            request_id.end(token)
        if response.streaming and not isinstance(response, FileResponse):
            _go_on_as(known, response)
        return response

    return middleware


def _go_on_as(known: str, response: Any) -> None:
    """What is written out once the middleware is over belongs to the same request."""

    def parts(content: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            with request_id.of(known):
                part = next(content, None)
            if part is None:
                return
            yield part

    response.streaming_content = parts(response.streaming_content)
