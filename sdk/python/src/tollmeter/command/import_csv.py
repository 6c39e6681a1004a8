"""Imports a CSV file, of millions of rows if need be; what was interrupted is resumed by the same command.

    tollmeter import-csv usage-2026.csv --set meter=ApiCalls --map customer=account --map time=called_at

The columns id, customer, meter, value and time are these members of a fact, and all others are dimensions. A row
without an id gets one that is made of the file's name, its number and its content: the same row counts once, however
often the file is imported.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import sys
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tollmeter.client import Tollmeter
from tollmeter.command.pairs import pair
from tollmeter.command.progress import Progress
from tollmeter.errors import FactRejected, FactsDropped, Problem, TollmeterError
from tollmeter.memory_queue import MemoryQueue
from tollmeter.reads import parse_time

MEMBERS = ("id", "customer", "meter", "value", "time")
BATCH = 1000
# As many rows are read ahead of what is answered.
AHEAD = 20_000
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
WITH_ZONE = re.compile(r".*([Zz]|[+-]\d\d:\d\d)", re.ASCII)
PIECE = 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    parser.add_argument("--map", type=pair, action="append", default=[], metavar="MEMBER=COLUMN")
    parser.add_argument("--set", type=pair, action="append", default=[], metavar="MEMBER=TEXT", help="for all rows")
    parser.add_argument("--ignore", action="append", default=[], metavar="COLUMN", help="no dimension")
    parser.add_argument("--utc", action="store_true", help="times without a zone are in UTC")
    parser.add_argument("--delimiter", type=delimiter, default=",", help="one character, or \\t")
    parser.add_argument("--name", help="that ids are made of, in place of the file's")
    parser.add_argument("--restart", action="store_true", help="from the first row on, whatever was done before")
    parser.add_argument("--dry-run", action="store_true", help="show the first three facts and send nothing")


def delimiter(text: str) -> str:
    found = "\t" if text == "\\t" else text
    if len(found) != 1 or found in '\r\n"':
        raise argparse.ArgumentTypeError("one character, or \\t")
    return found


def run(options: argparse.Namespace) -> int:
    with options.file.open("rb") as file:
        rows = Rows(file, options)
        if options.dry_run:
            for _, (_, fact) in zip(range(3), rows):
                print(fact.decode())
            return 0
        return Import(rows, options).run()


class Rows:
    """The facts of the file's rows, each with its id. `number` and `offset` are of the row that was read last."""

    def __init__(self, file: IO[bytes], options: argparse.Namespace) -> None:
        self._file = file
        self._delimiter, self._utc = options.delimiter, options.utc
        self._name = options.name or options.file.name
        self._set = dict(options.set)
        self.number = self.offset = 0
        header = next(self._cells(), None)
        if header is None:
            raise ValueError(f"{options.file} is empty.")
        # Some programs begin a file with a mark of its encoding.
        self._columns = [column.lstrip("\ufeff").strip() for column in header]
        self._members = self._members_of(dict(options.map))
        left_out = {*options.ignore, *self._members.values()}
        self._dimensions = [
            (place, column) for place, column in enumerate(self._columns) if column and column not in left_out
        ]
        self._places = {member: self._columns.index(column) for member, column in self._members.items()}

    def _members_of(self, mapped: dict[str, str]) -> dict[str, str]:
        for member, column in mapped.items():
            if member not in MEMBERS or column not in self._columns:
                raise ValueError(
                    f"{member}={column}: the members are {', '.join(MEMBERS)}; the columns are "
                    f"{', '.join(self._columns)}."
                )
        own = {member: member for member in MEMBERS if member in self._columns}
        found = {**own, **mapped}
        for member in ("customer", "meter", "time"):
            if member not in found and member not in self._set:
                raise ValueError(f"There is no column {member}: say --map {member}=COLUMN or --set {member}=TEXT.")
        return found

    def skip_to(self, offset: int, number: int) -> None:
        self._file.seek(offset)
        self.offset, self.number = offset, number

    def _lines(self) -> Iterator[str]:
        for line in self._file:
            self.offset += len(line)
            yield line.decode("utf-8")

    def _cells(self) -> Iterator[list[str]]:
        try:
            yield from csv.reader(self._lines(), delimiter=self._delimiter)
        except csv.Error as error:
            raise ValueError(f"Row {self.number + 1} cannot be read: {error}") from error

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for cells in self._cells():
            self.number += 1
            if cells:
                yield self._fact(cells)

    def _fact(self, cells: list[str]) -> tuple[str, bytes]:
        if len(cells) != len(self._columns):
            raise ValueError(f"Row {self.number} has {len(cells)} cells; the header has {len(self._columns)}.")
        fact: dict[str, Any] = dict(self._set)
        for member, place in self._places.items():
            if cells[place]:
                fact[member] = cells[place]
        if self._utc and "time" in fact and not WITH_ZONE.fullmatch(fact["time"]):
            fact["time"] += "Z"
        dimensions = {column: cells[place] for place, column in self._dimensions if cells[place]}
        if dimensions:
            fact["dimensions"] = dimensions
        if "id" not in fact:
            fact["id"] = self._made_id(cells, fact.get("time", ""))
        value = fact.get("value")
        text = json.dumps(fact)
        if value is not None and NUMBER.fullmatch(value):
            # As a number, with the digits that it has.
            text = text.replace(f'"value": "{value}"', f'"value": {value}', 1)
        return fact["id"], text.encode()

    def _made_id(self, cells: list[str], time: str) -> str:
        """A UUID of version 8 (RFC 9562, section 5.8), the row's milliseconds first: neighbours are stored faster."""
        content = "\0".join((self._name, str(self.number), *cells))
        number = int.from_bytes(hashlib.blake2b(content.encode(), digest_size=16).digest(), "big")
        try:
            milliseconds = int(parse_time(time).timestamp() * 1000) & (1 << 48) - 1
            number = number & (1 << 80) - 1 | milliseconds << 80
        except (ValueError, OverflowError):
            pass
        number = number & ~(0xF << 76) | 0x8 << 76
        return str(uuid.UUID(int=number & ~(0x3 << 62) | 0x2 << 62))


