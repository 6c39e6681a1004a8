"""CloudEvents 1.0 in JSON (the "structured" and the "batched" content mode) as events of ours. Pure.

`subject` is the customer, `type` the meter, `data.value` the value, and the other members of `data` are dimensions.
CloudEvents tell events apart by `source` and `id` together (specification, "Required attributes"), and so our id is
made of both: `SOURCE/ID`, where a slash in the id is written `%2F`, so that no two pairs come to the same.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from meters.decoding import (
    MAX_DIMENSION_TEXT,
    MAX_DIMENSIONS,
    MAX_ID,
    NUMBER,
    EventIn,
    Key,
    MalformedBody,
    Rejection,
    decode_elements,
    escape,
    sent_text,
)

ONE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


class CloudEvent(msgspec.Struct, frozen=True, gc=False):
    """Attributes that we do not know (extensions) are left alone, as the specification asks."""

    id: Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
    source: Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
    subject: Key
    type: Key
    specversion: str = "1.0"
    time: Annotated[datetime, Meta(tz=True)] | UnsetType | None = UNSET
    # Decoded apart, so that a number keeps its digits.
    data: msgspec.Raw | UnsetType = UNSET
    data_base64: msgspec.Raw | UnsetType = UNSET


_decoder = msgspec.json.Decoder(CloudEvent)
_exact = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal)


def decode_cloudevents(body: bytes, *, batch: bool, max_events: int) -> Sequence[EventIn | Rejection]:
    """The events of a body. Raises MalformedBody where it is no JSON, and TooManyEvents."""
    if batch:
        return [_read(raw, several=True) for raw in decode_elements(body, max_events=max_events)]
    return [_read(body, several=False)]


def _read(raw: bytes, *, several: bool) -> EventIn | Rejection:
    try:
        return _event(_decoder.decode(raw))
    except ArithmeticError:
        return Rejection("invalid", "/data", "A number is beyond all limits.", sent=sent_text(raw))
    except msgspec.ValidationError as error:
        return replace(Rejection.of(str(error)), sent=sent_text(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if several:
            return Rejection("malformed", "", f"This is not valid JSON: {error}.", sent=sent_text(raw))
        raise MalformedBody(f"The body is not valid JSON: {error}.") from error


def _event(sent: CloudEvent) -> EventIn | Rejection:
    event_id = f"{sent.source}/{sent.id.replace('%', '%25').replace('/', '%2F')}"
    if len(event_id) > MAX_ID:
        return Rejection("invalid", "/id", f"Source and id have at most {MAX_ID - 1} characters together.")
    if isinstance(sent.data_base64, msgspec.Raw):
        return Rejection("invalid", "/data_base64", "Send the data as JSON, in data.", event_id)
    if sent.specversion != "1.0":
        return Rejection("invalid", "/specversion", "Only version 1.0 of CloudEvents is understood.", event_id)
    data: Any = {}
    if isinstance(sent.data, msgspec.Raw) and bytes(sent.data) != b"null":
        data = _exact.decode(bytes(sent.data).decode())
    if not isinstance(data, dict):
        return Rejection("invalid", "/data", "The data is an object: value, and dimensions.", event_id)
    value: Decimal | UnsetType = UNSET
    dimensions: dict[str, str] = {}
    for name, member in data.items():
        if name == "value":
            number = _decimal(member)
            if number is None:
                return Rejection("invalid", "/data/value", "A number, or a text that is one.", event_id)
            value = number
            continue
        text = _text(member)
        if text is None or not 1 <= len(name) <= 100 or len(text) > MAX_DIMENSION_TEXT:
            detail = "A dimension is a text, a number or a truth value, within the limits."
            return Rejection("invalid", f"/data/{escape(name)}", detail, event_id)
        dimensions[name] = text
    if len(dimensions) > MAX_DIMENSIONS:
        return Rejection("invalid", "/data", f"At most {MAX_DIMENSIONS} dimensions.", event_id)
    return EventIn(
        id=event_id,
        customer=sent.subject,
        meter=sent.type,
        time=sent.time if isinstance(sent.time, datetime) else UNSET,
        value=value,
        dimensions=dimensions,
    )


def _decimal(member: object) -> Decimal | None:
    if isinstance(member, Decimal):
        return member
    return Decimal(member) if isinstance(member, str) and NUMBER.fullmatch(member) else None


def _text(member: object) -> str | None:
    """A scalar as the text of a dimension; None where it is no scalar."""
    match member:
        case str():
            return member
        case bool():
            return "true" if member else "false"
        case Decimal():
            return str(member)
        case None:
            return ""
    return None


_PLACES = {"/customer": "/subject", "/meter": "/type", "/value": "/data/value"}


def pointer(place: str) -> str:
    """Where in a CloudEvent stands what is at this JSON pointer of an event of ours."""
    if place.startswith("/dimensions/"):
        return "/data/" + place.removeprefix("/dimensions/")
    return _PLACES.get(place, place)
