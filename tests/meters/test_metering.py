"""Creating and changing meters: what stays open to change, and what usage settles."""

import threading
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from meters.metering import FIXED_ONCE_USED, has_usage, save_meter
from meters.metering_sql import HAS_USAGE
from meters.models import Customer, Event, EventKey, Meter, UsageBucket, UsageDistinct
from tests.factories import make_customer, make_meter, send
from tests.racing import race

# Of each fixed option a value that it does not have, and what else the meter then needs.
CHANGES: list[dict[str, Any]] = [
    {"key": "Calls"},
    {"aggregation": "max"},
    {"aggregation": "unique_count", "unique_dimension": "user"},
    {"aggregation": "percentile", "percentile": Decimal("99")},
    {"aggregation": "time_weighted_sum", "time_unit": "hour"},
    {"where": {"source": ["crm"]}},
    {"value_dimension": "bytes"},
    {"multiplier": Decimal("0.001")},
    {"rounding": "up"},
    {"rounding_places": 2},
]


def test_the_changes_below_are_of_every_fixed_option() -> None:
    assert {name for change in CHANGES for name in change} == set(FIXED_ONCE_USED)


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_what_figures_mean_changes_until_the_first_event(db: None, changes: dict[str, Any]) -> None:
    meter = make_meter()
    make_customer("acme")
    save_meter(meter, changes=changes)
    save_meter(meter, changes={name: getattr(meter, name) for name in changes})
    send("acme", "ApiCalls", 5)
    with pytest.raises(ValidationError) as refused:
        save_meter(meter, changes=changes)
    assert set(refused.value.error_dict) == set(changes)
    assert all("Make a new meter" in message for message in refused.value.messages)
    stored = Meter.objects.get()
    assert all(getattr(stored, name) == getattr(meter, name) for name in changes)


def test_the_same_value_is_no_change(db: None) -> None:
    meter = make_meter(where={"source": ["crm"]}, multiplier=Decimal("0.5"))
    make_customer("acme")
    send("acme", "ApiCalls", 5)
    save_meter(meter, changes={"where": {"source": ["crm"]}, "multiplier": Decimal("0.50"), "key": "ApiCalls"})


def test_names_and_new_dimensions_change_at_any_time(db: None, django_capture_on_commit_callbacks: Any) -> None:
    meter = make_meter()
    make_customer("acme")
    send("acme", "ApiCalls", 5, source="crm")
    names = {"name": "API calls", "unit": "requests", "dimensions": ["region", "target", "source"]}
    with django_capture_on_commit_callbacks(execute=True):
        save_meter(meter, changes=names | {"used_for_billing": False})
    meter.refresh_from_db()
    assert (str(meter), meter.unit, meter.dimensions) == ("API calls", "requests", ["region", "target", "source"])
    # What comes in from now on is stored by the new one too.
    send("acme", "ApiCalls", 5, region="eu")
    assert Event.objects.latest().dimension_set.values == {"region": "eu"}


@pytest.mark.parametrize(
    "options",
    [{"aggregation": "time_weighted_average"}, {"aggregation": "time_weighted_sum", "time_unit": "day"}],
    ids=lambda options: options["aggregation"],
)
def test_a_used_gauge_gets_no_new_dimension(db: None, options: dict[str, Any]) -> None:
    """The value of a customer without region would hold on beside the one with it, and both would count."""
    meter = make_meter("Seats", **options)
    make_customer("acme")
    save_meter(meter, changes={"dimensions": ["source", "target", "plan"]})
    send("acme", "Seats", 10)
    with pytest.raises(ValidationError) as refused:
        save_meter(meter, changes={"dimensions": ["source", "target", "plan", "region"]})
    assert set(refused.value.error_dict) == {"dimensions"}
    (message,) = refused.value.messages
    assert "region cannot be added" in message
    assert "Make a new meter" in message
    with pytest.raises(ValidationError) as refused:
        save_meter(meter, changes={"dimensions": ["source", "plan", "region"], "aggregation": "sum"})
    assert {name: len(faults) for name, faults in refused.value.message_dict.items()} == {
        "aggregation": 1,
        "dimensions": 2,
    }
    # Their order tells no gauges apart.
    save_meter(meter, changes={"dimensions": ["plan", "source", "target"], "name": "Seats held"})
    assert Meter.objects.get().dimensions == ["plan", "source", "target"]


