"""Has the database's triggers be what the list says (`meters.audit_log.tables`), after each `migrate`.

Not by a migration for each table: a migration runs on the tables of its time, and the list is of today's, with the
tables of other people's apps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from django.db import connection, transaction

from meters.audit_log import triggers_sql
from meters.audit_log.tables import watched


@dataclass(frozen=True, slots=True)
class _There:
    mark: str | None
    fires: bool


def attach() -> None:
    """Makes what is missing or not as it should be, and removes what is no longer wanted."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(triggers_sql.LOCK_TIMEOUT)
        if _body() != triggers_sql.BODY:
            cursor.execute(triggers_sql.MAKE_FUNCTION)
        there, wanted = _there(), _wanted()
        statements = [
            triggers_sql.make_trigger(table, name, text, _mark(text))
            for (table, name), text in wanted.items()
            if there.get((table, name)) != _There(_mark(text), True)
        ]
        statements += [triggers_sql.remove_trigger(table, name) for table, name in there.keys() - wanted.keys()]
        if statements:
            cursor.execute("; ".join(statements))


def faults() -> Iterator[str]:
    """What keeps changes from being written down, in words."""
    if _body() != triggers_sql.BODY:
        yield f"the function {triggers_sql.FUNCTION}() is not as Tollmeter makes it"
    there, wanted = _there(), _wanted()
    for (table, name), text in sorted(wanted.items()):
        found = there.get((table, name))
        if found is None:
            yield f"the trigger {name} of {table} is missing"
        elif not found.fires:
            yield f"the trigger {name} of {table} is switched off"
        elif found.mark != _mark(text):
            yield f"the trigger {name} of {table} is not as Tollmeter makes it"
    for table in sorted(watched().keys() - {table for table, _ in wanted}):
        yield f"the table {table} is missing"


def _wanted() -> dict[tuple[str, str], str]:
    """Of the tables that are there: by table and name, what the trigger says."""
    tables = watched()
    with connection.cursor() as cursor:
        cursor.execute(triggers_sql.TABLES, {"tables": sorted(tables)})
        there = [table for (table,) in cursor.fetchall()]
    return {(table, name): text for table in there for name, text in triggers_sql.triggers_of(tables[table]).items()}


def _there() -> dict[tuple[str, str], _There]:
    with connection.cursor() as cursor:
        cursor.execute(triggers_sql.TRIGGERS, {})
        return {(table, name): _There(mark, fires) for table, name, mark, fires in cursor.fetchall()}


def _body() -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(triggers_sql.BODY_THERE)
        row = cursor.fetchone()
    return row[0] if row else None


def _mark(text: str) -> str:
    return sha256(text.encode()).hexdigest()
