"""Staff pages of events: the list, voiding, and the record of it."""

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries

from meters import voiding
from meters.admin import events as event_pages
from meters.admin.event_search import refs_of, token_of
from meters.models import Event, Meter, VoidRecord
from meters.voiding import EventRef, select_events, void_events
from tests.factories import make_customer, make_meter, send

pytestmark = pytest.mark.django_db

PAGE = "/admin/meters/event/"
NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("anna"))
    return client


def looker(*permissions: str) -> Client:
    """Of the staff, who may look at events and void none, or whatever these permissions say."""
    user = User.objects.create_user("looker", is_staff=True)
    named = permissions or ("view_event", "view_voidrecord")
    user.user_permissions.add(*Permission.objects.filter(codename__in=named))
    client = Client()
    client.force_login(user)
    return client


def cursor_of(words: str) -> str:
    return base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")


def text(response: Any) -> str:
    return str(response.content.decode())


def event_ids(response: Any) -> list[str]:
    return [event.event_id for event, *_ in response.context["rows"]]


def token(event_id: str) -> str:
    return token_of(Event.objects.get(sent_id=event_id))


# --- The list ---


def test_events_are_found_by_every_field(staff: Client) -> None:
    make_meter("ApiCalls")
    make_meter("Other")
    now = timezone.now()
    send("acme", "ApiCalls", 1, id="first", time=now - timedelta(days=3), source="crm", plan="gold")
    send("acme", "Other", 1, id="second", time=now - timedelta(hours=2))
    send("globex", "ApiCalls", 1, id="first", time=now - timedelta(hours=1))
    void_events(select_events(refs=[EventRef("acme", "second")]), reason="test", actor="x")
    assert event_ids(staff.get(PAGE)) == ["first", "second", "first"]
    for query, expected in [
        ({"customer": "acme"}, ["second", "first"]),
        ({"customer": "acme", "meter": "ApiCalls"}, ["first"]),
        ({"meter": "Other"}, ["second"]),
        ({"customer": "acme", "id": "second"}, ["second"]),
        ({"customer": "acme", "id": "third"}, []),
        ({"customer": "acme", "dimension": "source=crm"}, ["first"]),
        ({"customer": "acme", "dimension": " plan = gold"}, ["first"]),
        ({"customer": "acme", "dimension": "plan="}, ["second"]),
        ({"state": "voided"}, ["second"]),
        ({"customer": "acme", "state": "counted"}, ["first"]),
    ]:
        assert event_ids(staff.get(PAGE, query)) == expected, query
    start = f"{now - timedelta(hours=1, minutes=30):%Y-%m-%dT%H:%M}"
    assert [event.customer.key for event, *_ in staff.get(PAGE, {"start": start}).context["rows"]] == ["globex"]
    end = f"{now - timedelta(hours=1, minutes=30):%Y-%m-%dT%H:%M}"
    assert event_ids(staff.get(PAGE, {"end": end})) == ["second"]


@pytest.mark.parametrize(
    ("query", "field", "error"),
    [
        ({"customer": "nobody"}, "customer", "There is no customer"),
        ({"id": "first"}, "__all__", "name the customer"),
        ({"start": "2026-07-01", "end": "2026-07-03"}, "end", "at most one day"),
        ({"customer": "acme", "start": "2026-07-03", "end": "2026-07-03"}, "end", "after the start"),
        ({"customer": "acme", "start": "1812-07-03"}, "start", "from 1970"),
        ({"start": "9999-12-31"}, "start", "from 1970"),
        ({"end": "0001-01-01"}, "end", "from 1970"),
        ({"start": "yesterday"}, "start", "valid date/time"),
        ({"meter": "Nothing"}, "meter", "available choices"),
        ({"dimension": "crm"}, "dimension", "name=value"),
        ({"state": "gone"}, "state", "available choices"),
    ],
)
def test_a_search_that_makes_no_sense_says_why(staff: Client, query: dict[str, str], field: str, error: str) -> None:
    make_meter()
    send("acme", "ApiCalls", 1)
    response = staff.get(PAGE, query)
    assert response.status_code == 200
    said = response.context["search"].errors
    assert error in " ".join(message for messages in said.values() for message in messages)
    assert field in said or field == "__all__"
    assert error in text(response)
    assert event_ids(response) == []


def test_pages_by_links_to_newer_and_older(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_pages, "PER_PAGE", 2)
    make_meter()
    for number in range(5):
        send("acme", "ApiCalls", 1, id=f"job-{number}", time=NOW - timedelta(hours=number), now=NOW)
    first = staff.get(PAGE, {"customer": "acme"})
    assert (event_ids(first), first.context["newer"]) == (["job-0", "job-1"], "")
    assert escape(first.context["older"]) in text(first)
    second = staff.get(PAGE + first.context["older"])
    third = staff.get(PAGE + second.context["older"])
    assert (event_ids(second), event_ids(third)) == (["job-2", "job-3"], ["job-4"])
    assert third.context["older"] == ""
    back = staff.get(PAGE + third.context["newer"])
    assert event_ids(back) == ["job-2", "job-3"]
    assert event_ids(staff.get(PAGE + back.context["newer"])) == ["job-0", "job-1"]


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        cursor_of("after 9999-12-31T23:59:59-14:00 5"),
        cursor_of("before 0001-01-01T00:00:00+14:00 5"),
    ],
)
def test_a_cursor_that_is_none_leads_back_to_the_newest(staff: Client, cursor: str) -> None:
    response = staff.get(PAGE, {"cursor": cursor})
    assert response.status_code == 200
    assert "Begin with the newest" in text(response)


