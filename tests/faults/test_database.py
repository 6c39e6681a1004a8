"""A database that is slow, out of connections, out of room or gone: whoever asks is told to come again, and nothing is
half-done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from invoices import due
from invoices.models import FailingWork, InvoiceLine
from invoices.tasks import bills
from meters.models import Customer, Event, EventKey, UsageBucket
from tests import servers
from tests.factories import json_event, live_invoice, make_customer, make_meter, put_on
from tests.faults.disk import ROOM, Room, said_by_triggers, small_disk
from tests.invoices.plans import ONE_EACH, plan_with
from tests.killing import database_url
from tests.meters.rollups import assert_rollups_equal_events

pytestmark = pytest.mark.django_db(transaction=True)

MOMENT = timezone.now().replace(microsecond=0).isoformat()

Api = Callable[..., APIClient]


@pytest.fixture
def sender(api: Api) -> APIClient:
    make_meter()
    make_customer()
    client = api()
    client.raise_request_exception = False
    return client


@pytest.fixture
def browser() -> Client:
    """Somebody whose browser has a session, which pages look up."""
    client = Client(raise_request_exception=False)
    client.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32
    return client


def post(sender: APIClient, *ids: str) -> Any:
    return sender.post("/v1/events", [json_event(id=one, time=MOMENT) for one in ids], format="json")


def check_is_problem(answer: Any, retry_after: str) -> None:
    assert (answer.status_code, answer["Retry-After"]) == (503, retry_after)
    assert answer["Content-Type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["code"]) == (503, "database_unavailable")


def check_is_calm(answer: Any, retry_after: str) -> None:
    assert (answer.status_code, answer["Retry-After"]) == (503, retry_after)
    assert "<h1>Back in a moment</h1>" in answer.content.decode()


def check_nothing_is_stored() -> None:
    for model in (Event, EventKey, UsageBucket):
        assert not model.objects.exists()


def check_all_is_well(sender: APIClient, *ids: str) -> None:
    """What was refused is taken when it is sent again."""
    assert post(sender, *ids).json()["accepted"] == len(ids)
    assert post(sender, *ids).json()["duplicate"] == len(ids)
    assert_rollups_equal_events()


class TestSlow:
    @pytest.fixture(autouse=True)
    def _impatient(self) -> Iterator[None]:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '150ms'")
        yield
        with suppress(psycopg.Error), connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")

    def test_events_are_refused_whole(self, sender: APIClient) -> None:
        for table in ("meters_eventkey", "meters_usagebucket", "meters_usageversion"):
            with locked(table):
                check_is_problem(post(sender, "a", "b"), "10")
            check_nothing_is_stored()
        check_all_is_well(sender, "a", "b")

    def test_other_calls_and_pages(self, sender: APIClient, browser: Client) -> None:
        changes = {"key": "globex", "email": "bills@globex.example"}
        with locked("meters_customer", "invoices_outboxevent", "portal_browsersession"):
            check_is_problem(sender.post("/v1/customers", changes, format="json"), "10")
            check_is_problem(sender.get("/v1/customers"), "10")
            check_is_problem(sender.post("/v1/customers", changes, format="json", HTTP_IDEMPOTENCY_KEY="one"), "10")
            for page in ("/", "/admin/", "/sign-in/"):
                check_is_calm(browser.get(page), "10")
        assert not Customer.objects.filter(key="globex").exists()
        for _ in range(2):
            answer = sender.post("/v1/customers", changes, format="json", HTTP_IDEMPOTENCY_KEY="one")
            assert answer.status_code == 201

    def test_somebody_waits_for_a_row(self, sender: APIClient) -> None:
        """A lock that is asked for with a limit of its own, too."""
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SET lock_timeout = '100ms'")
        try:
            with locked("meters_eventkey"):
                check_is_problem(post(sender, "a"), "10")
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
        check_all_is_well(sender, "a")


@contextmanager
def locked(*tables: str) -> Iterator[None]:
    """Somebody else has these tables for themselves."""
    with psycopg.connect(database_url()) as other:
        other.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        yield


def test_out_of_connections(sender: APIClient, browser: Client) -> None:
    """Of a real server, of which others hold every connection."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_connections")
        most = int(cursor.fetchone()[0])
    others = []
    try:
        connection.close()
        with suppress(psycopg.OperationalError):
            for _ in range(most):
                others.append(psycopg.connect(database_url()))
        check_is_problem(post(sender, "a"), "5")
        check_is_problem(sender.get("/v1/customers"), "5")
        check_is_calm(browser.get("/"), "5")
    finally:
        for other in others:
            other.close()
    check_nothing_is_stored()
    check_all_is_well(sender, "a")


def test_gone(sender: APIClient, browser: Client) -> None:
    postgres = servers.postgres()
    connection.close()
    postgres.stop()
    try:
        check_is_problem(post(sender, "a"), "2")
        check_is_problem(sender.get("/v1/customers"), "2")
        check_is_calm(browser.get("/"), "2")
    finally:
        postgres.start()
    check_nothing_is_stored()
    check_all_is_well(sender, "a")


@pytest.fixture(params=[small_disk, said_by_triggers], ids=["a small disk", "said by triggers"])
def disk(request: pytest.FixtureRequest, sender: APIClient) -> Iterator[Room]:
    """Where the keys of events and the lines of invoices are: room can be taken away."""
    with request.param("meters_eventkey", "invoices_invoiceline") as room:
        yield room


class TestOutOfRoom:
    def test_events_are_refused_whole(self, disk: Room, sender: APIClient) -> None:
        ids = [f"event-{number}" for number in range(ROOM)]
        disk.take()
        check_is_problem(post(sender, *ids), "30")
        check_nothing_is_stored()
        disk.give()
        check_all_is_well(sender, *ids)

    def test_bills_go_on_once_there_is_room(self, disk: Room, sender: APIClient) -> None:
        acme = Customer.objects.get()
        put_on(acme, plan_with("Basic", {make_meter("Files"): ONE_EACH}), acme.created_at.date())
        sender.post("/v1/events", [json_event(id="a", meter="Files", value=3)], format="json")
        InvoiceLine.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM invoices_invoiceline")  # gives back its last page
        disk.take()
        stale = due.stale_invoices(10)
        with pytest.raises(OperationalError, match="No space left"):
            bills.sweep()
        # The disk's fault is not this invoice's.
        assert not FailingWork.objects.exists()
        assert due.stale_invoices(10) == stale == [live_invoice(acme).pk]
        disk.give()
        bills.sweep()
        assert (due.stale_invoices(10), live_invoice(acme).total) == ([], 3)