class Import:
    """Sends rows in order, and notes in a file beside theirs how far it is."""

    def __init__(self, rows: Rows, options: argparse.Namespace) -> None:
        self._rows, self._file = rows, options.file
        self._state_path = options.file.with_name(options.file.name + ".tollmeter.json")
        self._rejected_path = options.file.with_name(options.file.name + ".rejected.ndjson")
        self._client = Tollmeter(
            options.api_key,
            options.url,
            queue_size=AHEAD,
            when_full="block",
            batch_size=BATCH,
            close_timeout=0,
            on_error=self._tell,
        )
        assert isinstance(self._client.queue, MemoryQueue)
        self._queue = self._client.queue
        self._state = self._read_state(restart=options.restart)
        # The rows that were read and not yet answered: how many were put so far, the row, where it ends, its id.
        self._waiting: deque[tuple[int, int, int, str]] = deque()
        self._row_of: dict[str, int] = {}
        self._refused: TollmeterError | None = None
        self._before = dict(self._state)

    def _read_state(self, *, restart: bool) -> dict[str, Any]:
        size = self._file.stat().st_size
        # By all of it a file is known again, and it may grow.
        new = {"known": size, "hash": self._hash_of(size), "offset": 0, "row": 0}
        if restart or not self._state_path.exists():
            return {**new, "sent": 0, "duplicate": 0, "rejected": 0}
        state: dict[str, Any] = json.loads(self._state_path.read_text())
        if state["hash"] != self._hash_of(state["known"]) or state["offset"] > size:
            raise ValueError(f"{self._file} is another file than the one whose import was begun; say --restart.")
        state.update(known=new["known"], hash=new["hash"])
        return state

    def _hash_of(self, size: int) -> str:
        hashed = hashlib.blake2b(digest_size=16)
        with self._file.open("rb") as file:
            while size > 0:
                read = file.read(min(size, PIECE))
                if not read:
                    break
                hashed.update(read)
                size -= len(read)
        return hashed.hexdigest()

    def run(self) -> int:
        size = self._file.stat().st_size
        if self._state["row"]:
            self._rows.skip_to(self._state["offset"], self._state["row"])
            print(f"Going on after row {self._state['row']:,}.", file=sys.stderr)
        self._progress = Progress(size, self._rows.offset, self._rows.number)
        put = 0
        try:
            for fact_id, fact in self._rows:
                if self._refused:
                    break
                put += 1
                self._row_of[fact_id] = self._rows.number
                self._waiting.append((put, self._rows.number, self._rows.offset, fact_id))
                self._client.put(fact)
                if put % BATCH == 0:
                    self._note()
            while not self._refused and not self._client.flush(0.2):
                self._note()
        except KeyboardInterrupt:
            self._progress.say("The same command goes on from here.")
            raise
        finally:
            self._note()
            self._client.close(0)
        self._progress.end()
        return self._finish()

    def _note(self) -> None:
        """Writes down how far the server has answered. What it refused as a whole is not behind us."""
        settled = self._queue.settled()
        if self._refused:
            return
        while self._waiting and self._waiting[0][0] <= settled:
            _, self._state["row"], self._state["offset"], fact_id = self._waiting.popleft()
            self._row_of.pop(fact_id, None)
        counted = self._client.counters
        for name in ("sent", "duplicate", "rejected"):
            self._state[name] = self._before[name] + getattr(counted, name)
        written = self._state_path.with_name(self._state_path.name + ".new")
        written.write_text(json.dumps(self._state))
        os.replace(written, self._state_path)
        self._progress.show(self._state["offset"], self._state["row"], self._state["rejected"])

    def _tell(self, error: TollmeterError) -> None:
        if isinstance(error, FactRejected):
            row = {"row": self._row_of.get(error.id), "code": error.code or error.outcome, "pointer": error.pointer}
            line = json.dumps({**row, "detail": error.detail, "fact": json.loads(error.fact)})
            with self._rejected_path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        elif isinstance(error, Problem) and error.retry_in is None:
            self._refused = error
        elif not isinstance(error, FactsDropped):
            self._progress.say(str(error))

    def _finish(self) -> int:
        state = self._state
        if self._refused:
            print(f"The server refused: {self._refused}", file=sys.stderr)
            print(f"{state['row']:,} rows are done. The same command goes on from there.", file=sys.stderr)
            return 1
        print(
            f"{state['row']:,} rows: {state['sent']:,} sent, {state['duplicate']:,} sent before, "
            f"{state['rejected']:,} rejected"
        )
        if state["rejected"]:
            print(f"What was rejected, and why, is in {self._rejected_path}", file=sys.stderr)
        return 1 if state["rejected"] else 0
