"""Voiding: events leave the figures and come back; on record, once, and whatever happens at the same time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from meters import voiding
from meters.event_log import EventQuery
from meters.models import Customer, Event, EventKey, Meter, UsageBucket, UsageDistinct, UsageVersion, VoidRecord
from meters.periods import Period
from meters.signals import usage_changed
from meters.usage import read_usage
from meters.voiding import EventRef, Voided, select_events, selection_of, unvoid_events, void_events
from tests.factories import live_invoice, make_customer, make_meter, make_plan, run_sweep, send
from tests.meters.rollups import assert_rollups_equal_events

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def void(*refs: EventRef | tuple[str, ...], **options: Any) -> Voided:
    selection = select_events(refs=[EventRef(*ref) for ref in refs])
    return void_events(selection, **{"reason": "sent twice", "actor": "anna"} | options)


def unvoid(*refs: EventRef | tuple[str, ...], **options: Any) -> Voided:
    selection = select_events(refs=[EventRef(*ref) for ref in refs])
    return unvoid_events(selection, **{"reason": "was right", "actor": "anna"} | options)


def version() -> int:
    return UsageVersion.objects.get(customer__key="acme").version


@pytest.fixture
def calls(db: None) -> Meter:
    return make_meter()


@pytest.fixture
def acme(db: None) -> Customer:
    return make_customer("acme")


def quantity(customer: Customer, meter: Meter) -> Decimal:
    return read_usage(customer, [meter], [NOVEMBER]).quantity(meter)


class TestVoiding:
    def test_takes_an_event_out_of_every_figure_and_back(self, calls: Meter, acme: Customer) -> None:
        for number, value in enumerate((5, -2, 40)):
            send("acme", "ApiCalls", value, id=f"job-{number}", time=NOW + timedelta(minutes=number), now=NOW)
        done = void(("acme", "job-2"))
        assert (done.events, done.unchanged, done.unknown, done.dry_run) == (1, 0, (), False)
        assert [(c.customer, c.meter, c.events, c.sum) for c in done.changes] == [("acme", "ApiCalls", 1, 40)]
        assert quantity(acme, calls) == 3
        bucket = UsageBucket.objects.get()
        assert (bucket.count, bucket.sum, bucket.min, bucket.max, bucket.last) == (2, 3, -2, 5, -2)
        assert (bucket.last_at, version()) == (NOW + timedelta(minutes=1), 4)
        assert unvoid(("acme", "job-2")).events == 1
        assert (quantity(acme, calls), version()) == (43, 5)
        assert_rollups_equal_events()

    def test_is_on_record(self, calls: Meter, acme: Customer) -> None:
        send("acme", "ApiCalls", 5, id="job", now=NOW)
        done = void(("acme", "job"), reason="  test traffic ", actor="gateway")
        record = VoidRecord.objects.get()
        assert record == done.record == Event.objects.get().void
        assert (record.kind, record.reason, record.actor, record.events) == ("void", "test traffic", "gateway", 1)
        assert record.selection == {"events": [{"customer": "acme", "id": "job"}]}
        unvoid(("acme", "job"))
        assert Event.objects.get().void is None
        assert list(VoidRecord.objects.values_list("kind", "events")) == [("unvoid", 1), ("void", 1)]

    def test_empties_a_bucket_away(self, calls: Meter, acme: Customer) -> None:
        send("acme", "ApiCalls", 5, id="job", now=NOW)
        void(("acme", "job"))
        assert not UsageBucket.objects.exists()
        assert quantity(acme, calls) == 0

    def test_a_different_value_that_another_event_has_stays(self, acme: Customer) -> None:
        users = make_meter("Users", aggregation="unique_count", unique_dimension="user")
        for number, user in enumerate("aab"):
            send("acme", "Users", id=f"job-{number}", time=NOW, now=NOW, user=user)
        void(("acme", "job-0"), ("acme", "job-2"))
        assert quantity(acme, users) == 1
        void(("acme", "job-1"))
        assert (quantity(acme, users), UsageDistinct.objects.count()) == (0, 0)
        unvoid(("acme", "job-2"))
        assert quantity(acme, users) == 1
        assert_rollups_equal_events()

    def test_keeps_the_id_so_that_sending_again_stays_voided(self, calls: Meter, acme: Customer) -> None:
        send("acme", "ApiCalls", 5, id="job", time=NOW, now=NOW)
        void(("acme", "job"))
        assert send("acme", "ApiCalls", 5, id="job", time=NOW, now=NOW).duplicate == 1
        assert send("acme", "ApiCalls", 6, id="job", time=NOW, now=NOW).conflict == 1
        assert (quantity(acme, calls), EventKey.objects.count()) == (0, 1)

    def test_what_is_voided_already_is_said_and_not_voided_twice(self, calls: Meter, acme: Customer) -> None:
        send("acme", "ApiCalls", 5, id="job", now=NOW)
        first = void(("acme", "job"))
        again = void(("acme", "job"), reason="other")
        assert (again.events, again.unchanged, again.record) == (0, 1, None)
        assert Event.objects.get().void == first.record
        assert (VoidRecord.objects.count(), version()) == (1, 2)
        assert unvoid(("acme", "job")).events == 1
        assert unvoid(("acme", "job")).unchanged == 1
        assert VoidRecord.objects.count() == 2

    def test_says_what_it_does_not_know(self, calls: Meter, acme: Customer) -> None:
        send("acme", "ApiCalls", 5, id="job", now=NOW)
        asked = [("acme", "job"), ("acme", "jab"), ("nobody", "job"), ("acme", "job", "Nothing")]
        done = void(*asked)
        assert (done.events, done.unknown) == (1, tuple(EventRef(*ref) for ref in asked[1:]))

    def test_a_dry_run_changes_nothing(self, calls: Meter, acme: Customer) -> None:
        send("acme", "ApiCalls", "0.000000000000001", id="small", now=NOW)
        send("acme", "ApiCalls", "999999999999999999999999", id="great", now=NOW)
        send("acme", "ApiCalls", 1, id="voided", now=NOW)
        void(("acme", "voided"))
        selection = select_events(query=EventQuery(customer=acme))
        would = void_events(selection, reason="", actor="anna", dry_run=True)
        assert (would.dry_run, would.record, would.events, would.unchanged) == (True, None, 2, 1)
        assert would.changes[0].sum == Decimal("999999999999999999999999.000000000000001")
        assert (Event.objects.exclude(void=None).count(), VoidRecord.objects.count(), version()) == (1, 1, 4)

    def test_an_id_feeds_several_meters_and_one_can_be_named(self, calls: Meter, acme: Customer) -> None:
        make_meter("Other")
        identifier = "5f0c1b0a-93a1-4f9e-9b0a-0d7a5c1f2e3d"
        for meter in ("ApiCalls", "Other"):
            send("acme", meter, 5, id=identifier, now=NOW)
        assert void(("acme", identifier.upper(), "Other")).events == 1
        assert Event.objects.get(void=None).meter == calls
        both = void(("acme", identifier), ("acme", identifier, "ApiCalls"))
        assert (both.events, both.unchanged) == (1, 1)

    def test_by_filter(self, calls: Meter, acme: Customer) -> None:
        other = make_meter("Other")
        make_customer("globex")
        for number in range(4):
            time = NOW - timedelta(days=number)
            send("acme", "ApiCalls", 1, id=f"a{number}", time=time, now=NOW, source="crm", region="eu")
            send("acme", "Other", 1, id=f"o{number}", time=time, now=NOW)
            send("globex", "ApiCalls", 1, id=f"g{number}", time=time, now=NOW, source="shop")
        queries = [
            (EventQuery(customer=acme), 8),
            (EventQuery(customer=acme, meter=other), 4),
            (EventQuery(customer=acme, meter=other, start=NOW - timedelta(days=2), end=NOW), 2),
            (EventQuery(customer=acme, dimensions={"region": "eu"}), 4),
            (EventQuery(customer=acme, dimensions={"region": "eu", "source": "shop"}), 0),
            (EventQuery(customer=acme, dimensions={"region": ""}), 4),
            (EventQuery(customer=acme, event_id="a1"), 1),
            (EventQuery(meter=calls, start=NOW - timedelta(days=30), end=NOW + timedelta(days=1)), 8),
            (EventQuery(meter=calls, start=NOW, end=NOW + timedelta(days=1), dimensions={"source": "crm"}), 1),
        ]
        for query, count in queries:
            would = void_events(select_events(query=query), reason="", actor="x", dry_run=True)
            assert would.events == count, query
        done = void_events(select_events(query=queries[2][0]), reason="test", actor="x")
        assert done.record is not None
        assert done.record.selection == {
            "filter": {
                "customer": "acme",
                "meter": "Other",
                "from": "2026-11-20T14:30:00Z",
                "to": "2026-11-22T14:30:00Z",
            }
        }
        assert set(Event.objects.exclude(void=None).values_list("sent_id", flat=True)) == {"o1", "o2"}
        assert_rollups_equal_events()

    @pytest.mark.parametrize("by", ["ids", "filter"])
    def test_undoing_a_record_brings_back_what_it_holds_out_still(self, by: str, calls: Meter, acme: Customer) -> None:
        for number in range(3):
            send("acme", "ApiCalls", 1, id=f"job-{number}", time=NOW, now=NOW)
        void(("acme", "job-0"))
        if by == "ids":
            done = void(("acme", "job-0"), ("acme", "job-1", "ApiCalls"), ("acme", "job-2"))
        else:
            done = void_events(select_events(query=EventQuery(customer=acme)), reason="all", actor="x")
        unvoid(("acme", "job-1"))
        assert done.record is not None
        back = unvoid_events(selection_of(done.record), reason="undo", actor="x")
        assert (back.events, quantity(acme, calls)) == (1, 2)
        assert back.record is not None
        assert back.record.selection == {"record": done.record.id}
        assert Event.objects.exclude(void=None).get().sent_id == "job-0"

    def test_announces_the_customers_after_the_commit(
        self, calls: Meter, acme: Customer, django_capture_on_commit_callbacks: Callable[..., Any]
    ) -> None:
        send("acme", "ApiCalls", 1, id="job", now=NOW)
        told: list[list[int]] = []

        def receive(customer_ids: list[int], **kwargs: Any) -> None:
            told.append(customer_ids)

        usage_changed.connect(receive)
        try:
            with django_capture_on_commit_callbacks(execute=True):
                void(("acme", "job"))
        finally:
            usage_changed.disconnect(receive)
        assert told == [[acme.id]]


class TestRefusals:
    @pytest.mark.parametrize(
        ("make", "field"),
        [
            (lambda acme, calls: EventQuery(), "customer"),
            (lambda acme, calls: EventQuery(meter=calls), "start"),
            (lambda acme, calls: EventQuery(meter=calls, start=NOW), "end"),
            (lambda acme, calls: EventQuery(meter=calls, start=NOW, end=NOW + timedelta(days=32)), "end"),
            (lambda acme, calls: EventQuery(start=NOW, end=NOW + timedelta(hours=1)), "customer"),
            (lambda acme, calls: EventQuery(customer=acme, start=NOW, end=NOW), "end"),
            (lambda acme, calls: EventQuery(customer=acme, start=NOW.replace(year=2300)), "start"),
            (lambda acme, calls: EventQuery(customer=acme, state="gone"), "state"),
            (lambda acme, calls: [], "events"),
            (lambda acme, calls: None, "events"),
        ],
    )
    def test_name_the_field(self, make: Callable[..., Any], field: str, acme: Customer, calls: Meter) -> None:
        asked = make(acme, calls)
        is_query = isinstance(asked, EventQuery)
        with pytest.raises(ValidationError) as refused:
            select_events(query=asked if is_query else None, refs=None if is_query else asked)
        assert list(refused.value.message_dict) == [field]

    @pytest.mark.parametrize("reason", ["", " \n ", "x" * 501])
    def test_a_reason_is_said(self, reason: str, acme: Customer, calls: Meter) -> None:
        send("acme", "ApiCalls", 1, id="job", now=NOW)
        with pytest.raises(ValidationError) as refused:
            void(("acme", "job"), reason=reason)
        assert list(refused.value.message_dict) == ["reason"]
        assert Event.objects.get().void is None

    def test_more_events_than_a_call_may_change(
        self, acme: Customer, calls: Meter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(voiding, "MAX_EVENTS", 2)
        for number in range(3):
            send("acme", "ApiCalls", 1, id=f"job-{number}", now=NOW)
        for dry_run in (True, False):
            with pytest.raises(ValidationError) as refused:
                void_events(select_events(query=EventQuery(customer=acme)), reason="x", actor="x", dry_run=dry_run)
            assert "more than 2 events" in refused.value.message_dict["filter"][0]
        with pytest.raises(ValidationError, match="At most 2 events"):
            void(*[("acme", f"job-{number}") for number in range(3)])
        assert not VoidRecord.objects.exists()


def test_the_open_invoice_follows_a_void(db: None) -> None:
    make_plan("Plan", {make_meter(): {"model": "per_unit", "unit_price": "2"}}, is_default=True)
    acme = make_customer("acme")
    send("acme", "ApiCalls", 5, id="job-1")
    send("acme", "ApiCalls", 7, id="job-2")
    run_sweep()
    assert live_invoice(acme).total == 24
    void(("acme", "job-2"))
    run_sweep()
    assert live_invoice(acme).total == 10
    unvoid(("acme", "job-2"))
    run_sweep()
    assert live_invoice(acme).total == 24
