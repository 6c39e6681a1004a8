"""Who it was, and from where: never somebody else, whatever the connection has been through."""

import threading
from typing import Any

import pytest
from celery import shared_task
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from meters.audit_log import actors
from meters.audit_log.actors import Kind, acting, acting_as_command
from meters.audit_log.requests import acting as middleware
from meters.keys import create_api_key
from meters.models import AuditRow, Customer
from tests.audit_log.written import of, written
from tests.factories import make_customer

pytestmark = pytest.mark.django_db


def who(row: AuditRow) -> tuple[str, str, str]:
    return row.who_kind, row.who_name, row.address or ""


def rename(name: str) -> None:
    Customer.objects.update(name=name)


@pytest.fixture
def acme(db: None) -> Customer:
    return make_customer("acme")


def told_now() -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('tollmeter.actor', true)")
        return cursor.fetchone()[0]


def test_nobody_said_so_it_was_a_user_of_the_database(acme: Customer) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user, host(inet_client_addr())")
        user, address = cursor.fetchone()
    with written() as rows, connection.cursor() as cursor:
        cursor.execute("SET LOCAL application_name = 'psql'")
        cursor.execute("UPDATE meters_customer SET name = 'By hand'")
    assert who(of(rows, "meters_customer")) == ("database", user, address or "")
    assert rows[0].who_id == "psql"


def test_one_after_the_other_in_one_transaction(acme: Customer) -> None:
    with written() as rows:
        with acting(Kind.STAFF, 1, "ada", "203.0.113.7"):
            rename("a")
            with acting(Kind.TASK, "x", "a.task"):
                rename("b")
            rename("c")
        with acting(Kind.KEY, 2, "billing"):
            rename("d")
    assert [row.who_name for row in rows] == ["ada", "a.task", "ada", "billing"]
    assert [row.address for row in rows] == ["203.0.113.7", None, "203.0.113.7", None]


def test_what_is_rolled_back_to_takes_nobodys_name_with_it(acme: Customer) -> None:
    with written() as rows, acting(Kind.STAFF, 1, "ada"):
        rename("a")
        with transaction.atomic():
            with acting(Kind.KEY, 2, "billing"):
                rename("b")
            transaction.set_rollback(True)
        rename("c")
        with transaction.atomic():
            rename("d")
            transaction.set_rollback(True)
    with written() as more, acting(Kind.KEY, 2, "billing"):
        rename("e")
    assert [(row.who_name, (row.after or {})["name"]) for row in rows + more] == [
        *[("ada", "a"), ("ada", "c"), ("billing", "e")]
    ]


@pytest.mark.parametrize("name", ["O'Neil", "100% sure", "back\\slash", "ä\u2028ü", "tab\there\x1f;--", "\0nul\ud800"])
def test_names_are_told_as_they_are(acme: Customer, name: str) -> None:
    with written() as rows, acting(Kind.KEY, 2, name):
        Customer.objects.filter(pk=acme.pk).update(name="50%")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE meters_customer SET name = 'no parameters, 50%'")
    kept = "".join(character for character in name if character.isprintable()).encode("utf-8", "replace").decode()
    assert [(row.who_name, row.who_kind) for row in rows] == [(kept, "key")] * 2
    assert (rows[1].after or {})["name"] == "no parameters, 50%"


def test_what_a_statement_answers_is_its_own(acme: Customer) -> None:
    with acting(Kind.STAFF, 1, "ada"):
        made = Customer.objects.bulk_create([Customer(key=f"c{number}", source="api") for number in range(3)])
        assert len({customer.pk for customer in made}) == 3
        assert Customer.objects.filter(key__startswith="c").update(name="x") == 3
        assert Customer.objects.get_or_create(key="c1")[1] is False
        assert Customer.objects.filter(key__in=["c0", "c1"]).delete()[0] == 2
        with connection.cursor() as cursor:
            cursor.execute("WITH seven AS (SELECT 7 AS n) SELECT n, %s FROM seven", ["%"])
            assert cursor.fetchall() == [(7, "%")]
            assert [column.name for column in cursor.description] == ["n", "?column?"]


def test_it_costs_no_query_and_reading_tells_nothing(acme: Customer) -> None:
    with acting(Kind.STAFF, 1, "ada"):
        with CaptureQueriesContext(connection) as queries:
            rename("a")
        (query,) = queries.captured_queries
        assert "; UPDATE" in query["sql"]
    with transaction.atomic():
        transaction.set_rollback(True)
    with acting(Kind.KEY, 2, "reader"):
        assert Customer.objects.get().name == "a"
        assert "reader" not in (told_now() or "")


