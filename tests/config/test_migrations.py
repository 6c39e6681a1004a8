"""Migrations run beside an installation that takes in events: no one waits for long, and code of before goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import StringIO

import psycopg
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models.signals import pre_migrate
from django.utils import timezone

from config.management.commands import migrate
from meters import partitions
from meters.concurrently import AddIndex, AddIndexToEvents
from tests.config.locks import faults
from tests.meters.test_schema import GROWING

APPS = ("meters", "pricing", "invoices", "portal")
# Up to these numbers they were made before the first release, when no database had rows that anybody waits for: some
# would not be let through. The list ends here.
BEFORE_THE_FIRST_RELEASE = {"meters": 4, "pricing": 8, "invoices": 13, "portal": 6}


def sql_of_all() -> Iterator[tuple[str, bool, list[str]]]:
    """Of each migration since, in their order: whether it is atomic, and its statements."""
    loader = MigrationLoader(connection, replace_migrations=False)
    state = ProjectState(real_apps=loader.unmigrated_apps)
    seen: set[tuple[str, str]] = set()
    for leaf in loader.graph.leaf_nodes():
        for app, name in loader.graph.forwards_plan(leaf):
            if (app, name) in seen:
                continue
            seen.add((app, name))
            migration = loader.graph.nodes[app, name]
            if app not in APPS or int(name[:4]) <= BEFORE_THE_FIRST_RELEASE[app]:
                state = migration.mutate_state(state, preserve=False)
                continue
            with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
                state = migration.apply(state, editor, collect_sql=True)
            yield f"{app}.{name}", migration.atomic, editor.collected_sql


@pytest.mark.django_db
def test_what_migrations_do_holds_up_nobody_for_long() -> None:
    found = {name: faults(sql, atomic=atomic) for name, atomic, sql in sql_of_all()}
    assert len(found) > 2
    assert {name: wrong for name, wrong in found.items() if wrong} == {}, 'docs/operations.md, "Updating", says how'


@pytest.mark.parametrize("table", [*GROWING, "invoices_invoice", "invoices_invoiceline"])
@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("CREATE INDEX x ON {0} (customer_id)", "nobody can write beside"),
        ('CREATE UNIQUE INDEX IF NOT EXISTS "x" ON "{0}" ("customer_id")', "nobody can write beside"),
        ("create index x\n  on public.{0} -- why\n (a)", "nobody can write beside"),
        ("CREATE TABLE {0}2 (a int); CREATE INDEX x ON {0}2 (a); CREATE INDEX y ON {0} (a)", "INDEX y"),
        ("CREATE INDEX CONCURRENTLY x ON {0} (customer_id)", "not atomic"),
        ("ALTER TABLE {0} ADD CONSTRAINT x CHECK (value > 0)", "NOT VALID"),
        ("ALTER TABLE {0} ADD FOREIGN KEY (customer_id) REFERENCES meters_customer", "NOT VALID"),
        ("ALTER TABLE ONLY {0} ADD CONSTRAINT x UNIQUE (customer_id)", "USING INDEX"),
        ("ALTER TABLE {0} ADD PRIMARY KEY (customer_id)", "USING INDEX"),
        ("ALTER TABLE {0} ALTER COLUMN value TYPE text", "written anew"),
        ("ALTER TABLE {0} ALTER COLUMN value SET DATA TYPE bigint USING value::bigint", "written anew"),
        ("ALTER TABLE {0} ALTER COLUMN value SET NOT NULL", "looked at"),
        ("ALTER TABLE {0} ADD COLUMN x timestamptz DEFAULT clock_timestamp()", "a value for each row"),
        ("ALTER TABLE {0} ADD COLUMN a int, ADD COLUMN x uuid DEFAULT gen_random_uuid()", "a value for each row"),
        ("ALTER TABLE {0} ADD COLUMN x bigserial", "a value for each row"),
        ("ALTER TABLE {0} ADD COLUMN x numeric GENERATED ALWAYS AS (value * 2) STORED", "a value for each row"),
        ("ALTER TABLE {0} ADD COLUMN x int NOT NULL", "no value for the rows"),
        (
            "ALTER TABLE {0} ADD COLUMN x int DEFAULT 0 NOT NULL; ALTER TABLE {0} ALTER COLUMN x DROP DEFAULT",
            "db_default",
        ),
        ("ALTER TABLE {0} DROP COLUMN value", "still runs"),
        ("ALTER TABLE {0} RENAME COLUMN value TO amount", "still runs"),
        ("ALTER TABLE {0} RENAME TO other", "still runs"),
        ("DROP TABLE {0}", "still runs"),
        ("UPDATE {0} SET value = 1", "in one go"),
        ("DELETE FROM {0} WHERE value = 1", "in one go"),
        ("LOCK TABLE {0}", "in one go"),
        ("TRUNCATE {0}", "in one go"),
        ("VACUUM FULL {0}", "rewritten"),
        ("REINDEX TABLE {0}", "rewritten"),
        ("CREATE TABLE meters_event_2031_01 PARTITION OF {0} FOR VALUES FROM (1) TO (2)", "attached"),
        (
            "ALTER TABLE {0} ADD CONSTRAINT x CHECK (a > 0) NOT VALID; ALTER TABLE {0} VALIDATE CONSTRAINT x",
            "under the lock",
        ),
        ("DO $$ BEGIN UPDATE {0} SET value = 1; END $$", "cannot be read"),
        ("WITH gone AS (DELETE FROM {0} RETURNING *) SELECT count(*) FROM gone", "cannot be read"),
        ("-- THIS OPERATION CANNOT BE WRITTEN AS SQL", "cannot be read"),
    ],
)
def test_a_planted_migration_is_caught(planted: str, fault: str, table: str) -> None:
    found = faults([planted.format(table)])
    assert len(found) == 1, found
    assert fault in found[0]


@pytest.mark.parametrize(
    ("sql", "atomic"),
    [
        ("CREATE TABLE a (b int); CREATE INDEX x ON a (b); ALTER TABLE a ADD CONSTRAINT y CHECK (b > 0)", True),
        ("CREATE TABLE a (b int); INSERT INTO a SELECT 1; ALTER TABLE a ALTER COLUMN b SET NOT NULL", True),
        ("ALTER TABLE meters_event ADD COLUMN x int", True),
        ("ALTER TABLE meters_eventkey ADD COLUMN x int DEFAULT 0 NOT NULL", True),
        ("ALTER TABLE invoices_invoice ADD CONSTRAINT x CHECK (a > 0) NOT VALID", True),
        ("ALTER TABLE invoices_invoice VALIDATE CONSTRAINT x", True),
        ("ALTER TABLE invoices_invoice ADD CONSTRAINT x UNIQUE USING INDEX y", True),
        ("ALTER TABLE invoices_invoice ALTER COLUMN a DROP NOT NULL, ALTER COLUMN b SET DEFAULT 1", True),
        ("CREATE INDEX CONCURRENTLY x ON invoices_invoice (a)", False),
        ("CREATE INDEX x ON ONLY meters_event (a)", False),
        ("DROP INDEX x", True),
        ("CREATE INDEX x ON pricing_plan (key); UPDATE meters_meter SET unit = ''", True),
        ("ALTER TABLE meters_event ATTACH PARTITION a FOR VALUES FROM (1) TO (2)", True),
    ],
)
def test_what_holds_up_nobody_is_let_through(sql: str, atomic: bool) -> None:
    assert faults([sql], atomic=atomic) == []


@contextmanager
def another() -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """A connection of somebody else's, whose transaction stays open."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
        yield other
        other.rollback()


