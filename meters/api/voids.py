"""`POST /v1/events/void` and `POST /v1/events/unvoid`: events leave the figures, and come back into them."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import OpenApiExample, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from meters.aggregation import plain
from meters.api.event_log import by_api_name, time_text
from meters.api.serializers import ByKey, Strict
from meters.event_log import STATES, EventQuery
from meters.models import ApiKey, Customer, Meter, VoidRecord
from meters.voiding import (
    MAX_REASON,
    EventRef,
    Selection,
    Voided,
    select_events,
    selection_of,
    unvoid_events,
    void_events,
)

# The changes of more customers and meters than this are summed up in the number that is left out.
MAX_CHANGES = 1000

REF = {"customer": "acme", "id": "job-8123"}
FILTER = {
    "customer": "acme",
    "meter": "ApiCalls",
    "from": "2026-11-22T13:00:00Z",
    "to": "2026-11-22T14:00:00Z",
    "dimensions": {"source": "crm"},
}


class RefSerializer(Strict):
    customer = serializers.CharField(max_length=200)
    id = serializers.CharField(max_length=200, trim_whitespace=False)
    meter = serializers.CharField(max_length=200, required=False, help_text="Without it: of all meters.")


class FilterSerializer(Strict):
    """At least a customer, or a meter and a span of at most 31 days."""

    unknown = "There is no such condition."

    customer = ByKey(queryset=Customer.objects.all(), required=False)
    meter = ByKey(queryset=Meter.objects.all(), required=False)
    to = serializers.DateTimeField(required=False, default_timezone=UTC)
    dimensions = serializers.DictField(child=serializers.CharField(allow_blank=True), required=False)
    state = serializers.ChoiceField(STATES, default="all")

    def get_fields(self) -> Any:
        return super().get_fields() | {"from": serializers.DateTimeField(required=False, default_timezone=UTC)}


class VoidSerializer(Strict):
    """Which events, and why."""

    events = RefSerializer(many=True, required=False)
    filter = FilterSerializer(required=False)
    reason = serializers.CharField(max_length=MAX_REASON)
    dry_run = serializers.BooleanField(default=False, help_text="Only say what would change.")

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        ways = [name for name in ("events", "filter", "record") if name in self.fields]
        if sum(name in asked for name in ways) != 1:
            raise serializers.ValidationError(f"Give one of {', '.join(ways)}.")
        return asked


class UnvoidSerializer(VoidSerializer):
    record = serializers.PrimaryKeyRelatedField(
        queryset=VoidRecord.objects.filter(kind=VoidRecord.Kind.VOID),
        required=False,
        help_text="A void to undo: what it holds out still comes back.",
    )


RECORD = inline_serializer(
    "VoidRecord",
    {
        "id": serializers.IntegerField(),
        "kind": serializers.ChoiceField(VoidRecord.Kind.choices),
        "reason": serializers.CharField(),
        "actor": serializers.CharField(),
        "events": serializers.IntegerField(),
        "created_at": serializers.DateTimeField(),
    },
    allow_null=True,
)
ANSWER = inline_serializer(
    "Voided",
    {
        "dry_run": serializers.BooleanField(),
        "record": RECORD,
        "events": serializers.IntegerField(help_text="How many change."),
        "unchanged": serializers.IntegerField(help_text="How many are voided, or counted, already."),
        "unknown": RefSerializer(many=True),
        "changes": inline_serializer(
            "VoidChange",
            {
                "customer": serializers.CharField(),
                "meter": serializers.CharField(),
                "events": serializers.IntegerField(),
                "sum": serializers.CharField(help_text="Of the events' values."),
            },
            many=True,
        ),
        "changes_left_out": serializers.IntegerField(),
    },
)
RECORDED = {
    "id": 7,
    "kind": "void",
    "reason": "Test traffic",
    "actor": "billing",
    "events": 3,
    "created_at": "2026-11-23T09:12:40.018233Z",
}
ANSWERED = {
    "dry_run": False,
    "record": RECORDED,
    "events": 3,
    "unchanged": 0,
    "unknown": [],
    "changes": [{"customer": "acme", "meter": "ApiCalls", "events": 3, "sum": "156"}],
    "changes_left_out": 0,
}
UNDONE = ANSWERED | {"record": RECORDED | {"id": 8, "kind": "unvoid", "reason": "They were right"}}
WOULD = ANSWERED | {"dry_run": True, "record": None}
EXAMPLES = [
    OpenApiExample("By id", {"events": [REF], "reason": "Sent twice"}, request_only=True),
    OpenApiExample(
        "By filter, dry run", {"filter": FILTER, "reason": "Test traffic", "dry_run": True}, request_only=True
    ),
    OpenApiExample("Changed", ANSWERED, response_only=True),
    OpenApiExample("Dry run", WOULD, response_only=True),
]


class VoidView(APIView):
    """Takes events out of the figures."""

    permissions = {"POST": "meters.add_voidrecord meters.view_event"}

    @extend_schema(operation_id="void_events", request=VoidSerializer, responses=ANSWER, examples=EXAMPLES)
    def post(self, request: Request) -> Response:
        """Voids events: they stay in the list, and no figure counts them any more. Send it with `dry_run` first.

        Usage and open invoices follow at once. A voided event keeps its id: sending it again is a `duplicate`. At most
        100,000 events a call; a filter that finds more is refused and changes nothing.
        """
        return _answer(request, VoidSerializer(data=request.data), void_events)


class UnvoidView(APIView):
    """Brings voided events back."""

    permissions = {"POST": "meters.add_voidrecord meters.view_event"}

    @extend_schema(
        operation_id="unvoid_events",
        request=UnvoidSerializer,
        responses=ANSWER,
        examples=[
            OpenApiExample("Undo a void", {"record": 7, "reason": "They were right"}, request_only=True),
            OpenApiExample("Changed", UNDONE, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        """Undoes voids: the events count again. Takes events, a filter, or the number of a void's record."""
        return _answer(request, UnvoidSerializer(data=request.data), unvoid_events)


