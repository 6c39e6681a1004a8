"""`manage.py export_invoices`: all invoices of a month as one file for accounting."""

import os
import re
import sys
from argparse import ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from invoices.exporting.files import write_csv, write_zip
from invoices.exporting.rows import documents_of, month_span
from invoices.models import Export

WIDTH = 40
CHUNK = 100


def month_of(text: str) -> date:
    match = re.fullmatch(r"(20[0-9]{2})-(0[1-9]|1[0-2])", text, re.ASCII)
    if match is None:
        raise ArgumentTypeError("a month, written 2026-11")
    return date(int(match[1]), int(match[2]), 1)


class Command(BaseCommand):
    help = (
        "Writes all invoices that became final in a month, and the credit notes issued in it, as one file: a CSV of "
        "their lines, or a ZIP of that and their PDFs. Month and days are those of the account."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", type=month_of, required=True, metavar="2026-11")
        parser.add_argument("--form", choices=Export.Form.values, default=Export.Form.CSV.value)
        parser.add_argument(
            "--output", required=True, metavar="FILE", help="Where to; a dash writes to the standard output."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        month, now = options["month"], timezone.now()
        if month_span(month).start > now:
            raise CommandError("This month has not begun.")
        documents = documents_of(month, now=now)
        write = write_zip if options["form"] == Export.Form.ZIP else write_csv

        def made(file: IO[bytes]) -> None:
            self._show(0, len(documents))
            write(file, documents, CHUNK, lambda done: self._show(done, len(documents)))
            file.flush()

        try:
            if options["output"] == "-":
                made(sys.stdout.buffer)
            else:
                _whole(Path(options["output"]), made)
        except OSError as error:
            self._clear()
            raise CommandError(str(error)) from error
        self._clear()
        self.stderr.write(f"{len(documents):,} documents.", style_func=str)

    def _show(self, done: int, documents: int) -> None:
        """The bar, drawn over itself on a terminal and left out where a log would keep each of its states."""
        if self.stderr.isatty():
            full = WIDTH * done // max(documents, 1)
            bar = "#" * full + "." * (WIDTH - full)
            self.stderr.write(f"\r[{bar}] {done:,} of {documents:,} documents", ending="", style_func=str)
            self.stderr.flush()

    def _clear(self) -> None:
        if self.stderr.isatty():
            self.stderr.write("\r\x1b[K", ending="", style_func=str)
            self.stderr.flush()


def _whole(path: Path, write: Any) -> None:
    """The file is there when it is whole, and what was there before stays until then. A device or a pipe is written to,
    not put out of its place."""
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as device:
            write(device)
        return
    new = path.with_name(f"{path.name}.part")
    try:
        # Invoices are nobody else's business.
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            write(file)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
