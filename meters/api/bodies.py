"""Reading an ingest body: bounded before anything is decoded, whatever its encoding says."""

import json
import math
import zlib
from typing import Any, NoReturn

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from meters.api.problems import Problem

GZIP_MAGIC = b"\x1f\x8b"
# Each member costs a copy of what follows it. Whoever packs batches one by one makes a few.
MAX_MEMBERS = 1_000
MAX_SMALL_BODY = 1024 * 1024
JSON_LINES = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}


def media_type(request: Request) -> str:
    return (request.content_type or "").partition(";")[0].strip().lower()


def read_body(request: Request) -> bytes:
    """The body, unpacked. Raises a Problem: 413 beyond INGEST_MAX_BYTES, 415 and 400 for packing it cannot read."""
    limit = settings.INGEST_MAX_BYTES
    if not request.META.get("CONTENT_LENGTH"):
        # Whatever stream there is would be read as nothing, and its events lost without a word.
        raise _no_length()
    if declared_length(request) > limit:
        raise _too_large(limit)
    body: bytes = request.read()
    match request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower():
        case "identity" | "":
            # JSON never begins like this, so what does is gzip that does not say so.
            return _gunzip(body, limit) if body.startswith(GZIP_MAGIC) else body
        case "gzip":
            return _gunzip(body, limit)
        case other:
            raise Problem(415, "unsupported_encoding", f"Content-Encoding {other!r} is not supported; gzip is.")


def declared_length(request: Request | HttpRequest) -> int:
    """The length of the body, which nothing is read beyond. Raises a Problem: 411 where there is none."""
    text = request.META.get("CONTENT_LENGTH") or "0"
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        raise _no_length()
    return int(text) if text.isdigit() else 0


def _no_length() -> Problem:
    return Problem(411, "length_required", "Send the body with a Content-Length, not in chunks.")


class BoundedJSONParser(JSONParser):
    """JSON of small requests; DRF's own reads a body of any length, and in any encoding that Python knows by name:
    with `charset=bz2` a small body would unpack to gigabytes. JSON is UTF-8 (RFC 8259, section 8.1)."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        if declared_length(parser_context["request"]) > MAX_SMALL_BODY:
            raise _too_large(MAX_SMALL_BODY)
        try:
            return json.loads(stream.read().decode(), parse_constant=_no_number, parse_float=_finite)
        except RecursionError as error:
            raise ParseError("The body is nested too deeply.") from error
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> Any:
    """What floating point can hold: beyond it Python makes 1e999 infinite, which no field expects."""
    number = json.loads(text)
    if math.isinf(number):
        raise ValueError("a number is beyond all limits")
    return number


def _gunzip(body: bytes, limit: int) -> bytes:
    """Unpacks every member (RFC 1952, section 2.2), up to the limit and no further: a small body can unpack to
    gigabytes."""
    parts: list[bytes] = []
    room = limit
    while body:
        if len(parts) == MAX_MEMBERS:
            raise Problem(400, "malformed_gzip", f"The gzip body has more than {MAX_MEMBERS:,} members.")
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            part = unpacker.decompress(body, room + 1)
        except zlib.error as error:
            raise Problem(400, "malformed_gzip", "The body is not valid gzip.") from error
        room -= len(part)
        if room < 0:
            raise _too_large(limit)
        if not unpacker.eof:
            raise Problem(400, "malformed_gzip", "The gzip body ends too early.")
        parts.append(part)
        body = unpacker.unused_data
    return b"".join(parts)


def _too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"The body is larger than {limit:,} bytes; nothing of it was stored.")
