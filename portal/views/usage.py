"""Usage by day, and as a file."""

import csv

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from meters.aggregation import plain
from meters.charts import MOST_SERIES
from meters.periods import Period, local_date
from meters.spreadsheet import cell
from portal.access import PortalRequest, for_customer, visible_invoices, visible_meters, wants_fragment
from portal.forms import UsageQuery, offered_months
from portal.usage_report import UsageReport, usage_report

# A file has room for every group; a page for the greatest.
ALL_GROUPS = 10_000


@require_safe
@for_customer
def usage(request: PortalRequest) -> HttpResponse:
    form = _query(request)
    template = "portal/usage.html#results" if wants_fragment(request) else "portal/usage.html"
    if not form.meters:
        return render(request, "portal/usage_empty.html")
    if not form.is_valid():
        return render(request, template, {"form": form}, status=422)
    context = {"form": form, "report": _report(request, form), "query": urlencode(form.cleaned_data)}
    return render(request, template, context)


@require_safe
@for_customer
def usage_csv(request: PortalRequest) -> HttpResponse:
    """The table of the usage page for the same query."""
    form = _query(request)
    if not form.is_valid():
        return HttpResponse(form.errors.as_text(), status=422, content_type="text/plain; charset=utf-8")
    report = _report(request, form, most=ALL_GROUPS)
    name = f"usage-{report.meter.key}-{local_date(report.period.start, report.zone):%Y-%m}.csv"
    response = HttpResponse(
        content_type="text/csv; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
    writer = csv.writer(response)
    unit = f" ({report.meter.unit})" if report.meter.unit else ""
    writer.writerow(["day", *(cell(column.name) for column in report.groups), cell(f"{report.meter}{unit}")])
    for day, values, total in report.rows:
        writer.writerow([day.isoformat(), *(plain(value) for _, value in values), plain(total)])
    writer.writerow(["total", *(plain(column.total) for column in report.groups), plain(report.total.total)])
    return response


def _query(request: PortalRequest) -> UsageQuery:
    zone = request.customer.zone
    bounds = visible_invoices(request.customer).order_by("period_start").values_list("period_start", "period_end")
    invoiced = [Period(start, end) for start, end in bounds]
    return UsageQuery(
        request.GET.dict(),
        months=offered_months(invoiced, now=timezone.now(), zone=zone),
        meters=visible_meters(request.customer),
        zone=zone,
    )


def _report(request: PortalRequest, form: UsageQuery, most: int = MOST_SERIES) -> UsageReport:
    return usage_report(
        request.customer,
        form.chosen_meter,
        form.chosen_month,
        zone=request.customer.zone,
        group=form.cleaned_data["group"],
        now=timezone.now(),
        most=most,
    )
