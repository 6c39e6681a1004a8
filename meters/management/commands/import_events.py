"""`manage.py import_events`: events of the past out of a file."""

import sys
import time
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from meters.importing.batches import Unreadable
from meters.importing.csv_rows import Columns
from meters.importing.files import FORMATS, Input
from meters.importing.run import Result, Settings, Stopped, import_events
from meters.importing.state import State

WIDTH = 30
# So many refused rows are shown; all of them are in the file of outcomes.
SHOWN = 20
CANNOT_GO_ON = 2


def pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise ArgumentTypeError(f"{text!r} is no NAME=TEXT")
    return name, value


def one_sign(text: str) -> str:
    sign = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(sign) != 1 or sign in '"\r\n':
        raise ArgumentTypeError("one character, or tab")
    return sign


def some(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 64):
        raise ArgumentTypeError("a whole number from 1 to 64")
    return int(text)


class Command(BaseCommand):
    help = (
        "Imports events from CSV, lines of JSON or a JSON array, gzip or not. Each row counts once, however often the "
        "file is imported; what was interrupted is resumed by the same command. Ends with 1 where rows were refused, "
        "and with 2 where it cannot go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="A dash reads the standard input.")
        parser.add_argument("--format", choices=FORMATS, default="", help="Left out: by the file's name or beginning.")
        parser.add_argument("--map", type=pair, action="append", default=[], metavar="MEMBER=COLUMN")
        parser.add_argument(
            "--set", type=pair, action="append", default=[], metavar="MEMBER=TEXT", help="For all rows."
        )
        parser.add_argument("--ignore", action="append", default=[], metavar="COLUMN", help="No dimension.")
        parser.add_argument("--utc", action="store_true", help="Times without a zone are in UTC.")
        parser.add_argument("--delimiter", type=one_sign, help="Left out: comma, semicolon or tab, by line 1.")
        parser.add_argument("--name", help="That ids are made of, in place of the file's.")
        parser.add_argument("--restart", action="store_true", help="From the first row on, whatever was done before.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would happen, and store nothing.")
        parser.add_argument("--outcomes", type=Path, metavar="FILE", help="What became of each row: .csv or .ndjson.")
        parser.add_argument("--progress", type=Path, metavar="FILE", help="Left out: beside the file.")
        parser.add_argument("--writers", type=some, default=2, metavar="N", help="How many store at once (2).")

    def handle(self, *args: Any, **options: Any) -> None:
        self._shown = 0
        settings = self._settings(options)
        self._bar = Bar(self.stderr, settings)
        try:
            result = import_events(settings, self)
        except Unreadable as error:
            raise CommandError(str(error), returncode=CANNOT_GO_ON) from error
        except OSError as error:
            raise CommandError(_of_file(error), returncode=CANNOT_GO_ON) from error
        except Stopped as error:
            self._bar.clear()
            again = "" if settings.dry_run else " The same command goes on from there."
            raise CommandError(f"{error} {error.row:,} rows are done.{again}", returncode=CANNOT_GO_ON) from error
        self._bar.clear()
        self._say(result, dry_run=settings.dry_run)

    def show(self, read: int, state: State) -> None:
        self._bar.show(read, state)

    def refuse(self, refused: dict[str, Any]) -> None:
        self._shown += 1
        if self._shown <= SHOWN:
            place = f"column {refused['column']}" if refused["column"] else refused["pointer"]
            where = f"Line {refused['line']:,}" + (f", {place}" if place else "")
            code = refused["code"] or refused["outcome"]
            self._bar.say(f"{where}: {refused['detail']} ({code})")
        elif self._shown == SHOWN + 1:
            self._bar.say("More were refused; --outcomes FILE names them all.")

    def _settings(self, options: dict[str, Any]) -> Settings:
        path = None if options["file"] == "-" else Path(options["file"])
        columns = Columns(
            dict(options["map"]),
            dict(options["set"]),
            tuple(options["ignore"]),
            options["utc"],
            options["delimiter"] or "",
        )
        name = options["name"] or (path.name.removesuffix(".gz") if path else "")
        notes = options["progress"] or (path and path.with_name(path.name + ".import.json"))
        return Settings(
            Input(path, options["format"], columns, name),
            timezone.now(),
            notes=notes,
            outcomes=options["outcomes"],
            restart=options["restart"],
            dry_run=options["dry_run"],
            writers=options["writers"],
        )

    def _say(self, result: Result, *, dry_run: bool) -> None:
        counts, rows = result.state.counts, result.state.rows
        if result.before:
            self.stdout.write(f"{result.before:,} rows were done before.")
        would = "would be " if dry_run else ""
        self.stdout.write(
            f"{rows:,} rows: {counts.accepted:,} {would}accepted, {counts.duplicate:,} {would}duplicates, "
            f"{counts.conflict:,} {would}conflicts, {counts.rejected:,} {would}rejected."
        )
        if result.state.perhaps_own:
            self.stdout.write(
                f"Of the duplicates {result.state.perhaps_own:,} are of rows that this import had begun when it was "
                "interrupted: most likely it had stored them itself."
            )
        if result.new_customers:
            some = sorted(result.new_customers)
            more = f" and {len(some) - 10:,} more" if len(some) > 10 else ""
            self.stdout.write(f"{len(some):,} customers would be created: {', '.join(some[:10])}{more}.")
        if counts.rejected or counts.conflict:
            sys.exit(1)


def _of_file(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


class Bar:
    """How far it is: drawn over itself on a terminal, and left out where a log would keep each of its states."""

    def __init__(self, stream: Any, settings: Settings) -> None:
        self._stream = stream
        path = settings.given.path
        self._size = path.stat().st_size if path is not None and path.is_file() else 0
        self._is_terminal = stream.isatty()
        self._began, self._first = time.monotonic(), 0

    def show(self, read: int, state: State) -> None:
        if not self._is_terminal:
            return
        took = max(time.monotonic() - self._began, 0.001)
        self._first = self._first or state.rows
        rate = (state.rows - self._first) / took
        bar = ""
        if self._size:
            share = min(read / self._size, 1.0)
            bar = f"[{'#' * round(WIDTH * share):.<{WIDTH}}] {share:4.0%}  "
        refused = state.counts.rejected + state.counts.conflict
        said = f"{bar}{state.rows:,} rows  {rate:,.0f}/s" + (f"  {refused:,} refused" if refused else "")
        self._stream.write(f"\r\x1b[K{said}", ending="", style_func=str)
        self._stream.flush()

    def say(self, line: str) -> None:
        self.clear()
        self._stream.write(line, style_func=str)

    def clear(self) -> None:
        if self._is_terminal:
            self._stream.write("\r\x1b[K", ending="", style_func=str)
            self._stream.flush()
