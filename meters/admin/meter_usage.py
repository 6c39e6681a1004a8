"""A meter's usage of the last 30 days over all customers, as a chart and as the table of the same numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.response import TemplateResponse
from django.utils import timezone

from meters.admin.base import instant, number, require
from meters.aggregation import TIME_WEIGHTED, adds_up
from meters.charts import PAST, TODAY, Chart, Series, Slot, bar_chart, short_number
from meters.models import Meter
from meters.periods import local_date, named_period, windows
from meters.usage import read_usage_of
from meters.words import short_day_words

# Figures of these are made of every single event, so they are read where somebody asks for them.
READ_EVENTS = TIME_WEIGHTED | {Meter.Aggregation.PERCENTILE}


@dataclass(frozen=True, slots=True)
class MeterUsage:
    """Quantities as text: each day's with its number of events, and those of all days, read as one window."""

    chart: Chart
    rows: Sequence[tuple[date, str, str]]
    total: str
    events: str
    adds_up: bool
    zone: str
    as_of: str


def aggregation_words(meter: Meter) -> str:
    """The aggregation with its option: "Percentile 95 of the values"."""
    kind = Meter.Aggregation
    match meter.aggregation:
        case kind.UNIQUE_COUNT:
            return f"Number of different values of {meter.unique_dimension}"
        case kind.PERCENTILE if meter.percentile is not None:
            return f"Percentile {number(meter.percentile)} of the values"
        case kind.TIME_WEIGHTED_AVERAGE:
            return "Average over time"
        case kind.TIME_WEIGHTED_SUM:
            return f"Value times the {meter.time_unit}s that it holds"
    return str(meter.get_aggregation_display())


def meter_usage(meter: Meter, *, now: datetime) -> MeterUsage:
    zone = ZoneInfo(settings.ACCOUNT_TIME_ZONE)
    whole = named_period("last_30_days", now, zone)
    days = list(windows(whole, "day", zone))
    usage = read_usage_of(None, [meter], [whole, *days], until=now)
    quantities = usage.series(meter)[1:]
    today = local_date(now, zone)
    dates = [local_date(day.start, zone) for day in days]
    slots = [Slot(short_day_words(day), TODAY if day == today else PAST) for day in dates]
    chart = bar_chart(slots, [Series(str(meter), tuple(quantities))], value_words=number, tick_words=short_number)
    rows = [
        (day, number(quantity), f"{usage.events(meter, index):,}")
        for index, (day, quantity) in enumerate(zip(dates, quantities, strict=True), start=1)
    ]
    return MeterUsage(
        chart=chart,
        rows=rows[::-1],
        total=number(usage.quantity(meter)),
        events=f"{usage.events(meter):,}",
        adds_up=adds_up(meter),
        zone=zone.key,
        as_of=instant(now),
    )


def usage_view(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, pk: int) -> HttpResponse:
    """The page, or for the meter page the part of it that shows the figures."""
    meter = get_object_or_404(Meter, pk=pk)
    require(model_admin.has_view_permission(request, meter))
    context = {
        "meter": meter,
        "aggregation": aggregation_words(meter),
        "usage": meter_usage(meter, now=timezone.now()),
    }
    if request.headers.get("HX-Request"):
        return render(request, "admin/meters/meter/_usage.html", context)
    context |= {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Usage of the last 30 days",
        "subtitle": str(meter),
        "is_page": True,
    }
    return TemplateResponse(request, "admin/meters/meter/usage.html", context)
