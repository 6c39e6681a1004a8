"""`GET /v1/usage`: how much of a meter a customer used."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from meters.aggregation import plain
from meters.api.problems import Problem
from meters.api.serializers import ByKey
from meters.models import Customer, Meter, valid_time_zone
from meters.periods import Period, month_of, windows
from meters.usage import read_usage

MAX_WINDOWS = 1000
# Far from where arithmetic with dates overflows.
FIRST_YEAR, LAST_YEAR = 1970, 2200


class UsageQuery(serializers.Serializer[Any]):
    """The query string. `from` and `to` default to the customer's running month."""

    customer = ByKey(queryset=Customer.objects.all())
    meter = ByKey(queryset=Meter.objects.all())
    to = serializers.DateTimeField(required=False, default_timezone=UTC)
    window = serializers.ChoiceField(["none", "hour", "day", "month"], default="none")
    time_zone = serializers.CharField(required=False, validators=[valid_time_zone])
    group_by = serializers.ListField(child=serializers.CharField(), default=list)

    def get_fields(self) -> Any:
        # `from` is a word of the language, so it cannot be an attribute.
        return super().get_fields() | {"from": serializers.DateTimeField(required=False, default_timezone=UTC)}

    def validate(self, query: dict[str, Any]) -> dict[str, Any]:
        undeclared = set(query["group_by"]) - set(query["meter"].dimensions)
        if undeclared:
            names = ", ".join(sorted(undeclared))
            raise serializers.ValidationError({"group_by": f"The meter does not declare {names}."})
        return query


class UsageView(APIView):
    """Usage of one meter by one customer."""

    @extend_schema(
        operation_id="get_usage",
        parameters=[
            OpenApiParameter("customer", str, required=True),
            OpenApiParameter("meter", str, required=True),
            OpenApiParameter("from", datetime, description="Default: the customer's running month."),
            OpenApiParameter("to", datetime, description="Not included."),
            OpenApiParameter("window", str, enum=["none", "hour", "day", "month"]),
            OpenApiParameter("time_zone", str, description="Of the windows. Default: the customer's."),
            OpenApiParameter("group_by", str, many=True, description="Declared dimensions, separated by commas."),
        ],
        responses=inline_serializer(
            "Usage",
            {
                "customer": serializers.CharField(),
                "meter": serializers.CharField(),
                "unit": serializers.CharField(),
                "aggregation": serializers.CharField(),
                "from": serializers.DateTimeField(),
                "to": serializers.DateTimeField(),
                "window": serializers.CharField(),
                "time_zone": serializers.CharField(),
                "group_by": serializers.ListField(child=serializers.CharField()),
                "usage_version": serializers.IntegerField(),
                "data": inline_serializer(
                    "UsageRow",
                    {
                        "from": serializers.DateTimeField(),
                        "to": serializers.DateTimeField(),
                        "group": serializers.DictField(child=serializers.CharField()),
                        "value": serializers.CharField(),
                        "events": serializers.IntegerField(),
                    },
                    many=True,
                ),
            },
        ),
    )
    def get(self, request: Request) -> Response:
        """Usage by window and group, zero-filled, exact up to `usage_version`; windows are half-open."""
        asked = {name: request.query_params[name] for name in request.query_params if name != "group_by"}
        names = ",".join(request.query_params.getlist("group_by"))
        query = UsageQuery(data=asked | {"group_by": [name for name in names.split(",") if name]})
        query.is_valid(raise_exception=True)
        customer, meter, group_by = (query.validated_data[name] for name in ("customer", "meter", "group_by"))
        zone_name = query.validated_data.get("time_zone")
        zone = ZoneInfo(zone_name) if zone_name else customer.zone
        span = _span(query.validated_data, customer)
        spans = [span] if query.validated_data["window"] == "none" else _cut(span, query.validated_data["window"], zone)
        usage = read_usage(customer, [meter], spans, group_by=group_by)
        groups = usage.groups(meter) if group_by else [()]
        rows = [
            {
                "from": _text(window.start),
                "to": _text(window.end),
                "group": dict(zip(group_by, group, strict=True)),
                "value": plain(usage.quantity(meter, index, group)),
                "events": usage.events(meter, index, group),
            }
            for index, window in enumerate(spans)
            for group in groups
        ]
        return Response(
            {
                "customer": customer.key,
                "meter": meter.key,
                "unit": meter.unit,
                "aggregation": meter.aggregation,
                "from": _text(span.start),
                "to": _text(span.end),
                "window": query.validated_data["window"],
                "time_zone": zone.key,
                "group_by": group_by,
                "usage_version": usage.version,
                "data": rows,
            }
        )


def _span(query: dict[str, Any], customer: Customer) -> Period:
    month = month_of(timezone.now(), customer.zone)
    start, end = query.get("from", month.start), query.get("to", month.end)
    for name, bound in (("from", start), ("to", end)):
        if not FIRST_YEAR <= bound.year <= LAST_YEAR:
            raise serializers.ValidationError({name: f"A year from {FIRST_YEAR} to {LAST_YEAR}."})
    if end <= start:
        raise serializers.ValidationError({"to": "The end is after the start."})
    return Period(start.astimezone(UTC), end.astimezone(UTC))


def _cut(span: Period, window: str, zone: ZoneInfo) -> list[Period]:
    spans: list[Period] = []
    for part in windows(span, window, zone):
        if len(spans) == MAX_WINDOWS:
            raise Problem(400, "too_many_windows", f"At most {MAX_WINDOWS} windows; ask for a shorter span.")
        spans.append(part)
    return spans


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
