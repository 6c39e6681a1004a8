"""OpenMeter's API as far as its client ingests events and reads meters, for those who come from there.

Mounted below OPENMETER_PREFIX. Keys and scopes are ours, and so is what events and usage mean; the wire format is
theirs. An event's `type` is the key of a meter, which is also what they call the meter's slug, and its `subject` a
customer.
"""

import csv
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from django.conf import settings
from django.http import Http404, HttpResponse
from django.urls import path
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from meters import cloudevents
from meters.aggregation import ZERO, plain
from meters.api.bodies import read_body
from meters.api.events import AnyParser, in_turn, record, told_of_bodies
from meters.api.negotiation import Negotiation
from meters.api.openmeter_query import Query, of_address, of_body
from meters.api.problems import Problem, invalid
from meters.api.usage import CsvRenderer
from meters.api.usage_csv import MEDIA_TYPE as CSV
from meters.api.usage_query import text_of
from meters.api.usage_table import Row, read_table
from meters.events import Outcome
from meters.models import ApiKey, Meter
from meters.spreadsheet import cell

# Their values are numbers, which keep all digits that ours have.
_encoder = msgspec.json.Encoder(decimal_format="number")
# What they take without a word: an event that no meter counts.
PASSED_OVER = "unknown_meter"
AGGREGATIONS = {"average": "AVG"}
PAGE_SIZE, MAX_PAGE_SIZE = 100, 1000


class EventsView(APIView):
    """`POST events`: CloudEvents, one or an array of them."""

    permissions = {"POST": "meters.add_event"}
    schema = None
    parser_classes = [AnyParser]
    scopes = {"POST": ApiKey.Scope.INGEST.value}
    customer_keys = ("POST",)
    http_method_names = ["post"]

    def post(self, request: Request) -> HttpResponse:
        """Answers 204 where all events are stored, or were before; 400 with a pointer to each that was refused, the
        others being stored. What no meter counts is kept for staff, and answered as they do: with 204."""
        body = read_body(request)
        several = body.lstrip()[:1] == b"["
        with in_turn(body):
            with told_of_bodies():
                events = cloudevents.decode_cloudevents(body, batch=several, max_events=settings.INGEST_MAX_EVENTS)
            recorded = record(request, events)
        refused = [each for each in recorded.outcomes if each.outcome == "rejected" and each.code != PASSED_OVER]
        if refused:
            raise _refusal(refused, len(events), several)
        return HttpResponse(status=204)


def _refusal(refused: Sequence[Outcome], sent: int, several: bool) -> Problem:
    errors = []
    for outcome in refused:
        place = cloudevents.pointer(outcome.pointer)
        pointer = f"/{outcome.index}{place}" if several else place
        errors.append({"pointer": pointer, "code": outcome.code, "id": outcome.id, "detail": outcome.detail})
    detail = f"{len(refused):,} of {sent:,} events were refused; the others are stored. {errors[0]['detail']}"
    return Problem(400, "events_refused", detail, errors)


class QueryView(APIView):
    """`GET|POST meters/{slug}/query`: usage of a meter, as JSON or CSV."""

    permissions = dict.fromkeys(("GET", "POST"), "meters.view_customer meters.view_meter")
    schema = None
    scopes = {"POST": ApiKey.Scope.READ.value}
    customer_keys = ("GET", "POST")
    http_method_names = ["get", "head", "post"]
    content_negotiation_class = Negotiation
    renderer_classes = [JSONRenderer, CsvRenderer]

    def get(self, request: Request, slug: str) -> HttpResponse:
        return _usage(request, of_address(slug, request.query_params, request=request, now=timezone.now()))

    def post(self, request: Request, slug: str) -> HttpResponse:
        return _usage(request, of_body(slug, request.data or {}, request=request, now=timezone.now()))


