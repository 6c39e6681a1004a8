"""From an event as it was sent to the facts that are stored: one for each meter it feeds. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from msgspec import UNSET

from meters.decoding import NUMBER, EventIn, Rejection, escape
from meters.ids import hash64, hash128, is_uuid, uuid7

# The sorted pairs of name and text of an event's declared dimensions.
DimensionPairs = tuple[tuple[str, str], ...]

# Numbers have at most 24 digits before the point and 15 after it.
NUMBER_LIMIT = Decimal(10) ** 24
MAX_PLACES = 15
LIMITS = "A number has at most 24 digits before the point and 15 after it."
ONE = Decimal(1)


class MeterEntry(NamedTuple):
    """What ingest needs to know of a meter."""

    id: int
    dimensions: frozenset[str]
    unique_dimension: str = ""
    value_dimension: str = ""


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """Since the beginning of 1970, whole: what `timestamptz` can hold."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def instant(time: int) -> datetime:
    """The moment of these microseconds."""
    return EPOCH + timedelta(microseconds=time)


@dataclass(frozen=True, slots=True)
class AcceptedTimes:
    """When events may have occurred, and `arrival`, the time of those that do not say. All in UTC."""

    earliest: datetime
    latest: datetime
    arrival: datetime


@dataclass(slots=True)
class Labels:
    """What the dimensions of an event come to for one meter; shared by all events of a batch that have the same."""

    declared: DimensionPairs
    extra: str | None
    said: str
    distinct_value: str | None = None
    value: str | None = None
    fault: Rejection | None = None


class Fact(NamedTuple):
    """One event for one meter. `time` is in microseconds since 1970 (UTC). The texts that go into array literals as
    they are (`key`, `value`) are canonical: digits, letters and signs only."""

    event_index: int
    event_id: str
    meter: str
    customer: str
    meter_id: int
    key: str
    content: int
    time: int
    value: str
    labels: Labels
    sent_id: str | None


# A fact of its members in order; the class itself would take them one by one, which is slower by half.
_fact = partial(tuple.__new__, Fact)

# What becomes of an event that cannot be taken: its index and id, the meter's key (empty: the event as a whole), why.
Reject = Callable[[int, str, str, Rejection], None]


class Reader:
    """Makes facts of the events of one batch. It remembers what they have in common, as most have the same few
    combinations of dimensions. Every event of every batch comes through here: what is written out is so for speed."""

    def __init__(self, meters: Mapping[str, MeterEntry], times: AcceptedTimes, reject: Reject) -> None:
        self.facts: list[Fact] = []
        self._meters = meters
        self._earliest, self._latest = microseconds(times.earliest), microseconds(times.latest)
        self._arrival = microseconds(times.arrival)
        self._reject = reject
        self._labels: dict[tuple[str, tuple[tuple[str, str], ...]], Labels] = {}

    def read(self, index: int, event: EventIn, spare_id: str = "") -> None:
        """Adds the facts of one event, one for each meter it feeds, or rejects it. `spare_id` is for an event
        without an id."""
        sent_id, sent_time, meter_key = event.id, event.time, event.meter
        said_id = sent_id if isinstance(sent_id, str) else ""
        event_id = said_id or spare_id or uuid7()
        if isinstance(sent_time, datetime):
            since = sent_time - EPOCH
            time = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
            said_time = str(time)
        else:
            # A resend without a time arrives later and is the same event all the same: the time counts where it was
            # sent.
            time, said_time = self._arrival, ""
        if not self._earliest <= time <= self._latest or "\0" in event_id or "\0" in event.customer:
            self._reject(index, said_id, "", self._fault(event, event_id, time))
            return
        uuid = is_uuid(event_id)
        key = event_id.lower() if uuid else hash128(event_id)
        items = tuple(event.dimensions.items())
        several = isinstance(event.values, dict)
        values: Mapping[str, Decimal]
        if isinstance(meter_key, str) and not several:
            values = {meter_key: event.value if isinstance(event.value, Decimal) else ONE}
        elif fault := _names_fault(event):
            self._reject(index, said_id, "", fault)
            return
        elif isinstance(event.values, dict):
            values = event.values
        for meter_key, number in values.items():
            meter = self._meters.get(meter_key)
            if meter is None:
                where = f"/values/{escape(meter_key)}" if several else "/meter"
                rejection = Rejection("unknown_meter", where, f"There is no meter {meter_key!r}.")
                self._reject(index, said_id, meter_key, rejection)
                continue
            labels = self._labels.get((meter_key, items))
            if labels is None:
                labels = self._labels[meter_key, items] = _labels_of(meter_key, meter, items)
            if labels.fault:
                self._reject(index, said_id, meter_key, labels.fault)
                continue
            value = labels.value or canonical_number(number)
            if value is None:
                where = f"/values/{escape(meter_key)}" if several else "/value"
                self._reject(index, said_id, meter_key, Rejection("invalid", where, LIMITS))
                continue
            content = hash64(f"{value} {said_time} {labels.said}")
            sent = None if uuid else event_id
            self.facts.append(
                _fact((index, event_id, meter_key, event.customer, meter.id, key, content, time, value, labels, sent))
            )

    def _fault(self, event: EventIn, event_id: str, time: int) -> Rejection:
        if time > self._latest:
            return Rejection("too_far_ahead", "/time", "The time is more than 24 hours ahead.")
        if time < self._earliest:
            detail = f"The time is before {instant(self._earliest):%Y-%m-%d}; older events are refused."
            return Rejection("too_old", "/time", detail)
        # PostgreSQL has no way to store this one character in a text.
        return Rejection("invalid", "/id" if "\0" in event_id else "/customer", "The text has a NUL character.")


