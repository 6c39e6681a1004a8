"""From an event as it was sent to the facts that are stored: one for each meter it feeds. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from msgspec import UNSET

from meters.decoding import EventIn, Rejection
from meters.ids import hash64, hash128, is_uuid, uuid7

# The sorted pairs of name and text of an event's declared dimensions.
DimensionPairs = tuple[tuple[str, str], ...]

# Numbers have at most 24 digits before the point and 15 after it.
NUMBER_LIMIT = Decimal(10) ** 24
MAX_PLACES = 15


class MeterEntry(NamedTuple):
    """What ingest needs to know of a meter."""

    id: int
    dimensions: frozenset[str]
    unique_dimension: str


@dataclass(frozen=True, slots=True)
class AcceptedTimes:
    """When events may have occurred, and `arrival`, the time of those that do not say. All in UTC."""

    earliest: datetime
    latest: datetime
    arrival: datetime


class Fact(NamedTuple):
    """One event for one meter. The texts that go into array literals (`key`, `time`, `value`, `distinct_value`)
    are canonical: digits, letters and signs only."""

    event_index: int
    event_id: str
    meter: str
    customer: str
    meter_id: int
    key: str
    content: int
    time: str
    month: date
    value: str
    declared: DimensionPairs
    distinct_value: str | None
    sent_id: str | None
    extra: str | None


def facts_of(
    index: int, event: EventIn, meters: Mapping[str, MeterEntry], times: AcceptedTimes
) -> Iterator[Fact | tuple[str, Rejection]]:
    """The facts of one event; in place of one that cannot be taken, the meter's key and why."""
    if isinstance(event.values, dict):
        if event.meter is not UNSET or event.value is not UNSET:
            yield "", Rejection("invalid", "/values", "Give either meter and value, or values; not both.")
            return
        values, pointer = event.values, "/values/"
    elif isinstance(event.meter, str):
        values, pointer = {event.meter: Decimal(1) if event.value is UNSET else event.value}, ""
    else:
        yield "", Rejection("invalid", "/meter", "The event names no meter.")
        return
    event_id = event.id if isinstance(event.id, str) else uuid7()
    try:
        moment = event.time.astimezone(UTC) if isinstance(event.time, datetime) else times.arrival
    except OverflowError:
        yield "", Rejection("invalid", "/time", "The time is outside of the calendar.")
        return
    if fault := _fault(event, event_id, moment, times):
        yield "", fault
        return
    time = moment.isoformat()
    dimensions = tuple(sorted(event.dimensions.items()))
    # A resend without a time arrives later and is the same event all the same: the time counts where it was sent.
    said = (time if event.time is not UNSET else "", dimensions)
    uuid = is_uuid(event_id)
    key = event_id if uuid else hash128(event_id)
    for meter_key, number in values.items():
        meter = meters.get(meter_key)
        if meter is None:
            where = pointer + escape(meter_key) if pointer else "/meter"
            yield meter_key, Rejection("unknown_meter", where, f"There is no meter {meter_key!r}.")
            continue
        value = canonical_number(number)
        if value is None:
            where = pointer + escape(meter_key) if pointer else "/value"
            yield (
                meter_key,
                Rejection("invalid", where, "A number has at most 24 digits before the point and 15 after it."),
            )
            continue
        distinct = None
        if meter.unique_dimension:
            distinct = event.dimensions.get(meter.unique_dimension)
            if distinct is None:
                where = f"/dimensions/{escape(meter.unique_dimension)}"
                yield (
                    meter_key,
                    Rejection(
                        "missing_dimension",
                        where,
                        f"Meter {meter_key!r} counts the different values of dimension "
                        f"{meter.unique_dimension!r}, which the event does not have.",
                    ),
                )
                continue
        declared = tuple(pair for pair in dimensions if pair[0] in meter.dimensions)
        yield Fact(
            event_index=index,
            event_id=event_id,
            meter=meter_key,
            customer=event.customer,
            meter_id=meter.id,
            key=key,
            content=hash64(repr((value, said))),
            time=time,
            month=date(moment.year, moment.month, 1),
            value=value,
            declared=declared,
            distinct_value=None if distinct is None else hash128(distinct),
            sent_id=None if uuid else event_id,
            extra=(
                json.dumps({name: text for name, text in dimensions if name not in meter.dimensions})
                if len(declared) < len(dimensions)
                else None
            ),
        )


def _fault(event: EventIn, event_id: str, moment: datetime, times: AcceptedTimes) -> Rejection | None:
    if not times.earliest <= moment <= times.latest:
        if moment > times.latest:
            detail = "The time is more than 24 hours ahead."
            return Rejection("too_far_ahead", "/time", detail)
        return Rejection("too_old", "/time", f"The time is before {times.earliest:%Y-%m-%d}; older events are refused.")
    # PostgreSQL has no way to store this one character in a text.
    if "\0" in event_id:
        return Rejection("invalid", "/id", "The text has a NUL character.")
    if "\0" in event.customer:
        return Rejection("invalid", "/customer", "The text has a NUL character.")
    for name, text in event.dimensions.items():
        if "\0" in name or "\0" in text:
            return Rejection("invalid", f"/dimensions/{escape(name)}", "The text has a NUL character.")
    return None


def canonical_number(number: Decimal) -> str | None:
    """The one plain text of a number ("1E+3", "1000.0" and "1000" are the same), or None beyond the limits."""
    # In this order: a NaN cannot be compared, and a huge exponent ("0E+999999" too) must not be written out.
    if not number.is_finite():
        return None
    if not number:
        return "0"
    if not -NUMBER_LIMIT < number < NUMBER_LIMIT or number.adjusted() < -MAX_PLACES:
        return None
    whole, _, places = f"{number:f}".partition(".")
    places = places.rstrip("0")
    if len(places) > MAX_PLACES:
        return None
    return f"{whole}.{places}" if places else whole


def escape(token: str) -> str:
    """A member name as a token of a JSON pointer (RFC 6901, section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


def accepted_times(now: datetime, horizon: timedelta, ahead: timedelta) -> AcceptedTimes:
    """The times that events may have, `now` being their arrival."""
    arrival = now.astimezone(UTC)
    return AcceptedTimes(arrival - horizon, arrival + ahead, arrival)
