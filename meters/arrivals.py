"""The events of a meter that arrived last, for watching an integration at work."""

from django.db.models import BigIntegerField, Func

from meters.models import Event, Meter

# How far back in the order of arrival, of all meters, to look: near at first, as a busy meter has its events there.
LOOK_BACK = (2_000, 100_000)


class LastSequence(Func):
    """The sequence number of the event that arrived last. A subquery, so that it is looked up once."""

    template = "(SELECT pg_sequence_last_value(pg_get_serial_sequence('meters_event', 'sequence')::regclass))"
    arity = 0
    output_field = BigIntegerField()


def last_arrived(meter: Meter, *, limit: int) -> list[Event]:
    """Of the last 100,000 events, at most `limit` of this meter, the last arrival first, with all that a row shows.

    Uses meters_event_sequence_brin.
    """
    events: list[Event] = []
    for back in LOOK_BACK:
        arrived = Event.objects.filter(meter=meter, sequence__gt=LastSequence() - back).order_by("-sequence")
        events = list(arrived.select_related("customer", "dimension_set")[:limit])
        if len(events) == limit:
            break
    for event in events:
        event.meter = meter
    return events
