"""What the tables of usage should hold, counted in Python from the raw events."""

from collections import defaultdict
from datetime import UTC

from meters.models import Event, UsageBucket, UsageDistinct


def assert_rollups_equal_events() -> None:
    """Every bucket and every distinct value is what the events that are not voided come to, and there is no other."""
    by_bucket = defaultdict(list)
    distinct = set()
    for event in Event.objects.filter(void=None):
        time = event.occurred_at.astimezone(UTC)
        where = (event.customer_id, event.meter_id)
        hour = time.replace(minute=0, second=0, microsecond=0)
        by_bucket[(*where, hour, event.dimension_set_id)].append(event)
        if event.distinct_value:
            distinct.add((*where, time.date(), event.dimension_set_id, event.distinct_value))
    expected = {}
    for key, events in by_bucket.items():
        values = [event.value for event in events]
        last = max(events, key=lambda event: (event.occurred_at, event.sequence))
        of_last = (last.value, last.occurred_at, last.sequence)
        expected[key] = (len(values), sum(values), min(values), max(values), *of_last)
    stored = {
        (b.customer_id, b.meter_id, b.hour, b.dimension_set_id): (
            *(b.count, b.sum, b.min, b.max),
            *(b.last, b.last_at, b.last_sequence),
        )
        for b in UsageBucket.objects.all()
    }
    assert stored == expected
    kept = set(UsageDistinct.objects.values_list("customer_id", "meter_id", "day", "dimension_set_id", "value"))
    assert kept == distinct
