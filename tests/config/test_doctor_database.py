"""The doctor's checks of the database see what is wrong for real, and say what to do."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from config.doctor import of_database
from config.doctor.findings import State
from tests import servers
from tests.config.doctor import execute, sees

pytestmark = pytest.mark.django_db


def test_the_database_is_well() -> None:
    sees(of_database.server, State.OK, "PostgreSQL 1")
    sees(of_database.connections, State.OK, "in use; one web server and one worker take up to 35")
    sees(of_database.transactions, State.OK, "none")
    sees(of_database.migrations, State.OK, "are applied")
    sees(of_database.extensions, State.OK, "plpgsql")
    sees(of_database.clock, State.OK, "together")


def test_an_old_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_database, "OLDEST_VERSION", 99)
    sees(of_database.server, State.FAILED, "PostgreSQL", "needs 99 or newer")


def test_the_database_of_a_demo_in_production(settings: Any) -> None:
    servers.postgres()
    settings.PRODUCTION = True
    sees(of_database.server, State.FAILED, "that `make run` starts", "of your own")


def test_what_a_crash_would_take() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW fsync")
        (fsync,) = cursor.fetchone()
    execute("SET LOCAL synchronous_commit = off")
    found = of_database.server_settings()
    assert "synchronous_commit is off" in found.saw
    assert ("fsync is off" in found.saw) == (fsync == "off")
    assert found.state == (State.FAILED if fsync == "off" else State.WARNING)
    assert "can be lost with a crash" in found.remedy


def test_more_processes_than_connections(settings: Any) -> None:
    settings.WEB_PROCESSES, settings.WEB_THREADS = 10, 100
    sees(of_database.connections, State.WARNING, "take up to 1003", "Raise max_connections")


def test_a_transaction_that_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = connection.get_connection_params()
    with psycopg.connect(**parameters | {"context": None, "cursor_factory": psycopg.Cursor}) as other:
        other.execute("SELECT 1")
        monkeypatch.setattr(of_database, "OLD_TRANSACTION", 0.0)
        pid = other.info.backend_pid
        sees(of_database.transactions, State.WARNING, f"process {pid}", f"pg_terminate_backend({pid})")


def test_migrations_that_are_not_applied() -> None:
    newest = MigrationRecorder.Migration.objects.filter(app="meters").latest("name")
    newest.delete()
    sees(of_database.migrations, State.FAILED, f"meters.{newest.name}", "manage.py migrate")


def test_migrations_of_newer_code() -> None:
    execute("INSERT INTO django_migrations (app, name, applied) VALUES ('meters', '9999_later', now())")
    sees(of_database.migrations, State.WARNING, "meters.9999_later", "Update the code")


def test_an_extension_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_database, "EXTENSIONS", ("plpgsql", "nowhere"))
    sees(of_database.extensions, State.FAILED, "nowhere", "CREATE EXTENSION nowhere")


def test_months_without_a_partition() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    with time_machine.travel(now, tick=False):
        call_command("make_partitions", stdout=StringIO())
        sees(of_database.partitions_ahead, State.OK, "there for this month and the next")
        execute("DROP TABLE meters_event_2026_12")
        sees(of_database.partitions_ahead, State.WARNING, "December 2026", "make_partitions")
        execute("DROP TABLE meters_event_2026_11")
        sees(of_database.partitions_ahead, State.FAILED, "November 2026", "make_partitions")


@pytest.mark.parametrize(("seconds", "state"), [(-2, State.WARNING), (2, State.WARNING), (-60, State.FAILED)])
def test_clocks_that_differ(seconds: int, state: State) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds)):
        sees(of_database.clock, state, "seconds apart", "NTP")
