"""Tables on a disk that is full: a real one, of some megabytes; and where there can be none, as PostgreSQL says it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from django.db import connection

from tests import servers

# More events than fit into what is left of a page.
ROOM = 500
MEGABYTES = 8


class Room(Protocol):
    def take(self) -> None:
        """From here on there is none."""

    def give(self) -> None:
        """There is again."""


@contextmanager
def small_disk(*tables: str) -> Iterator[Room]:
    """Has the tables on a file system of their own, in memory, which only root can make."""
    postgres = servers.postgres()
    if os.geteuid() != 0 or postgres.place.account is None:
        pytest.skip("only root can mount a small file system")
    account = postgres.place.account
    folder = postgres.home / "small"
    folder.mkdir(exist_ok=True)
    options = f"size={MEGABYTES}m,uid={account.uid},gid={account.gid},mode=0700"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if made.returncode:
        folder.rmdir()
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        _execute("DROP TABLESPACE IF EXISTS small", f"CREATE TABLESPACE small LOCATION '{folder}'")
        _execute(*(f"ALTER TABLE {table} SET TABLESPACE small" for table in tables))
        room = _Ballast(folder / "ballast")
        try:
            yield room
        finally:
            room.give()
            _execute(*(f"ALTER TABLE {table} SET TABLESPACE pg_default" for table in tables), "DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


class _Ballast:
    def __init__(self, file: Path) -> None:
        self.file = file

    def take(self) -> None:
        free = os.statvfs(self.file.parent)
        self.file.write_bytes(bytes(free.f_bavail * free.f_frsize))

    def give(self) -> None:
        self.file.unlink(missing_ok=True)


@contextmanager
def said_by_triggers(*tables: str) -> Iterator[Room]:
    """The same error, of the same class, from the same server, at the same statements."""
    room = _Triggers(tables)
    try:
        yield room
    finally:
        room.give()


class _Triggers:
    def __init__(self, tables: tuple[str, ...]) -> None:
        self.tables = tables

    def take(self) -> None:
        _execute(
            """
            CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$
            """,
            *(
                f"CREATE TRIGGER no_room BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION no_room()"
                for table in self.tables
            ),
        )

    def give(self) -> None:
        _execute("DROP FUNCTION IF EXISTS no_room() CASCADE")


def _execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
