"""The event log: what came in, whether it counts, and where."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from meters.event_log import EventPage, need_events_of, page
from meters.retention import retired_before
from portal.access import PortalRequest, for_customer, visible_meters, wants_fragment
from portal.usage.event_log import MOST_ROWS, PER_PAGE, csv_rows, row_of, verdicts
from portal.usage.event_query import EventLogQuery
from portal.usage.report import NO_VALUE

# As long as an id can be.
LONGEST_ID = 200


@require_safe
@for_customer
def event_log(request: PortalRequest) -> HttpResponse:
    form = _query(request)
    is_fragment = wants_fragment(request)
    template = "portal/usage_events.html#list" if is_fragment else "portal/usage_events.html"
    context: dict[str, Any] = {"form": form, "searched": request.GET.get("id", "")[: LONGEST_ID + 1]}
    if context["searched"]:
        context["verdicts"] = verdicts(
            request.customer, context["searched"], request.viewer.zone_beside(request.customer)
        )
    context["retired_before"] = retired_before()
    found, problem = EventPage([], None, None), ""
    if form.is_valid():
        try:
            found = page(form.query, limit=PER_PAGE, cursor=request.GET.get("cursor") or None)
        except ValidationError:
            problem = "There is no such place in the list. Begin with the newest."
    if problem or not form.is_valid():
        return render(request, template, {**context, "problem": problem}, status=422)
    zone, address = request.viewer.zone_beside(request.customer), form.address()
    context |= {
        "rows": [row_of(event, zone) for event in found.events],
        "newer": found.previous,
        "older": found.next,
        "address": address,
        "is_narrow": bool(address),
        "zone": zone,
        "now": timezone.now(),
        "most_rows": MOST_ROWS,
        "chips": [
            (name, text or NO_VALUE, form.address(filters={k: v for k, v in form.filters.items() if k != name}))
            for name, text in form.filters.items()
        ],
        "moves_focus": is_fragment and (request.htmx.trigger or "").startswith("to-"),
    }
    response = render(request, template, context)
    if is_fragment:
        here = form.address(cursor=request.GET.get("cursor", ""))
        response["HX-Push-Url"] = f"{reverse('portal:usage-events')}?{here}"
    return response


@require_safe
@for_customer
def event_detail(request: PortalRequest) -> HttpResponse:
    """One event, by its meter and its id."""
    meter, event_id = request.GET.get("meter", ""), request.GET.get("id", "")
    zone = request.viewer.zone_beside(request.customer)
    found = verdicts(request.customer, event_id, zone) if event_id else []
    verdict = next((one for one in found if one.row.event.meter.key == meter), None)
    if verdict is None:
        need_events_of(request.customer, event_id)
        raise Http404
    others = [one.row.event for one in found if one is not verdict]
    context = {"verdict": verdict, "others": others, "zone": zone}
    return render(request, "portal/usage_event.html", context)


@require_safe
@for_customer
def event_log_csv(request: PortalRequest) -> HttpResponse:
    """The events of the list, the newest of them, without its pages."""
    form = _query(request)
    if not form.is_valid():
        return HttpResponse(form.errors.as_text(), status=422, content_type="text/plain; charset=utf-8")
    return StreamingHttpResponse(  # type: ignore[return-value]
        csv_rows(form.query, visible_meters(request.customer)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="events.csv"'},
    )


def _query(request: PortalRequest) -> EventLogQuery:
    return EventLogQuery(
        request.GET.dict(),
        customer=request.customer,
        meters=visible_meters(request.customer),
        zone=request.customer.zone,
    )
