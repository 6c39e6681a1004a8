"""Usage counted from the raw events alone, whatever is stored beside them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from meters.models import Customer, Meter, UsageBucket, UsageDistinct
from meters.periods import Period
from meters.sql import PARTITIONS
from meters.usage import read_usage, read_usages
from tests.factories import make_customer, make_meter, send

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)
SPAN = Period(START, START + timedelta(days=10))
UNTIL = SPAN.end
OWN: dict[str, dict[str, Any]] = {
    "unique_count": {"unique_dimension": "user"},
    "percentile": {"percentile": Decimal(50)},
    "time_weighted_sum": {"time_unit": "hour"},
}


@pytest.fixture(params=Meter.Aggregation.values)
def meter(request: pytest.FixtureRequest) -> Meter:
    kind = request.param
    return make_meter(kind, aggregation=kind, dimensions=["region", "user"], **OWN.get(kind, {}))


@pytest.fixture
def acme(meter: Meter) -> Customer:
    customer = make_customer()
    for number, value in enumerate((3, 5, 4)):
        moment = START + timedelta(days=2 * number - 1, minutes=17)
        send("acme", meter.key, value, time=moment, now=UNTIL, region="eu", user=f"u{number}")
    return customer


def quantities(customer: Customer, meter: Meter, **options: Any) -> list[Decimal]:
    days = [Period(SPAN.start, SPAN.start + timedelta(days=4)), SPAN]
    one = read_usage(customer, [meter], days, until=UNTIL, **options)
    several = read_usages([customer], [meter], days, until=UNTIL, **options)[customer.pk]
    assert one.series(meter) == several.series(meter)
    return one.series(meter)


def test_is_the_same_and_stays_so_when_what_is_stored_is_wrong(acme: Customer, meter: Meter) -> None:
    right = quantities(acme, meter)
    assert right[1]
    UsageBucket.objects.update(count=1000, sum=1000, min=-1, max=1000, last=1000)
    UsageDistinct.objects.all().delete()
    assert quantities(acme, meter, from_events=True) == right
    if meter.aggregation not in ("percentile",):  # that one is never made of anything else
        assert quantities(acme, meter) != right


@pytest.mark.parametrize("meter", ["time_weighted_sum"], indirect=True)
def test_a_value_that_holds_since_a_month_that_is_detached_still_holds(acme: Customer, meter: Meter) -> None:
    december = Period(datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC))
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS)
        for (name,) in cursor.fetchall():
            if name < "meters_event_2026_12":
                cursor.execute(f"ALTER TABLE meters_event DETACH PARTITION {name}")
    usage = read_usage(acme, [meter], [december], until=december.end, from_events=True)
    assert usage.quantity(meter) == (3 + 5 + 4) * 24  # each user is a gauge
