"""What a customer used in a month, day by day and meter by meter."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone

from meters.admin.base import instant, number, require
from meters.models import Customer, Meter
from meters.periods import Period, local_date, local_midnight, next_month, windows
from meters.usage import read_usage


class MonthForm(forms.Form):
    """The query string: `month=2026-07`."""

    month = forms.CharField(required=False, widget=forms.TextInput(attrs={"type": "month"}))

    def clean_month(self) -> date | None:
        text = self.cleaned_data["month"]
        if not text:
            return None
        match = re.fullmatch(r"(20[0-9]{2})-(0[1-9]|1[0-2])", text, re.ASCII)
        if match is None:
            raise forms.ValidationError("Write the month as 2026-07.")
        return date(int(match[1]), int(match[2]), 1)


@dataclass(frozen=True, slots=True)
class UsageTable:
    """Quantities as text: a row for each day, a column for each meter that was used. The totals are read as one
    window, as greatest values and different values do not add up."""

    meters: Sequence[Meter]
    rows: Sequence[tuple[date, Sequence[str]]]
    totals: Sequence[str]

    @property
    def headings(self) -> list[tuple[str, str]]:
        """Each meter's name, with its unit where the name does not end in it: "API calls" counts calls."""
        return [(str(meter), "" if _says_unit(str(meter), meter.unit) else meter.unit) for meter in self.meters]


def _says_unit(name: str, unit: str) -> bool:
    # A meter without a name is called by its key: ApiCalls, api_calls.
    words, unit_words = (re.split(r"[\s_.-]+|(?<=[a-z])(?=[A-Z])", text) for text in (name, unit))
    said = [word.lower() for word in words[-len(unit_words) :]]
    return said == [word.lower() for word in unit_words]


def usage_table(customer: Customer, month: date, *, now: datetime) -> UsageTable:
    zone = customer.zone
    whole = Period(local_midnight(month, zone), local_midnight(next_month(month), zone))
    days = [day for day in windows(whole, "day", zone) if day.start <= now]
    meters = list(Meter.objects.all())
    usage = read_usage(customer, meters, [whole, *days], until=now)
    # A value that holds from before the month has a quantity here, and no event.
    used = [meter for meter in meters if usage.events(meter) or any(usage.series(meter))]
    rows = [
        (local_date(day.start, zone), [number(usage.quantity(meter, index)) for meter in used])
        for index, day in enumerate(days, start=1)
    ]
    return UsageTable(used, rows, [number(usage.quantity(meter)) for meter in used])


def usage_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, pk: int) -> HttpResponse:
    customer = get_object_or_404(Customer, pk=pk)
    require(model_admin.has_view_permission(request, customer))
    now = timezone.now()
    this_month = local_date(now, customer.zone).replace(day=1)
    form = MonthForm(request.GET)
    month = (form.cleaned_data["month"] or this_month) if form.is_valid() else this_month
    if not form.errors:
        form = MonthForm(initial={"month": f"{month:%Y-%m}"})
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": f"Usage in {month:%B %Y}",
        "subtitle": str(customer),
        "customer": customer,
        "form": form,
        "month": month,
        "table": usage_table(customer, month, now=now),
        "previous": (month - timedelta(days=1)).replace(day=1),
        "next": next_month(month) if month < this_month else None,
        "zone": customer.zone.key,
        "read_at": instant(now),
    }
    return TemplateResponse(request, "admin/meters/customer/usage.html", context)
