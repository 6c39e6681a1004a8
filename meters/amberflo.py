"""Meter records as the clients of Amberflo send them, as events of ours. Pure.

`uniqueId` is the id, `customerId` the customer, `meterApiName` the meter, `meterValue` the value (or `values`, by
meter), and `meterTimeInMillis` the time. Members that we do not know are left alone, as there.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from meters.decoding import (
    MAX_DIMENSIONS,
    MAX_ID,
    NUMBER,
    DimensionName,
    DimensionText,
    EventIn,
    Key,
    MalformedBody,
    Rejection,
    TooManyEvents,
    decode_elements,
    decode_json,
    escape,
    sent_text,
)

# There, an event that has this dimension takes the one before it out of the figures.
CANCELS = "aflo.cancel_previous_resource_event"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The last one that a year of four digits has.
LAST_MILLISECOND = 253_402_300_799_999


class Record(msgspec.Struct, rename="camel", frozen=True, gc=False):
    customer_id: Key
    meter_time_in_millis: Annotated[int, Meta(gt=0, le=LAST_MILLISECOND)]
    meter_api_name: Key | None = None
    # Read apart, so that a number keeps its digits and a text is held to what JSON takes for one.
    meter_value: msgspec.Raw | UnsetType = UNSET
    values: Annotated[dict[Key, msgspec.Raw], Meta(min_length=1, max_length=32)] | None = None
    unique_id: Annotated[str, Meta(min_length=1, max_length=MAX_ID)] | None = None
    dimensions: Annotated[dict[DimensionName, DimensionText], Meta(max_length=MAX_DIMENSIONS)] | None = None


class _Sign(msgspec.Struct, rename="camel"):
    """By what a record of theirs is known."""

    customer_id: msgspec.Raw | UnsetType = UNSET
    meter_api_name: msgspec.Raw | UnsetType = UNSET
    meter_time_in_millis: msgspec.Raw | UnsetType = UNSET


class _Id(msgspec.Struct, rename="camel"):
    unique_id: str = ""


_one = msgspec.json.Decoder(Record)
_sign = msgspec.json.Decoder(_Sign)
_id = msgspec.json.Decoder(_Id)
_any = msgspec.json.Decoder()
_text = msgspec.json.Decoder(str)
_SYNTAX_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_records(
    body: bytes, *, max_events: int, ours_too: bool = False
) -> tuple[Sequence[EventIn | Rejection], frozenset[int]]:
    """The events of a body that is a record, an array, or a record a line. With `ours_too` what has no member of
    theirs is read as an event of ours; the second answer says which were. Raises MalformedBody where the body is no
    JSON, and TooManyEvents."""
    if body.lstrip()[:1] == b"[":
        elements = decode_elements(body, max_events=max_events)
    else:
        elements = _lines(body)
        if len(elements) > max_events:
            raise TooManyEvents(f"The request carries {len(elements):,} records; at most {max_events:,} are taken.")
    ours = frozenset(index for index, raw in enumerate(elements) if ours_too and _is_ours(raw))
    return [_read(raw, index in ours) for index, raw in enumerate(elements)], ours


def _lines(body: bytes) -> list[bytes]:
    """A body that is one record as it is; else its lines."""
    try:
        _any.decode(body)
    except _SYNTAX_ERRORS as error:
        lines = [line for line in body.split(b"\n") if line.strip()]
        if len(lines) > 1 and _is_json(lines[0]):
            return lines
        raise MalformedBody(f"The body is not valid JSON: {error}.") from error
    return [body]


def _is_json(raw: bytes) -> bool:
    try:
        _any.decode(raw)
    except _SYNTAX_ERRORS:
        return False
    return True


def _read(raw: bytes, is_ours: bool) -> EventIn | Rejection:
    try:
        if is_ours:
            return decode_json(raw, max_events=1)[0][0]
        return _event(_one.decode(raw))
    except ArithmeticError:
        return Rejection("invalid", "/meterValue", "A number is beyond all limits.", _id_of(raw), sent_text(raw))
    except msgspec.ValidationError as error:
        return replace(Rejection.of(str(error)), id=_id_of(raw), sent=sent_text(raw))
    except (*_SYNTAX_ERRORS, MalformedBody) as error:
        return Rejection("malformed", "", f"This is not valid JSON: {error}.", sent=sent_text(raw))


def _is_ours(raw: bytes) -> bool:
    try:
        sign = _sign.decode(raw)
    except _SYNTAX_ERRORS:
        return False
    return all(member is UNSET for member in (sign.customer_id, sign.meter_api_name, sign.meter_time_in_millis))


def _event(sent: Record) -> EventIn | Rejection:
    event_id, dimensions = sent.unique_id or "", sent.dimensions or {}
    if CANCELS in dimensions:
        detail = "Events are taken out of the figures by POST /v1/events/void, not by another event."
        return Rejection("invalid", f"/dimensions/{escape(CANCELS)}", detail, event_id)
    values: dict[str, Decimal] | UnsetType = UNSET
    value: Decimal | UnsetType = UNSET
    if sent.values is not None:
        values = {}
        for name, raw in sent.values.items():
            number = _number(raw)
            if number is None:
                return Rejection("invalid", f"/values/{escape(name)}", "This is no number.", event_id)
            values[name] = number
    else:
        if sent.meter_api_name is None:
            return Rejection("invalid", "/meterApiName", "The record names no meter.", event_id)
        number = _number(sent.meter_value) if isinstance(sent.meter_value, msgspec.Raw) else None
        if number is None:
            return Rejection("invalid", "/meterValue", "This is no number.", event_id)
        value = number
    return EventIn(
        customer=sent.customer_id,
        meter=UNSET if sent.meter_api_name is None else sent.meter_api_name,
        id=event_id or UNSET,
        time=EPOCH + timedelta(milliseconds=sent.meter_time_in_millis),
        value=value,
        values=values,
        dimensions=dimensions,
    )


def _number(raw: msgspec.Raw) -> Decimal | None:
    text = bytes(raw).decode()
    if text.startswith('"'):
        text = _text.decode(text)
    return Decimal(text) if NUMBER.fullmatch(text) else None


def _id_of(raw: bytes) -> str:
    try:
        event_id = _id.decode(raw).unique_id
    except _SYNTAX_ERRORS:
        return ""
    return event_id if len(event_id) <= MAX_ID else ""


_PLACES = {"/customer": "/customerId", "/meter": "/meterApiName", "/value": "/meterValue", "/id": "/uniqueId"}


def pointer(place: str) -> str:
    """Where in a record of theirs stands what is at this JSON pointer of an event of ours."""
    return "/meterTimeInMillis" if place == "/time" else _PLACES.get(place, place)
