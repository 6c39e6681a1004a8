"""A fact as it goes over the wire: who used how much of what, and when, as JSON with an id of its own."""

from __future__ import annotations

import operator
import os
import time as clock
from collections.abc import Mapping
from datetime import datetime, timezone
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from math import isfinite
from typing import Any, Union

Number = Union[int, float, Decimal]


def new_id() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7): milliseconds, then their 4096th parts, then 62 random bits."""
    milliseconds, rest = divmod(clock.time_ns(), 1_000_000)
    parts = rest * 4096 // 1_000_000
    # From the system, so that processes that were forked from one another never draw the same.
    chance = int.from_bytes(os.urandom(8), "big") >> 2
    text = f"{milliseconds << 80 | 0x7 << 76 | parts << 64 | 0x2 << 62 | chance:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def encode(
    *,
    id: str,
    customer: str,
    meter: str | None,
    value: Number,
    values: Mapping[str, Number] | None,
    time: datetime | None,
    dimensions: Mapping[str, str] | None,
) -> bytes:
    """The fact as JSON. Raises ValueError or TypeError for what no server could take."""
    if not customer:
        raise ValueError("A fact needs a customer.")
    if (meter is None) == (values is None):
        raise ValueError("A fact has a meter with a value, or values by meter.")
    if meter is not None:
        what = f'"meter":{quote(meter)},"value":{number_text(value)}'
    else:
        assert values is not None
        what = '"values":{' + ",".join([f"{quote(key)}:{number_text(number)}" for key, number in values.items()]) + "}"
    labels = _labels_text(tuple(dimensions.items())) if dimensions else ""
    # The time is always said: a fact counts when it happened, not when it arrives.
    text = f'{{"id":{quote(id)},"customer":{quote(customer)},{what},"time":"{time_text(time)}"{labels}}}'
    return text.encode("ascii")


@lru_cache(maxsize=1024)
def _labels_text(labels: tuple[tuple[str, str], ...]) -> str:
    # Most requests have the same few.
    return ',"dimensions":{' + ",".join([f"{quote(key)}:{quote(text)}" for key, text in labels]) + "}"


def time_text(time: datetime | None) -> str:
    if time is None:
        return datetime.now(timezone.utc).isoformat()
    if time.tzinfo is None:
        raise ValueError("A time needs a time zone, such as datetime.now(timezone.utc) has it.")
    return time.isoformat()


def number_text(number: Any) -> str:
    """The number as JSON. A float is taken at 15 places after the point, as many as the server keeps."""
    if type(number) is int:
        return str(number)
    if isinstance(number, bool):
        raise TypeError("A value is a number, not True or False.")
    if isinstance(number, (float, Decimal)) and not isfinite(number):
        raise ValueError(f"A value is a number, not {number}.")
    if isinstance(number, float):
        return repr(round(float(number), 15))
    if isinstance(number, Decimal):
        return format(number, "f")
    return str(operator.index(number))
