"""Events a second over HTTP into committed events and buckets, beside COPY in the same round."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import connection

from meters.models import Event, UsageBucket
from tests.benchmarks import dataset, load
from tests.benchmarks.servers import Web, copy_rate

# Requests prepared for a second of each batch size: more than can be answered.
PREPARED = {1: 6_000, 100: 900, 1000: 130, 10_000: 14}


@dataclass(frozen=True)
class Workload:
    name: str
    batch: int
    connections: int
    one_customer: bool = False
    random_ids: bool = False
    # The bar: a ratio to COPY, or requests a second.
    ratio: float | None = None
    requests: int | None = None


WORKLOADS = [
    Workload("every event of another customer", 1000, 8, ratio=0.10),
    Workload("one customer a batch", 1000, 8, one_customer=True, ratio=0.16),
    Workload("every event of another customer", 100, 16, ratio=0.06),
    Workload("one customer a batch", 100, 16, one_customer=True, ratio=0.08),
    Workload("single events", 1, 64, requests=2000),
    Workload("every event of another customer, random ids", 1000, 8, random_ids=True),
    Workload("one customer a batch, random ids", 1000, 8, one_customer=True, random_ids=True),
    Workload("one customer a batch", 10_000, 4, one_customer=True),
]


@dataclass
class Measured:
    """One workload's rounds."""

    events: list[float] = field(default_factory=list)
    requests: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    median_wait: list[float] = field(default_factory=list)
    p99_wait: list[float] = field(default_factory=list)
    python: list[float] = field(default_factory=list)


def measure(
    web: Web, key: str, workloads: list[Workload], rounds: int, seconds: float, say: Callable[[str], None]
) -> tuple[list[float], dict[Workload, Measured]]:
    """COPY's rates and each workload's figures, round by round. Raises RuntimeError where an answer was not kept."""
    before, bucketed = Event.objects.count(), counted()
    accepted = 0
    copied: list[float] = []
    measured = {workload: Measured() for workload in workloads}
    accepted += _warm_up(web, key)
    for number in range(1, rounds + 1):
        copied.append(copy_rate())
        for workload in workloads:
            bodies = dataset.bodies(
                int(PREPARED[workload.batch] * seconds),
                workload.batch,
                one_customer=workload.one_customer,
                random_ids=workload.random_ids,
            )
            requests = [load.post("/v1/events", key, body) for body in bodies]
            cpu = web.cpu()
            result = load.run(web.port, requests, connections=workload.connections, seconds=seconds)
            cpu = web.cpu() - cpu
            accepted += result.accepted
            waits = sorted(result.waits)
            into = measured[workload]
            into.events.append(result.accepted / result.seconds)
            into.requests.append(result.requests / result.seconds)
            into.ratios.append(result.accepted / result.seconds / copied[-1])
            into.median_wait.append(statistics.median(waits) * 1000)
            into.p99_wait.append(waits[int(len(waits) * 0.99)] * 1000)
            into.python.append(cpu * 1e6 / result.accepted)
            say(
                f"round {number}: {workload.name}, {workload.batch:,}: {into.events[-1]:,.0f} events/s, "
                f"{into.ratios[-1]:.3f} x COPY, {into.requests[-1]:,.0f} requests/s"
            )
    stored, in_buckets = Event.objects.count() - before, counted() - bucketed
    if not accepted == stored == in_buckets:
        raise RuntimeError(f"answered {accepted:,}, stored {stored:,}, in buckets {in_buckets:,}: not the same")
    return copied, measured


def _warm_up(web: Web, key: str) -> int:
    """Every worker reads its dictionaries and prepares its statement on each of its connections."""
    accepted = 0
    for batch, count in ((1, 600), (100, 60), (1000, 16)):
        bodies = dataset.bodies(count, batch, one_customer=False, random_ids=False)
        requests = [load.post("/v1/events", key, body) for body in bodies]
        accepted += load.run(web.port, requests, connections=32, seconds=20).accepted
    return accepted


def counted() -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT coalesce(sum(count), 0)::bigint FROM {UsageBucket._meta.db_table}")
        return int(cursor.fetchone()[0])
