"""Facts that wait in a file until they are sent: one SQLite database, shared by as many processes as there are.

When `put` returns, the fact is in the file, and the process may be killed. One process sends for all that share the
file, the one that is named in the table `sender`: the facts go in their order and go once. Where two should come to
send the same after all, because one was taken for dead, the ids see to it that nothing counts twice.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from tollmeter.errors import Closed, QueueFull, SpoolFailed
from tollmeter.memory_queue import WhenFull

TABLES = """
CREATE TABLE IF NOT EXISTS facts (number INTEGER PRIMARY KEY AUTOINCREMENT, fact BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS refused (number INTEGER PRIMARY KEY AUTOINCREMENT, fact BLOB NOT NULL, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sender (one INTEGER PRIMARY KEY CHECK (one = 1), token TEXT, pid INTEGER, until REAL);
"""
# Without `synchronous=FULL` a fact is safe from the end of the process, and a power failure may take the last few.
SETTINGS = ("journal_mode=WAL", "synchronous=NORMAL")
# The first and the last number are at the ends of the index, so this takes no longer with millions.
WAITING = "SELECT coalesce((SELECT max(number) FROM facts) - (SELECT min(number) FROM facts) + 1, 0)"
INSERT = "INSERT INTO facts (fact) VALUES (?)"
# Facts in memory while the file cannot be written, as where the disk is full.
SPARE_SIZE = 10_000
POLL_SECONDS = 0.05
# A process by its number, with what tells it from all that had the number before.
_marks: dict[int, str] = {}
# Connections of a parent process, which a child must neither use nor close.
_left_to_the_parent: list[Any] = []


class Spool:
    """A queue like MemoryQueue, in a file."""

    lasts = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        size: int,
        when_full: WhenFull,
        batch_size: int,
        batch_bytes: int,
        batch_seconds: float,
        lease_seconds: float,
    ) -> None:
        self.path = Path(path)
        self.size, self.when_full = size, when_full
        self.batch_size, self.batch_bytes, self.batch_seconds = batch_size, batch_bytes, batch_seconds
        self.lease_seconds = lease_seconds
        self.closing = False
        self._released = False
        self._connection: sqlite3.Connection | None = None
        self.after_fork()
        # Whoever names a file that cannot be made is told so at once.
        try:
            self._db()
        except sqlite3.Error as error:
            raise SpoolFailed(f"{self.path}: {error}") from error

    def after_fork(self) -> None:
        if self._connection is not None:
            _left_to_the_parent.append(self._connection)
        self._connection = None
        self._token = f"{_mark_of_process()} {uuid.uuid4().hex}"
        self.changed = threading.Condition()
        self._numbers: list[int] = []
        self._spare: deque[bytes] = deque()
        self._spare_in_flight: list[bytes] = []
        # That the file takes nothing, for whoever tells of it, which is done once.
        self.failure: SpoolFailed | None = None
        self._is_failing = False
        # Facts that were put since whoever takes last looked.
        self._new = 0
        self._has_more = True
        self._flushing = 0
        self.dropped = 0

    def put(self, fact: bytes) -> None:
        with self.changed:
            if self.closing:
                raise Closed("This client is closed.")
            try:
                db = self._db()
                if db.execute(WAITING).fetchone()[0] >= self.size:
                    self._make_room(db)
                db.execute(INSERT, (fact,))
            except sqlite3.Error as error:
                self._put_spare(fact, error)
            else:
                self._is_failing = False
                self._store_spare()
            self._new += 1
            if self._new == self.batch_size:
                self.changed.notify_all()

    def _make_room(self, db: sqlite3.Connection) -> None:
        if self.when_full == "raise":
            raise QueueFull(f"{self.size:,} facts wait already in {self.path}.")
        if self.when_full == "drop_oldest":
            # Not of those that are being sent.
            oldest = "DELETE FROM facts WHERE number = (SELECT min(number) FROM facts WHERE number > ?)"
            self.dropped += db.execute(oldest, (self._numbers[-1] if self._numbers else 0,)).rowcount
            return
        while db.execute(WAITING).fetchone()[0] >= self.size:
            # Another process may be the one that makes room, and says so to nobody.
            self.changed.wait(POLL_SECONDS)
            if self.closing:
                raise Closed("This client is closed.")

    def _put_spare(self, fact: bytes, error: sqlite3.Error) -> None:
        if not self._is_failing:
            self._is_failing = True
            self.failure = SpoolFailed(f"{self.path}: {error}. Until it can be written, facts wait in memory.")
        if len(self._spare) >= SPARE_SIZE and self.when_full == "raise":
            raise QueueFull(f"{self.path} cannot be written, and {len(self._spare):,} facts wait in memory.")
        while len(self._spare) >= SPARE_SIZE and self.when_full == "block":
            self.changed.wait(POLL_SECONDS)
            if self.closing:
                raise Closed("This client is closed.")
        if len(self._spare) >= SPARE_SIZE:
            self._spare.popleft()
            self.dropped += 1
        self._spare.append(fact)

    def _store_spare(self) -> None:
        """Puts the facts that are in memory alone into the file, as far as it takes them now."""
        with suppress(sqlite3.Error):
            while self._spare:
                self._db().execute(INSERT, (self._spare[0],))
                self._spare.popleft()

    def is_full(self) -> bool:
        return self.queued() >= self.size

    def take(self) -> list[bytes] | None:
        """The next batch; None: closed, and nothing is left that is ours to send. Raises SpoolFailed."""
        with self.changed:
            while True:
                if not self._has_more:
                    self.changed.wait_for(self._is_due, self.batch_seconds)
                if self._spare:
                    count = min(len(self._spare), self.batch_size)
                    self._spare_in_flight = [self._spare.popleft() for _ in range(count)]
                    return self._spare_in_flight
                self._new = 0
                batch = self._read()
                if batch:
                    return batch
                if self.closing:
                    return None
                # Somebody may be in a hurry, and the facts another process's to send.
                self.changed.wait(POLL_SECONDS)

    def _is_due(self) -> bool:
        return self._new >= self.batch_size or self.closing or self._flushing > 0

    def _read(self) -> list[bytes]:
        """The oldest facts in the file, as many as a batch may hold; none where another process sends them."""
        try:
            if not self._may_send():
                self._has_more = False
                return []
            select = "SELECT number, fact FROM facts ORDER BY number LIMIT ?"
            rows = self._db().execute(select, (self.batch_size,)).fetchall()
        except sqlite3.Error as error:
            raise SpoolFailed(f"{self.path}: {error}") from error
        batch: list[bytes] = []
        room = self.batch_bytes
        for _, fact in rows:
            room -= len(fact) + 1
            if room < 0 and batch:
                break
            batch.append(fact)
        self._numbers = [number for number, _ in rows[: len(batch)]]
        self._has_more = len(rows) == self.batch_size or len(batch) < len(rows)
        return batch

    def _may_send(self) -> bool:
        """Whether this process is the one that sends; it is from now on where no other one is, or is any more."""
        if self._released:
            # By now another client may be at it, and nobody would be told when this one is done.
            return False
        db, now = self._db(), time.time()
        token, pid, until = self._sender(db)
        if token == self._token and until > now + self.lease_seconds / 2:
            return True
        if token not in ("", self._token) and self._is_alive(token, pid, until, now):
            return False
        mine = (self._token, os.getpid(), now + self.lease_seconds)
        db.execute("BEGIN IMMEDIATE")
        try:
            # Another one may have been faster.
            if self._sender(db)[0] == token:
                db.execute("INSERT OR REPLACE INTO sender (one, token, pid, until) VALUES (1, ?, ?, ?)", mine)
            return self._sender(db)[0] == self._token
        finally:
            db.execute("COMMIT")

    def _sender(self, db: sqlite3.Connection) -> tuple[str, int, float]:
        return db.execute("SELECT token, pid, until FROM sender").fetchone() or ("", 0, 0.0)

    def _is_alive(self, token: str, pid: int, until: float, now: float) -> bool:
        # A clock that was put back must not keep facts for long.
        if not now < until <= now + self.lease_seconds:
            return False
        if pid == os.getpid():
            # Another client of this process, or a process that died and had the number that this one has.
            return token.startswith(_mark_of_process())
        if not hasattr(os, "fork"):
            # On Windows this would not ask after the process but interrupt it.
            return True
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    def settle(self) -> None:
        with self.changed:
            self._spare_in_flight = []
            if self._numbers:
                first, last = self._numbers[0], self._numbers[-1]
                self._numbers = []
                try:
                    self._db().execute("DELETE FROM facts WHERE number BETWEEN ? AND ?", (first, last))
                except sqlite3.Error as error:
                    raise SpoolFailed(f"{self.path}: {error}") from error
            self.changed.notify_all()

    def set_aside(self, facts: list[tuple[bytes, str]]) -> None:
        """Keeps facts that the server refused, and why, for `tollmeter send --refused`; at most `size` of them."""
        if not facts:
            return
        with self.changed:
            try:
                db = self._db()
                db.executemany("INSERT INTO refused (fact, why) VALUES (?, ?)", facts)
                db.execute("DELETE FROM refused WHERE number <= (SELECT max(number) FROM refused) - ?", (self.size,))
            except sqlite3.Error as error:
                raise SpoolFailed(f"{self.path}: {error}") from error

    def take_back(self) -> int:
        """Has the facts that were refused wait again; how many there were."""
        with self.changed:
            db = self._db()
            db.execute("BEGIN IMMEDIATE")
            count = db.execute("INSERT INTO facts (fact) SELECT fact FROM refused ORDER BY number").rowcount
            db.execute("DELETE FROM refused")
            db.execute("COMMIT")
            return count

    def keep(self) -> None:
        """Says that this process is still the one that sends."""
        with self.changed, suppress(sqlite3.Error):
            self._may_send()

    def queued(self) -> int:
        with self.changed:
            spare = len(self._spare) + len(self._spare_in_flight)
            try:
                return spare + int(self._db().execute(WAITING).fetchone()[0])
            except sqlite3.Error:
                return spare

    def wait_settled(self, seconds: float | None) -> bool:
        """Waits until all that was in the file before is settled, whichever process does it."""
        end = None if seconds is None else time.monotonic() + seconds
        with self.changed:
            self._flushing += 1
            self.changed.notify_all()
            try:
                mark = self._number("max")
                while self._spare or self._spare_in_flight or 0 < self._number("min") <= mark:
                    if end is not None and time.monotonic() >= end:
                        return False
                    self.changed.wait(POLL_SECONDS)
                return True
            finally:
                self._flushing -= 1

    def _number(self, which: str) -> int:
        """The least or the greatest number in the file; 0: there is none, or it cannot be read."""
        select = {"min": "SELECT min(number) FROM facts", "max": "SELECT max(number) FROM facts"}[which]
        try:
            return self._db().execute(select).fetchone()[0] or 0
        except sqlite3.Error:
            return 0

    def close(self) -> None:
        with self.changed:
            self.closing = True
            self.changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Waits, but not once the client closes meanwhile."""
        with self.changed:
            if not self.closing:
                self.changed.wait_for(lambda: self.closing, seconds)
                return
        time.sleep(seconds)

    def release(self) -> None:
        """Lets another process send, and closes the file."""
        with self.changed, suppress(sqlite3.Error):
            self._released = True
            if self._connection is not None:
                self._connection.execute("DELETE FROM sender WHERE token = ?", (self._token,))
                self._connection.close()
                self._connection = None

    def give_up(self) -> int:
        """What is in the file stays there. Drops what cannot be written into it; how many that was."""
        with self.changed:
            # Whoever sends it may be at it still: what comes twice counts once.
            self._spare.extendleft(reversed(self._spare_in_flight))
            self._spare_in_flight = []
            self._store_spare()
            left = len(self._spare)
            self._spare.clear()
            return left

    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            # Every use of it is under `changed`.
            db = sqlite3.connect(self.path, timeout=2, isolation_level=None, check_same_thread=False)
            for setting in SETTINGS:
                db.execute(f"PRAGMA {setting}")
            db.executescript(TABLES)
            self._connection = db
        return self._connection


def _mark_of_process() -> str:
    return _marks.setdefault(os.getpid(), uuid.uuid4().hex)
