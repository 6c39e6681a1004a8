"""`GET /v1/events` and `GET /v1/events/{customer}/{id}`: the events that came in, and whether they count."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from meters.aggregation import plain
from meters.api.auth import customer_of, require_customer
from meters.api.problems import Problem
from meters.api.serializers import ByKey
from meters.event_log import STATES, EventQuery, counts, events_of, need_events_of, page
from meters.models import Customer, Event, Meter

MAX_LIMIT = 1000
_FILTER = re.compile(r"filter\[(.+)\]", re.DOTALL)
# What the fields of a query are called in the API.
NAMES = {"start": "from", "end": "to", "event_id": "id"}

VOID = inline_serializer(
    "EventVoid",
    {
        "record": serializers.IntegerField(),
        "reason": serializers.CharField(required=False, help_text="Not for keys of one customer."),
        "actor": serializers.CharField(required=False, help_text="Not for keys of one customer."),
        "at": serializers.DateTimeField(),
    },
    allow_null=True,
)
EVENT_FIELDS: dict[str, Any] = {
    "id": serializers.CharField(),
    "customer": serializers.CharField(),
    "meter": serializers.CharField(),
    "time": serializers.DateTimeField(),
    "received_at": serializers.DateTimeField(),
    "value": serializers.CharField(),
    "dimensions": serializers.DictField(child=serializers.CharField()),
    "counts": serializers.BooleanField(help_text="Whether the figures of the meter count it."),
    "not_counted_because": serializers.ChoiceField(["voided", "outside_of_filter"], allow_null=True),
    "void": VOID,
}
EVENT_OUT = inline_serializer("StoredEvent", EVENT_FIELDS, many=True)
EXAMPLE = {
    "id": "job-8123",
    "customer": "acme",
    "meter": "ApiCalls",
    "time": "2026-11-22T14:00:00Z",
    "received_at": "2026-11-22T14:00:01.204113Z",
    "value": "52",
    "dimensions": {"source": "crm", "target": "warehouse"},
    "counts": False,
    "not_counted_because": "voided",
    "void": {"record": 7, "reason": "Test traffic", "actor": "billing", "at": "2026-11-23T09:12:40.018233Z"},
}


class EventsQuery(serializers.Serializer[Any]):
    """The query string, but for the filter on dimensions."""

    customer = ByKey(queryset=Customer.objects.all(), required=False)
    meter = ByKey(queryset=Meter.objects.all(), required=False)
    to = serializers.DateTimeField(required=False, default_timezone=UTC)
    id = serializers.CharField(required=False, max_length=200, trim_whitespace=False)
    state = serializers.ChoiceField(STATES, default="all")
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=25)
    cursor = serializers.CharField(required=False, max_length=200)

    def get_fields(self) -> Any:
        # `from` is a word of the language, so it cannot be an attribute.
        return super().get_fields() | {"from": serializers.DateTimeField(required=False, default_timezone=UTC)}


class EventListMixin:
    """Reading events, beside the view that takes them in."""

    customer_keys: tuple[str, ...] = ("GET",)

    @extend_schema(
        operation_id="list_events",
        parameters=[
            OpenApiParameter("customer", str, description="Its key."),
            OpenApiParameter("meter", str, description="Its key."),
            OpenApiParameter("from", datetime, description="The time of the event."),
            OpenApiParameter("to", datetime, description="Not included."),
            OpenApiParameter("id", str, description="The sender's id; needs `customer`."),
            OpenApiParameter(
                "filter",
                {"type": "object", "additionalProperties": {"type": "string"}},
                style="deepObject",
                explode=True,
                description="Any dimension of the event, as in `filter[source]=crm`; empty: events without it.",
            ),
            OpenApiParameter("state", str, enum=STATES, default="all"),
            OpenApiParameter("limit", int, default=25, description=f"At most {MAX_LIMIT}."),
            OpenApiParameter("cursor", str, description="From `next` or `previous`."),
        ],
        responses=inline_serializer(
            "StoredEvents",
            {
                "data": EVENT_OUT,
                "next": serializers.URLField(allow_null=True),
                "previous": serializers.URLField(allow_null=True),
            },
        ),
        examples=[
            OpenApiExample(
                "A page of one event",
                {"data": [EXAMPLE], "next": "https://example.com/v1/events?customer=acme&cursor=…", "previous": None},
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        """Lists events, the newest first by their time.

        Without a customer a span of at most one day is searched, and without a span the 100,000 events that arrived
        last. A page may be short, or empty, and have a `next` all the same, where few of very many events match.
        """
        query, limit, cursor = _asked(request)
        try:
            found = page(query, limit=limit, cursor=cursor)
        except ValidationError as error:
            raise serializers.ValidationError(by_api_name(error)) from error
        url = request.build_absolute_uri()
        internal = customer_of(request) is None
        return Response(
            {
                "data": [event_json(event, internal=internal) for event in found.events],
                "next": replace_query_param(url, "cursor", found.next) if found.next else None,
                "previous": replace_query_param(url, "cursor", found.previous) if found.previous else None,
            }
        )


class EventView(APIView):
    """The events of one id."""

    permissions = {"GET": "meters.view_event"}
    conflicts = ("GET",)
    customer_keys: tuple[str, ...] = ("GET",)

    @extend_schema(
        operation_id="get_event",
        parameters=[
            OpenApiParameter("path", str, OpenApiParameter.PATH, description="The customer's key, `/`, the event's id.")
        ],
        responses=inline_serializer("EventOfId", {"data": EVENT_OUT}),
        examples=[OpenApiExample("One meter", {"data": [EXAMPLE]}, response_only=True)],
    )
    def get(self, request: Request, path: str) -> Response:
        """What was sent under one id: an event for each meter that it fed.

        Keys and ids may hold slashes, encoded or not. Where the path can be read as the ids of two customers, and
        both have such an event, the answer is 409; `GET /v1/events?customer=…&id=…` says which one.
        """
        parts = path.split("/")
        splits = {"/".join(parts[:place]): "/".join(parts[place:]) for place in range(1, len(parts))}
        own = customer_of(request)
        if own is None:
            customers = list(Customer.objects.filter(key__in=splits))
        else:
            customers = [own] if own.key in splits else []
        found = [
            events
            for customer in customers
            if splits[customer.key] and (events := events_of(customer, splits[customer.key]))
        ]
        for customer in customers if not found else ():
            need_events_of(customer, splits[customer.key])
        if not found:
            raise NotFound("There is no such event.")
        if len(found) > 1:
            detail = "Several customers have an event that this path can mean. Ask with ?customer= and ?id= instead."
            raise Problem(409, "ambiguous_path", detail)
        return Response({"data": [event_json(event, internal=own is None) for event in found[0]]})


def event_json(event: Event, *, internal: bool) -> dict[str, Any]:
    """An event as it is answered. `internal`: with the reason of its void and who voided it, which staff wrote for
    themselves and a customer's own key does not see."""
    void = event.void
    is_counted = counts(event)
    reason = None if is_counted else "voided" if void else "outside_of_filter"
    return {
        "id": event.event_id,
        "customer": event.customer.key,
        "meter": event.meter.key,
        "time": time_text(event.occurred_at),
        "received_at": time_text(event.received_at),
        "value": plain(event.value),
        "dimensions": event.dimensions,
        "counts": is_counted,
        "not_counted_because": reason,
        "void": void
        and {"record": void.id}
        | ({"reason": void.reason, "actor": void.actor} if internal else {})
        | {"at": time_text(void.created_at)},
    }


