"""What a call of `/v1/usage` asks for: the parameters of an address or the members of a JSON body, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from meters.api.auth import customer_of, require_customer
from meters.api.problems import Problem
from meters.models import RESERVED_DIMENSION, Customer, Meter, valid_time_zone
from meters.periods import NAMED_PERIODS, Period, local_midnight, month_of, named_period, next_month, windows

MAX_WINDOWS = 1000
MAX_CUSTOMERS = 1000
MAX_FILTER_TEXTS = 1000
MAX_TOP = 100
WINDOWS = ("none", "hour", "day", "week", "month")
# Far from where arithmetic with dates overflows.
FIRST_YEAR, LAST_YEAR = 1970, 2200

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CALENDAR = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_FILTER = re.compile(r"filter\[(.+)\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """What to read. `customers` None: all of them. `windows` tile `span`; without a window it is the span itself."""

    meter: Meter
    customers: tuple[Customer, ...] | None
    span: Period
    window: str
    windows: tuple[Period, ...]
    zone: ZoneInfo
    group_by: tuple[str, ...]
    where: dict[str, list[str]]
    top: int | None
    now: datetime


def of_address(parameters: QueryDict) -> dict[str, Any]:
    """The parameters of an address as the JSON of a POST. Raises `ValidationError` for one that is there twice."""
    data: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name, texts in parameters.lists():
        if match := _FILTER.fullmatch(name):
            data.setdefault("filter", {})[match[1]] = texts
        elif name == "filter":
            faults[name] = "Name the dimension in brackets, as in filter[region]=eu."
        elif name == "group_by":
            data[name] = [part for text in texts for part in text.split(",") if part]
        elif name == "customer" and len(texts) > 1:
            data[name] = texts
        elif len(texts) > 1:
            faults[name] = "Give it once."
        else:
            data[name] = texts[0]
    if faults:
        raise serializers.ValidationError(faults)
    return data


def parse_query(data: Any, *, request: Any, now: datetime) -> UsageQuery:
    """The query of this JSON. Raises `ValidationError` by parameter, and a Problem for what is too much or not
    for the request's key."""
    parameters = UsageParameters(data=data, context={"request": request, "now": now})
    parameters.is_valid(raise_exception=True)
    asked = parameters.validated_data
    spans = [asked["span"]] if asked["window"] == "none" else _cut(asked["span"], asked["window"], asked["zone"])
    return UsageQuery(
        meter=asked["meter"],
        customers=asked["customers"],
        span=asked["span"],
        window=asked["window"],
        windows=tuple(spans),
        zone=asked["zone"],
        group_by=tuple(asked["group_by"]),
        where=asked["filter"],
        top=asked.get("top"),
        now=now,
    )


