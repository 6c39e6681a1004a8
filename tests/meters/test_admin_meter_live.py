"""What a meter's page shows of the events that come in: the last ones, test events, usage."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from meters.admin.meter_live import Live
from meters.admin.meter_usage import MeterUsage
from meters.admin.trial_events import ID_START
from meters.models import Customer, Event, Meter, VoidRecord
from meters.voiding import EventRef, select_events, void_events
from tests.factories import make_customer, make_meter, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


def colleague(client: Client, *permissions: str) -> Client:
    user = User.objects.create_user("colleague", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def url(meter: Meter, name: str) -> str:
    return f"/admin/meters/meter/{meter.pk}/{name}/"


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def live(client: Client, meter: Meter) -> Live:
    shown: Live = client.get(url(meter, "live")).context["live"]
    return shown


# --- The last events ---


def test_events_show_in_the_order_in_which_they_arrive(staff: Client) -> None:
    meter = make_meter()
    make_meter("Other")
    make_customer("acme")
    now = timezone.now()
    for number, hours in enumerate((1, 30, 2)):
        send("acme", "ApiCalls", number, time=now - timedelta(hours=hours))
    send("acme", "Other", 99)
    assert [arrival.value for arrival in live(staff, meter).arrivals] == ["2", "1", "0"]


def test_old_arrivals_are_found_behind_many_of_another_meter(staff: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr("meters.arrivals.LOOK_BACK", (2, 6))
    meter = make_meter()
    make_meter("Other")
    make_customer("acme")
    for number in range(3):
        send("acme", "ApiCalls", number)
    for number in range(4):
        send("acme", "Other", number)
    # Seven have come in; the first is too far back.
    assert [arrival.value for arrival in live(staff, meter).arrivals] == ["2", "1"]


def test_it_says_of_each_event_whether_the_figures_have_it(staff: Client) -> None:
    meter = make_meter(where={"source": ["crm"]}, multiplier=Decimal("0.5"), rounding="up", unit="calls")
    make_customer("acme", name="Acme <b>Retail</b>")
    send("acme", "ApiCalls", 5, source="crm")
    send("acme", "ApiCalls", 100, source="erp")
    send("acme", "ApiCalls", 1000)
    send("acme", "ApiCalls", 7000, source="crm", id="wrong")
    void_events(select_events(refs=[EventRef("acme", "wrong")]), reason="A mistake.", actor="staff")
    shown = live(staff, meter)
    assert [(arrival.value, arrival.counts) for arrival in shown.arrivals] == [
        ("7,000", False),
        ("1,000", False),
        ("100", False),
        ("5", True),
    ]
    page = text(staff.get(url(meter, "live")))
    assert page.count("Outside of the filter") == 2
    assert page.count(">Voided<") == 1
    # 5 x 0.5, rounded up.
    assert [quantity for _, quantity in shown.quantities] == ["3"]
    assert "multiplied by 0.5 and rounded up" in page
    assert "<b>Retail" not in page


@pytest.mark.parametrize("kind", Meter.Aggregation.values)
def test_every_aggregation_has_its_quantity_and_its_chart(staff: Client, kind: str) -> None:
    options = {"unique_count": {"unique_dimension": "user"}, "percentile": {"percentile": Decimal(50)}}
    options["time_weighted_sum"] = {"time_unit": "hour"}
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
        meter = make_meter(aggregation=kind, **options.get(kind, {}))
        customer = make_customer("acme")
        now = timezone.now()
        for value, hours in ((4, 30), (8, 20), (6, 2)):
            send("acme", "ApiCalls", value, time=now - timedelta(hours=hours), user=f"u{value % 4}")
        expected = {
            "sum": "18",
            "count": "3",
            "min": "4",
            "max": "8",
            "average": "6",
            "latest": "6",
            "unique_count": "2",
            "percentile": "6",
            "time_weighted_sum": "196",
            # 4 for 10 hours, 8 for 18 and 6 for 2, over the 516 hours of the month so far.
            "time_weighted_average": "0.37984496124031",
        }[kind]
        assert [quantity for _, quantity in live(staff, meter).quantities] == [expected]
        usage: MeterUsage = staff.get(url(meter, "usage")).context["usage"]
        assert not usage.chart.is_empty
        assert len(usage.rows) == 30
        assert usage.events == "3"
        if kind != "time_weighted_average":
            assert usage.total == expected
        month = staff.get(f"/admin/meters/customer/{customer.pk}/usage/").context["table"]
        assert month.totals == [expected]


def test_months_are_those_of_each_customer(staff: Client) -> None:
    meter = make_meter()
    make_customer("tokyo", time_zone="Asia/Tokyo")
    make_customer("london", time_zone="Europe/London")
    with time_machine.travel("2026-11-30T16:00:00Z", tick=False):  # December in Tokyo already
        before = timezone.now() - timedelta(hours=2)
        for customer in ("tokyo", "london"):
            send(customer, "ApiCalls", 10, time=before)
            send(customer, "ApiCalls", 1)
        shown = live(staff, meter).quantities
    assert {customer.key: quantity for customer, quantity in shown} == {"tokyo": "1", "london": "11"}


def test_a_poll_costs_the_same_for_one_customer_and_for_ten(staff: Client, django_assert_max_num_queries: Any) -> None:
    meter = make_meter()
    for number in range(10):
        make_customer(f"c{number}")
        send(f"c{number}", "ApiCalls", 1)
    staff.get(url(meter, "live"))
    with django_assert_max_num_queries(8):
        assert len(live(staff, meter).quantities) == 10


def test_a_gauge_of_last_month_is_on_the_customers_page(staff: Client) -> None:
    """No event of the month, and a quantity all the same."""
    make_meter("Seats", aggregation="time_weighted_sum", time_unit="day", unit="seat-days", used_for_billing=False)
    customer = make_customer("acme")
    with time_machine.travel("2026-11-03T00:00:00Z", tick=False):
        send("acme", "Seats", 10, time=timezone.now() - timedelta(days=10))
        table = staff.get(f"/admin/meters/customer/{customer.pk}/usage/").context["table"]
    assert table.totals == ["20"]
    assert [row[1][0] for row in table.rows] == ["10", "10", "0"]


# --- Test events ---

SENT = {"trial-customer": "acme", "trial-value": "12.5", "trial-dimension-0": "crm", "trial-dimension-1": ""}


def test_a_test_event_is_a_real_one_and_can_be_voided(staff: Client) -> None:
    meter = make_meter()
    customer = make_customer("acme")
    response = staff.post(url(meter, "test-event"), SENT, follow=True)
    assert "The test event for acme was taken" in text(response)
    event = Event.objects.get()
    assert event.event_id.startswith(ID_START)
    assert (event.value, event.dimensions) == (Decimal("12.5"), {"source": "crm"})
    assert LogEntry.objects.filter(change_message__contains=event.event_id).exists()
    quantity = live(staff, meter).quantities[0][1]
    assert quantity == "12.5"

    assert "Void this test event" in text(response)
    sent = {"customer": "acme", "event": event.event_id}
    assert "is voided" in text(staff.post(url(meter, "void-test-event"), sent, follow=True))
    record = VoidRecord.objects.get()
    assert (record.actor, record.events) == ("staff", 1)
    assert live(staff, meter).quantities[0][1] == "0"
    assert customer.usage_version.version == 2
    assert "voided already" in text(staff.post(url(meter, "void-test-event"), sent, follow=True))
    assert VoidRecord.objects.count() == 1


def test_only_test_events_are_voided_here(staff: Client) -> None:
    meter = make_meter()
    make_customer("acme")
    send("acme", "ApiCalls", 5, id="job-1")
    assert "Void this test event" not in text(staff.get(url(meter, "live")))
    refused = staff.post(url(meter, "void-test-event"), {"customer": "acme", "event": "job-1"})
    assert refused.status_code == 403
    missing = staff.post(url(meter, "void-test-event"), {"customer": "acme", "event": f"{ID_START}1"}, follow=True)
    assert "There is no such test event" in text(missing)
    assert staff.get(url(meter, "void-test-event")).status_code == 405
    assert not Event.objects.exclude(void=None).exists()


@pytest.mark.parametrize("sent", [("ac\0me", f"{ID_START}1"), ("acme", f"{ID_START}\0")], ids=repr)
def test_a_test_event_that_cannot_be_is_not_found(staff: Client, sent: tuple[str, str]) -> None:
    meter = make_meter()
    make_customer("acme")
    customer, event = sent
    answer = staff.post(url(meter, "void-test-event"), {"customer": customer, "event": event})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("typed", "field", "error"),
    [
        ({"trial-customer": ""}, "customer", "required"),
        ({"trial-customer": "acme\0"}, "customer", "Null characters"),
        ({"trial-customer": "acne"}, "customer", "no customer with this key"),
        ({"trial-value": "many"}, "value", "Enter a number"),
        ({"trial-value": "1e24"}, "value", "at most 24 digits"),
        ({"trial-value": "0.0000000000000001"}, "value", "15 after it"),
        ({"trial-dimension-0": "x" * 501}, "dimension-0", "at most 500"),
        ({"trial-dimension-0": "a\0"}, "dimension-0", "Null characters"),
    ],
    ids=str,
)
def test_a_faulty_test_event_is_refused_beside_the_field(
    staff: Client, typed: dict[str, str], field: str, error: str
) -> None:
    meter = make_meter()
    make_customer("acme")
    response = staff.post(url(meter, "test-event"), SENT | typed)
    assert response.status_code == 200
    found = response.context["trial_form"].errors
    assert set(found) == {field}
    assert error in found[field][0]
    assert not Event.objects.exists()
    assert Customer.objects.count() == 1  # a typing error makes no customer


def test_a_test_event_has_what_the_meter_takes_its_value_from(staff: Client) -> None:
    meter = make_meter(value_dimension="bytes", dimensions=["source"])
    make_customer("acme")
    form = staff.get(url(meter, "test-event")).context["trial_form"]
    assert [field.label for field in form] == ["Customer key", "bytes", "source"]
    sent = {"trial-customer": "acme", "trial-dimension-0": "lots"}
    found = staff.post(url(meter, "test-event"), sent).context["trial_form"].errors
    assert "No number" in found["dimension-0"][0]
    staff.post(url(meter, "test-event"), sent | {"trial-dimension-0": "1024"})
    assert Event.objects.get().value == 1024


def test_the_first_test_event_warns_that_it_settles_the_meter(staff: Client) -> None:
    meter = make_meter()
    make_customer("acme")
    warning = "It would be the first one of this meter"
    assert warning in text(staff.get(f"/admin/meters/meter/{meter.pk}/change/"))
    assert warning in text(staff.get(url(meter, "test-event")))
    send("acme", "ApiCalls", 1)
    assert warning not in text(staff.get(f"/admin/meters/meter/{meter.pk}/change/"))


# --- Usage ---


def test_the_chart_is_of_all_customers_and_its_table_has_the_same_numbers(staff: Client, settings: Any) -> None:
    settings.ACCOUNT_TIME_ZONE = "Asia/Kolkata"
    meter = make_meter()
    make_customer("acme")
    make_customer("globex")
    with time_machine.travel("2026-11-22T20:00:00Z", tick=False):  # the 23rd in Kolkata
        now = timezone.now()
        send("acme", "ApiCalls", 10, time=now)
        send("globex", "ApiCalls", 5, time=now - timedelta(hours=2))  # half past eleven at night on the 22nd
        send("globex", "ApiCalls", 100, time=now - timedelta(days=31))
        response = staff.get(url(meter, "usage"))
    usage: MeterUsage = response.context["usage"]
    assert [row[1:] for row in usage.rows[:3]] == [("10", "1"), ("5", "1"), ("0", "0")]
    assert f"{usage.rows[0][0]:%Y-%m-%d}" == "2026-11-23"
    assert (usage.total, usage.events) == ("15", "2")
    assert [column.facts[0] for column in usage.chart.columns[-2:]] == ["22 Nov: 5", "23 Nov: 10"]
    assert "<svg" in text(response)


def test_htmx_gets_the_figures_alone(staff: Client) -> None:
    meter = make_meter()
    fragment = text(staff.get(url(meter, "usage"), HTTP_HX_REQUEST="true"))
    assert "Nothing in the last 30 days" in fragment
    assert "<html" not in fragment
    assert "<html" in text(staff.get(url(meter, "usage")))


def test_what_reads_every_event_is_read_when_it_is_asked_for(staff: Client) -> None:
    summed = make_meter("Sum")
    gauge = make_meter("Gauge", aggregation="time_weighted_average")
    loading = 'hx-trigger="load"'
    assert loading in text(staff.get(f"/admin/meters/meter/{summed.pk}/change/"))
    page = text(staff.get(f"/admin/meters/meter/{gauge.pk}/change/"))
    assert loading not in page
    assert url(gauge, "usage") in page


# --- Who may ---


@pytest.mark.parametrize("name", ["live", "usage", "test-event", "void-test-event"])
def test_staff_without_permission_are_refused(client: Client, name: str) -> None:
    meter = make_meter()
    make_customer("acme")
    client = colleague(client)
    answers = [client.post(url(meter, name), SENT), client.get(url(meter, name))]
    assert {answer.status_code for answer in answers} <= {403, 405}
    assert answers[0].status_code == 403
    assert not Event.objects.exists()


@pytest.mark.parametrize("name", ["live", "usage", "test-event", "void-test-event"])
def test_who_is_not_of_the_staff_is_sent_to_sign_in(client: Client, name: str) -> None:
    client.force_login(User.objects.create_user("customer"))
    answer = client.get(url(make_meter(), name))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_who_may_only_look_sends_and_voids_nothing(client: Client) -> None:
    meter = make_meter()
    make_customer("acme")
    send("acme", "ApiCalls", 5, id=f"{ID_START}1")
    client = colleague(client, "view_meter", "view_event")
    page = text(client.get(f"/admin/meters/meter/{meter.pk}/change/"))
    assert "Last events" in page
    assert "Send a test event" not in page
    assert "Void this" not in page
    assert client.get(url(meter, "test-event")).status_code == 403
    assert client.post(url(meter, "test-event"), SENT).status_code == 403
    sent = {"customer": "acme", "event": f"{ID_START}1"}
    assert client.post(url(meter, "void-test-event"), sent).status_code == 403
    assert Event.objects.get().void_id is None


def test_who_may_not_see_events_sees_nothing_of_them_on_the_meters_page(client: Client) -> None:
    meter = make_meter()
    make_customer("acme", name="Acme Retail")
    send("acme", "ApiCalls", 4711, source="crm", id=f"{ID_START}1")
    client = colleague(client, "view_meter", "add_voidrecord")
    change = f"/admin/meters/meter/{meter.pk}/change/"
    assert client.get("/admin/meters/event/").status_code == 403
    for path in (change, url(meter, "live")):
        page = text(client.get(path))
        assert "You may not see events" in page
        for said in ("acme", "Acme", "4,711", "4711", "crm", ID_START, "/admin/meters/event/"):
            assert said not in page
    user = User.objects.get()
    user.user_permissions.add(Permission.objects.get(codename="view_event"))
    for path in (change, url(meter, "live")):
        page = text(client.get(path))
        assert "You may not see events" not in page
        for said in ("acme", "4,711", "source=crm", ID_START):
            assert said in page


def test_a_meter_that_does_not_exist_is_not_found(staff: Client) -> None:
    for name in ("live", "usage", "test-event"):
        assert staff.get(f"/admin/meters/meter/4711/{name}/").status_code == 404