def rows(statement: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def test_the_command_waits_for_a_lock_a_little_and_gives_way(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[tuple[object, ...]] = []

    def note(**_: object) -> None:
        limits.extend(rows("SHOW lock_timeout"))

    pauses: list[float] = []
    with another() as other:
        other.execute("LOCK TABLE django_migrations")

        def somebody_else(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                other.rollback()

        monkeypatch.setattr(migrate.time, "sleep", somebody_else)
        said = StringIO()
        with pytest.raises(CommandError, match="Somebody holds a lock"):
            call_command("migrate", "meters", lock_seconds=0.1, tries=1, verbosity=0)
        assert rows("SHOW lock_timeout") == [("0",)]
        pauses.clear()
        pre_migrate.connect(note)
        try:
            call_command("migrate", "meters", lock_seconds=0.1, tries=5, verbosity=0, stderr=said)
        finally:
            pre_migrate.disconnect(note)
    assert pauses == [1, 2]
    assert set(limits) == {("100ms",)}
    assert "Waited for a lock for 0.1 s; 4 tries are left." in said.getvalue()
    assert rows("SHOW lock_timeout") == [("0",)]


def test_a_partition_is_made_while_somebody_uses_the_events(transactional_db: None) -> None:
    with another() as other:
        other.execute("LOCK TABLE meters_event IN ROW EXCLUSIVE MODE")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '1s'")
        try:
            partitions.ensure_span(datetime(2031, 1, 31, tzinfo=UTC), datetime(2031, 3, 1, tzinfo=UTC))
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
    try:
        of_new, of_old = (
            {
                definition.replace(name, "")
                for (definition,) in rows(f"SELECT indexdef FROM pg_indexes WHERE tablename = '{name}'")
            }
            for name in ("meters_event_2031_02", f"meters_event_{timezone.now():%Y_%m}")
        )
        assert len(of_new) == 3
        assert of_new == of_old
        invalid = "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"
        assert rows(invalid) == []
    finally:
        partitions.forget()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE meters_event_2031_01, meters_event_2031_02, meters_event_2031_03")


def test_an_index_is_added_to_the_events_and_again_where_it_failed(transactional_db: None) -> None:
    name = "meters_event_received"
    operation = AddIndexToEvents(name, "(customer_id, received_at)")
    state = ProjectState()
    try:
        with another() as other:
            # Who makes an index beside others waits for those who write.
            other.execute(f"LOCK TABLE meters_event_{timezone.now():%Y_%m} IN ROW EXCLUSIVE MODE")
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout = '500ms'")
            with pytest.raises(OperationalError), connection.schema_editor(atomic=False) as editor:
                operation.database_forwards("meters", editor, state, state)
        assert rows("SELECT count(*) > 0 FROM pg_index WHERE NOT indisvalid") == [(True,)]
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")
            cursor.execute("SET lock_timeout = '2s'")
        with connection.schema_editor(atomic=False) as editor:
            operation.database_forwards("meters", editor, state, state)
            operation.database_forwards("meters", editor, state, state)
        assert rows("SHOW lock_timeout") == [("2s",)]
        assert rows("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
        parts = f"SELECT count(*) FROM pg_inherits WHERE inhparent = '{name}'::regclass"
        assert rows(parts) == [(partitions.count(),)]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")
            cursor.execute("RESET lock_timeout")
        with connection.schema_editor() as editor:
            operation.database_backwards("meters", editor, state, state)
    assert rows("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


def test_an_index_of_another_table(transactional_db: None) -> None:
    operation = AddIndex("customer", models.Index(fields=["name"], name="customer_by_name"))
    state = ProjectState.from_apps(apps)
    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("meters", editor, state, state)
    assert rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'customer_by_name'::regclass") == [(True,)]
    with connection.schema_editor(atomic=False) as editor:
        operation.database_backwards("meters", editor, state, state)
