"""From the bytes of an ingest body to events. Pure: knows the format, not the meters.

A number goes from its text straight to `Decimal`. What is not an event becomes a `Rejection` in its place, so that
the good events of a batch land whatever the bad ones do.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

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
                pointer += f"/{escape(field['field'])}"
        return cls("invalid", pointer, f"{detail}.")


class MalformedBody(ValueError):
    """The body as a whole cannot be read; nothing in it was taken."""


class TooManyEvents(ValueError):
    """More events than a request may carry."""


_one = msgspec.json.Decoder(EventIn)
_many = msgspec.json.Decoder(list[EventIn])
_any = msgspec.json.Decoder()


class _WithId(msgspec.Struct):
    """Of an event that is none, the id alone: the rest is not even made into objects."""

    id: str = ""


class _Said(msgspec.Struct):
    """The numbers of an event as they were written."""

    value: msgspec.Raw = msgspec.Raw(b"1")
    values: dict[str, msgspec.Raw] | UnsetType = UNSET


_with_id = msgspec.json.Decoder(_WithId)
_said = msgspec.json.Decoder(_Said)
_many_said = msgspec.json.Decoder(list[_Said])
_text = msgspec.json.Decoder(str)
# Whether a number may be written as a text, which Python reads more freely than JSON: "1_000", " 7", other digits.
_MAYBE_TEXT = re.compile(rb'"values?"\s*:\s*["{]')
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)

# What an array is cut at: its strings are skipped, so that their brackets and commas are none.
_CLOSERS = {b"[": b"]", b"{": b"}"}
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)

_SYNTAX_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_json(body: bytes, *, max_events: int) -> tuple[Sequence[EventIn | Rejection], bool]:
    """The events of a body that is one event, an array, or lines of events; and whether there can be several."""
    if body.lstrip()[:1] != b"[":
        if _begins_with_a_line_of_its_own(body):
            return decode_lines(body, max_events=max_events), True
        return [_decode_one(body, syntax_is_fatal=True)], False
    events = decode_array(body)
    if events is None:
        # At least one event is bad: each on its own, to find out which.
        return [_decode_one(raw) for raw in decode_elements(body, max_events=max_events)], True
    _limit(len(events), max_events)
    return events, True


def decode_array(body: bytes) -> Sequence[EventIn | Rejection] | None:
    """The events of an array; None where one of them is none."""
    try:
        events = _many.decode(body)
    except _SYNTAX_ERRORS:
        return None
    if _MAYBE_TEXT.search(body):
        return [_no_number(said) or event for said, event in zip(_many_said.decode(body), events, strict=True)]
    return events


def _no_number(said: _Said) -> Rejection | None:
    """The rejection of a text that stands where a number is, and is not one as JSON would write it."""
    numbers = {"/value": said.value}
    if isinstance(said.values, dict):
        numbers |= {f"/values/{escape(name)}": number for name, number in said.values.items()}
    for pointer, raw in numbers.items():
        text = bytes(raw)
        if text.startswith(b'"') and not NUMBER.fullmatch(_text.decode(text)):
            return Rejection("invalid", pointer, "A number, or a text that is written as JSON writes numbers.")
    return None


def escape(token: str) -> str:
    """A member name as a token of a JSON pointer (RFC 6901, section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


def decode_elements(body: bytes, *, max_events: int) -> list[bytes]:
    """The texts of an array's elements, whatever they are themselves. Raises MalformedBody where it is no array."""
    elements: list[bytes] = []
    closers: list[bytes] = []
    start, end = 0, -1
    for token in _TOKEN.finditer(body):
        sign = token[0]
        if end >= 0:
            raise MalformedBody("The body is not valid JSON: more follows the array.")
        if not closers:
            if sign != b"[" or body[: token.start()].strip():
                raise MalformedBody("The body is no JSON array.")
            start = token.end()
        if sign in _CLOSERS:
            closers.append(_CLOSERS[sign])
        elif sign in b"]}" and sign != closers.pop():
            raise MalformedBody("The body is not valid JSON: a bracket is closed by another one.")
        if not closers or (len(closers) == 1 and sign == b","):
            _limit(len(elements) + 1, max_events)
            elements.append(body[start : token.start()].strip())
            start = token.end()
            end = -1 if closers else start
    if end < 0 or body[end:].strip():
        raise MalformedBody("The body is not valid JSON: the array does not end where the body does.")
    if elements == [b""]:
        return []
    if b"" in elements:
        raise MalformedBody("The body is not valid JSON: an element of the array is missing.")
    return elements


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
    if not lines:
        raise MalformedBody("The body holds no event.")
    _limit(len(lines), max_events)
    return [_decode_one(line) for line in lines]


def convert_rows(rows: Sequence[Mapping[str, Any]]) -> Sequence[EventIn | Rejection]:
    """The events of rows whose members are texts, as they stand in a table."""
    try:
        return msgspec.convert(rows, list[EventIn])
    except msgspec.ValidationError:
        return [_convert_one(row) for row in rows]


def _convert_one(row: Mapping[str, Any]) -> EventIn | Rejection:
    try:
        return msgspec.convert(row, EventIn)
    except msgspec.ValidationError as error:
        event_id = row.get("id", "")
        sent = msgspec.json.encode(row)
        return replace(Rejection.of(str(error)), id=event_id if len(event_id) <= MAX_ID else "", sent=sent_text(sent))


def _limit(count: int, max_events: int) -> None:
    if count > max_events:
        raise TooManyEvents(f"The request carries {count:,} events; at most {max_events:,} are taken at a time.")


def _decode_one(raw: bytes, *, syntax_is_fatal: bool = False) -> EventIn | Rejection:
    try:
        event = _one.decode(raw)
        if _MAYBE_TEXT.search(raw) and (rejection := _no_number(_said.decode(raw))):
            return replace(rejection, id=_id_of(raw), sent=sent_text(raw))
        return event
    except msgspec.ValidationError as error:
        return replace(Rejection.of(str(error)), id=_id_of(raw), sent=sent_text(raw))
    except _SYNTAX_ERRORS as error:
        if syntax_is_fatal:
            raise MalformedBody(f"The body is not valid JSON: {error}.") from error
        return Rejection("malformed", "", f"This is not valid JSON: {error}.", sent=sent_text(raw))


def _id_of(raw: bytes) -> str:
    """The id that a rejected event carries, where it has a readable one, so that its sender can find it."""
    try:
        event_id = _with_id.decode(raw).id
    except _SYNTAX_ERRORS:
        return ""
    return event_id if len(event_id) <= MAX_ID else ""


def sent_text(raw: bytes) -> str:
    """The beginning of what was sent, as text that can be stored and shown."""
    return raw[:MAX_SENT].decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
