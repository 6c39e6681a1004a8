"""`manage.py retire_events`: old months of events into files, out of the database, and back."""

import re
import sys
from argparse import ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from invoices.retiring import reasons_against
from meters import retiring
from meters.retiring import Month, NotRetired


def month_of(text: str) -> date:
    match = re.fullmatch(r"([12][0-9]{3})-(0[1-9]|1[0-2])", text, re.ASCII)
    if match is None:
        raise ArgumentTypeError("a month, written 2026-11")
    return date(int(match[1]), int(match[2]), 1)


class Command(BaseCommand):
    help = (
        "Writes the events of old months to files, one a month, and takes them out of the database. Says first what it "
        "will do, and asks; refuses while an invoice that is not final is made of them. Figures, invoices and the ids "
        "of events stay."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--before", type=month_of, metavar="2025-01", help="Retire the months before this one (UTC).")
        what.add_argument("--restore", type=Path, metavar="FILE", help="Bring a month back from its file.")
        what.add_argument("--check", type=Path, nargs="+", metavar="FILE", help="Hold files against their manifests.")
        parser.add_argument("--to", type=Path, metavar="FOLDER", help="Where the files are written.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["check"]:
                self._check(options["check"])
            elif options["restore"]:
                self._restore(options["restore"])
            else:
                self._retire(options)
        except NotRetired as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error

    def _retire(self, options: dict[str, Any]) -> None:
        before, folder = options["before"], options["to"]
        months = retiring.months_before(before)
        if not months:
            self.stdout.write(f"There are no events before {before:%Y-%m}.")
            return
        self._say_plan(months, before, folder)
        self._refuse(before)
        if options["dry_run"]:
            self.stdout.write("Nothing was done.")
            return
        if folder is None:
            raise CommandError("Say --to FOLDER.")
        if not folder.is_dir():
            raise CommandError(f"There is no folder {folder}.")
        if not options["yes"] and not self._agreed():
            raise CommandError("Nothing was done.")
        for month in months:
            # As long as one month takes, what was settled may be taken up again.
            self._refuse(before)
            manifest = retiring.retire(month.month, folder, now=timezone.now())
            if not manifest.events:
                self.stdout.write(f"{manifest.month}: no events, no file.")
                continue
            self.stdout.write(
                f"{manifest.month}: {manifest.events:,} events are in {folder / manifest.file} "
                f"(SHA-256 {manifest.sha256}), and no longer here."
            )

    def _say_plan(self, months: list[Month], before: date, folder: Path | None) -> None:
        for month in months:
            voided = f", {month.voided:,} of them voided" if month.voided else ""
            self.stdout.write(f"{month.month:%Y-%m}: {month.events:,} events{voided}, {_size(month.bytes)}")
        self.stdout.write(
            f"They are written to {folder or 'files'}, detached and dropped. Events before {before:%Y-%m-%d} (UTC) are "
            "refused from then on; those that were sent before are still known, and answered as duplicates."
        )

    def _refuse(self, before: date) -> None:
        if reasons := reasons_against(before, now=timezone.now()):
            for reason in reasons:
                self.stderr.write(reason)
            raise CommandError("These events are still needed. Nothing more was done.")

    def _agreed(self) -> bool:
        if not sys.stdin.isatty():
            raise CommandError("Say --yes, where nobody can be asked.")
        return input("Go on? (yes/no) ").strip().lower() in ("y", "yes")

    def _restore(self, file: Path) -> None:
        manifest = retiring.restore(file)
        self.stdout.write(f"{manifest.month}: {manifest.events:,} events are back.")

    def _check(self, files: list[Path]) -> None:
        for file in files:
            manifest = retiring.read_manifest(file)
            retiring.check(file, manifest)
            self.stdout.write(f"{file}: {manifest.events:,} events of {manifest.month}, as they were written.")


def _size(size: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size / 1000:,.0f} kB"