def test_the_list_counts_no_table_and_asks_little(
    staff: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_meter()
    for number in range(5):
        send(f"customer-{number}", "ApiCalls", number)
    # Session, user, its second factor, the events, and once each: customers, meters, dimension sets, the meters to
    # choose from.
    with django_assert_num_queries(8) as queries:
        assert len(event_ids(staff.get(PAGE))) == 5
    assert not [query["sql"] for query in queries.captured_queries if "COUNT(" in query["sql"].upper()]


def test_says_which_events_do_not_count(staff: Client) -> None:
    make_meter("Eu", dimensions=["region"], where={"region": ["eu"]})
    for name, region in (("in", "eu"), ("out", "us"), ("gone", "eu")):
        send("acme", "Eu", 12.5, id=name, time=NOW, now=NOW, region=region)
    void_events(select_events(refs=[EventRef("acme", "gone")]), reason="a <b> test", actor="x")
    response = staff.get(PAGE, {"customer": "acme"})
    states = {event.event_id: state for event, _, _, state in response.context["rows"]}
    assert "Voided" in states["gone"]
    assert "Outside" in states["out"]
    assert "Counts" in states["in"]
    assert "a &lt;b&gt; test" in text(response)
    shown = text(staff.get(f"{PAGE}{Event.objects.get(sent_id='gone').pk}/change/"))
    assert "a &lt;b&gt; test" in shown
    assert f"/admin/meters/voidrecord/{VoidRecord.objects.get().pk}/change/" in shown


def test_events_are_read_only(staff: Client) -> None:
    make_meter()
    send("acme", "ApiCalls", 12.5, source="crm")
    event = Event.objects.get()
    page = f"{PAGE}{event.pk}/change/"
    assert "12.5" in text(staff.get(page))
    assert staff.get(f"{PAGE}add/").status_code == 403
    assert staff.post(f"{PAGE}add/", {}).status_code == 403
    assert staff.post(page, {"value": "1"}).status_code == 403
    assert staff.post(f"{PAGE}{event.pk}/delete/", {"post": "yes"}).status_code == 403


# --- Voiding ---


@pytest.fixture
def jobs(db: None) -> Meter:
    meter = make_meter()
    for number in range(4):
        time = NOW - timedelta(hours=number)
        send("acme", "ApiCalls", 1000, id=f"job-{number}", time=time, now=NOW, source="ab"[number % 2])
    return meter


def test_ticked_events_are_shown_first_and_voided_with_a_reason(staff: Client, jobs: Meter) -> None:
    address = f"{PAGE}void/?customer=acme&selected=1&event={token('job-0')}&event={token('job-2')}"
    shown = staff.get(address)
    assert (shown.context["would"].events, Event.objects.exclude(void=None).count()) == (2, 0)
    assert "2 events would leave the figures" in text(shown)
    assert "2,000" in text(shown)
    unsaid = staff.post(address, {"reason": " "})
    assert "Say why." in text(unsaid)
    assert not VoidRecord.objects.exists()
    done = staff.post(address, {"reason": "test traffic"}, follow=True)
    record = VoidRecord.objects.get()
    assert (record.actor, record.reason, record.events) == ("anna", "test traffic", 2)
    assert done.redirect_chain[0][0] == f"/admin/meters/voidrecord/{record.pk}/change/"
    assert "2 events voided" in text(done)
    assert {e.sent_id for e in Event.objects.exclude(void=None)} == {"job-0", "job-2"}
    again = staff.get(address)
    assert "2 events are voided already" in text(again)
    repeated = staff.post(address, {"reason": "test traffic"}, follow=True)
    assert "done already" in text(repeated)
    assert VoidRecord.objects.count() == 1


def test_all_that_match_a_search_are_voided(staff: Client, jobs: Meter) -> None:
    search = {"customer": "acme", "dimension": "source=a"}
    assert "Void all that match" in text(staff.get(PAGE, search))
    assert "Bring all that match" not in text(staff.get(PAGE, search | {"state": "counted"}))
    address = f"{PAGE}void/?customer=acme&dimension=source%3Da"
    assert staff.get(address).context["would"].events == 2
    staff.post(address, {"reason": "x"})
    assert {e.sent_id for e in Event.objects.exclude(void=None)} == {"job-0", "job-2"}
    record = staff.get(f"/admin/meters/voidrecord/{VoidRecord.objects.get().pk}/change/")
    assert "customer acme, source=a" in text(record)


def test_a_record_is_undone(staff: Client, jobs: Meter) -> None:
    staff.post(f"{PAGE}void/?customer=acme", {"reason": "x"})
    record = VoidRecord.objects.get()
    address = f"{PAGE}unvoid/?record={record.pk}"
    assert escape(address) in text(staff.get(f"/admin/meters/voidrecord/{record.pk}/change/"))
    assert "4 events would count again" in text(staff.get(address))
    done = staff.post(address, {"reason": "right after all"}, follow=True)
    assert "4 events brought back" in text(done)
    assert not Event.objects.exclude(void=None).exists()
    undo = VoidRecord.objects.get(kind="unvoid")
    assert (undo.reason, undo.selection) == ("right after all", {"record": record.pk})
    assert staff.get(f"{PAGE}unvoid/?record={undo.pk}").status_code == 404
    assert staff.get(f"{PAGE}unvoid/?record=x").status_code == 404


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "Name a customer"),
        ("selected=1", "No event was ticked."),
        ("customer=nobody", "There is no customer"),
        ("meter=ApiCalls", "both ends"),
        ("event=nonsense", "Name at least one event."),
        ("event=1-2-zz", "Name at least one event."),
        ("event=99999999999-2-00000000000000000000000000000000", "Name at least one event."),
        ("customer=acme&start=2020-01-01&end=2020-01-02", "No event matches."),
    ],
)
def test_what_cannot_be_voided_is_said(staff: Client, jobs: Meter, query: str, said: str) -> None:
    assert said in text(staff.get(f"{PAGE}void/?{query}"))
    assert staff.post(f"{PAGE}void/?{query}", {"reason": "x"}, follow=True).status_code == 200
    assert not VoidRecord.objects.exists()


