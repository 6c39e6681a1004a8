"""Worker processes that a test kills, at the moment that it wants.

They are forked from a process that has loaded the product and done nothing else, so that each of them costs little.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from django.db import connection

BASE_DIR = Path(__file__).resolve().parent.parent

PARENT = """
import json, os, sys, django
django.setup()
from tests.killing import be_a_worker, load_everything
load_everything()
for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
    elif not (answer := os.fork()):
        be_a_worker(**order)
    print(answer, flush=True)
"""
KILLED = -9
# A lock of nobody else's.
GATE = 706_214_305
# More round trips to the database than any work of these tests has.
FAR_TOO_MANY = 400


def load_everything() -> None:
    """What a worker has loaded by the time that it begins to work."""
    from importlib import import_module

    import time_machine  # noqa: F401

    from config.celery import app

    app.loader.import_default_modules()
    app.finalize()
    for name in ("going_out", "webhooks.telling", "mailing.reasons", "prepaid.credits", "backtests.backtest"):
        import_module(f"invoices.{name}")


def be_a_worker(code: str, dies_at: int | None, clock: str | None) -> None:
    """The forked process: runs the code with its own connection, at its own time, until it is killed."""
    status = 1
    try:
        if dies_at is not None:
            _die_at(dies_at)
        if clock is not None:
            import time_machine

            time_machine.travel(datetime.fromisoformat(clock), tick=False).start()
        exec(code, {})
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _die_at(number: int) -> None:
    """Has this process killed before so many statements, commits among them, have reached the database."""
    from psycopg import Connection

    really, done = Connection.wait, 0

    def wait(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal done
        done += 1
        if done == number:
            os.kill(os.getpid(), 9)
        return really(self, *arguments, **named)

    Connection.wait = wait  # type: ignore[method-assign]


class Worker:
    def __init__(self, workers: "Workers", pid: int) -> None:
        self.workers = workers
        self.pid = pid

    def kill(self) -> None:
        os.kill(self.pid, 9)
        assert self.end() == KILLED

    def end(self) -> int:
        """Waits for its end, and answers what it ended with: 0, if it did all of its work."""
        status = self.workers.ask(wait=self.pid)
        assert status in (0, KILLED), self.workers.log.read_text()[-3000:]
        return status


def database_url() -> str:
    """Where the test's own database is."""
    parts = connection.settings_dict
    return "postgresql://{}:{}@{}:{}/{}".format(
        *(quote(str(parts[name]), safe="") for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME"))
    )


class Workers:
    """Makes worker processes on the database of the test; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "workers.log"
        with self.log.open("ab") as log:
            self.parent = subprocess.Popen(
                [sys.executable, "-c", PARENT],
                cwd=BASE_DIR,
                env=os.environ
                | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "ERROR"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.parent.stdin is not None
        with suppress(BrokenPipeError):
            self.parent.stdin.close()
        self.parent.wait(30)

    def ask(self, **order: Any) -> int:
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write(json.dumps(order) + "\n")
        self.parent.stdin.flush()
        answer = self.parent.stdout.readline()
        assert answer, self.log.read_text()[-3000:]
        return int(answer)

    def start(self, code: str, *, dies_at: int | None = None, clock: datetime | None = None) -> Worker:
        """A worker that runs this code. `dies_at`: killed before that round trip to the database, from 1. `clock`: at
        that instant, where its time stands still."""
        return Worker(self, self.ask(code=code, dies_at=dies_at, clock=clock and clock.isoformat()))

    def killed_everywhere(
        self, code: str, check: Callable[[], object], *, step: int = 1, clock: datetime | None = None
    ) -> int:
        """Has one worker after the other killed in this work, each `step` round trips later than the one before, and
        calls `check` after each, until one gets through to the end. Answers how many were killed."""
        for killed, dies_at in enumerate(range(1, FAR_TOO_MANY, step)):
            if self.start(code, dies_at=dies_at, clock=clock).end() == 0:
                return killed
            check()
        raise AssertionError("the work has no end")


class Gate:
    """A change of a table behind which others wait until the test lets them go on. A context manager."""

    def __init__(self, table: str, change: str, *, condition: str = "true", at_commit: bool = False) -> None:
        self.table = table
        self.change = change
        self.condition = condition
        self.at_commit = at_commit
        self.is_shut = False

    def __enter__(self) -> Self:
        kind, when = ("CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED") if self.at_commit else ("TRIGGER", "")
        _execute(
            f"""
            CREATE OR REPLACE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NULL; END $$;
            CREATE {kind} gate AFTER {self.change} ON {self.table} {when}
            FOR EACH ROW WHEN ({self.condition}) EXECUTE FUNCTION wait_at_the_gate();
            SELECT pg_advisory_lock({GATE})
            """
        )
        self.is_shut = True
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
        _execute(f"DROP TRIGGER gate ON {self.table}")

    def wait(self) -> int:
        """Waits until somebody stands there, and answers the process id of the backend that does."""
        waiting = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {GATE} AND NOT granted"
        return int(_soon(waiting, lambda rows: bool(rows), "nobody came to the gate")[0][0])

    def open(self) -> None:
        if self.is_shut:
            _execute(f"SELECT pg_advisory_unlock({GATE})")
            self.is_shut = False


def wait_for_waiting(count: int) -> None:
    """Waits until so many backends wait for a lock."""
    waiting = "SELECT DISTINCT pid FROM pg_locks WHERE NOT granted"
    _soon(waiting, lambda rows: len(rows) >= count, "nobody waits")


def wait_until_gone(backend: int) -> None:
    """Waits until the database has seen that a client is dead, and has let go what it held."""
    _soon(f"SELECT pid FROM pg_stat_activity WHERE pid = {backend}", lambda rows: not rows, "it is still there")


@contextmanager
def killed_at(workers: Workers, code: str, gate: Gate, *, clock: datetime | None = None) -> Iterator[None]:
    """A worker that is killed while it stands at the gate. Inside, its backend is there still, and holds its locks."""
    with gate:
        worker = workers.start(code, clock=clock)
        backend = gate.wait()
        worker.kill()
        yield
        gate.open()
        wait_until_gone(backend)


def _execute(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def _soon(statement: str, is_so: Callable[[list[Any]], bool], otherwise: str) -> list[Any]:
    for _ in range(3000):
        rows = _execute(statement)
        if is_so(rows):
            return rows
        _execute("SELECT pg_sleep(0.01)")
    raise AssertionError(otherwise)
