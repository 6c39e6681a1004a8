"""The event log: so that a developer can see that a call was counted."""

import csv
import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from invoices.models import Invoice
from meters.models import Customer, Event, Meter
from meters.voiding import EventRef, select_events, void_events
from portal.models import Membership
from portal.roles import Role
from portal.usage import event_log
from tests.factories import make_customer, make_meter, run_sweep, send
from tests.invoices.late import void
from tests.portal import test_overview
from tests.portal.conftest import NOW, SignIn

HTMX = {"HX-Request": "true"}
UUID = "0190f0a0-7b1c-7c3e-9d0e-2f1a2b3c4d5e"


def text(client: Client, url: str) -> str:
    """What a page says, without the blanks that links leave before a point."""
    return re.sub(" (?=[.,;])", "", test_overview.text(client, url))


def listed(client: Client, query: str = "") -> list[str]:
    """The ids on the page, in order."""
    answer = client.get(f"/usage/events/?{query}")
    assert answer.status_code == 200, query
    found = re.findall(r'<a class="id"[^>]*>([^<]*)</a>', answer.content.decode())
    return [html.unescape(one) for one in found]


@pytest.fixture
def log(acme: Customer) -> Customer:
    for number, (hour, source) in enumerate([(8, "crm"), (9, "shop"), (10, "crm")]):
        send(
            "acme", "ApiCalls", 10 + number, id=f"e{number}", source=source, job="j1",
            time=datetime(2026, 11, 18, hour, 30, tzinfo=UTC), now=NOW,
        )  # fmt: skip
    make_meter("Users", aggregation="unique_count", unique_dimension="user", dimensions=["user"], unit="users")
    send("acme", "Users", 1, id="e0", user="u1", time=datetime(2026, 11, 18, 11, tzinfo=UTC), now=NOW)
    return acme


def test_the_newest_come_first_with_all_that_there_is_to_say(owner: Client, log: Customer) -> None:
    assert listed(owner)[:4] == ["e0", "e2", "e1", Event.objects.get(value=7300).event_id]
    page = text(owner, "/usage/events/")
    assert "18 Nov 2026, 10:30:00 UTC e2 API calls 12 job: j1, source: crm Counted" in page
    assert "(UTC). As of 18 Nov 2026, 14:02 UTC" in page


def test_it_is_narrowed_down(owner: Client, log: Customer) -> None:
    for query, ids in (
        ("meter=Users", ["e0"]),
        ("meter=ApiCalls&from=2026-11-18T09:30&to=2026-11-18T10:30", ["e1"]),
        ("from=2026-11-18T10:30", ["e0", "e2"]),
        ("meter=ApiCalls&filter[source]=crm", ["e2", "e0"]),
        ("dimension=source&value=shop", ["e1"]),
        ("filter[job]=j1&dimension=source&value=shop", ["e1"]),
        ("dimension=user&value=", ["e2", "e1", "e0"]),
        ("state=voided", []),
    ):
        since = "" if "from" in query else "from=2026-11-18T00:00&"
        assert [one for one in listed(owner, since + query) if one in {"e0", "e1", "e2"}] == ids, query
        table = list(csv.reader(b"".join(owner.get(f"/usage/events.csv?{since}{query}")).decode().splitlines()))
        assert [row[0] for row in table[1:] if row[0] in {"e0", "e1", "e2"}] == ids, query


def test_days_are_whole_days_of_the_customers_zone(sign_in: SignIn, calls: Meter) -> None:
    customer = make_customer("pune", time_zone="Asia/Kolkata")
    for name, minute in [("late", 29), ("early", 31)]:
        send("pune", "ApiCalls", 1, id=name, time=datetime(2026, 11, 4, 18, minute, tzinfo=UTC))
    person = sign_in("pia", customer)
    assert listed(person, "from=2026-11-04&to=2026-11-04") == ["late"]
    assert listed(person, "from=2026-11-05&to=2026-11-05") == ["early"]
    assert "5 Nov 2026, 00:01:00 IST" in text(person, "/usage/events/")
    content = person.get("/usage/events/?from=2026-11-05&to=2026-11-05").content.decode()
    assert 'name="from" value="2026-11-05T00:00"' in content
    assert 'name="to" value="2026-11-06T00:00"' in content


