"""What a query of OpenMeter's asks for, in our terms. Faults are told by their names of the parameters."""

import ast
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.http import Http404, QueryDict
from rest_framework import serializers

from meters.aggregation import TIME_WEIGHTED
from meters.api.auth import customer_of, require_customer
from meters.api.problems import Problem, invalid
from meters.api.usage_query import InstantField, UsageQuery, parse_query
from meters.models import RESERVED_DIMENSION, Customer, Meter
from meters.periods import Period, windows

# What is asked without a beginning begins here: nothing is older.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
WINDOW_SIZES = {"MINUTE": "minute", "HOUR": "hour", "DAY": "day", "MONTH": "month"}
MAX_WINDOWS = 5_000
MAX_FILTER = 10_000
SINGLE = ("clientId", "from", "to", "windowSize", "windowTimeZone", "advancedMeterGroupByFilters")
SEVERAL = ("subject", "groupBy", "filterCustomerId")
# Our parameters, by what a fault calls them.
THEIRS = {"time_zone": "windowTimeZone", "group_by": "groupBy", "filter": "filterGroupBy", "customer": "subject"}
# Makes the error of a parameter: its name, what is wrong.
Fault = Callable[[str, str], Problem]
_BRACKETS = re.compile(r"filterGroupBy\[(.+)\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Query:
    """`usage` is None where only subjects are asked for that do not exist. `start` and `end`: as far as given."""

    slug: str
    group_by: tuple[str, ...]
    window_size: str
    start: datetime | None
    end: datetime | None
    usage: UsageQuery | None


def of_address(slug: str, parameters: QueryDict, *, request: Any, now: datetime) -> Query:
    data: dict[str, Any] = {}
    where: dict[str, Any] = {}
    for name, texts in parameters.lists():
        if match := _BRACKETS.fullmatch(name):
            where[match[1]] = texts
        elif name == "filterGroupBy":
            where |= _written_out(texts[-1])
        elif name in SEVERAL:
            # Their other clients write a list with commas.
            data[name] = texts if name == "subject" else [part for text in texts for part in text.split(",") if part]
        elif name in SINGLE:
            data[name] = texts[-1]
        else:
            raise _fault(name, "There is no such parameter.")
    if where:
        data["filterGroupBy"] = where
    if "advancedMeterGroupByFilters" in data:
        try:
            data["advancedMeterGroupByFilters"] = json.loads(data["advancedMeterGroupByFilters"])
        except (ValueError, RecursionError) as error:
            raise _fault("advancedMeterGroupByFilters", "A JSON object.") from error
    return _query(slug, data, _fault, request=request, now=now)


def of_body(slug: str, data: Any, *, request: Any, now: datetime) -> Query:
    if request.query_params:
        raise Problem(400, "invalid", "Send the query in the body; the address has parameters of its own.")
    if not isinstance(data, dict):
        raise invalid("", "A JSON object.")
    known = (*SINGLE, *SEVERAL, "filterGroupBy")
    if unknown := [name for name in data if name not in known]:
        raise _member(unknown[0], "There is no such member.")
    given = {name: value for name, value in data.items() if value is not None}
    return _query(slug, given, _member, request=request, now=now)


def _query(slug: str, data: Mapping[str, Any], fault: Fault, *, request: Any, now: datetime) -> Query:
    meter = Meter.objects.filter(key=slug).first()
    if meter is None:
        raise Http404
    if "filterCustomerId" in data:
        raise fault("filterCustomerId", "Customers are told apart by their subject here; filter by subject.")
    size = data.get("windowSize", "")
    if size not in ("", *WINDOW_SIZES):
        raise fault("windowSize", f"One of {', '.join(WINDOW_SIZES)}.")
    start, end = (_instant(data, name, fault) for name in ("from", "to"))
    if start is None and size:
        raise fault("from", "Windows need a beginning: say from.")
    if start is None and meter.aggregation in TIME_WEIGHTED:
        raise fault("from", f"The meter weighs values by time, so a span needs a beginning: say from ({slug}).")
    if (start or BEGINNING) >= (end or now):
        raise fault("to" if end else "from", "The end is after the beginning, and without one it is now.")
    group_by = list(dict.fromkeys(_texts(data, "groupBy", fault)))
    subjects = None
    if "subject" in data:
        subjects = _texts(data, "subject", fault)
        # They group by what they filter by.
        group_by += [] if "subject" in group_by else ["subject"]
    usage = _usage(
        {
            "meter": slug,
            "from": (start or BEGINNING).isoformat(),
            "to": (end or now).isoformat(),
            "time_zone": data.get("windowTimeZone", "UTC"),
            "group_by": [RESERVED_DIMENSION if name == "subject" else _no_customer(name, fault) for name in group_by],
            "filter": _where(data, fault),
        },
        subjects,
        fault,
        request=request,
        now=now,
    )
    if usage is not None and size:
        usage = _cut(usage, WINDOW_SIZES[size], fault)
    return Query(slug, tuple(group_by), size, start, end, usage)


def _usage(
    asked: dict[str, Any], subjects: list[str] | None, fault: Fault, *, request: Any, now: datetime
) -> UsageQuery | None:
    if subjects is not None:
        if customer_of(request) is not None:
            for subject in subjects:
                require_customer(request, subject)
        known = set(Customer.objects.filter(key__in=subjects).values_list("key", flat=True))
        subjects = [subject for subject in dict.fromkeys(subjects) if subject in known]
    try:
        usage = parse_query(asked | ({"customer": subjects} if subjects else {}), request=request, now=now)
    except serializers.ValidationError as error:
        ours, detail = next(iter(dict(error.detail).items()))  # type: ignore[arg-type]
        raise fault(*_place(THEIRS.get(ours, ours), detail)) from error
    return None if subjects == [] else usage


def _place(name: str, detail: Any) -> tuple[str, str]:
    """The first fault in what REST framework says of a parameter, and the place of it."""
    if isinstance(detail, dict):
        inner, below = next(iter(detail.items()))
        return _place(f"{name}/{inner}", below)
    return name, str(detail[0] if isinstance(detail, list) else detail)


def _cut(usage: UsageQuery, window: str, fault: Fault) -> UsageQuery:
    parts: list[Period] = []
    for part in windows(usage.span, window, usage.zone):
        if len(parts) == MAX_WINDOWS:
            raise fault("windowSize", f"At most {MAX_WINDOWS:,} windows; ask for a shorter span or a greater window.")
        parts.append(part)
    return replace(usage, window=window, windows=tuple(parts))


def _instant(data: Mapping[str, Any], name: str, fault: Fault) -> datetime | None:
    if name not in data:
        return None
    try:
        return InstantField().to_internal_value(data[name])
    except serializers.ValidationError as error:
        raise fault(*_place(name, error.detail)) from error


def _texts(data: Mapping[str, Any], name: str, fault: Fault) -> list[str]:
    given = data.get(name, [])
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise fault(name, "A list of texts.")
    return texts


def _no_customer(name: str, fault: Fault) -> str:
    if name in (RESERVED_DIMENSION, "customer_id"):
        raise fault("groupBy", f"Group by subject; there is no {name!r}.")
    return name


def _where(data: Mapping[str, Any], fault: Fault) -> dict[str, Any]:
    plain = data.get("filterGroupBy", {})
    if not isinstance(plain, dict):
        raise fault("filterGroupBy", "Names of dimensions, each with the texts that count.")
    where: dict[str, Any] = dict(plain)
    advanced = data.get("advancedMeterGroupByFilters", {})
    if not isinstance(advanced, dict):
        raise fault("advancedMeterGroupByFilters", "Names of dimensions, each with a filter.")
    for dimension, said in advanced.items():
        place = f"advancedMeterGroupByFilters/{dimension}"
        if dimension in where:
            raise fault(place, "The dimension is in filterGroupBy, too; say it in one of them.")
        where[dimension] = _listed(said, place, fault)
    return where


def _listed(said: Any, place: str, fault: Fault) -> list[str]:
    operators = {name: value for name, value in said.items() if value is not None} if isinstance(said, dict) else {}
    if len(operators) != 1 or not operators.keys() <= {"$eq", "$in"}:
        raise fault(place, "Of the operators, $eq and $in are understood, one of them for a dimension.")
    ((_, texts),) = operators.items()
    return [texts] if isinstance(texts, str) else texts


def _written_out(text: str) -> dict[str, Any]:
    """The filter as their Python client writes it into an address: as Python writes a dictionary."""
    try:
        found = ast.literal_eval(text) if len(text) <= MAX_FILTER else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(part, str) for pair in found.items() for part in pair):
        raise _fault("filterGroupBy", "Write filterGroupBy[region]=eu.")
    return found


def _fault(name: str, detail: str) -> Problem:
    return invalid(name, detail, parameter=True)


def _member(name: str, detail: str) -> Problem:
    return invalid(f"/{name}", detail)