def _names_fault(event: EventIn) -> Rejection | None:
    if event.values is UNSET:
        return Rejection("invalid", "/meter", "The event names no meter.")
    if event.meter is not UNSET or event.value is not UNSET:
        return Rejection("invalid", "/values", "Give either meter and value, or values; not both.")
    return None


def _labels_of(meter_key: str, meter: MeterEntry, items: tuple[tuple[str, str], ...]) -> Labels:
    pairs = tuple(sorted(items))
    texts = dict(pairs)
    # A dimension without a text is as one that the event lacks: the same group, and the same gauge.
    declared = tuple(pair for pair in pairs if pair[0] in meter.dimensions and pair[1])
    extra = json.dumps(dict(pair for pair in pairs if pair not in declared)) if len(declared) < len(pairs) else None
    labels = Labels(declared, extra, said=repr(pairs))
    for name, text in pairs:
        if "\0" in name or "\0" in text:
            labels.fault = Rejection("invalid", f"/dimensions/{escape(name)}", "The text has a NUL character.")
            return labels
    for name, wanted in (
        (meter.unique_dimension, "counts the different values of"),
        (meter.value_dimension, "takes its value from"),
    ):
        if name and name not in texts:
            detail = f"Meter {meter_key!r} {wanted} dimension {name!r}, which the event does not have."
            labels.fault = Rejection("missing_dimension", f"/dimensions/{escape(name)}", detail)
            return labels
    if meter.unique_dimension:
        labels.distinct_value = hash128(texts[meter.unique_dimension])
    if meter.value_dimension:
        labels.value = number_in_text(texts[meter.value_dimension])
        if labels.value is None:
            labels.fault = Rejection("invalid", f"/dimensions/{escape(meter.value_dimension)}", f"No number. {LIMITS}")
    return labels


def canonical_number(number: Decimal) -> str | None:
    """The one plain text of a number ("1E+3", "1000.0" and "1000" are the same), or None beyond the limits."""
    text = str(number)
    if text.isdigit() and len(text) < 24 and (text[0] != "0" or text == "0"):
        return text  # most are
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


def number_in_text(text: str) -> str | None:
    """The canonical number that a dimension's text is, or None where it is none or beyond the limits."""
    return canonical_number(Decimal(text)) if len(text) <= 60 and NUMBER.fullmatch(text) else None


def accepted_times(now: datetime, horizon: timedelta, ahead: timedelta) -> AcceptedTimes:
    """The times that events may have, `now` being their arrival. None is before 1970, however far the horizon."""
    arrival = now.astimezone(UTC)
    return AcceptedTimes(max(arrival - horizon, EPOCH), arrival + ahead, arrival)