def test_a_dimension_that_usage_has_is_not_removed(db: None) -> None:
    meter = make_meter()
    make_customer("acme")
    save_meter(meter, changes={"dimensions": ["source", "target", "region"]})
    save_meter(meter, changes={"dimensions": ["source", "target"]})
    send("acme", "ApiCalls", 5)
    with pytest.raises(ValidationError) as refused:
        save_meter(meter, changes={"dimensions": ["source"]})
    assert "usage by target" in refused.value.message_dict["dimensions"][0]


def test_a_dimension_that_the_filter_uses_is_not_removed(db: None) -> None:
    meter = make_meter(where={"source": ["crm"]})
    with pytest.raises(ValidationError) as refused:
        save_meter(meter, changes={"dimensions": ["target"]})
    assert set(refused.value.message_dict) == {"where"}


def test_all_faults_are_told_at_once(db: None) -> None:
    with pytest.raises(ValidationError) as refused:
        save_meter(Meter(), changes={"key": "a b", "aggregation": "percentile", "multiplier": Decimal(0)})
    assert set(refused.value.message_dict) == {"key", "percentile", "multiplier"}
    assert not Meter.objects.exists()


def test_a_voided_event_is_usage_all_the_same(db: None) -> None:
    """It can be brought back, and then it is counted by the meter as it is."""
    meter, other = make_meter(), make_meter("Other")
    customer = make_customer("acme")
    assert not has_usage(meter)
    # What voiding its only event leaves of it.
    EventKey.objects.create(customer=customer, meter=meter, key=uuid.uuid4(), occurred_at=timezone.now(), content=1)
    assert not UsageBucket.objects.exists()
    assert has_usage(meter)
    assert not has_usage(other)


def test_the_question_for_usage_is_answered_by_the_index(db: None) -> None:
    """Also for a meter without usage, for which every customer has to be asked."""
    used, unused = make_meter(), make_meter("Other")
    customers = Customer.objects.bulk_create([Customer(key=f"c{number}") for number in range(50)])
    now = timezone.now()
    EventKey.objects.bulk_create(
        EventKey(customer=customer, meter=used, key=uuid.uuid4(), occurred_at=now, content=1)
        for customer in customers
        for _ in range(400)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE meters_eventkey, meters_customer")
        cursor.execute(f"EXPLAIN {HAS_USAGE}", {"meter": unused.pk})
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "meters_eventkey_pkey" in plan
    assert "Seq Scan on meters_eventkey" not in plan
    assert has_usage(used)
    assert not has_usage(unused)


@pytest.mark.django_db(transaction=True)
def test_a_first_event_in_flight_settles_the_meaning_too() -> None:
    """Its batch was read by the old meaning, and commits while the change waits: the change is refused."""
    meter = make_meter("Users", used_for_billing=False)
    make_customer("acme")
    stored, refused = threading.Event(), threading.Event()

    def first_event() -> None:
        with transaction.atomic():
            send("acme", "Users", 1, user="anna")
            stored.set()
            # The change has begun meanwhile, and waits for this commit.
            assert not refused.wait(timeout=1)

    def change() -> None:
        stored.wait()
        with pytest.raises(ValidationError):
            save_meter(meter, changes={"aggregation": "unique_count", "unique_dimension": "user"})
        refused.set()

    assert race(first_event, change) == []
    assert Meter.objects.get().aggregation == "sum"
    assert not UsageDistinct.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_once_are_made_one_after_the_other() -> None:
    """The second is checked against what the first left, so that together they make a valid meter or an error."""
    meter = make_meter(where={"source": ["crm"]}, used_for_billing=False)

    def remove_filter() -> None:
        save_meter(meter, changes={"where": {}})

    def filter_by_both() -> None:
        save_meter(meter, changes={"where": {"source": ["crm"], "target": ["shop"]}})

    def rename() -> None:
        save_meter(meter, changes={"name": "API calls"})

    assert race(remove_filter, filter_by_both, rename) == []
    stored = Meter.objects.get()
    assert stored.name == "API calls"
    assert stored.where in ({}, {"source": ["crm"], "target": ["shop"]})


@pytest.mark.django_db(transaction=True)
def test_many_senders_are_not_held_up_for_ever() -> None:
    meter = make_meter("Calls", used_for_billing=False)
    other = make_meter("Other", used_for_billing=False)
    make_customer("acme")

    def sender() -> None:
        for number in range(20):
            send("acme", "Calls", number)

    def changer() -> None:
        for number in range(5):
            save_meter(other, changes={"value_dimension": f"bytes{number}"})

    assert race(sender, sender, changer) == []
    assert Event.objects.filter(meter=meter).count() == 40
