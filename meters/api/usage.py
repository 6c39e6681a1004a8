"""`GET|POST /v1/usage`: how much of a meter was used, by whom, when and of what kind; as JSON or CSV."""

from typing import Any

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from meters.aggregation import plain
from meters.api import usage_schema
from meters.api.negotiation import Negotiation
from meters.api.problems import Problem
from meters.api.usage_csv import MEDIA_TYPE, csv_of
from meters.api.usage_query import UsageParameters, of_address, parse_query, text_of
from meters.api.usage_table import Table, read_table
from meters.models import ApiKey

_encoder = msgspec.json.Encoder()


class CsvRenderer(JSONRenderer):
    """Stands for CSV where the answer's type is chosen. What it renders are problem documents, which stay JSON."""

    media_type = MEDIA_TYPE


class UsageView(APIView):
    """Usage of one meter, by one customer, several or all."""

    permissions = {"GET": "meters.view_customer meters.view_meter", "POST": "meters.view_customer meters.view_meter"}
    scopes = {"POST": ApiKey.Scope.READ.value}
    customer_keys = ("GET", "POST")
    http_method_names = ["get", "head", "post"]
    content_negotiation_class = Negotiation
    renderer_classes = [JSONRenderer, CsvRenderer]

    @extend_schema(
        operation_id="get_usage",
        parameters=usage_schema.PARAMETERS,
        responses={(200, "application/json"): usage_schema.USAGE, (200, MEDIA_TYPE): OpenApiTypes.STR},
        examples=[usage_schema.ANSWER, usage_schema.CSV],
    )
    def get(self, request: Request) -> HttpResponse:
        """Usage by window and group, zero-filled, exact up to `usage_version`; windows are half-open.

        With `Accept: text/csv` the same rows come as a file.
        """
        return _answer(request, of_address(request.query_params))

    @extend_schema(
        operation_id="query_usage",
        request={"application/json": UsageParameters},
        responses={(200, "application/json"): usage_schema.USAGE, (200, MEDIA_TYPE): OpenApiTypes.STR},
        examples=[usage_schema.QUESTION, usage_schema.ANSWER, usage_schema.CSV],
    )
    def post(self, request: Request) -> HttpResponse:
        """The same as `GET /v1/usage`, asked in a JSON body: for many customers and long filters. Changes nothing."""
        if request.query_params:
            raise Problem(400, "invalid", "Send the query in the body; the address has parameters of its own.")
        return _answer(request, request.data)


def _answer(request: Request, data: Any) -> HttpResponse:
    table = read_table(parse_query(data, request=request, now=timezone.now()))
    if request.accepted_media_type == MEDIA_TYPE:
        return csv_of(table)
    return HttpResponse(_encoder.encode(_document(table)), content_type="application/json")


def _document(table: Table) -> dict[str, Any]:
    query = table.query
    keys = None if query.customers is None else [customer.key for customer in query.customers]
    bounds = {window: (text_of(window.start), text_of(window.end)) for window in query.windows}
    rows = []
    for row in table.rows():
        start, end = bounds[row.window]
        shown = {"from": start, "to": end, "group": row.group, "value": plain(row.value), "events": row.events}
        rows.append(shown if query.top is None else shown | {"other": row.other})
    return {
        "customer": keys[0] if keys is not None and len(keys) == 1 else None,
        "customers": keys,
        "meter": query.meter.key,
        "unit": query.meter.unit,
        "aggregation": query.meter.aggregation,
        "from": text_of(query.span.start),
        "to": text_of(query.span.end),
        "window": query.window,
        "time_zone": query.zone.key,
        "group_by": query.group_by,
        "filter": query.where,
        "top": query.top,
        "total": {"value": plain(table.value), "events": table.events},
        "usage_version": table.version,
        "at": None if table.at is None else text_of(table.at),
        "read_at": text_of(query.now),
        "data": rows,
    }
