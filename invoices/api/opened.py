"""Lines opened to the full: `GET /v1/invoices/{id}?expand=lines.steps`, and the events of a line."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.utils.urls import replace_query_param

from invoices.api.examples import INVOICE
from invoices.api.opened_examples import EVENTS, EVENTS_CSV, OPENED_INVOICE
from invoices.lines.events import MARKS, STATES, LineEvent, csv_rows, events_page, file_name
from invoices.lines.opened import LineEvents, OpenedLine, open_line, open_lines
from invoices.models import Invoice
from meters.api.auth import customer_of
from meters.api.event_log import EVENT_FIELDS, MAX_LIMIT, event_json
from meters.api.examples import answered
from meters.api.negotiation import Negotiation
from meters.api.problems import invalid
from meters.api.usage import CsvRenderer
from meters.api.usage_csv import MEDIA_TYPE

if TYPE_CHECKING:
    from rest_framework.viewsets import GenericViewSet

    _Base = GenericViewSet[Invoice]
else:
    _Base = object

STEPS, DAYS = "lines.steps", "lines.days"
EXPANSIONS = (STEPS, DAYS)
MARKED_EVENT = inline_serializer(
    "LineEvent",
    EVENT_FIELDS | {"marks": serializers.ListField(child=serializers.ChoiceField(list(MARKS.items())))},
    many=True,
)
NOT_OF_USAGE = "This line counts no usage, so it has no events."


class LineEventsQuery(serializers.Serializer[Any]):
    state = serializers.ChoiceField(STATES, default="all")
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=25)
    cursor = serializers.CharField(required=False, max_length=200)


class OpenedLines(_Base):
    """Joined to the view set of invoices."""

    @extend_schema(
        operation_id="get_invoice",
        description="Reads an invoice, by its id or its number. Its lines stand in the order in which they are "
        "computed: usage, fees, promotions, minimum or overage, taxes. Each says the way to its amount, in `steps` and "
        "in words.",
        parameters=[
            OpenApiParameter(
                "expand",
                str,
                description="`lines.steps`: each line with where its price is from and its text, the span that it is "
                "about, the steps as a table, rounding, and the address of its events. `lines.days`: with the usage of "
                "each day. Both with a comma between.",
            )
        ],
        examples=[answered(INVOICE), answered(OPENED_INVOICE, name="With lines.steps and lines.days")],
    )
    def retrieve(self, request: Request, *_: Any, **__: Any) -> Response:
        wanted = _expansions(request.query_params.getlist("expand"))
        invoice = self.get_object()
        if wanted:
            self._open(invoice, wanted)
        return Response(self.get_serializer(invoice).data)

    def _open(self, invoice: Invoice, wanted: Sequence[str]) -> None:
        opened = open_lines(invoice, with_days=DAYS in wanted)
        for one in opened:
            line: Any = one.line
            if STEPS in wanted:
                line.opened = opened_json(one, self._events_url(one))
            if DAYS in wanted:
                line.by_day = one
        invoice._prefetched_objects_cache["lines"] = [one.line for one in opened]  # type: ignore[attr-defined]

    def _events_url(self, one: OpenedLine) -> str | None:
        if one.events is None:
            return None
        place = {"pk": one.line.invoice_id, "position": one.line.position}
        return str(reverse("invoice-line-events", kwargs=place, request=self.request))

    @extend_schema(
        operation_id="list_line_events",
        parameters=[
            OpenApiParameter("position", int, OpenApiParameter.PATH, description="Of the line, from 1."),
            OpenApiParameter(
                "state",
                str,
                enum=STATES,
                default="all",
                description="`all`: what counts, and what was voided. `changed`: what came, or was voided, after the "
                "invoice was final.",
            ),
            OpenApiParameter("limit", int, default=25, description=f"At most {MAX_LIMIT}. Not of a file."),
            OpenApiParameter("cursor", str, description="From `next` or `previous`. Not of a file."),
        ],
        responses={
            (200, "application/json"): inline_serializer(
                "LineEvents",
                {
                    "data": MARKED_EVENT,
                    "next": serializers.URLField(allow_null=True),
                    "previous": serializers.URLField(allow_null=True),
                },
            ),
            (200, MEDIA_TYPE): OpenApiTypes.STR,
        },
        examples=[EVENTS, EVENTS_CSV],
        filters=False,
    )
    @action(
        detail=True,
        url_path=r"lines/(?P<position>[0-9]{1,9})/events",
        url_name="line-events",
        content_negotiation_class=Negotiation,
        renderer_classes=[JSONRenderer, CsvRenderer],
        pagination_class=None,
    )
    def line_events(self, request: Request, position: str, **_: Any) -> HttpResponseBase:
        """The events of a line, the newest first by their time: those that it counts, and those that were voided.

        Of a correction they are those of the line that it corrects. Of a value that holds, the event that it has at
        the beginning of the span is the last of the list, marked `carried_in`. With `Accept: text/csv` all of them
        come as a file.
        """
        invoice = self.get_object()
        opened = open_line(invoice, int(position), with_days=False)
        if opened is None:
            raise NotFound("The invoice has no such line.")
        if opened.events is None:
            raise NotFound(NOT_OF_USAGE)
        form = LineEventsQuery(data=request.query_params)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        if request.accepted_media_type == MEDIA_TYPE:
            return _file(opened.events, invoice, opened.line.position, asked["state"])
        return self._events_page(opened.events, asked)

    def _events_page(self, events: LineEvents, asked: Any) -> Response:
        found = events_page(events, state=asked["state"], limit=asked["limit"], cursor=asked.get("cursor"))
        url = self.request.build_absolute_uri()
        internal = customer_of(self.request) is None
        return Response(
            {
                "data": [marked_json(one, internal=internal) for one in found.events],
                "next": replace_query_param(url, "cursor", found.next) if found.next else None,
                "previous": replace_query_param(url, "cursor", found.previous) if found.previous else None,
            }
        )


def marked_json(one: LineEvent, *, internal: bool) -> dict[str, Any]:
    return event_json(one.event, internal=internal) | {"marks": list(one.marks)}


def opened_json(one: OpenedLine, events_url: str | None) -> dict[str, Any]:
    """What a line opens to, but for its days."""
    return {
        "price": one.price,
        "rate_text": one.rate_text,
        "span": {
            "from": one.span.start,
            "to": one.span.end,
            "time_zone": one.zone.key,
            "utc": one.span_utc,
            "local": one.span_local,
        },
        "walk": [{"label": row.label, "detail": row.detail, "amount": row.amount} for row in one.rows],
        "rounding": one.rounding,
        "events": events_url,
    }


def _file(events: LineEvents, invoice: Invoice, position: int, state: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        csv_rows(events, state=state),
        content_type=f"{MEDIA_TYPE}; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{file_name(invoice, position)}"'},
    )


def _expansions(texts: Sequence[str]) -> list[str]:
    wanted = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    for name in wanted:
        if name not in EXPANSIONS:
            raise invalid("expand", f"{name!r} is none of {', '.join(EXPANSIONS)}.", parameter=True)
    return wanted
