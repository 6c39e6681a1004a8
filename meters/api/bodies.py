"""Reading an ingest body: bounded before anything is decoded, whatever its encoding says."""

import zlib

from django.conf import settings
from rest_framework.request import Request

from meters.api.problems import Problem

JSON_LINES = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}


def media_type(request: Request) -> str:
    return (request.content_type or "").partition(";")[0].strip().lower()


def read_body(request: Request) -> bytes:
    """The body, unpacked. Raises a Problem: 413 beyond INGEST_MAX_BYTES, 415 and 400 for packing it cannot read."""
    limit = settings.INGEST_MAX_BYTES
    try:
        declared = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        declared = 0
    if declared > limit:
        raise _too_large(limit)
    # The web server has read the body off the socket; a longer one than declared is not read on.
    body: bytes = request._request.read(limit + 1)
    if len(body) > limit:
        raise _too_large(limit)
    match request.headers.get("Content-Encoding", "identity").strip().lower():
        case "identity" | "":
            return body
        case "gzip":
            return _gunzip(body, limit)
        case other:
            raise Problem(415, "unsupported_encoding", f"Content-Encoding {other!r} is not supported; gzip is.")


def _gunzip(body: bytes, limit: int) -> bytes:
    """Unpacks up to the limit and no further: a small body can unpack to gigabytes."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        data = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise Problem(400, "malformed_gzip", "The body is not valid gzip.") from error
    if len(data) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise Problem(400, "malformed_gzip", "The gzip body ends too early.")
    return data


def _too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"The body is larger than {limit:,} bytes; nothing of it was stored.")
