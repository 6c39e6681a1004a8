"""The worked numbers of docs/metering.md, sent and read for real."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from meters.aggregation import Part, quantity
from meters.events import record_events
from meters.models import Customer, Meter
from meters.periods import Period
from meters.usage import read_usage
from meters.voiding import EventRef, select_events, unvoid_events, void_events
from tests.factories import event, make_customer, make_meter

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "metering.md").read_text()
LATER = datetime(2026, 11, 20, tzinfo=UTC)
DAY = timedelta(days=1)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose header begins so."""
    table = PAGE[PAGE.index(heading) :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def november(first: int, last: int) -> Period:
    return Period(datetime(2026, 11, first, tzinfo=UTC), datetime(2026, 11, last, tzinfo=UTC) + DAY)


def meter_of(words: str) -> Meter:
    """ "`percentile` 95", "`time_weighted_sum` in days"."""
    name, _, rest = words.replace("`", "").partition(" ")
    own: dict[str, Any] = {
        "unique_count": {"unique_dimension": rest.removeprefix("of ")},
        "percentile": {"percentile": rest},
        "time_weighted_sum": {"time_unit": rest.removeprefix("in ").removesuffix("s")},
    }.get(name, {})
    meter = make_meter(name, aggregation=name, dimensions=["region"], **own)
    meter.refresh_from_db()
    return meter


def send_the_example(meter: Meter) -> Customer:
    acme = make_customer("acme")
    for time, value, region, remark in rows("| time | value |"):
        # A repeat is of the same time and value; another event at one instant has another value.
        sent = event("acme", meter.key, value, time=_time(time), id=f"{time} {value}", region=region)
        recorded = record_events([sent], now=LATER)
        assert (recorded.duplicate, recorded.accepted) == ((1, 0) if "duplicate" in remark else (0, 1))
        if remark == "voided":
            voided = EventRef(customer="acme", id=sent.id, meter=meter.key)
            void_events(select_events(refs=[voided]), reason="An example", actor="test")
            assert record_events([sent], now=LATER).duplicate == 1
    return acme


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize("row", rows("| aggregation |"), ids=lambda row: row[0])
def test_each_aggregation(row: list[str]) -> None:
    meter = meter_of(row[0])
    acme = send_the_example(meter)
    spans = [november(1, 4), november(3, 3), november(6, 6)]
    usage = read_usage(acme, [meter], spans, until=LATER)
    grouped = read_usage(acme, [meter], spans, until=LATER, group_by=["region"])
    of_eu = read_usage(acme, [meter], spans, until=LATER, where={"region": ["eu"]})
    whole, third, empty = usage.series(meter)
    assert [whole, grouped.quantity(meter, 0, ("eu",)), third, empty] == [Decimal(cell) for cell in row[1:]]
    assert of_eu.quantity(meter) == Decimal(row[2])


@pytest.mark.django_db
def test_a_void_that_is_undone_counts_again() -> None:
    for name, expected in (("count", 6), ("max", 100), ("latest", 100), ("time_weighted_sum", 76)):
        meter = meter_of(f"`{name}` in days" if name == "time_weighted_sum" else f"`{name}`")
        acme = Customer.objects.filter(key="acme").first() or make_customer("acme")
        for time, value, region, remark in rows("| time | value |"):
            if "duplicate" not in remark:
                sent = event("acme", meter.key, value, time=_time(time), id=f"{time} {value}", region=region)
                record_events([sent], now=LATER)
        voided = select_events(refs=[EventRef(customer="acme", id="2026-11-04 12:00 100", meter=meter.key)])
        void_events(voided, reason="An example", actor="test")
        before = read_usage(acme, [meter], [november(1, 4)], until=LATER).quantity(meter)
        unvoid_events(voided, reason="It was right", actor="test")
        after = read_usage(acme, [meter], [november(1, 4)], until=LATER).quantity(meter)
        # us: -2 for half a day, then 100 for half a day, instead of -2 for a day.
        assert (before != after, after) == (True, expected), name


@pytest.mark.django_db
def test_a_running_span_counts_up_to_now() -> None:
    words = re.search(r"read on 3 Nov at 06:00, November comes to ([\d.]+) seat-days and averages ([\d.]+)", PAGE)
    assert words is not None
    meter, average = meter_of("`time_weighted_sum` in days"), meter_of("`time_weighted_average`")
    acme = send_the_example(meter)
    for time, value, region, remark in rows("| time | value |")[:-1]:
        if "duplicate" not in remark:
            record_events([event("acme", average.key, value, time=_time(time), region=region)], now=LATER)
    now = datetime(2026, 11, 3, 6, tzinfo=UTC)
    usage = read_usage(acme, [meter, average], [november(1, 30), november(4, 4)], until=now)
    assert [usage.quantity(meter), usage.quantity(average)] == [Decimal(figure) for figure in words.groups()]
    assert (usage.quantity(meter, 1), usage.quantity(average, 1)) == (0, 0)
    assert usage.follows_clock(meter)
    assert not read_usage(acme, [meter], [november(1, 2)], until=now).follows_clock(meter)


@pytest.mark.parametrize("row", rows("| aggregate |"), ids=" ".join)
def test_multiplier_and_rounding(row: list[str]) -> None:
    number, multiplier, rounding, expected = row
    places = re.search(r"\d+", rounding)
    meter = Meter(
        key="M",
        multiplier=Decimal(multiplier),
        rounding=rounding.split()[0],
        rounding_places=int(places[0]) if places else 0,
    )
    assert quantity(meter, Part(count=1, sum=Decimal(number))) == Decimal(expected)