def text_of(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


@extend_schema_field(OpenApiTypes.DATETIME)
class InstantField(serializers.Field[datetime, str, str, Any]):
    """A time with its offset (RFC 3339), in years that calendars can be reckoned in."""

    default_error_messages = {
        "invalid": "A time with its offset (RFC 3339), such as 2026-11-01T00:00:00+01:00; in an address + is %2B.",
        "year": f"A year from {FIRST_YEAR} to {LAST_YEAR}.",
    }

    def to_internal_value(self, data: Any) -> datetime:
        if not isinstance(data, str) or not _INSTANT.fullmatch(data):
            self.fail("invalid")
        try:
            instant = datetime.fromisoformat(data.upper())
        except ValueError:
            self.fail("invalid")
        if not FIRST_YEAR <= instant.year <= LAST_YEAR:
            self.fail("year")
        return instant.astimezone(UTC)

    def to_representation(self, value: datetime) -> str:
        return text_of(value)


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
class Texts(serializers.ListField):
    """One text, or a list of them."""

    def __init__(self, *, allow_blank: bool = False, **kwargs: Any) -> None:
        self.child = serializers.CharField(trim_whitespace=False, allow_blank=allow_blank)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        if isinstance(data, str):
            return [self.child.run_validation(data)]
        texts: list[str] = super().to_internal_value(data)
        return texts


class UsageParameters(serializers.Serializer[Any]):
    """The parameters. `from` is a word of the language, so it cannot be an attribute."""

    meter = serializers.CharField(trim_whitespace=False, help_text="The meter's key.")
    customer = Texts(
        required=False,
        allow_empty=False,
        max_length=MAX_CUSTOMERS,
        help_text="The key of a customer, or several. Left out: all customers, together.",
    )
    to = InstantField(required=False, help_text="The end, not included. Left out: the end of the running month.")
    period = serializers.CharField(
        required=False,
        help_text="In place of `from` and `to`: a year, month or day such as 2026, 2026-11 or 2026-11-22, or one of "
        f"{', '.join(NAMED_PERIODS)}.",
    )
    time_zone = serializers.CharField(
        required=False,
        validators=[valid_time_zone],
        help_text="Where windows and periods begin, such as Europe/Berlin. Left out: the customer's where there is "
        "one, else the account's.",
    )
    window = serializers.ChoiceField(WINDOWS, default="none", help_text="What the span is cut at; weeks on Mondays.")
    group_by = Texts(
        default=list, help_text=f"Dimensions that the meter declares, and `{RESERVED_DIMENSION}` for each customer."
    )
    filter = serializers.DictField(
        child=Texts(allow_blank=True, allow_empty=False),
        default=dict,
        help_text="Declared dimensions with the texts that count; an event counts when all dimensions match.",
    )
    top = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_TOP,
        help_text="Only this many groups, the greatest over the span; the rest together in one more.",
    )

    def get_fields(self) -> Any:
        start = InstantField(required=False, help_text="Left out: the beginning of the running month.")
        return super().get_fields() | {"from": start}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := [name for name in data if name not in self.fields]):
            names = (name.encode(errors="backslashreplace").decode() for name in unknown)
            raise serializers.ValidationError(dict.fromkeys(names, "There is no such parameter."))
        return super().to_internal_value(data)

    def validate_meter(self, key: str) -> Meter:
        meter = Meter.objects.filter(key=key).first()
        if meter is None:
            raise serializers.ValidationError(f"There is none with the key {key!r}.")
        return meter

    def validate_customer(self, keys: list[str]) -> tuple[Customer, ...]:
        own = customer_of(self.context["request"])
        if own is not None:
            for key in keys:
                require_customer(self.context["request"], key)
            return (own,)
        found = {customer.key: customer for customer in Customer.objects.filter(key__in=keys)}
        faults = {
            str(index): f"There is none with the key {key!r}." for index, key in enumerate(keys) if key not in found
        }
        if faults and isinstance(self.initial_data["customer"], str):
            raise serializers.ValidationError(faults["0"])
        if faults:
            raise serializers.ValidationError(faults)
        # Named twice is counted once.
        return tuple(found[key] for key in dict.fromkeys(keys))

    def validate(self, query: dict[str, Any]) -> dict[str, Any]:
        own = customer_of(self.context["request"])
        customers = query.get("customer") or (None if own is None else (own,))
        one = customers[0] if customers is not None and len(customers) == 1 else None
        zone = ZoneInfo(query.get("time_zone") or (one.time_zone if one else "") or settings.ACCOUNT_TIME_ZONE)
        self._refuse_undeclared(query)
        if "top" in query and not query["group_by"]:
            raise serializers.ValidationError({"top": "Of what? Name the groups in group_by."})
        return query | {"customers": customers, "zone": zone, "span": span_of(query, zone, self.context["now"])}

    def _refuse_undeclared(self, query: dict[str, Any]) -> None:
        declared = query["meter"].dimensions
        group_by, where = query["group_by"], query["filter"]
        undeclared = [repr(name) for name in group_by if name not in (*declared, RESERVED_DIMENSION)]
        if undeclared:
            raise serializers.ValidationError({"group_by": f"The meter does not declare {', '.join(undeclared)}."})
        if len(set(group_by)) < len(group_by):
            raise serializers.ValidationError({"group_by": "Name each once."})
        for name in where:
            if name not in declared:
                hint = " Name customers in customer." if name == RESERVED_DIMENSION else ""
                shown = name.encode(errors="backslashreplace").decode()
                raise serializers.ValidationError({"filter": {shown: f"The meter does not declare it.{hint}"}})
        if sum(len(texts) for texts in where.values()) > MAX_FILTER_TEXTS:
            raise serializers.ValidationError({"filter": f"At most {MAX_FILTER_TEXTS:,} texts."})


def span_of(query: dict[str, Any], zone: ZoneInfo, now: datetime) -> Period:
    if "period" in query:
        if "from" in query or "to" in query:
            raise serializers.ValidationError({"period": "Give a period, or from and to."})
        return _period(query["period"], zone, now)
    month = month_of(now, zone)
    start, end = query.get("from", month.start), query.get("to", month.end)
    if end <= start:
        raise serializers.ValidationError({"to" if "to" in query else "from": "The end is after the start."})
    return Period(start, end)


def _period(text: str, zone: ZoneInfo, now: datetime) -> Period:
    if text in NAMED_PERIODS:
        return named_period(text, now, zone)
    first = None
    if match := _CALENDAR.fullmatch(text):
        year, month, day = (int(part or 1) for part in match.groups())
        try:
            first = date(year, month, day)
        except ValueError:
            first = None
    if match is None or first is None or not FIRST_YEAR <= first.year <= LAST_YEAR:
        names = ", ".join(NAMED_PERIODS)
        detail = f"A year, month or day such as 2026, 2026-11 or 2026-11-22, or one of {names}."
        raise serializers.ValidationError({"period": detail})
    if match[3]:
        after = first + timedelta(days=1)
    elif match[2]:
        after = next_month(first)
    else:
        after = date(first.year + 1, 1, 1)
    return Period(local_midnight(first, zone), local_midnight(after, zone))


def _cut(span: Period, window: str, zone: ZoneInfo) -> list[Period]:
    spans: list[Period] = []
    for part in windows(span, window, zone):
        if len(spans) == MAX_WINDOWS:
            detail = f"At most {MAX_WINDOWS:,} windows; ask for a shorter span or a longer window."
            raise Problem(400, "too_many_windows", detail, [{"pointer": "/window", "detail": detail}])
        spans.append(part)
    return spans
