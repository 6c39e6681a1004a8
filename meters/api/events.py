"""`POST /v1/events`: no serializer touches an event, msgspec decodes the bytes."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from meters import cloudevents
from meters.api.auth import ApiKeyAuthentication, HasScope, count, customer_of
from meters.api.bodies import JSON_LINES, media_type, read_body
from meters.api.event_log import EventListMixin
from meters.api.problems import Problem, problem_response
from meters.decoding import EventIn, MalformedBody, Rejection, TooManyEvents, decode_json, decode_lines
from meters.events import Outcome, Recorded, record_events
from meters.ids import derived_id
from meters.models import ApiKey
from meters.refusals import note_refusals

_encoder = msgspec.json.Encoder()
# Of bodies of more bytes a process works on one at a time, while the other processes do: several would take memory,
# and nothing would be faster.
LARGE = 1_000_000
_large_ones = threading.Lock()


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
SEVERAL_METERS = OpenApiExample(
    "One event for several meters",
    {"id": "job-8124", "customer": "acme", "values": {"api_calls": "1", "records": "52"}},
    request_only=True,
)
CLOUD = OpenApiExample(
    "A CloudEvent",
    {
        "specversion": "1.0",
        "id": "job-8125",
        "source": "jobs",
        "type": "ApiCalls",
        "subject": "acme",
        "time": "2026-11-22T14:00:00Z",
        "data": {"value": "52", "source": "crm"},
    },
    request_only=True,
    media_type=cloudevents.ONE,
)
RECORDED = OpenApiExample(
    "Three events of which two count",
    {
        "accepted": 2,
        "duplicate": 0,
        "conflict": 0,
        "rejected": 1,
        "outcomes": [
            {
                "index": 2,
                "outcome": "rejected",
                "id": "job-8126",
                "meter": "ApiCals",
                "code": "unknown_meter",
                "pointer": "/2/meter",
                "detail": "There is no meter 'ApiCals'.",
            }
        ],
    },
    response_only=True,
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


CLOUD_EVENT = inline_serializer(
    "CloudEvent",
    {
        "specversion": serializers.ChoiceField(["1.0"]),
        "id": serializers.CharField(max_length=200),
        "source": serializers.CharField(max_length=200),
        "type": serializers.CharField(max_length=200),
        "subject": serializers.CharField(max_length=200),
        "time": serializers.DateTimeField(required=False),
        "data": serializers.DictField(required=False),
    },
)


class EventsView(EventListMixin, APIView):
    """Takes one event, an array of events, or newline-delimited JSON; gzip or not."""

    permissions = {"GET": "meters.view_event", "POST": "meters.add_event"}
    parser_classes = [AnyParser]
    scopes = {"POST": ApiKey.Scope.INGEST.value}
    customer_keys = ("GET", "POST")
    # Events are counted once by their ids.
    keeps_own_repeats = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """A call that may record goes past what REST framework does around a view (it wraps the request and chooses
        among formats), which takes longer than to record an event. Any other call takes the usual way."""
        key = _recording_key(request, self) if request.method == "POST" else None
        if key is None:
            return super().dispatch(request, *args, **kwargs)
        try:
            count(request, key)
            # It has all that is asked of REST framework's own here.
            return self.post(cast(Request, request))
        except Exception as error:
            return problem_response(error)

    def head(self, request: Request) -> Response:
        """Django would make this of `get` for each instance, which would then hold itself, and with it the call and its
        body, until garbage is next collected."""
        return self.get(request)

    @extend_schema(
        operation_id="record_events",
        request={
            "application/json": EVENT_IN,
            "application/x-ndjson": EVENT_IN,
            cloudevents.ONE: CLOUD_EVENT,
            cloudevents.BATCH: CLOUD_EVENT,
        },
        responses={200: ANSWER, 422: ANSWER},
        examples=[EVENT, SEVERAL_METERS, CLOUD, RECORDED],
    )
    def post(self, request: Request) -> HttpResponse:
        """Records usage events.

        When the answer comes, what it counts as accepted is stored and counted. An event whose `id` was sent before
        (per customer and meter, for ever) is a `duplicate`, or a `conflict` where its content differs; the first one
        counts. Bad events are `rejected` with a code and a JSON pointer, and the good ones land all the same. The
        answer is 200, and 422 where all events were rejected.

        `values` in place of `meter` and `value` feeds several meters with one fact, each with an outcome of its own.
        A CloudEvent's `subject` is the customer, its `type` the meter, `data.value` the value, what else is in `data`
        dimensions, and `source` and `id` together the id.
        """
        body = read_body(request)
        with in_turn(body):
            return self._record(request, body)

    def _record(self, request: Request, body: bytes) -> HttpResponse:
        kind = media_type(request)
        with told_of_bodies():
            events, many = _decode(body, kind)
        recorded = record(request, events, spare_id=_spare_ids(request))
        return _answer(recorded, many, cloud=kind in (cloudevents.ONE, cloudevents.BATCH))


@contextmanager
def told_of_bodies() -> Iterator[None]:
    """Says as a Problem what a body is not."""
    try:
        yield
    except MalformedBody as error:
        raise Problem(400, "malformed_json", str(error)) from error
    except TooManyEvents as error:
        raise Problem(413, "too_many_events", f"{error} Nothing of it was stored.") from error


def record(
    request: Request, events: Sequence[EventIn | Rejection], *, spare_id: Callable[[int], str] | None = None
) -> Recorded:
    """Records what a call has sent, and notes what was refused of it for staff."""
    now, own = timezone.now(), customer_of(request)
    recorded = record_events(events, now=now, only_customer=own.key if own else None, spare_id=spare_id)
    if recorded.rejected or recorded.conflict:
        sender = request.auth.name if isinstance(request.auth, ApiKey) else ""
        note_refusals(events, recorded.outcomes, sender=sender, now=now)
    return recorded


def in_turn(body: bytes) -> AbstractContextManager[Any]:
    """What to hold while a body is worked on."""
    return nullcontext() if len(body) <= LARGE else _large_ones


def _recording_key(request: HttpRequest, view: APIView) -> ApiKey | None:
    """The key of the call where it opens the view, noted on the request as REST framework does."""
    try:
        found = ApiKeyAuthentication().authenticate(request)
    except AuthenticationFailed:
        return None
    if found is None:
        return None
    key = request.auth = found[1]  # type: ignore[attr-defined]
    return key if HasScope().has_permission(request, view) else None


def _decode(body: bytes, kind: str) -> tuple[Sequence[EventIn | Rejection], bool]:
    limit = settings.INGEST_MAX_EVENTS
    if kind in JSON_LINES:
        return decode_lines(body, max_events=limit), True
    if kind in (cloudevents.ONE, cloudevents.BATCH):
        batch = kind == cloudevents.BATCH
        return cloudevents.decode_cloudevents(body, batch=batch, max_events=limit), batch
    return decode_json(body, max_events=limit)


def _spare_ids(request: Request) -> Callable[[int], str] | None:
    """Ids for events without one: made of the Idempotency-Key, where there is one, so that a repetition of the
    request is a duplicate."""
    if key := request.META.get("HTTP_IDEMPOTENCY_KEY"):
        return partial(derived_id, request.auth.pk, key)
    return None


def _answer(recorded: Recorded, many: bool, *, cloud: bool) -> HttpResponse:
    landed = recorded.accepted + recorded.duplicate + recorded.conflict
    status = 200 if landed or not recorded.rejected else 422
    body = {
        "accepted": recorded.accepted,
        "duplicate": recorded.duplicate,
        "conflict": recorded.conflict,
        "rejected": recorded.rejected,
        "outcomes": [_placed(outcome, many, cloud) for outcome in recorded.outcomes],
    }
    return HttpResponse(_encoder.encode(body), status=status, content_type="application/json")


def _placed(outcome: Outcome, many: bool, cloud: bool) -> Outcome:
    """The outcome with its pointer from the root of the body, as the sender wrote it."""
    if outcome.outcome != "rejected":
        return outcome
    pointer = cloudevents.pointer(outcome.pointer) if cloud else outcome.pointer
    return msgspec.structs.replace(outcome, pointer=f"/{outcome.index}{pointer}" if many else pointer)
