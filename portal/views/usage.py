"""Usage of a span of time, in units or money, and as a file."""

import csv
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from meters.charts import MOST_SERIES
from meters.spreadsheet import cell
from portal.access import PortalRequest, for_customer, wants_fragment
from portal.usage.cost import cost_report
from portal.usage.query import UsageQuery, usage_query_of
from portal.usage.report import NO_VALUE, usage_report
from portal.usage.table import UsageReport

# A file has room for every group; a page for the greatest.
ALL_GROUPS = 10_000


@require_safe
@for_customer
def usage(request: PortalRequest) -> HttpResponse:
    form = _query(request)
    is_fragment = wants_fragment(request)
    template = "portal/usage.html#results" if is_fragment else "portal/usage.html"
    if not form.meters:
        return render(request, "portal/usage_empty.html")
    if not form.is_valid():
        return render(request, template, {"form": form}, status=422)
    address = f"{reverse('portal:usage')}?{form.address()}"
    events = f"{reverse('portal:usage-events')}?{_of_events(request, form)}"
    context = {**_context(form, _report(request, form)), "now": timezone.now(), "address": address, "events": events}
    if is_fragment and request.htmx.target == "usage-figures":
        # What is over changes no more, and 286 ends the asking.
        status = 200 if context["report"].is_running else 286
        return render(request, "portal/usage.html#figures", context, status=status)
    # Who went on by a link inside goes on from the heading of what came; who chose in the form stays in it.
    context["moves_focus"] = is_fragment and (request.htmx.trigger or "").startswith("to-")
    response = render(request, template, context)
    if is_fragment:
        response["HX-Push-Url"] = address
    return response


@require_safe
@for_customer
def usage_csv(request: PortalRequest) -> HttpResponse:
    """The table of the usage page for the same query."""
    form = _query(request)
    if not form.is_valid():
        return HttpResponse(form.errors.as_text(), status=422, content_type="text/plain; charset=utf-8")
    report = _report(request, form, most=ALL_GROUPS)
    name = f"usage-{report.meter.key}-{'cost-' if report.is_cost else ''}{form.span.file_name}.csv"
    response = HttpResponse(
        content_type="text/csv; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
    writer = csv.writer(response)
    heads = [*(column.name for column in report.groups), report.file_figure_name]
    heads += [report.compared.name] if report.compared else []
    writer.writerow([report.span.cut, *map(cell, heads)])
    for row in report.rows:
        writer.writerow([row.stamp, *(one.exact for one in row.cells)])
    writer.writerow(["total", *(one.exact for one in report.totals)])
    return response


def _query(request: PortalRequest) -> UsageQuery:
    return usage_query_of(request.customer, request.GET.dict(), now=timezone.now())


def _report(request: PortalRequest, form: UsageQuery, most: int = MOST_SERIES) -> UsageReport:
    report_of = cost_report if form.is_cost else usage_report
    return report_of(request.customer, form.question(most), now=form.calendar.now)


def _context(form: UsageQuery, report: UsageReport) -> dict[str, Any]:
    before, after = form.calendar.before(form.span), form.calendar.after(form.span)
    return {
        "form": form,
        "report": report,
        "query": form.address(),
        "before": (before.words, form.address(span=before)) if before else None,
        "after": (after.words, form.address(span=after)) if after else None,
        "chips": [
            (name, text or NO_VALUE, form.address(filters={k: v for k, v in form.filters.items() if k != name}))
            for name, text in form.filters.items()
        ],
        "heads": [
            (column.name, _only(form, column.text) if column.text is not None else "") for column in report.groups
        ],
    }


def _only(form: UsageQuery, text: str) -> str:
    """The same of one group alone."""
    return form.address(filters={**form.filters, form.chosen_group: text}, group="")


def _of_events(request: PortalRequest, form: UsageQuery) -> str:
    """The event log of the same meter, time and groups, with the times that it is read in."""
    zone, period = request.viewer.zone_beside(request.customer), form.span.period
    bounds = {"from": period.start.astimezone(zone), "to": period.end.astimezone(zone)}
    return urlencode(
        {
            "meter": form.cleaned_data["meter"],
            **{name: f"{bound:%Y-%m-%dT%H:%M}" for name, bound in bounds.items()},
            **{f"filter[{name}]": text for name, text in form.filters.items()},
        }
    )
