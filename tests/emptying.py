"""Empties the database after a test that commits.

Django truncates all tables and then makes content types and permissions anew, which takes most of a second. Here the
rows that are there are deleted, without triggers and the checks of foreign keys; content types and permissions stay.
"""

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import TransactionTestCase
from psycopg import sql

from tests import servers

STAY = (ContentType, Permission)
_truncate = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]


def use() -> None:
    """From now on, where the server is the tests' own: another may refuse, or have its tables on several machines."""
    TransactionTestCase._fixture_teardown = _teardown  # type: ignore[attr-defined]


def _teardown(case: TransactionTestCase) -> None:
    if servers.has_postgres():
        empty()
    else:
        _truncate(case)


def empty() -> None:
    stay = {model._meta.db_table for model in STAY}
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    tables = {name: sql.Identifier(name) for name in names if name not in stay}
    is_filled = sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})")
    looks = [is_filled.format(sql.Literal(name), table) for name, table in tables.items()]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(" UNION ALL ").join(looks))
        filled = [tables[name] for (name,) in cursor.fetchall()]
        deletes = [sql.SQL("DELETE FROM {}").format(table) for table in filled]
        # In one go, and so in one transaction: the setting does not outlive a failure.
        without_triggers = [sql.SQL("SET session_replication_role = replica"), *deletes]
        cursor.execute(sql.SQL("; ").join([*without_triggers, sql.SQL("RESET session_replication_role")]))
