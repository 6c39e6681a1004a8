"""Rules of the schema that a review would have to remember otherwise."""

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection

from meters.distribution import GROWING, REFERENCE

# Statements that look at a table that grows and at one that stays where it is. Each was tried on a cluster: they are
# joins, or subqueries that ask nothing of a row of the other table, which is all that a cluster takes.
ACROSS = {
    "meters/usage_sql.py": {"meters_customer"},
    "meters/voiding_sql.py": {"meters_customer"},
    "meters/metering_sql.py": {"meters_customer"},
    "meters/retiring_sql.py": {"meters_customer", "meters_meter"},
    "invoices/backlog_sql.py": {"invoices_invoice"},
}
BASE_DIR = Path(__file__).parents[2]

pytestmark = pytest.mark.django_db


def rows(statement: str, *parameters: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


@pytest.mark.parametrize("table", [*GROWING, *REFERENCE])
def test_a_table_that_grows_has_no_foreign_keys(table: str) -> None:
    statement = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND %s::regclass IN (conrelid, confrelid)"
    assert rows(statement, table) == []


@pytest.mark.parametrize("table", GROWING)
def test_every_unique_key_of_a_table_that_grows_begins_with_the_customer(table: str) -> None:
    statement = """
        SELECT i.indexrelid::regclass::text, a.attname, i.indisunique
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        JOIN pg_am m ON m.oid = (SELECT relam FROM pg_class WHERE oid = i.indexrelid)
        WHERE i.indrelid = %s::regclass AND m.amname = 'btree'
    """
    found = rows(statement, table)
    assert found
    assert {first for _, first, _ in found} == {"customer_id"}


def test_no_column_of_these_tables_is_written_from_elsewhere_by_a_trigger() -> None:
    statement = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text = ANY (%s)"
    assert rows(statement, [*GROWING, *REFERENCE]) == []


def test_these_are_all_tables_that_have_a_customer_and_no_foreign_key_to_it() -> None:
    found = {
        model._meta.db_table
        for model in apps.get_models()
        for field in model._meta.local_fields
        if field.name == "customer" and field.is_relation and not field.db_constraint
    }
    assert found == set(GROWING)


@pytest.mark.parametrize("table", GROWING)
def test_the_customer_of_a_table_that_grows_is_a_number_that_is_never_missing(table: str) -> None:
    statement = """
        SELECT atttypid::regtype::text, attnotnull FROM pg_attribute
        WHERE attrelid = %s::regclass AND attname = 'customer_id'
    """
    assert rows(statement, table) == [("integer", True)]


def test_what_is_on_all_nodes_is_not_joined_with_what_is_on_one_in_ways_nobody_tried() -> None:
    ours = {model._meta.db_table for model in apps.get_models()} - {*GROWING, *REFERENCE}
    found = {}
    for path in (
        path for app in ("meters", "pricing", "invoices", "portal") for path in (BASE_DIR / app).rglob("*sql.py")
    ):
        tables: set[str] = set()
        for statement in re.split(r"\n(?=[A-Z_]+ = |def |    \"\w+\": )", path.read_text()):
            named = set(re.findall(r"(?:FROM|JOIN|INTO|UPDATE|USING)\s+(\w+)", statement))
            if named & {*GROWING, *REFERENCE}:
                tables |= named & ours
        if tables:
            found[path.relative_to(BASE_DIR).as_posix()] = tables
    assert found == ACROSS


def test_partitions_reach_from_the_horizon_to_two_months_ahead() -> None:
    from datetime import timedelta

    from django.conf import settings
    from django.utils import timezone

    names = {name for (name,) in rows("SELECT inhrelid::regclass::text FROM pg_inherits")}
    now = timezone.now()
    for days in (-settings.INGEST_HORIZON_DAYS, -200, 0, 1, 60):
        assert f"meters_event_{now + timedelta(days=days):%Y_%m}" in names


def test_migrations_are_complete() -> None:
    from django.core.management import call_command

    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
