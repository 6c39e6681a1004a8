"""Many senders at once: no deadlock, no lost update, each id counted once; the buckets equal the events."""

import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection, transaction
from django.db.models import Count, Max, Min, Sum
from django.db.models.functions import Trunc

from meters import batching, partitions
from meters.decoding import EventIn
from meters.events import record_events
from meters.models import Customer, Event, EventKey, UsageBucket, UsageVersion
from tests.factories import make_meter
from tests.racing import race, wait_for_a_blocked_backend

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
SENDERS = 8


def events(count: int, customers: list[str]) -> list[EventIn]:
    chance = random.Random(7)
    return [
        EventIn(
            id=f"job-{number}",
            customer=chance.choice(customers),
            meter="ApiCalls",
            value=Decimal(chance.randint(-50, 1000)),
            time=NOW - timedelta(minutes=chance.randrange(300)),
            dimensions={"source": chance.choice("abc")},
        )
        for number in range(count)
    ]


def send_at_once(batches_of: list[list[list[EventIn]]]) -> tuple[Counter[str], list[Exception]]:
    """Sends each list of batches from a thread of its own; answers the summed outcomes and what was raised."""
    outcomes: Counter[str] = Counter()

    def sender(batches: list[list[EventIn]]) -> None:
        for batch in batches:
            recorded = record_events(batch, now=NOW)
            for name in ("accepted", "duplicate", "conflict", "rejected"):
                outcomes[name] += getattr(recorded, name)

    raised = race(*(partial(sender, batches) for batches in batches_of))
    return outcomes, raised


def assert_buckets_equal_events() -> None:
    recount = {
        (row["customer_id"], row["meter_id"], row["hour"], row["dimension_set_id"]): (
            row["n"],
            row["total"],
            row["least"],
            row["greatest"],
        )
        for row in Event.objects.order_by()
        .annotate(hour=Trunc("occurred_at", "hour", tzinfo=UTC))
        .values("customer_id", "meter_id", "hour", "dimension_set_id")
        .annotate(n=Count("sequence"), total=Sum("value"), least=Min("value"), greatest=Max("value"))
    }
    stored = {
        (b.customer_id, b.meter_id, b.hour, b.dimension_set_id): (b.count, b.sum, b.min, b.max)
        for b in UsageBucket.objects.all()
    }
    assert stored == recount


@pytest.mark.parametrize("customers", [["hot"], [f"c{n}" for n in range(40)]], ids=["one hot customer", "many"])
def test_senders_race_with_the_same_ids_in_different_order(customers: list[str]) -> None:
    make_meter()
    sent = events(600, customers)
    everybody = []
    for sender in range(SENDERS):
        mine = sent[:]
        random.Random(sender).shuffle(mine)
        everybody.append([mine[first : first + 50] for first in range(0, len(mine), 50)])
    outcomes, raised = send_at_once(everybody)
    assert raised == []
    assert outcomes == {"accepted": 600, "duplicate": 600 * (SENDERS - 1), "conflict": 0, "rejected": 0}
    assert Event.objects.count() == EventKey.objects.count() == 600
    assert Event.objects.aggregate(total=Sum("value"))["total"] == sum(e.value for e in sent)
    assert Customer.objects.count() == len({e.customer for e in sent})
    assert_buckets_equal_events()


def test_racing_conflicts_keep_one_and_report_the_others() -> None:
    make_meter()
    versions = [
        [EventIn(id=f"job-{n}", customer="acme", meter="ApiCalls", value=Decimal(sender), time=NOW) for n in range(100)]
        for sender in range(SENDERS)
    ]
    outcomes, raised = send_at_once([[batch] for batch in versions])
    assert raised == []
    assert (outcomes["accepted"], outcomes["conflict"]) == (100, 100 * (SENDERS - 1))
    assert_buckets_equal_events()


def test_every_answer_comes_with_a_raised_version() -> None:
    make_meter()
    record_events(events(1, ["acme"]), now=NOW)

    def version() -> int:
        return UsageVersion.objects.get().version

    def sender(number: int) -> None:
        for event in events(200, ["acme"])[1:][number::SENDERS]:
            before = version()
            assert record_events([event], now=NOW).accepted == 1
            assert version() > before

    assert race(*(partial(sender, number) for number in range(SENDERS))) == []
    # Those that waited at the same time shared a commit, and raised it once.
    assert version() <= 200
    assert Event.objects.count() == 200
    assert_buckets_equal_events()


