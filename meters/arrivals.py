"""The events of a meter that arrived last, for watching an integration at work."""

from meters import sql
from meters.models import Event, Meter
from meters.statements import execute

# How far back in the order of arrival, of all meters, to look: near at first, as a busy meter has its events there.
LOOK_BACK = (2_000, 100_000)


def last_sequence() -> int:
    """The sequence number that was given out last."""
    ((last,),) = execute(sql.LAST_SEQUENCE, {})
    return last or 0


def last_arrived(meter: Meter, *, limit: int) -> list[Event]:
    """Of the last 100,000 events, at most `limit` of this meter, the last arrival first, with all that a row shows.

    Uses meters_event_sequence_brin.
    """
    events: list[Event] = []
    last = last_sequence()
    for back in LOOK_BACK:
        arrived = Event.objects.filter(meter=meter, sequence__gt=last - back).order_by("-sequence")
        events = list(arrived.select_related("customer", "dimension_set")[:limit])
        if len(events) == limit:
            break
    for event in events:
        event.meter = meter
    return events