def time_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def by_api_name(error: ValidationError) -> dict[str, list[str]]:
    """A service's refusal, by the names that the API has for the fields."""
    return {NAMES.get(name, name): messages for name, messages in error.message_dict.items()}


def _asked(request: Request) -> tuple[EventQuery, int, str | None]:
    data, dimensions = _parameters(request)
    own = customer_of(request)
    if own is not None and "customer" in data:
        require_customer(request, data["customer"])
    form = EventsQuery(data=data)
    form.is_valid(raise_exception=True)
    asked: Mapping[str, Any] = form.validated_data
    query = EventQuery(
        customer=asked.get("customer", own),
        meter=asked.get("meter"),
        start=asked.get("from"),
        end=asked.get("to"),
        event_id=asked.get("id", ""),
        dimensions=dimensions,
        state=asked["state"],
    )
    return query, asked["limit"], asked.get("cursor")


def _parameters(request: Request) -> tuple[dict[str, str], dict[str, str]]:
    known = EventsQuery().fields.keys()
    data: dict[str, str] = {}
    dimensions: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name, texts in request.query_params.lists():
        match = _FILTER.fullmatch(name)
        if len(texts) > 1:
            faults[name] = "Give it once."
        elif match:
            dimensions[match[1]] = texts[0]
        elif name in known:
            data[name] = texts[0]
        elif name == "filter":
            faults[name] = "Name the dimension in brackets, as in filter[source]=crm."
        else:
            faults[name] = "There is no such parameter."
    if faults:
        raise serializers.ValidationError(faults)
    return data, dimensions
