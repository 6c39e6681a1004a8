"""Recording events: what lands, what does not, and that usage always equals the events."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from meters.decoding import EventIn
from meters.events import record_events
from meters.models import Customer, Event, EventKey, Meter, UsageBucket, UsageVersion
from meters.periods import Period
from meters.usage import read_usage
from tests.factories import event, make_customer, make_meter, send

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
DAY = Period(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))


def used(customer: Customer, meter: Meter, period: Period = DAY) -> Decimal:
    return read_usage(customer, [meter], [period]).quantity(meter)


@pytest.fixture
def calls() -> Meter:
    return make_meter("ApiCalls")


@pytest.fixture
def acme() -> Customer:
    return make_customer("acme")


class TestOneEvent:
    def test_is_stored_whole(self, calls: Meter, acme: Customer) -> None:
        sent = event("acme", "ApiCalls", "52.5", id="job-1", time=NOW, source="crm", job="8123")
        assert record_events([sent], now=NOW).accepted == 1

        stored = Event.objects.select_related("dimension_set").get()
        assert stored.event_id == "job-1"
        assert (stored.value, stored.occurred_at, stored.received_at) == (Decimal("52.5"), NOW, NOW)
        assert stored.dimension_set.values == {"source": "crm"}  # declared
        assert stored.extra == {"job": "8123"}  # not declared
        assert stored.dimensions == {"source": "crm", "job": "8123"}

    def test_counts_at_once(self, calls: Meter, acme: Customer) -> None:
        send("acme", "ApiCalls", 52, time=NOW, now=NOW)
        assert used(acme, calls) == 52

    def test_without_time_and_value_is_one_now(self, calls: Meter, acme: Customer) -> None:
        record_events([EventIn(customer="acme", meter="ApiCalls")], now=NOW)
        assert Event.objects.get().occurred_at == NOW
        assert used(acme, calls) == 1

    def test_without_id_counts_every_time(self, calls: Meter, acme: Customer) -> None:
        for _ in range(2):
            assert record_events([EventIn(customer="acme", meter="ApiCalls")], now=NOW).accepted == 1
        assert used(acme, calls) == 2

    def test_discovers_its_customer(self, calls: Meter) -> None:
        send("newcomer", "ApiCalls", 3, time=NOW, now=NOW)
        customer = Customer.objects.get(key="newcomer")
        assert customer.source == Customer.Source.EVENT
        assert customer.onboarded_at is None
        assert used(customer, calls) == 3

    def test_of_an_unknown_customer_can_be_refused(self, calls: Meter, settings: object) -> None:
        settings.INGEST_CREATES_CUSTOMERS = False  # type: ignore[attr-defined]
        recorded = record_events([EventIn(customer="stranger", meter="ApiCalls", time=NOW)], now=NOW)
        assert (recorded.rejected, recorded.outcomes[0].code, recorded.outcomes[0].pointer) == (
            1,
            "unknown_customer",
            "/customer",
        )
        # It had no id; one that was made for it is told to nobody.
        assert recorded.outcomes[0].id == ""
        assert not Customer.objects.exists()

    def test_keeps_numbers_exact(self, calls: Meter, acme: Customer) -> None:
        send("acme", "ApiCalls", "123456789012345678901234.000000000000001", time=NOW, now=NOW)
        send("acme", "ApiCalls", "0.000000000000001", time=NOW, now=NOW)
        assert used(acme, calls) == Decimal("123456789012345678901234.000000000000002")

    def test_feeds_several_meters(self, calls: Meter, acme: Customer) -> None:
        jobs = make_meter("Jobs", aggregation="count")
        values = {"ApiCalls": Decimal(52), "Jobs": Decimal(1), "Nothing": Decimal(1)}
        recorded = record_events([EventIn(customer="acme", id="1", values=values, time=NOW)], now=NOW)
        assert (recorded.accepted, recorded.rejected) == (2, 1)
        assert (recorded.outcomes[0].meter, recorded.outcomes[0].pointer) == ("Nothing", "/values/Nothing")
        assert (used(acme, calls), used(acme, jobs)) == (52, 1)


class TestRepeats:
    def test_same_id_and_content_is_a_duplicate(self, calls: Meter, acme: Customer) -> None:
        sent = event("acme", "ApiCalls", 52, id="job-1", time=NOW)
        record_events([sent], now=NOW)
        recorded = record_events([sent], now=NOW + timedelta(days=40))
        assert (recorded.accepted, recorded.duplicate, recorded.outcomes[0].outcome) == (0, 1, "duplicate")
        assert used(acme, calls) == 52

    @pytest.mark.parametrize("same", ["52.0", "5.2E+1", "052"], ids=["decimals", "exponent", "leading zero"])
    def test_another_spelling_of_the_number_is_a_duplicate(self, calls: Meter, acme: Customer, same: str) -> None:
        send("acme", "ApiCalls", "52", id="job-1", time=NOW, now=NOW)
        assert send("acme", "ApiCalls", same, id="job-1", time=NOW, now=NOW).duplicate == 1

    def test_another_spelling_of_the_uuid_is_a_duplicate(self, calls: Meter, acme: Customer) -> None:
        uuid = "0193544c-7f00-7abc-8def-0123456789ab"
        send("acme", "ApiCalls", 1, id=uuid, time=NOW, now=NOW)
        assert send("acme", "ApiCalls", 1, id=uuid.upper(), time=NOW, now=NOW).duplicate == 1

    def test_a_resend_without_time_is_a_duplicate(self, calls: Meter, acme: Customer) -> None:
        send("acme", "ApiCalls", 52, id="job-1", now=NOW)
        assert send("acme", "ApiCalls", 52, id="job-1", now=NOW + timedelta(minutes=5)).duplicate == 1

    @pytest.mark.parametrize(
        "other",
        [{"value": 53}, {"time": NOW - timedelta(seconds=1)}, {"source": "crm"}],
        ids=["value", "time", "dimension"],
    )
    def test_same_id_and_other_content_is_a_conflict(self, calls: Meter, acme: Customer, other: dict) -> None:
        send("acme", "ApiCalls", 52, id="job-1", time=NOW, now=NOW)
        recorded = send("acme", "ApiCalls", now=NOW, **({"value": 52, "id": "job-1", "time": NOW} | other))
        assert (recorded.conflict, recorded.outcomes[0].outcome, recorded.outcomes[0].id) == (1, "conflict", "job-1")
        assert used(acme, calls) == 52

    def test_the_first_of_a_batch_counts(self, calls: Meter, acme: Customer) -> None:
        batch = [event("acme", "ApiCalls", value, id="job-1", time=NOW) for value in (5, 7, 5)]
        recorded = record_events(batch, now=NOW)
        assert (recorded.accepted, recorded.conflict, recorded.duplicate) == (1, 1, 1)
        assert [(outcome.index, outcome.outcome) for outcome in recorded.outcomes] == [
            (1, "conflict"),
            (2, "duplicate"),
        ]
        assert used(acme, calls) == 5

    def test_ids_are_per_customer_and_meter(self, calls: Meter, acme: Customer) -> None:
        make_meter("Jobs", aggregation="count")
        make_customer("globex")
        batch = [event(c, m, 1, id="1", time=NOW) for c in ("acme", "globex") for m in ("ApiCalls", "Jobs")]
        assert record_events(batch, now=NOW).accepted == 4


class TestRejections:
    @pytest.mark.parametrize(
        ("fields", "code", "pointer"),
        [
            ({"meter": "Nothing"}, "unknown_meter", "/meter"),
            ({"time": NOW + timedelta(hours=24, seconds=1)}, "too_far_ahead", "/time"),
            ({"time": NOW - timedelta(days=401)}, "too_old", "/time"),
            ({"value": "NaN"}, "invalid", "/value"),
            ({"value": "-Infinity"}, "invalid", "/value"),
            ({"value": "1e24"}, "invalid", "/value"),
            ({"value": "1e999999"}, "invalid", "/value"),
            ({"value": "1e-16"}, "invalid", "/value"),
            ({"value": "1.0000000000000001"}, "invalid", "/value"),
            ({"id": "a\0b"}, "invalid", "/id"),
            ({"source": "a\0b"}, "invalid", "/dimensions/source"),
            ({"customer": "a\nb"}, "invalid", "/customer"),
            ({"customer": " acme"}, "invalid", "/customer"),
            ({"value": "1e-99999999"}, "invalid", "/value"),
        ],
        ids=lambda case: str(case)[:40],
    )
    def test_name_the_field(self, calls: Meter, fields: dict, code: str, pointer: str) -> None:
        good = {"customer": "acme", "meter": "ApiCalls", "value": 1, "time": NOW}
        recorded = send(now=NOW, **(good | fields))
        assert [(outcome.code, outcome.pointer) for outcome in recorded.outcomes] == [(code, pointer)]
        assert not Event.objects.exists()

    def test_leave_the_good_ones_alone(self, calls: Meter, acme: Customer) -> None:
        batch = [event("acme", meter, 1, time=NOW) for meter in ("ApiCalls", "Nothing", "ApiCalls")]
        recorded = record_events(batch, now=NOW)
        assert (recorded.accepted, recorded.rejected, recorded.outcomes[0].index) == (2, 1, 1)
        assert used(acme, calls) == 2

    def test_a_unique_count_needs_its_dimension(self, acme: Customer) -> None:
        make_meter("Users", aggregation="unique_count", unique_dimension="user")
        recorded = send("acme", "Users", time=NOW, now=NOW)
        assert (recorded.outcomes[0].code, recorded.outcomes[0].pointer) == ("missing_dimension", "/dimensions/user")

    def test_tell_both_ways_of_naming_meters_apart(self, calls: Meter) -> None:
        both = EventIn(customer="acme", meter="ApiCalls", values={"ApiCalls": Decimal(1)})
        neither = EventIn(customer="acme")
        recorded = record_events([both, neither], now=NOW)
        assert [outcome.pointer for outcome in recorded.outcomes] == ["/values", "/meter"]


class TestTheGuardAndTheBuckets:
    def test_hold_what_the_events_say(self, calls: Meter, acme: Customer) -> None:
        times = [NOW - timedelta(minutes=25 * step) for step in range(20)]
        record_events([event("acme", "ApiCalls", i, time=t, source="ab"[i % 2]) for i, t in enumerate(times)], now=NOW)
        for bucket in UsageBucket.objects.all():
            inside = Event.objects.filter(
                occurred_at__gte=bucket.hour,
                occurred_at__lt=bucket.hour + timedelta(hours=1),
                dimension_set_id=bucket.dimension_set_id,
            ).order_by("occurred_at")
            values = [stored.value for stored in inside]
            assert (bucket.count, bucket.sum, bucket.min, bucket.max, bucket.last) == (
                len(values),
                sum(values),
                min(values),
                max(values),
                values[-1],
            )
        assert (
            EventKey.objects.count() == Event.objects.count() == sum(b.count for b in UsageBucket.objects.all()) == 20
        )

    def test_raise_the_version_of_those_whose_usage_changed(self, calls: Meter, acme: Customer) -> None:
        make_customer("globex")
        for _ in range(2):
            record_events([event("acme", "ApiCalls", 1, time=NOW)] * 2, now=NOW)
        assert UsageVersion.objects.get().version == 2
        first = event("acme", "ApiCalls", 1, id="1", time=NOW)
        record_events([first], now=NOW)
        record_events([first], now=NOW)
        assert UsageVersion.objects.get().version == 3  # the duplicate changed nothing

    def test_take_late_events_into_their_own_hour_and_month(self, calls: Meter, acme: Customer) -> None:
        late = NOW - timedelta(days=200)
        send("acme", "ApiCalls", 9, time=late, now=NOW)
        assert used(acme, calls) == 0
        assert used(acme, calls, Period(late - timedelta(days=1), late + timedelta(days=1))) == 9


@pytest.mark.django_db(transaction=True)  # what is not committed is not remembered
def test_a_batch_takes_a_fixed_number_of_queries(calls: Meter, acme: Customer) -> None:
    record_events([event("acme", "ApiCalls", 1, time=NOW, source="crm")], now=NOW)  # fills the dictionaries
    for size in (1, 500):
        batch = [event("acme", "ApiCalls", 1, time=NOW, source="crm") for _ in range(size)]
        with CaptureQueriesContext(connection) as seen:
            record_events(batch, now=NOW)
        # The statement itself is prepared and goes past Django's log: nothing else is asked of the database.
        assert len(seen) == 0, [query["sql"] for query in seen]


def test_a_uuid_is_one_id_in_capital_and_small_letters() -> None:
    make_meter()
    sent = "0193A1B2-1111-7222-8333-44445555ABCD"
    in_one = record_events([event("acme", "ApiCalls", 1, id=sent), event("acme", "ApiCalls", 1, id=sent.lower())])
    assert (in_one.accepted, in_one.duplicate + in_one.conflict) == (1, 1)
    later = record_events([event("acme", "ApiCalls", 1, id=sent.lower())])
    assert (later.accepted, later.duplicate + later.conflict) == (0, 1)
