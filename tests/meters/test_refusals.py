"""What was refused is on record for staff: counted by reason and day, whatever else happens."""

import json
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from meters import refusals
from meters.decoding import Rejection
from meters.events import Outcome, record_events
from meters.models import Event, RejectedEvent
from meters.refusals import note_refusals
from tests.factories import event, json_event, make_meter
from tests.racing import race

pytestmark = pytest.mark.django_db


def noted() -> dict[tuple[str, str, str], int]:
    return {(row.code, row.pointer, row.meter): row.count for row in RejectedEvent.objects.all()}


def test_each_reason_is_counted_with_its_latest_example(api) -> None:
    make_meter()
    client = api("ingest")
    bad = [json_event(meter="ApiCals"), json_event(value="many"), 7, json_event(id="1"), json_event(id="1", value=2)]
    for _ in range(2):
        client.generic("POST", "/v1/events", json.dumps(bad), content_type="application/json")
    client.generic("POST", "/v1/events", json.dumps([json_event(meter="ApiCals", customer="globex")]))
    assert noted() == {
        ("unknown_meter", "/meter", "ApiCals"): 3,
        ("invalid", "/value", ""): 2,
        ("invalid", "", ""): 2,
        ("conflict", "", "ApiCalls"): 2,
    }
    row = RejectedEvent.objects.get(code="unknown_meter")
    assert (row.sender, row.customer, row.day) == ("test", "globex", timezone.now().date())
    assert json.loads(row.example)["meter"] == "ApiCals"
    assert row.first_at < row.last_at
    assert RejectedEvent.objects.get(pointer="/value").example.startswith("{")
    assert Event.objects.count() == 1


def test_lines_that_are_no_json_show_what_was_sent(api) -> None:
    make_meter()
    body = json.dumps(json_event()).encode() + b"\n{oops \xff \x00"
    api("ingest").generic("POST", "/v1/events", body, content_type="application/x-ndjson")
    assert RejectedEvent.objects.get().example.startswith("{oops")


def test_senders_are_kept_apart() -> None:
    make_meter()
    now = timezone.now()
    sent = [event("acme", "Nope")]
    for sender in ("eu", "us", "eu"):
        note_refusals(sent, record_events(sent, now=now).outcomes, sender=sender, now=now)
    assert dict(RejectedEvent.objects.values_list("sender", "count")) == {"eu": 2, "us": 1}


def test_endless_different_reasons_become_one(monkeypatch) -> None:
    monkeypatch.setattr(refusals, "MOST", 5)
    now = timezone.now()
    for first in range(0, 12, 3):
        sent = [event("acme", f"meter{number}") for number in range(first, first + 3)]
        note_refusals(sent, record_events(sent, now=now).outcomes, sender="x", now=now)
    # What comes at once is counted apart; the next ones find the day full.
    assert RejectedEvent.objects.exclude(meter="").count() == 6
    assert RejectedEvent.objects.get(meter="").count == 6
    sent = [event("acme", "meter0")]
    note_refusals(sent, record_events(sent, now=now).outcomes, sender="x", now=now)
    assert RejectedEvent.objects.get(meter="meter0").count == 2


def test_one_sender_does_not_fill_the_day_of_another(monkeypatch) -> None:
    monkeypatch.setattr(refusals, "MOST", 5)
    now = timezone.now()
    for number in range(20):
        flood = [event("acme", f"meter{number}")]
        note_refusals(flood, record_events(flood, now=now).outcomes, sender="flood", now=now)
    sent = [event("acme", "ApiCals")]
    note_refusals(sent, record_events(sent, now=now).outcomes, sender="other", now=now)
    assert list(RejectedEvent.objects.filter(sender="other").values_list("meter", "count")) == [("ApiCals", 1)]
    flood_rows = RejectedEvent.objects.filter(sender="flood")
    assert flood_rows.exclude(meter="").count() == 5
    assert flood_rows.get(meter="").count == 15


@pytest.mark.django_db(transaction=True)
def test_what_is_summed_by_code_waits_with_no_other_row_in_hand(monkeypatch) -> None:
    """Rows are taken in the order of their keys, and the sum of a code comes before what was noted already."""
    monkeypatch.setattr(refusals, "MOST", 2)
    now = timezone.now()

    def note(*reasons: tuple[str, str]) -> None:
        outcomes = [
            Outcome(index=0, outcome="rejected", code=code, pointer=pointer, meter="") for code, pointer in reasons
        ]
        note_refusals([Rejection("x", "", "")], outcomes, sender="x", now=now)

    note(("invalid", ""), ("unknown", "/meter"))
    held, checked = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            RejectedEvent.objects.select_for_update().get(code="invalid")
            held.set()
            checked.wait(timeout=60)

    def note_more() -> None:
        held.wait(timeout=60)
        note(("unknown", "/meter"), ("invalid", "/new"))

    seen: list[int] = []

    def look() -> None:
        try:
            held.wait(timeout=60)
            deadline = time.monotonic() + 60
            while not _somebody_waits():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            # Committed, and so held no more, while the sum of the code still waits.
            seen.append(RejectedEvent.objects.get(code="unknown").count)
        finally:
            checked.set()

    assert race(hold, note_more, look) == []
    assert seen == [2]
    assert noted() == {("invalid", "", ""): 2, ("unknown", "/meter", ""): 2}


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')")
        return bool(cursor.fetchone()[0])


def test_texts_that_do_not_fit_are_cut() -> None:
    now = timezone.now()
    outcome = Outcome(
        index=0, outcome="rejected", code="x" * 99, pointer="/" * 999, meter="m\0" * 400, detail="d" * 999
    )
    note_refusals([Rejection("x", "", "", sent="s\0" * 5000)], [outcome], sender="n" * 999, now=now)
    row = RejectedEvent.objects.get()
    assert (len(row.pointer), len(row.meter), len(row.detail), len(row.example)) == (200, 200, 500, 1000)


def test_old_ones_are_forgotten() -> None:
    now = timezone.now()
    for days in (0, 13, 15):
        then = now - timedelta(days=days)
        note_refusals([Rejection("x", "", "")], [Outcome(index=0, outcome="rejected", code="x")], sender="", now=then)
    refusals.forget_old(now)
    assert RejectedEvent.objects.count() == 2
