"""The page of one line: its price, span, days and steps, and the events that it counts."""

import csv
import io
from datetime import UTC, datetime

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from invoices.models import Invoice
from meters.models import Customer
from tests.factories import run_sweep, send
from tests.invoices.late import void
from tests.portal.test_overview import text

HTMX = {"HX-Request": "true"}


def content(answer: object) -> str:
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


def test_a_line_opens_on_the_invoice(owner: Client, october: Invoice) -> None:
    page = text(owner, f"/invoices/{october.pk}/")
    assert "Price Growth, version 1, activated on 18 Nov 2026" in page
    assert "5,000 calls free, then $5.00 per started block of 1,000 calls" in page
    assert "Time 1 Oct 2026, 00:00 UTC to 1 Nov 2026, 00:00 UTC" in page
    source = owner.get(f"/invoices/{october.pk}/").content.decode()
    assert f'<a href="/invoices/{october.pk}/lines/1/">Days and events' in source


def test_it_has_days_and_events(owner: Client, november: Invoice) -> None:
    page = text(owner, f"/invoices/{november.pk}/lines/1/")
    assert "API calls 12,300 calls Amount so far $40.00" in page
    assert "Blocks of 1,000 7,300 calls = 8 blocks x $5.00 $40.00" in page
    assert "A started block counts in full." in page
    assert "2 Nov 2026 5,000 3 Nov 2026 0" in page
    assert page.index("18 Nov 2026, 09:00:00 UTC") < page.index("2 Nov 2026, 09:00:00 UTC")
    assert "source: hubspot" in page
    assert "Came or voided since final" not in page
    assert page.count("do not add up") == 0


def test_what_was_voided_or_came_late_is_marked(
    owner: Client, acme: Customer, october: Invoice, clock: time_machine.Traveller
) -> None:
    clock.move_to(datetime(2026, 11, 18, 15, tzinfo=UTC))
    send("acme", "ApiCalls", 12, time=datetime(2026, 10, 9, 9, tzinfo=UTC), id="late one")
    send("acme", "ApiCalls", 3, time=datetime(2026, 10, 9, 9, tzinfo=UTC), id="taken back")
    void("taken back")
    run_sweep()
    url = f"/invoices/{october.pk}/lines/1/"
    page = text(owner, url)
    assert "12 calls came later; they" in page
    assert "late one Came after the invoice was final" in page
    assert "taken back Voided after the invoice was final Came after the invoice was final" in page
    changed = text(owner, f"{url}?state=changed")
    assert "late one" in changed
    assert "source: sap" not in changed
    assert "taken back" not in text(owner, f"{url}?state=counted")
    assert "late one" not in text(owner, f"{url}?state=voided")


def test_a_page_of_events_is_a_part_of_it(
    owner: Client, acme: Customer, november: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("invoices.lines.pages.PER_PAGE", 2)
    for number in range(3):
        send("acme", "ApiCalls", 1, time=datetime(2026, 11, 5, number, tzinfo=UTC), id=f"more {number}")
    url = f"/invoices/{november.pk}/lines/1/"
    first = owner.get(url, {"state": "counted"}, headers=HTMX).content.decode()
    assert "<html" not in first
    assert "more 2" in first
    assert "more 1" not in first
    older = first.split('href="?state=counted&amp;cursor=')[1].split("#")[0]
    second = owner.get(url, {"state": "counted", "cursor": older}).content.decode()
    assert "<html" in second
    assert "more 1" in second
    assert "Newer" in second


def test_lines_without_usage_have_their_words_and_no_events(owner: Client, acme: Customer, october: Invoice) -> None:
    source = owner.get(f"/invoices/{october.pk}/lines/1/").content.decode()
    assert 'id="events"' in source
    assert owner.get(f"/invoices/{october.pk}/lines/2/").status_code == 404
    assert owner.get(f"/invoices/{october.pk}/lines/2/events.csv").status_code == 404


def test_all_events_as_a_file(owner: Client, acme: Customer, october: Invoice) -> None:
    send("acme", "ApiCalls", 1, time=datetime(2026, 10, 4, 9, tzinfo=UTC), id="+1", source='=HYPERLINK("x")')
    answer = owner.get(f"/invoices/{october.pk}/lines/1/events.csv")
    assert answer["Content-Disposition"] == f'attachment; filename="invoice-{october.number}-line-1-events.csv"'
    assert "no-store" in answer["Cache-Control"]
    heading, first, second = csv.reader(io.StringIO(content(answer)))
    assert heading[:4] == ["id", "time", "received_at", "value (calls)"]
    assert (first[0], first[6]) == ("'+1", '\'=HYPERLINK("x")')
    assert second[1] == "2026-10-03T09:00:00Z"


def test_what_there_is_not_is_not_found(owner: Client, stranger: Client, october: Invoice) -> None:
    url = f"/invoices/{october.pk}/lines/1/"
    for query in ("?state=odd", "?cursor=odd"):
        assert owner.get(url + query).status_code == 404
    assert owner.get(f"{url}events.csv?state=odd").status_code == 404
    for address in (url, f"{url}events.csv"):
        answer = stranger.get(address)
        assert answer.status_code == 404
        assert b"acme" not in answer.content.lower()


def test_it_takes_a_fixed_number_of_queries(
    owner: Client, acme: Customer, november: Invoice, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    url = f"/invoices/{november.pk}/lines/1/"
    owner.get(url)
    for number in range(20):
        send("acme", "ApiCalls", 1, source=f"s{number}")
    with django_assert_max_num_queries(14):
        assert text(owner, url).count("source: s") == 21


def test_newer_usage_is_told(owner: Client, acme: Customer, november: Invoice) -> None:
    send("acme", "ApiCalls", 1)
    assert "Newer usage is being worked in" in text(owner, f"/invoices/{november.pk}/lines/1/")
    with time_machine.travel(datetime(2026, 11, 19, tzinfo=UTC), tick=False):
        run_sweep()
        assert "Newer usage" not in text(owner, f"/invoices/{november.pk}/lines/1/")