def test_more_than_a_call_may_change_is_refused(staff: Client, jobs: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voiding, "MAX_EVENTS", 3)
    response = staff.get(f"{PAGE}void/?customer=acme")
    assert "more than 3 events" in text(response)
    assert "more than 3 events" in text(staff.post(f"{PAGE}void/?customer=acme", {"reason": "x"}))
    assert not VoidRecord.objects.exists()


def test_who_may_not_void_sees_no_way_to(jobs: Meter) -> None:
    client = looker()
    address = f"{PAGE}void/?event={token('job-0')}"
    listed = text(client.get(PAGE))
    assert "job-0" in listed
    assert not re.search(r"checkbox|Void ticked", listed)
    for method in (client.get, client.post):
        assert method(address).status_code == 403
        assert method(f"{PAGE}unvoid/?customer=acme").status_code == 403
    assert "Void…" not in text(client.get(f"{PAGE}{Event.objects.all()[0].pk}/change/"))
    void_events(select_events(refs=[EventRef("acme", "job-0")]), reason="x", actor="x")
    record = f"/admin/meters/voidrecord/{VoidRecord.objects.get().pk}/change/"
    assert "Undo…" not in text(client.get(record))


def test_who_may_not_see_events_voids_none(jobs: Meter) -> None:
    done = void_events(select_events(refs=[EventRef("acme", "job-1")]), reason="x", actor="x")
    assert done.record is not None
    client = looker("add_voidrecord", "view_voidrecord")
    for query in (f"event={token('job-0')}", "customer=acme", f"record={done.record.pk}"):
        for name in ("void", "unvoid"):
            address = f"{PAGE}{name}/?{query}"
            assert client.get(address).status_code == 403
            assert client.post(address, {"reason": "x"}).status_code == 403
    assert "Undo…" not in text(client.get(f"/admin/meters/voidrecord/{done.record.pk}/change/"))
    assert [event.event_id for event in Event.objects.exclude(void=None)] == ["job-1"]


def test_records_are_listed_and_never_changed(staff: Client, jobs: Meter) -> None:
    staff.post(f"{PAGE}void/?event={token('job-0')}", {"reason": "test traffic"})
    record = VoidRecord.objects.get()
    listed = text(staff.get("/admin/meters/voidrecord/"))
    assert "test traffic" in listed
    assert "anna" in listed
    page = f"/admin/meters/voidrecord/{record.pk}/"
    assert "acme job-0" in text(staff.get(f"{page}change/"))
    assert staff.post(f"{page}change/", {"reason": "other"}).status_code == 403
    assert staff.post(f"{page}delete/", {"post": "yes"}).status_code == 403
    assert staff.get("/admin/meters/voidrecord/add/").status_code == 403


def test_a_token_names_one_event_and_no_other(jobs: Meter) -> None:
    make_customer("globex")
    make_meter("Other")
    for customer, meter in (("acme", "Other"), ("globex", "ApiCalls"), ("globex", "Other")):
        send(customer, meter, 1, id="job-0", time=NOW, now=NOW)
    one = Event.objects.get(customer__key="globex", meter__key="ApiCalls")
    other = Event.objects.get(customer__key="acme", meter__key="Other")
    assert set(refs_of([token_of(one), token_of(other), "x"])) == {
        EventRef("acme", "job-0", "Other"),
        EventRef("globex", "job-0", "ApiCalls"),
    }