def test_what_is_wrong_is_said_beside_its_field(owner: Client, log: Customer, globex: Customer) -> None:
    make_meter("Secret", used_for_billing=False)
    send("globex", "Secret", 1)
    for query, message in [
        ("meter=Secret", "There is no meter “Secret” here."),
        ("state=lost", "Select a valid choice. lost is not one of the available choices."),
        ("from=soon", "Write the time as 2026-12-31T14:00, or a day as 2026-12-31."),
        ("to=2026-02-30T00:00", "Write the time as 2026-12-31T14:00, or a day as 2026-12-31."),
        ("from=0001-01-01", "A year from 1970 to 2200."),
        ("to=9999-12-31", "Write the time"),
        ("from=2026-11-05&to=2026-11-04", "The end is after the start."),
        ("value=crm", "Name the dimension that has this value."),
        ("cursor=nonsense", "There is no such place in the list. Begin with the newest."),
    ]:
        for headers in ({}, HTMX):
            answer = owner.get(f"/usage/events/?{query}", headers=headers)
            assert answer.status_code == 422, query
            assert message in html.unescape(answer.content.decode()), query
        if "cursor" not in query:
            assert owner.get(f"/usage/events.csv?{query}").status_code == 422
    assert owner.get("/usage/events/?filter[a]=%00&id=%00").status_code == 200


