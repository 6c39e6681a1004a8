"""Running hand-written statements."""

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from django.db import connection

Row = tuple[Any, ...]


def execute(statement: str, parameters: Mapping[str, Any]) -> list[Row]:
    """Runs a statement, planned for these very parameters, and answers its rows."""
    connection.ensure_connection()
    assert connection.connection is not None
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[Row] = cursor.fetchall()
        return rows


def execute_prepared(statement: str, parameters: Mapping[str, Any]) -> list[Row]:
    """Runs a statement that each connection prepares once, and answers its rows.

    For statements that run all the time and have one good plan. Django's own cursors put the parameters into the text
    of the statement, which cannot be prepared then; psycopg's send them beside it.
    """
    connection.ensure_connection()
    assert connection.connection is not None
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, prepare=True)
        rows: list[Row] = cursor.fetchall()
        return rows


def array(texts: Iterable[str]) -> str:
    """An array literal of texts that need no quoting: numbers, times and hexadecimal digits."""
    return "{" + ",".join(texts) + "}"


NULL = "NULL"


def quoted(text: str) -> str:
    """Any text as an element of an array literal (PostgreSQL's manual, "Array Input and Output Syntax")."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
