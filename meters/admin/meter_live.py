"""The meter page's live part: the events that arrived last, what they count as, and what they come to."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.safestring import SafeString

from meters.admin.base import chip, number, require
from meters.admin.meter_usage import aggregation_words
from meters.admin.trial_events import TrialEventForm, is_trial_event
from meters.admin.voids import may_void
from meters.arrivals import last_arrived
from meters.event_log import in_filter
from meters.models import Customer, Event, Meter
from meters.periods import month_of
from meters.usage import read_usages

SHOWN = 12


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event as the page shows it; `state` says whether the meter's figures have it, and if not, why."""

    event: Event
    received: str
    occurred: str
    counts: bool
    state: SafeString
    can_be_voided: bool

    @property
    def value(self) -> str:
        return number(self.event.value)

    @property
    def dimensions(self) -> str:
        return ", ".join(f"{name}={text}" for name, text in self.event.dimensions.items())


@dataclass(frozen=True, slots=True)
class Live:
    arrivals: Sequence[Arrival]
    quantities: Sequence[tuple[Customer, str]]
    aggregation: str
    conversion: str
    as_of: str


def live_of(meter: Meter, *, now: datetime) -> Live:
    events = last_arrived(meter, limit=SHOWN)
    customers = list({event.customer_id: event.customer for event in events}.values())
    return Live(
        arrivals=[_arrival(event, now) for event in events],
        quantities=[(customer, number(quantity)) for customer, quantity in _this_month(customers, meter, now)],
        aggregation=aggregation_words(meter),
        conversion=_conversion(meter),
        as_of=f"{_clock(now, now)} UTC",
    )


def _this_month(customers: Sequence[Customer], meter: Meter, now: datetime) -> list[tuple[Customer, Decimal]]:
    """Each customer's quantity in the month that runs in its own time zone; one read for each zone."""
    by_zone: dict[str, list[Customer]] = defaultdict(list)
    for customer in customers:
        by_zone[customer.zone.key].append(customer)
    found: dict[int, Decimal] = {}
    for together in by_zone.values():
        usages = read_usages(together, [meter], [month_of(now, together[0].zone)], until=now)
        found |= {customer.id: usages[customer.id].quantity(meter) for customer in together}
    return [(customer, found[customer.id]) for customer in customers]


def _arrival(event: Event, now: datetime) -> Arrival:
    counts = event.void_id is None and in_filter(event)
    if event.void_id is not None:
        state = chip("Voided", "quiet")
    elif not counts:
        state = chip("Outside of the filter", "busy")
    else:
        state = chip("Counts", "good")
    can_be_voided = event.void_id is None and is_trial_event(event)
    return Arrival(event, _clock(event.received_at, now), _clock(event.occurred_at, now), counts, state, can_be_voided)


def _clock(moment: datetime, now: datetime) -> str:
    """ "14:02:57" of today, with the day in front on others."""
    moment, today = moment.astimezone(UTC), now.astimezone(UTC).date()
    return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S}"


def _conversion(meter: Meter) -> str:
    """What is done to the aggregate of the values before it is the quantity."""
    said = []
    if meter.multiplier != 1:
        said.append(f"multiplied by {number(meter.multiplier)}")
    if meter.rounding != Meter.Rounding.NONE:
        to = f" to {meter.rounding_places} places" if meter.rounding_places else ""
        words = "to the nearest" if meter.rounding == Meter.Rounding.HALF else meter.rounding
        said.append(f"rounded {words}{to}")
    return " and ".join(said)


def may_see_events(request: HttpRequest) -> bool:
    return request.user.has_perm("meters.view_event")


def live_context(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, meter: Meter) -> dict[str, Any]:
    """What both the meter page and its updates show; of events nothing to whom the list of events is closed."""
    may_change = model_admin.has_change_permission(request, meter)
    return {
        "meter": meter,
        "live": live_of(meter, now=timezone.now()) if may_see_events(request) else None,
        "may_void": may_void(request),
        "trial_form": TrialEventForm(meter) if may_change else None,
    }


def live_view(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, pk: int) -> HttpResponse:
    meter = get_object_or_404(Meter, pk=pk)
    require(model_admin.has_view_permission(request, meter))
    return render(request, "admin/meters/meter/_live.html", live_context(model_admin, request, meter))
