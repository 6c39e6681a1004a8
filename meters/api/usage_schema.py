"""What the OpenAPI document says of `/v1/usage`, beyond what UsageParameters says."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, inline_serializer
from rest_framework import serializers

from meters.api.usage_query import MAX_TOP, WINDOWS, UsageParameters

_FIELDS = UsageParameters().fields
_FILTER = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}


def _parameter(name: str, kind: Any = OpenApiTypes.STR, **options: Any) -> OpenApiParameter:
    field = _FIELDS[name]
    return OpenApiParameter(name, kind, required=field.required, description=str(field.help_text), **options)


PARAMETERS = [
    _parameter("meter", examples=[OpenApiExample("A meter", "ApiCalls")]),
    _parameter("customer", many=True, examples=[OpenApiExample("Two customers", ["acme", "globex"])]),
    _parameter("from", OpenApiTypes.DATETIME),
    _parameter("to", OpenApiTypes.DATETIME),
    _parameter("period", examples=[OpenApiExample("A month", "2026-11"), OpenApiExample("By name", "last_7_days")]),
    _parameter("time_zone", examples=[OpenApiExample("Berlin", "Europe/Berlin")]),
    _parameter("window", enum=WINDOWS, default="none"),
    _parameter("group_by", many=True, examples=[OpenApiExample("By customer and region", ["customer", "region"])]),
    _parameter(
        "filter",
        _FILTER,
        style="deepObject",
        explode=True,
        examples=[OpenApiExample("Two regions", {"region": ["eu", "us"]})],
    ),
    _parameter("top", {"type": "integer", "minimum": 1, "maximum": MAX_TOP}),
]

USAGE = inline_serializer(
    "Usage",
    {
        "customer": serializers.CharField(allow_null=True, help_text="The customer, where there is exactly one."),
        "customers": serializers.ListField(
            child=serializers.CharField(), allow_null=True, help_text="Null: all customers."
        ),
        "meter": serializers.CharField(),
        "unit": serializers.CharField(),
        "aggregation": serializers.CharField(),
        "from": serializers.DateTimeField(),
        "to": serializers.DateTimeField(help_text="Not included."),
        "window": serializers.CharField(),
        "time_zone": serializers.CharField(),
        "group_by": serializers.ListField(child=serializers.CharField()),
        "filter": serializers.DictField(child=serializers.ListField(child=serializers.CharField())),
        "top": serializers.IntegerField(allow_null=True),
        "total": inline_serializer(
            "UsageTotal",
            {
                "value": serializers.CharField(help_text="Of the whole span as one window, without groups."),
                "events": serializers.IntegerField(),
            },
        ),
        "usage_version": serializers.IntegerField(
            help_text="What the figures are exact up to; raised by every change. Of several customers, their sum."
        ),
        "at": serializers.DateTimeField(allow_null=True, help_text="When that version came in. Null: no usage ever."),
        "read_at": serializers.DateTimeField(help_text="Values that hold over time count up to here."),
        "data": inline_serializer(
            "UsageRow",
            {
                "from": serializers.DateTimeField(),
                "to": serializers.DateTimeField(),
                "group": serializers.DictField(child=serializers.CharField()),
                "value": serializers.CharField(),
                "events": serializers.IntegerField(),
                "other": serializers.BooleanField(
                    required=False, help_text="With `top`: whether these are the groups that are not among them."
                ),
            },
            many=True,
        ),
    },
)

QUESTION = OpenApiExample(
    "A month by region",
    {
        "meter": "ApiCalls",
        "customer": ["acme", "globex"],
        "from": "2026-10-01T00:00:00Z",
        "to": "2026-11-01T00:00:00Z",
        "window": "month",
        "group_by": ["region"],
        "filter": {"source": ["crm", "shop"]},
        "top": 2,
    },
    request_only=True,
)
CSV = OpenApiExample(
    "As CSV",
    "from,to,region,other,value (calls),events\r\n2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,eu,false,8000,40\r\n",
    response_only=True,
    media_type="text/csv",
    status_codes=["200"],
)
ANSWER = OpenApiExample(
    "A month by region",
    {
        "customer": None,
        "customers": ["acme", "globex"],
        "meter": "ApiCalls",
        "unit": "calls",
        "aggregation": "sum",
        "from": "2026-10-01T00:00:00Z",
        "to": "2026-11-01T00:00:00Z",
        "window": "month",
        "time_zone": "UTC",
        "group_by": ["region"],
        "filter": {"source": ["crm", "shop"]},
        "top": 2,
        "total": {"value": "12300", "events": 61},
        "usage_version": 88,
        "at": "2026-10-31T23:12:07.120000Z",
        "read_at": "2026-11-02T08:00:00Z",
        "data": [
            {
                "from": "2026-10-01T00:00:00Z",
                "to": "2026-11-01T00:00:00Z",
                "group": {"region": region} if region else {},
                "value": value,
                "events": events,
                "other": not region,
            }
            for region, value, events in (("eu", "8000", 40), ("us", "4000", 20), ("", "300", 1))
        ],
    },
    response_only=True,
    media_type="application/json",
    status_codes=["200"],
)