def test_a_month_that_nobody_foresaw_is_made_once_by_many() -> None:
    make_meter()
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE meters_event_{NOW:%Y_%m}")
    partitions.forget()
    batches = [[[event] for event in events(80, ["acme"])[sender::SENDERS]] for sender in range(SENDERS)]
    outcomes, raised = send_at_once(batches)
    assert raised == []
    assert (outcomes["accepted"], Event.objects.count()) == (80, 80)


@pytest.fixture(params=[0, 1, 2], ids=["new", "looked up", "raced"])
def statement(request, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each form of the statement that records events: those that may fail, and the one that is taken last."""
    monkeypatch.setattr(batching, "_form", request.param)
    monkeypatch.setattr(batching, "_wary_until", 2**63)
    monkeypatch.setattr(batching, "WARY_FOR", 0)


@pytest.mark.usefixtures("statement")
@pytest.mark.parametrize("customers", [["hot"], [f"c{n}" for n in range(40)]], ids=["one hot customer", "many"])
def test_transactions_race_with_the_same_ids_in_different_order(customers: list[str]) -> None:
    make_meter()
    record_events([EventIn(id="first", customer=name, meter="ApiCalls", time=NOW) for name in customers], now=NOW)
    sent = events(400, customers)

    def sender(number: int) -> None:
        mine = sent[:]
        random.Random(number).shuffle(mine)
        for first in range(0, len(mine), 50):
            # Inside a transaction a batch goes alone, so that these meet in the database.
            with transaction.atomic():
                recorded = record_events(mine[first : first + 50], now=NOW)
            assert recorded.accepted + recorded.duplicate == 50

    assert race(*(partial(sender, number) for number in range(SENDERS))) == []
    assert Event.objects.count() == EventKey.objects.count() == 400 + len(customers)
    assert_buckets_equal_events()


@pytest.mark.usefixtures("statement")
@pytest.mark.parametrize("commits", [True, False], ids=["committed", "rolled back"])
@pytest.mark.parametrize("inside", [True, False], ids=["in a transaction", "on its own"])
def test_an_id_that_another_transaction_holds_counts_once(commits: bool, inside: bool) -> None:
    make_meter()
    record_events(events(1, ["acme"]), now=NOW)
    first, second = EventIn(id="a", customer="acme", meter="ApiCalls", time=NOW), events(5, ["acme"])[1:]
    held, answers = threading.Event(), []

    def holder() -> None:
        with transaction.atomic():
            assert record_events([first], now=NOW).accepted == 1
            held.set()
            wait_for_a_blocked_backend()
            transaction.set_rollback(not commits)

    def sender() -> None:
        held.wait()
        if inside:
            with transaction.atomic():
                answers.append(record_events([*second, first], now=NOW))
        else:
            answers.append(record_events([*second, first], now=NOW))

    assert race(holder, sender) == []
    (recorded,) = answers
    assert (recorded.accepted, recorded.duplicate) == ((4, 1) if commits else (5, 0))
    assert Event.objects.count() == EventKey.objects.count() == 6
    assert_buckets_equal_events()


@pytest.mark.usefixtures("statement")
def test_the_latest_of_a_batch_is_the_last_of_those_at_the_same_instant() -> None:
    make_meter()
    sent = [
        EventIn(
            id=f"job-{n}", customer="acme", meter="ApiCalls", value=Decimal(n), time=NOW - timedelta(seconds=n // 3)
        )
        for n in range(30)
    ]
    # The latest instant has the values 0, 1 and 2, sent in another order.
    record_events([*sent[3:], sent[1], sent[2], sent[0]], now=NOW)
    bucket = UsageBucket.objects.get(hour=NOW)
    assert (bucket.count, bucket.last, bucket.last_at) == (3, Decimal(0), NOW)
    assert bucket.last_sequence == Event.objects.get(key__isnull=False, value=0).sequence
    assert Event.objects.order_by("sequence").last().value == 0
