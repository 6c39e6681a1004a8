"""What the product reads while people wait, in milliseconds."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from meters.models import Customer, Meter
from meters.periods import month_of, windows
from meters.usage import read_usage, read_usage_of
from tests.benchmarks.dataset import METER

REPEATS = 15


@dataclass(frozen=True)
class Read:
    name: str
    limit: float
    median: float
    worst: float


def measure() -> list[Read]:
    meter = Meter.objects.get(key=METER)
    by_number = {customer.key: customer for customer in Customer.objects.filter(key__startswith="bench-")}
    median, largest = by_number["bench-5000"], by_number["bench-0"]
    month = month_of(datetime.now(UTC).replace(day=1) - timedelta(days=1), median.zone)
    days = list(windows(month, "day", median.zone))
    return [
        _time("a customer's month by day", 20, lambda: read_usage(median, [meter], days)),
        _time("the largest customer's month by day", 20, lambda: read_usage(largest, [meter], days)),
        _time("a customer's total of a month", 5, lambda: read_usage(median, [meter], [month])),
        _time("the largest customer's total of a month", 5, lambda: read_usage(largest, [meter], [month])),
        _time(
            "all customers' totals of a month",
            2000,
            lambda: read_usage_of(None, [meter], [month], group_by=["customer"]),
        ),
    ]


def _time(name: str, limit: float, read: Callable[[], object]) -> Read:
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        read()
        took.append((time.perf_counter() - began) * 1000)
    return Read(name, limit, statistics.median(took), max(took))
