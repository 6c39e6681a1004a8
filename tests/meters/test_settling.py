"""Since when usage has changed: noted by whatever changes it, and taken once."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from meters import settling, verification
from meters.event_log import EventQuery
from meters.events import record_events
from meters.models import Customer, Meter, UsageVersion
from meters.voiding import EventRef, select_events, selection_of, unvoid_events, void_events
from tests.factories import event, make_customer, make_meter, send
from tests.racing import race

HOUR = (datetime.now(UTC) - timedelta(days=3)).replace(hour=9, minute=0, second=0, microsecond=0)


@pytest.fixture
def acme(db: None) -> Customer:
    make_meter()
    return make_customer("acme")


def oldest(customer: Customer) -> datetime | None:
    return UsageVersion.objects.get(customer=customer).oldest_at


def taken(customer: Customer) -> datetime | None:
    return settling.take_oldest([customer.pk]).get(customer.pk)


class TestWhatEventsNote:
    def test_the_hour_of_the_oldest_event_of_a_batch(self, acme: Customer) -> None:
        times = [HOUR + timedelta(minutes=90), HOUR + timedelta(minutes=30), HOUR + timedelta(days=1)]
        record_events([event("acme", "ApiCalls", time=time) for time in times])
        assert oldest(acme) == HOUR

    def test_a_newer_event_leaves_it_and_an_older_one_lowers_it(self, acme: Customer) -> None:
        for time, noted in ((HOUR, HOUR), (HOUR + timedelta(hours=5), HOUR), (HOUR - timedelta(hours=1), None)):
            send("acme", "ApiCalls", time=time)
            assert oldest(acme) == (noted or time)

    def test_a_duplicate_notes_nothing(self, acme: Customer) -> None:
        send("acme", "ApiCalls", time=HOUR, id="1")
        assert taken(acme) == HOUR
        send("acme", "ApiCalls", time=HOUR, id="1")
        assert oldest(acme) is None

    def test_each_customer_of_a_batch_has_its_own(self, acme: Customer) -> None:
        other = make_customer("other")
        record_events(
            [event("acme", "ApiCalls", time=HOUR), event("other", "ApiCalls", time=HOUR - timedelta(hours=3))]
        )
        assert settling.take_oldest([acme.pk, other.pk]) == {acme.pk: HOUR, other.pk: HOUR - timedelta(hours=3)}


class TestTaking:
    def test_forgets_what_it_answers(self, acme: Customer) -> None:
        send("acme", "ApiCalls", time=HOUR)
        assert (taken(acme), taken(acme)) == (HOUR, None)
        send("acme", "ApiCalls", time=HOUR + timedelta(days=1))
        assert taken(acme) == HOUR + timedelta(days=1)

    def test_leaves_version_and_others_alone(self, acme: Customer) -> None:
        send("acme", "ApiCalls", time=HOUR)
        send("other", "ApiCalls", time=HOUR)
        before = list(UsageVersion.objects.order_by("customer").values_list("version", "changed_at"))
        assert taken(acme) == HOUR
        assert list(UsageVersion.objects.order_by("customer").values_list("version", "changed_at")) == before
        assert oldest(Customer.objects.get(key="other")) == HOUR

    def test_nobody_and_strangers_have_none(self, acme: Customer) -> None:
        assert settling.take_oldest([]) == {}
        assert settling.take_oldest([acme.pk, acme.pk + 1000]) == {}


class TestVoids:
    def test_void_and_undo_note_the_hour(self, acme: Customer) -> None:
        send("acme", "ApiCalls", time=HOUR + timedelta(minutes=7), id="1")
        taken(acme)
        ref = EventRef("acme", "1")
        voided = void_events(select_events(refs=[ref]), reason="test", actor="me")
        assert taken(acme) == HOUR
        assert voided.record is not None
        unvoid_events(selection_of(voided.record), reason="test", actor="me")
        assert taken(acme) == HOUR

    def test_a_filter_over_hours_notes_the_oldest(self, acme: Customer) -> None:
        for hours in (3, 1, 2):
            send("acme", "ApiCalls", time=HOUR + timedelta(hours=hours))
        taken(acme)
        void_events(select_events(query=EventQuery(customer=acme)), reason="test", actor="me")
        assert taken(acme) == HOUR + timedelta(hours=1)

    def test_of_a_unique_count_the_day_is_noted(self, acme: Customer) -> None:
        make_meter("Users", aggregation=Meter.Aggregation.UNIQUE_COUNT, unique_dimension="user", dimensions=["user"])
        send("acme", "Users", time=HOUR, id="1", user="ann")
        taken(acme)
        void_events(select_events(refs=[EventRef("acme", "1")]), reason="test", actor="me")
        assert taken(acme) == HOUR.replace(hour=0)


def test_a_repair_notes_the_hour(acme: Customer) -> None:
    send("acme", "ApiCalls", time=HOUR)
    taken(acme)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE meters_usagebucket SET sum = sum + 1")
    list(verification.verify(verification.spans_of([acme]), repair=True))
    assert taken(acme) == HOUR


@pytest.mark.django_db(transaction=True)
def test_no_change_is_missed_by_who_takes_while_events_come() -> None:
    """Whoever takes finds, in what it reads afterwards, all that it took; and what comes later is noted anew."""
    make_meter()
    acme = make_customer("acme")
    seen: list[int] = []

    def send_some() -> None:
        for _ in range(20):
            send("acme", "ApiCalls", time=HOUR)

    def take_some() -> None:
        for _ in range(30):
            with transaction.atomic():
                found = taken(acme)
            if found:
                seen.append(UsageVersion.objects.get(customer=acme).version)

    assert race(send_some, send_some, take_some, take_some) == []
    version = UsageVersion.objects.get(customer=acme)
    # Batches that share a commit raise it once.
    assert 20 <= version.version <= 40
    assert version.oldest_at == HOUR or version.version in seen
