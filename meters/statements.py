"""Running hand-written statements."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection


def execute(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Runs a prepared statement and answers its rows. Django's own cursor binds in the client and never prepares."""
    connection.ensure_connection()
    assert connection.connection is not None
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute(statement, parameters, prepare=True)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def array(texts: Iterable[str]) -> str:
    """An array literal of texts that need no quoting: numbers, times and hexadecimal digits."""
    return "{" + ",".join(texts) + "}"


NULL = "NULL"


def quoted(text: str) -> str:
    """Any text as an element of an array literal (PostgreSQL's manual, "Array Input and Output Syntax")."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