@pytest.mark.django_db(transaction=True)
def test_nothing_stays_in_a_connection_and_a_new_one_is_told() -> None:
    acme = make_customer("acme")
    with written() as rows:
        with acting(Kind.STAFF, 1, "ada"):
            rename("a")
            assert not told_now()
            connection.close()
            rename("b")
        rename("c")
        with transaction.atomic(), acting(Kind.KEY, 2, "billing"):
            rename("d")
        rename("e")

        def other_thread() -> None:
            try:
                Customer.objects.filter(pk=acme.pk).update(name="f")
            finally:
                connection.close()

        with acting(Kind.STAFF, 1, "ada"):
            thread = threading.Thread(target=other_thread)
            thread.start()
            thread.join()
    assert [row.who_kind for row in rows] == ["staff", "staff", "database", "key", "database", "database"]


class TestRequests:
    def test_staff_keys_and_nobody_one_after_the_other_on_one_connection(self, ada: Client) -> None:
        _, text = create_api_key(name="billing", scopes=["read", "write"])
        server = Client(headers={"Authorization": f"Bearer {text}"}, REMOTE_ADDR="198.51.100.2")
        with written() as rows:
            new = {"key": "acme", "name": "", "email": "", "time_zone": "", "traits": ""}
            assert ada.post("/admin/meters/customer/add/", new).status_code == 302
            assert server.patch("/v1/customers/acme", {"name": "B"}, "application/json").status_code == 200
            Client(REMOTE_ADDR="192.0.2.1").post("/sign-in/", {"username": "ada", "password": "wrong"})
            rename("C")
        changes = [row for row in rows if row.table_name == "meters_customer"]
        assert [who(row)[:1] + who(row)[2:] for row in changes[:2]] == [
            ("staff", "203.0.113.7"),
            ("key", "198.51.100.2"),
        ]
        assert changes[0].who_name == "ada"
        assert changes[0].request_id == "of-ada"
        assert changes[1].who_name.startswith("billing (tm_")
        assert changes[1].request_id
        assert (changes[2].who_kind, changes[2].request_id) == ("database", "")

    def test_of_who_is_not_signed_in_there_is_the_address(self, acme: Customer) -> None:
        def view(request: HttpRequest) -> HttpResponse:
            rename("x")
            return HttpResponse()

        with written() as rows:
            middleware(view)(RequestFactory(REMOTE_ADDR="192.0.2.1").get("/"))
        assert who(rows[0]) == ("visitor", "", "192.0.2.1")

    def test_behind_proxies_it_is_where_the_outermost_was_asked_from(self, acme: Customer, settings: Any) -> None:
        settings.PROXIES = 1
        forwarded = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9"}
        with written() as rows:
            middleware(lambda _: rename("x") or HttpResponse())(  # type: ignore[func-returns-value]
                RequestFactory(REMOTE_ADDR="127.0.0.1", headers=forwarded).get("/")
            )
        assert who(rows[0]) == ("visitor", "", "203.0.113.9")

    def test_a_view_that_fails_leaves_nobody_behind(self, acme: Customer) -> None:
        def fails(request: HttpRequest) -> HttpResponse:
            actors.become(Kind.KEY, 1, "billing")
            raise RuntimeError

        with pytest.raises(RuntimeError):
            middleware(fails)(RequestFactory().get("/"))
        assert actors.current() is None
        actors.become(Kind.KEY, 1, "billing")
        assert actors.current() is None

    def test_who_is_signed_in_is_not_looked_up_for_it(self, acme: Customer) -> None:
        """It would be a query, amid the one that asks."""
        client = Client()
        client.force_login(User.objects.create_user("anna"))
        with CaptureQueriesContext(connection) as queries, written() as rows:
            client.get("/healthz")
        assert rows == []
        assert not [query for query in queries.captured_queries if "auth_user" in query["sql"]]


@shared_task
def rename_in_a_task(name: str) -> None:
    rename(name)


class TestElsewhere:
    def test_a_task_is_told_by_its_name_beside_the_request_that_sent_it(self, acme: Customer) -> None:
        with written() as rows, acting(Kind.STAFF, 1, "ada"):
            rename_in_a_task.apply(args=["a"], task_id="id-1", headers={"tollmeter_request_id": "of-ada"})
            rename("b")
        assert (rows[0].who_kind, rows[0].who_id, rows[0].who_name) == ("task", "id-1", rename_in_a_task.name)
        assert rows[0].request_id
        assert rows[1].who_name == "ada"

    def test_a_command_is_told_by_its_name_and_who_gave_it(self, acme: Customer) -> None:
        with written() as rows, acting_as_command("import_assignments"):
            rename("a")
        assert (rows[0].who_kind, rows[0].who_name) == ("command", "import_assignments")
        assert "@" in rows[0].who_id
