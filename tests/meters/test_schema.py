"""Rules of the schema that a review would have to remember otherwise."""

import pytest
from django.db import connection

GROWING = ("meters_eventkey", "meters_event", "meters_usagebucket", "meters_usagedistinct", "meters_usageversion")

pytestmark = pytest.mark.django_db


def rows(statement: str, *parameters: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


@pytest.mark.parametrize("table", GROWING)
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
    assert rows(statement, list(GROWING)) == []


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