def test_pages_go_on_and_back(owner: Client, acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.views.events.PER_PAGE", 3)
    for number in range(7):
        send("acme", "ApiCalls", 1, id=f"p{number}", source="x", time=NOW - timedelta(minutes=number))
    query, seen = "filter[source]=x", []
    while True:
        content = owner.get(f"/usage/events/?{query}").content.decode()
        seen += listed(owner, query)
        older = re.search(r'id="to-older" rel="next" href="\?([^"]*)"', content)
        if older is None:
            break
        query = html.unescape(older[1])
    assert seen == [f"p{number}" for number in range(7)]
    newer = re.search(r'id="to-newer" rel="prev" href="\?([^"]*)"', content)
    assert newer is not None
    assert listed(owner, html.unescape(newer[1])) == ["p3", "p4", "p5"]
    answer = owner.get(f"/usage/events/?{query}", headers=HTMX)
    assert answer["HX-Push-Url"].startswith("/usage/events/?cursor=")
    assert answer["HX-Push-Url"].endswith("&filter%5Bsource%5D=x")


def test_an_id_says_where_it_counts(owner: Client, log: Customer) -> None:
    run_sweep()
    page = text(owner, "/usage/events/?id=e1")
    assert (
        "Counted in API calls: 11 calls, at 18 Nov 2026, 09:30:00 UTC, on API calls of the running invoice."
    ) in page
    november = Invoice.objects.get(customer=log, status="open")
    assert f'href="/invoices/{november.pk}/lines/1/"' in owner.get("/usage/events/?id=e1").content.decode()
    # One id may be sent for several meters.
    both = text(owner, "/usage/events/?id=e0")
    assert "Counted in API calls: 10 calls" in both
    assert "Counted in Users: by its user, once however often that comes" in both


def test_an_id_of_an_invoice_with_a_number(owner: Client, acme: Customer, october: Invoice) -> None:
    counted = Event.objects.get(value=6000)
    page = text(owner, f"/usage/events/?id={counted.event_id}")
    assert f"on API calls of invoice {october.number}" in page
    # A UUID is found in capitals, too.
    assert f"on API calls of invoice {october.number}" in text(owner, f"/usage/events/?id={counted.event_id.upper()}")


def test_an_id_that_is_not_here_has_likely_reasons(owner: Client, log: Customer, globex: Customer) -> None:
    send("globex", "ApiCalls", 1, id="theirs")
    for wanted in ("E1", "e1 ", UUID, "theirs", "x" * 5000, "<script>alert(1)</script>"):
        content = owner.get("/usage/events/", {"id": wanted}).content.decode()
        assert "Not here." in content, wanted
        assert "<script>alert" not in content
    page = text(owner, "/usage/events/?id=theirs")
    for reason in ("It has not arrived", "It was refused", "another id", "another customer"):
        assert reason in page


def test_one_that_was_voided_says_by_whom_in_the_customers_words(owner: Client, log: Customer) -> None:
    run_sweep()
    refs = [EventRef("acme", "e1")]
    void_events(select_events(refs=refs), reason="duplicate upload", actor="Sue of support")
    page = text(owner, "/usage/events/?id=e1")
    assert "Not counted in API calls, at 18 Nov 2026, 09:30:00 UTC. " in page
    assert "took it out of all figures on 18 Nov 2026, 14:02 UTC. Ask there, if that is news to you." in page
    assert "e1" in listed(owner, "state=voided")
    assert "e1" not in listed(owner, "state=counted")
    detail = text(owner, "/usage/events/event/?meter=ApiCalls&id=e1")
    assert "State Voided" in detail
    assert "On none, as it does not count. It would be on API calls of the running invoice." in detail
    # The vendor's reason and people are its own, as in the API.
    assert "duplicate upload" not in detail
    assert "Sue" not in detail


def test_one_that_the_meter_leaves_out_says_what_it_counts(owner: Client, acme: Customer) -> None:
    make_meter("Eu", dimensions=["region"], where={"region": ["eu", "uk"]}, unit="calls")
    send("acme", "Eu", 1, id="far", region="us", time=NOW)
    send("acme", "Eu", 1, id="near", region="uk", time=NOW)
    page = text(owner, "/usage/events/?id=far")
    assert "Not counted in Eu, at 18 Nov 2026, 14:02:00 UTC. Eu counts only events whose region is eu or uk." in page
    assert "far" not in listed(owner, "meter=Eu&state=counted")


def test_one_without_a_price(sign_in: SignIn, calls: Meter) -> None:
    send("nobody", "ApiCalls", 1, id="free", time=NOW)
    customer = Customer.objects.get(key="nobody")
    page = text(sign_in("ned", customer), "/usage/events/?id=free")
    assert "and on no invoice: no plan had a price for it at that time, or the invoice is about to be computed" in page


def test_one_that_came_too_late_is_made_up_for(owner: Client, acme: Customer, october: Invoice) -> None:
    send("acme", "ApiCalls", 1000, id="late", time=datetime(2026, 10, 4, tzinfo=UTC), now=NOW + timedelta(minutes=1))
    assert (
        f"too late for invoice {october.number}, which was final; a later invoice makes up for what came late."
    ) in text(owner, "/usage/events/?id=late")
    run_sweep()
    run_sweep()
    page = text(owner, "/usage/events/event/?meter=ApiCalls&id=late")
    assert "on the running invoice makes up for what came late" in page
    assert "Came after the invoice was final." in page


def test_the_page_of_one_event(owner: Client, log: Customer) -> None:
    run_sweep()
    page = text(owner, "/usage/events/event/?meter=ApiCalls&id=e0")
    for words in (
        "State Counted",
        "Happened 18 Nov 2026, 08:30:00 UTC",
        "Arrived 18 Nov 2026, 14:02:00 UTC",
        "Meter API calls ApiCalls",
        "Value 10 Counted 10 calls",
        "job (the meter does not tell it apart) j1",
        "source crm",
        "It is on API calls of the running invoice.",
        "Other events of this id Users",
    ):
        assert words in page, words


def test_a_value_that_holds_says_so(owner: Client, acme: Customer) -> None:
    make_meter("Seats", unit="seats", aggregation="time_weighted_average", dimensions=[])
    send("acme", "Seats", 7, id="seats", time=NOW)
    page = text(owner, "/usage/events/event/?meter=Seats&id=seats")
    assert "Counted as a value of 7 seats" in page
    assert "Its value holds until the next one" in page


def test_the_file(owner: Client, log: Customer) -> None:
    void("e1")
    send("acme", "ApiCalls", 1, id="=cmd()", source="+x", time=NOW, now=NOW)
    answer = owner.get("/usage/events.csv?meter=ApiCalls&from=2026-11-18T09:30")
    table = list(csv.reader(b"".join(answer).decode().splitlines()))
    assert answer["Content-Disposition"] == 'attachment; filename="events.csv"'
    came = "2026-11-18T14:02:00Z"
    assert table == [
        ["id", "meter", "time", "received_at", "value", "unit", "state", "source", "target", "other_dimensions"],
        ["'=cmd()", "ApiCalls", "2026-11-18T14:02:00Z", came, "1", "calls", "counted", "'+x", "", ""],
        ["e2", "ApiCalls", "2026-11-18T10:30:00Z", came, "12", "calls", "counted", "crm", "", "job=j1"],
        ["e1", "ApiCalls", "2026-11-18T09:30:00Z", came, "11", "calls", "voided", "shop", "", "job=j1"],
    ]


def test_a_file_ends_with_the_most_that_it_holds(owner: Client, log: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "MOST_ROWS", 2)
    assert len(b"".join(owner.get("/usage/events.csv")).decode().splitlines()) == 3


def test_strangers_see_nothing_of_it_and_every_role_does(
    stranger: Client, client: Client, log: Customer, sign_in: SignIn
) -> None:
    page = "/usage/events/event/?meter=ApiCalls&id=e1"
    for url in ("/usage/events/", "/usage/events/?id=e1", "/usage/events.csv"):
        answer = stranger.get(url)
        body = b"".join(answer) if answer.streaming else answer.content
        assert b"Acme" not in body
        assert b"crm" not in body
        assert b"Counted</strong>" not in body
    assert stranger.get(page).status_code == 404
    assert stranger.get("/usage/events/event/").status_code == 404
    for url in ("/usage/events/", "/usage/events.csv", page):
        assert client.get(url).status_code == 302
        assert client.get(url, headers=HTMX).status_code == 401
    for role in Role.values:
        person = sign_in(f"r-{role}", log)
        Membership.objects.filter(user__username=f"r-{role}").update(role=role)
        for url in ("/usage/", "/usage.csv", "/usage/events/", "/usage/events.csv", page):
            assert person.get(url).status_code == 200
            assert person.post(url).status_code == 405


def test_nothing_there_yet(sign_in: SignIn, calls: Meter) -> None:
    person = sign_in("lou", make_customer("lonely"))
    assert "No events yet" in text(person, "/usage/events/")
    assert "No events for this choice" in text(person, "/usage/events/?state=voided")
    assert b"".join(person.get("/usage/events.csv")).decode().count("\n") == 1


def test_the_fragment_is_the_part_that_the_page_has(owner: Client, log: Customer) -> None:
    fragment = owner.get("/usage/events/?meter=ApiCalls", headers=HTMX).content.decode().strip()
    assert "<html" not in fragment
    assert fragment in owner.get("/usage/events/?meter=ApiCalls").content.decode()


def test_it_takes_a_fixed_number_of_queries(
    owner: Client, log: Customer, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(60):
        send("acme", "ApiCalls", 1, id=f"q{number}", source=f"s{number}", time=NOW)
    owner.get("/usage/events/")
    with django_assert_max_num_queries(10):
        owner.get("/usage/events/?filter[job]=j1")
    with django_assert_max_num_queries(22):
        owner.get("/usage/events/?id=e1")


def test_every_search_is_answered_by_an_index(owner: Client, log: Customer) -> None:
    """Also where the table is too small for the planner to bother: with scans switched off, what no index could answer
    would be a scan all the same."""
    queries = [
        "",
        "meter=ApiCalls",
        "meter=ApiCalls&from=2026-11-01&to=2026-11-18",
        "filter[source]=crm",
        "state=voided",
        "state=counted&meter=ApiCalls",
        "id=e1",
    ]
    with CaptureQueriesContext(
        connection,
    ) as captured:
        for query in queries:
            assert owner.get(f"/usage/events/?{query}").status_code == 200
        owner.get("/usage/events/event/?meter=ApiCalls&id=e1")
    found = {one["sql"] for one in captured if "meters_event " in one["sql"] or '"meters_eventkey"' in one["sql"]}
    found |= {one["sql"] for one in captured if "meters_event AS" in one["sql"]}
    assert len(found) >= len(queries)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for statement in found:
            cursor.execute(f"EXPLAIN {statement}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan on meters_event" not in plan, f"{statement}\n{plan}"
            assert "customer_id" in plan
            assert re.search(
                "meters_eventkey_pkey|customer_id_meter_id_occurred_at|meters_event_customer_time", plan
            ), plan
