"""`POST /v1/events`: no serializer touches an event, msgspec decodes the bytes."""

import msgspec
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.views import APIView

from meters.api.bodies import JSON_LINES, media_type, read_body
from meters.api.event_log import EventListMixin
from meters.api.problems import Problem
from meters.decoding import MalformedBody, TooManyEvents, decode_json, decode_lines
from meters.events import Recorded, record_events
from meters.models import ApiKey

_encoder = msgspec.json.Encoder()


class AnyParser(BaseParser):
    """Takes every content type and reads nothing: the view reads the bytes itself."""

    media_type = "*/*"


EVENT = OpenApiExample(
    "One event",
    {
        "id": "job-8123",
        "customer": "acme",
        "meter": "ApiCalls",
        "time": "2026-11-22T14:00:00Z",
        "value": "52",
        "dimensions": {"source": "crm", "target": "warehouse"},
    },
    request_only=True,
)
OUTCOME = inline_serializer(
    "Outcome",
    {
        "index": serializers.IntegerField(),
        "outcome": serializers.ChoiceField(["duplicate", "conflict", "rejected"]),
        "id": serializers.CharField(required=False),
        "meter": serializers.CharField(required=False),
        "code": serializers.CharField(required=False),
        "pointer": serializers.CharField(required=False),
        "detail": serializers.CharField(required=False),
    },
    many=True,
)
ANSWER = inline_serializer(
    "Recorded",
    {
        "accepted": serializers.IntegerField(),
        "duplicate": serializers.IntegerField(),
        "conflict": serializers.IntegerField(),
        "rejected": serializers.IntegerField(),
        "outcomes": OUTCOME,
    },
)
EVENT_IN = inline_serializer(
    "Event",
    {
        "id": serializers.CharField(max_length=200, required=False),
        "customer": serializers.CharField(max_length=200),
        "meter": serializers.CharField(max_length=200, required=False),
        "time": serializers.DateTimeField(required=False),
        "value": serializers.DecimalField(39, 15, required=False),
        "values": serializers.DictField(child=serializers.DecimalField(39, 15), required=False),
        "dimensions": serializers.DictField(child=serializers.CharField(), required=False),
    },
)


class EventsView(EventListMixin, APIView):
    """Takes one event, an array of events, or newline-delimited JSON; gzip or not."""

    parser_classes = [AnyParser]
    scopes = {"POST": ApiKey.Scope.INGEST.value}

    @extend_schema(
        operation_id="record_events",
        request={"application/json": EVENT_IN, "application/x-ndjson": EVENT_IN},
        responses={200: ANSWER, 422: ANSWER},
        examples=[EVENT],
    )
    def post(self, request: Request) -> HttpResponse:
        """Records usage events.

        When the answer comes, what it counts as accepted is stored and counted. An event whose `id` was sent before
        (per customer and meter, for ever) is a `duplicate`, or a `conflict` where its content differs; the first one
        counts. Bad events are `rejected` with a code and a JSON pointer, and the good ones land all the same. The
        answer is 200, and 422 where all events were rejected.
        """
        body = read_body(request)
        limit = settings.INGEST_MAX_EVENTS
        try:
            if media_type(request) in JSON_LINES:
                events, many = decode_lines(body, max_events=limit), True
            else:
                events, many = decode_json(body, max_events=limit)
        except MalformedBody as error:
            raise Problem(400, "malformed_json", str(error)) from error
        except TooManyEvents as error:
            raise Problem(413, "too_many_events", f"{error} Nothing of it was stored.") from error
        return _answer(record_events(events), many)


def _answer(recorded: Recorded, many: bool) -> HttpResponse:
    landed = recorded.accepted + recorded.duplicate + recorded.conflict
    status = 200 if landed or not recorded.rejected else 422
    outcomes = recorded.outcomes
    if many:
        outcomes = [
            msgspec.structs.replace(outcome, pointer=f"/{outcome.index}{outcome.pointer}")
            if outcome.outcome == "rejected"
            else outcome
            for outcome in outcomes
        ]
    body = {
        "accepted": recorded.accepted,
        "duplicate": recorded.duplicate,
        "conflict": recorded.conflict,
        "rejected": recorded.rejected,
        "outcomes": outcomes,
    }
    return HttpResponse(_encoder.encode(body), status=status, content_type="application/json")
