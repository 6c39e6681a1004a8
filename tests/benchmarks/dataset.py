"""What the benchmarks send and read: one meter, 10,000 customers, and as many events as asked for.

The customers are of all sizes (of the events that are there beforehand a customer's share falls with its number), the
events of the last three months; each names one of six source systems.
"""

import json
import random
import uuid
from datetime import UTC, datetime, timedelta

from django.db import connection

from meters import partitions
from meters.catalogue import dimension_set_ids
from meters.ids import uuid7
from meters.models import Customer, Event, Meter, UsageBucket

CUSTOMERS = 10_000
METER = "ApiCalls"
SYSTEMS = ("crm", "shop", "erp", "warehouse", "mailing", "ledger")
DAYS = 90
CHUNK = 500_000

# One statement a table, sorted by key as the real ones are.
_FILL = """
CREATE UNLOGGED TABLE bench_fill AS
SELECT c.id AS customer_id, %(meter)s::int AS meter_id, gen_random_uuid() AS key,
       %(start)s::timestamptz + random() * %(days)s * interval '1 day' AS occurred_at,
       (%(sets)s::int[])[1 + floor(random() * 6)::int] AS dimension_set_id,
       floor(random() * 1000)::numeric AS value
FROM (SELECT 1 + floor(power(random(), 2) * %(customers)s)::int AS n FROM generate_series(1, %(rows)s)) AS g
JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM meters_customer WHERE key LIKE 'bench-%%') AS c USING (n)
"""
# Of one customer, all of it, as the largest of them has.
_FILL_ONE = """
CREATE UNLOGGED TABLE bench_fill AS
SELECT %(customer)s::int AS customer_id, %(meter)s::int AS meter_id, gen_random_uuid() AS key,
       %(start)s::timestamptz + random() * %(days)s * interval '1 day' AS occurred_at,
       (%(sets)s::int[])[1 + floor(random() * 6)::int] AS dimension_set_id,
       floor(random() * 1000)::numeric AS value
FROM generate_series(1, %(rows)s)
"""
_KEYS = """
INSERT INTO meters_eventkey (customer_id, meter_id, key, occurred_at, content)
SELECT customer_id, meter_id, key, occurred_at, 0 FROM bench_fill ORDER BY 1, 2, 3
"""
_EVENTS = """
INSERT INTO meters_event (occurred_at, received_at, key, customer_id, meter_id, dimension_set_id, value)
SELECT occurred_at, occurred_at, key, customer_id, meter_id, dimension_set_id, value
FROM bench_fill ORDER BY occurred_at
"""
_BUCKETS = """
INSERT INTO meters_usagebucket AS b (
    customer_id, meter_id, hour, dimension_set_id, count, sum, min, max, last, last_at, last_sequence
)
SELECT customer_id, meter_id, date_trunc('hour', occurred_at, 'UTC'), dimension_set_id, count(*), sum(value),
       min(value), max(value), (array_agg(value ORDER BY occurred_at DESC))[1], max(occurred_at), 0
FROM bench_fill GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
ON CONFLICT (customer_id, meter_id, hour, dimension_set_id) DO UPDATE SET
    count = b.count + excluded.count, sum = b.sum + excluded.sum,
    min = least(b.min, excluded.min), max = greatest(b.max, excluded.max)
"""
_VERSIONS = """
INSERT INTO meters_usageversion AS v (customer_id, version, changed_at)
SELECT DISTINCT customer_id, 1, now() FROM bench_fill ORDER BY 1
ON CONFLICT (customer_id) DO UPDATE SET version = v.version + 1
"""


def prepare() -> Meter:
    """The meter and the customers."""
    meter, _ = Meter.objects.get_or_create(key=METER, defaults={"dimensions": ["source"], "unit": "calls"})
    Customer.objects.bulk_create(
        [Customer(key=f"bench-{number}", onboarded_at=datetime.now(UTC)) for number in range(CUSTOMERS)],
        ignore_conflicts=True,
        batch_size=1000,
    )
    return meter


def fill(meter: Meter, wanted: int, say) -> None:
    """Brings the number of stored events up to `wanted`, in steps, each whole in itself."""
    now = datetime.now(UTC)
    partitions.ensure_span(now - timedelta(days=DAYS + 1), now)
    sets = list(dimension_set_ids({(("source", system),) for system in SYSTEMS}).values())
    there = Event.objects.count()
    with connection.cursor() as cursor:
        while there < wanted:
            rows = min(CHUNK, wanted - there)
            cursor.execute("DROP TABLE IF EXISTS bench_fill")
            cursor.execute(
                _FILL,
                {
                    "meter": meter.id,
                    "start": now - timedelta(days=DAYS),
                    "days": DAYS,
                    "sets": sets,
                    "customers": CUSTOMERS,
                    "rows": rows,
                },
            )
            cursor.execute("BEGIN")
            for statement in (_KEYS, _EVENTS, _BUCKETS, _VERSIONS):
                cursor.execute(statement)
            cursor.execute("COMMIT")
            there += rows
            say(f"{there:,} events of {wanted:,} are there")
        cursor.execute("DROP TABLE IF EXISTS bench_fill")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def fill_one(customer: Customer, meter: Meter, say) -> None:
    """Gives a customer without events a hundredth of what is there, which is the share of the largest."""
    if UsageBucket.objects.filter(customer_id=customer.pk).exists():
        return
    now, rows = datetime.now(UTC), max(Event.objects.count() // 100, 10_000)
    partitions.ensure_span(now - timedelta(days=DAYS + 1), now)
    figures = {
        "customer": customer.pk,
        "meter": meter.id,
        "start": now - timedelta(days=DAYS),
        "days": DAYS,
        "sets": list(dimension_set_ids({(("source", system),) for system in SYSTEMS}).values()),
        "rows": rows,
    }
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_fill")
        cursor.execute(_FILL_ONE, figures)
        cursor.execute("BEGIN")
        for statement in (_KEYS, _EVENTS, _BUCKETS, _VERSIONS):
            cursor.execute(statement)
        cursor.execute("COMMIT")
        cursor.execute("DROP TABLE bench_fill")
    say(f"{rows:,} events of {customer} are there")


def bodies(count: int, batch: int, *, one_customer: bool, random_ids: bool) -> list[bytes]:
    """JSON arrays of events of the last hour; each batch of one customer, or each event of any customer."""
    chance, now = random.Random(), datetime.now(UTC)
    made = []
    for _ in range(count):
        customer = chance.randrange(CUSTOMERS)
        events = [
            {
                "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)) if random_ids else uuid7(),
                "customer": f"bench-{customer if one_customer else chance.randrange(CUSTOMERS)}",
                "meter": METER,
                "time": (now - timedelta(seconds=chance.randrange(3600))).isoformat(),
                "value": chance.randrange(1000),
                "dimensions": {"source": chance.choice(SYSTEMS)},
            }
            for _ in range(batch)
        ]
        made.append(json.dumps(events if batch > 1 else events[0], separators=(",", ":")).encode())
    return made