def _answer(request: Request, form: VoidSerializer, change: Callable[..., Voided]) -> Response:
    form.is_valid(raise_exception=True)
    asked = form.validated_data
    assert isinstance(request.auth, ApiKey)
    try:
        done = change(_selection(asked), reason=asked["reason"], actor=request.auth.name, dry_run=asked["dry_run"])
    except ValidationError as error:
        raise serializers.ValidationError(_by_pointer(error)) from error
    return Response(_json(done))


def _selection(asked: dict[str, Any]) -> Selection:
    if record := asked.get("record"):
        return selection_of(record)
    if "events" in asked:
        return select_events(refs=[EventRef(**ref) for ref in asked["events"]])
    conditions = asked["filter"]
    return select_events(
        query=EventQuery(
            customer=conditions.get("customer"),
            meter=conditions.get("meter"),
            start=conditions.get("from"),
            end=conditions.get("to"),
            dimensions=conditions.get("dimensions", {}),
            state=conditions["state"],
        )
    )


def _by_pointer(error: ValidationError) -> dict[str, Any]:
    """A refusal under the fields of the body: what is not at the top is of the filter."""
    top: dict[str, Any] = {}
    for name, messages in by_api_name(error).items():
        if name in ("events", "filter", "reason"):
            top[name] = messages
        else:
            top.setdefault("filter", {})[name] = messages
    return top


def _json(done: Voided) -> dict[str, Any]:
    record = done.record
    return {
        "dry_run": done.dry_run,
        "record": record
        and {
            "id": record.id,
            "kind": record.kind,
            "reason": record.reason,
            "actor": record.actor,
            "events": record.events,
            "created_at": time_text(record.created_at),
        },
        "events": done.events,
        "unchanged": done.unchanged,
        "unknown": [
            {"customer": ref.customer, "id": ref.id} | ({"meter": ref.meter} if ref.meter else {})
            for ref in done.unknown
        ],
        "changes": [
            {"customer": change.customer, "meter": change.meter, "events": change.events, "sum": plain(change.sum)}
            for change in done.changes[:MAX_CHANGES]
        ],
        "changes_left_out": max(0, len(done.changes) - MAX_CHANGES),
    }
