"""A fact as it goes over the wire: who used how much of what, and when, as JSON with an id of its own."""

from __future__ import annotations

import operator
import os
import time as clock
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from math import isfinite
from typing import Any, Union

Number = Union[int, float, Decimal]
NOBODY = "A fact needs a customer."

# Two bits that are 10 and two of chance, by a digit of chance.
VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4))
# Ends of ids to come. The system is asked for many at a time, as the way to it is long for a request.
CHANCES = 200
_chances: list[str] = []
# The second that was written last, and how: most facts are of the same one as those before.
_second = (-1, "")


if hasattr(os, "register_at_fork"):
    # Processes that were forked from one another must not have the same.
    os.register_at_fork(after_in_child=_chances.clear)


def new_id() -> str:
    return id_at(clock.time_ns())


def id_at(nanoseconds: int) -> str:
    """A UUID of version 7 (RFC 9562, section 5.7): milliseconds, then their 4096th parts, then 62 random bits."""
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    time = "%015x" % (milliseconds << 12 | rest * 4096 // 1_000_000)
    try:
        chance = _chances.pop()
    except IndexError:
        _chances.extend(_draw())
        return id_at(nanoseconds)
    return f"{time[:8]}-{time[8:12]}-7{time[12:]}{chance}"


def _draw() -> list[str]:
    drawn = os.urandom(8 * CHANCES).hex()
    texts = [drawn[place : place + 16] for place in range(0, len(drawn), 16)]
    return [f"-{VARIANTS[text[0]]}{text[1:4]}-{text[4:]}" for text in texts]


def time_at(nanoseconds: int) -> str:
    """As `datetime.isoformat()` writes it, in UTC."""
    global _second
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    # Both parts of it in one step, as other threads do the same.
    known = _second
    if known[0] != seconds:
        known = _second = (seconds, clock.strftime("%Y-%m-%dT%H:%M:%S", clock.gmtime(seconds)))
    return f"{known[1]}.{rest // 1000:06d}+00:00"


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
    what = encode_what(meter, value, values, dimensions)
    # The time is always said: a fact counts when it happened, not when it arrives.
    return join(id, customer, time_text(time), what)


def encode_now(customer: str, what: str) -> bytes:
    """A fact of this moment, with what `encode_what()` made, perhaps long ago."""
    now = clock.time_ns()
    if not customer:
        raise ValueError(NOBODY)
    # As join() has it, but for the call: this is in the way of each request.
    return f'{{"id":"{id_at(now)}","customer":{quote(customer)},"time":"{time_at(now)}",{what}}}'.encode("ascii")


def join(id: str, customer: str, time: str, what: str) -> bytes:
    if not customer:
        raise ValueError(NOBODY)
    return f'{{"id":{quote(id)},"customer":{quote(customer)},"time":"{time}",{what}}}'.encode("ascii")


def encode_what(
    meter: str | None,
    value: Number,
    values: Mapping[str, Number] | None,
    dimensions: Mapping[str, str] | None,
) -> str:
    """The members of a fact that may be the same in many."""
    if (meter is None) == (values is None):
        raise ValueError("A fact has a meter with a value, or values by meter.")
    if meter is not None:
        what = f'"meter":{quote(meter)},"value":{number_text(value)}'
    else:
        assert values is not None
        what = '"values":{' + ",".join([f"{quote(key)}:{number_text(number)}" for key, number in values.items()]) + "}"
    labels = _labels_text(tuple(dimensions.items())) if dimensions else ""
    return what + labels


@lru_cache(maxsize=1024)
def _labels_text(labels: tuple[tuple[str, str], ...]) -> str:
    # Most requests have the same few.
    return ',"dimensions":{' + ",".join([f"{quote(key)}:{quote(text)}" for key, text in labels]) + "}"


def time_text(time: datetime | None) -> str:
    if time is None:
        return time_at(clock.time_ns())
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