def _usage(request: Request, query: Query) -> HttpResponse:
    rows = [row for row in _rows(query) if row.events or row.value != ZERO]
    if request.accepted_media_type == CSV:
        return _csv(query, rows)
    names = [name for name in query.group_by if name != "subject"]
    answer: dict[str, Any] = {"data": [_document(row, query, names) for row in rows]}
    for name, value in (("from", query.start), ("to", query.end)):
        if value is not None:
            answer[name] = text_of(value)
    if query.window_size:
        answer["windowSize"] = query.window_size
    return HttpResponse(_encoder.encode(answer), content_type="application/json")


def _rows(query: Query) -> Iterator[Row]:
    # Of subjects that nobody has heard of there is nothing to read.
    return iter(()) if query.usage is None else read_table(query.usage).rows()


def _document(row: Row, query: Query, names: Sequence[str]) -> dict[str, Any]:
    return {
        "value": row.value,
        "windowStart": text_of(row.window.start),
        "windowEnd": text_of(row.window.end),
        "subject": row.group.get("customer"),
        # A dimension that events lack is null there.
        "groupBy": {name: row.group[name] or None for name in names},
    }


def _csv(query: Query, rows: Sequence[Row]) -> HttpResponse:
    names = [name for name in query.group_by if name != "subject"]
    disposition = f'attachment; filename="{query.slug}.csv"'
    response = HttpResponse(content_type=CSV, headers={"Content-Disposition": disposition})
    writer = csv.writer(response)
    writer.writerow(["window_start", "window_end", "subject", *(cell(name) for name in names), "value"])
    for row in rows:
        texts = [cell(row.group.get("customer", "")), *(cell(row.group[name]) for name in names)]
        writer.writerow([text_of(row.window.start), text_of(row.window.end), *texts, plain(row.value)])
    return response


class MeterListView(APIView):
    """`GET meters`: all meters, by slug, a page at a time."""

    permissions = {"GET": "meters.view_meter"}
    schema = None
    customer_keys = ("GET",)
    http_method_names = ["get", "head"]

    def get(self, request: Request) -> HttpResponse:
        for name in ("order", "orderBy"):
            if name in request.query_params:
                raise invalid(name, "Meters come in the order of their slugs.", parameter=True)
        page = _whole(request, "page", 1, 1_000_000)
        size = _whole(request, "pageSize", PAGE_SIZE, MAX_PAGE_SIZE)
        meters = Meter.objects.order_by("key")[(page - 1) * size : page * size]
        return HttpResponse(_encoder.encode([_meter(meter) for meter in meters]), content_type="application/json")


def _whole(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise invalid(name, f"A whole number from 1 to {most:,}.", parameter=True)
    return int(text)


class MeterView(APIView):
    """`GET meters/{slug}`."""

    permissions = {"GET": "meters.view_meter"}
    schema = None
    customer_keys = ("GET",)
    http_method_names = ["get", "head"]

    def get(self, request: Request, slug: str) -> HttpResponse:
        meter = Meter.objects.filter(key=slug).first()
        if meter is None:
            raise Http404
        return HttpResponse(_encoder.encode(_meter(meter)), content_type="application/json")


def _meter(meter: Meter) -> dict[str, Any]:
    """The meter in their words. Ours never change what they count, so the time of the last change is the first."""
    made = text_of(meter.created_at)
    counted = meter.unique_dimension or meter.value_dimension or "value"
    document = {
        "id": meter.key,
        "slug": meter.key,
        "name": str(meter),
        "description": meter.unit,
        "eventType": meter.key,
        "aggregation": AGGREGATIONS.get(meter.aggregation, meter.aggregation.upper()),
        "groupBy": {name: f"$.{name}" for name in meter.dimensions},
        "createdAt": made,
        "updatedAt": made,
    }
    return document if meter.aggregation == Meter.Aggregation.COUNT else document | {"valueProperty": f"$.{counted}"}


urlpatterns = [
    path("api/v1/events", EventsView.as_view()),
    path("api/v1/meters", MeterListView.as_view()),
    path("api/v1/meters/<str:slug>", MeterView.as_view()),
    path("api/v1/meters/<str:slug>/query", QueryView.as_view()),
]
