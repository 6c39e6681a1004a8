"""From the bytes of an ingest body to events. Pure: knows the format, not the meters.

A number goes from its text straight to `Decimal`. What is not an event becomes a `Rejection` in its place, so that
the good events of a batch land whatever the bad ones do.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

MAX_ID = 200
MAX_DIMENSIONS = 32
MAX_DIMENSION_TEXT = 500
# Of what was sent and refused, so much is shown to staff.
MAX_SENT = 1000

Key = Annotated[str, Meta(min_length=1, max_length=200)]
DimensionName = Annotated[str, Meta(min_length=1, max_length=100)]
DimensionText = Annotated[str, Meta(max_length=MAX_DIMENSION_TEXT)]


class EventIn(msgspec.Struct, forbid_unknown_fields=True, gc=False, frozen=True):
    """One event as it is sent. `values` instead of `meter` and `value` feeds several meters with one fact."""

    customer: Key
    meter: Key | UnsetType = UNSET
    id: Annotated[str, Meta(min_length=1, max_length=MAX_ID)] | UnsetType = UNSET
    time: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET
    value: Decimal | UnsetType = UNSET
    values: Annotated[dict[Key, Decimal], Meta(min_length=1, max_length=32)] | UnsetType = UNSET
    dimensions: Annotated[dict[DimensionName, DimensionText], Meta(max_length=MAX_DIMENSIONS)] = {}


_PLACE = re.compile(r"^(?P<detail>.*) - at `(?P<in_key>key in )?\$(?P<path>.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<field>[^`]*)`")
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]*)`")


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an event was not taken. `pointer` is a JSON pointer (RFC 6901) from the event's own root; `sent` is the
    beginning of what was sent, where it was no event at all."""

    code: str
    pointer: str
    detail: str
    id: str = ""
    sent: str = ""

    @classmethod
    def of(cls, message: str) -> "Rejection":
        """msgspec's message ("Expected `str`, got `int` - at `$.meter`") as a rejection with a JSON pointer."""
        match = _PLACE.match(message)
        detail, path = (match["detail"], match["path"]) if match else (message, "")
        pointer = "".join(f"/{part}" for part in re.findall(r"\w+", path))
        for pattern in (_MISSING, _UNKNOWN):
            if field := pattern.search(detail):
                pointer += f"/{field['field'].replace('~', '~0').replace('/', '~1')}"
        return cls("invalid", pointer, f"{detail}.")


class MalformedBody(ValueError):
    """The body as a whole cannot be read; nothing in it was taken."""


class TooManyEvents(ValueError):
    """More events than a request may carry."""


_one = msgspec.json.Decoder(EventIn)
_many = msgspec.json.Decoder(list[EventIn])
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder()

_lenient = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\n\r]*")

_SYNTAX_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_json(body: bytes, *, max_events: int) -> tuple[Sequence[EventIn | Rejection], bool]:
    """The events of a body that is one event, an array, or lines of events; and whether there can be several."""
    if body.lstrip()[:1] != b"[":
        if _begins_with_a_line_of_its_own(body):
            return decode_lines(body, max_events=max_events), True
        return [_decode_one(body, syntax_is_fatal=True)], False
    try:
        events: Sequence[EventIn | Rejection] = _many.decode(body)
    except _SYNTAX_ERRORS:
        # At least one event is bad: each on its own, to find out which.
        return [_decode_one(raw) for raw in decode_elements(body, max_events=max_events)], True
    _limit(len(events), max_events)
    return events, True


def decode_elements(body: bytes, *, max_events: int) -> list[bytes]:
    """The texts of an array's elements. Raises MalformedBody where it is no array."""
    try:
        elements = [bytes(raw) for raw in _raw_list.decode(body)]
    except _SYNTAX_ERRORS as error:
        # JSON that msgspec takes for none (half a surrogate pair, NaN) is the fault of the event that has it.
        try:
            elements = _elements(body, error)
        except _SYNTAX_ERRORS as fault:
            raise MalformedBody(f"The body is not valid JSON: {fault}.") from fault
    _limit(len(elements), max_events)
    return elements


def _elements(body: bytes, fault: Exception) -> list[bytes]:
    """The texts of an array's elements. Raises `fault` where it is no array even to a reader that is less strict."""
    text = body.decode()
    elements: list[bytes] = []
    place = _skip(text, 0) + 1
    while True:
        start = _skip(text, place)
        try:
            _, place = _lenient.raw_decode(text, start)
        except ValueError:
            raise fault from None
        elements.append(text[start:place].encode())
        place = _skip(text, place)
        if text[place : place + 1] != ",":
            break
        place += 1
    if text[place:].strip() != "]":
        raise fault
    return elements


def _skip(text: str, place: int) -> int:
    match = _BLANK.match(text, place)
    return match.end() if match else place


def _begins_with_a_line_of_its_own(body: bytes) -> bool:
    """Whether more follows a first line that is JSON by itself: lines of events whose content type does not say so."""
    first, _, rest = body.lstrip().partition(b"\n")
    if not rest.strip():
        return False
    try:
        _any.decode(first)
    except _SYNTAX_ERRORS:
        return False
    return True


def decode_lines(body: bytes, *, max_events: int) -> Sequence[EventIn | Rejection]:
    """The events of newline-delimited JSON. A line that is no JSON at all rejects that line alone."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    _limit(len(lines), max_events)
    return [_decode_one(line) for line in lines]


def _limit(count: int, max_events: int) -> None:
    if count > max_events:
        raise TooManyEvents(f"The request carries {count:,} events; at most {max_events:,} are taken at a time.")


def _decode_one(raw: bytes, *, syntax_is_fatal: bool = False) -> EventIn | Rejection:
    try:
        return _one.decode(raw)
    except msgspec.ValidationError as error:
        return replace(Rejection.of(str(error)), id=_id_of(raw), sent=sent_text(raw))
    except _SYNTAX_ERRORS as error:
        if syntax_is_fatal:
            raise MalformedBody(f"The body is not valid JSON: {error}.") from error
        return Rejection("malformed", "", f"This is not valid JSON: {error}.", sent=sent_text(raw))


def _id_of(raw: bytes) -> str:
    """The id that a rejected event carries, where it has a readable one, so that its sender can find it."""
    try:
        sent = _any.decode(raw)
    except _SYNTAX_ERRORS:
        return ""
    event_id = sent.get("id", "") if isinstance(sent, dict) else ""
    return event_id if isinstance(event_id, str) and len(event_id) <= MAX_ID else ""


def sent_text(raw: bytes) -> str:
    """The beginning of what was sent, as text that can be stored and shown."""
    return raw[:MAX_SENT].decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
