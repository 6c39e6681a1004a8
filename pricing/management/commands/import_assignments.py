"""`manage.py import_assignments customers.csv`: puts customers on plans, all of the file's rows or none."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pricing.assignment_import import COLUMNS, MOST_ROWS, REQUIRED, ImportedRow, import_assignments
from pricing.csv_text import CsvFault, read_rows


class Command(BaseCommand):
    help = "Tries every row of a CSV file, and then stores all of them, or none where one is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file",
            help=f"CSV in UTF-8 with a heading of {', '.join(COLUMNS)}; the first {len(REQUIRED)} are needed."
            " A dash: the standard input.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say what would happen.")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["file"]
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{name}: {getattr(error, 'strerror', '') or 'it is no text in UTF-8'}.") from None
        try:
            rows = read_rows(text, columns=COLUMNS, required=REQUIRED, most=MOST_ROWS)
        except CsvFault as fault:
            raise CommandError(f"{name}: {fault}") from None
        cells = [{**row.cells, "line": str(row.line)} for row in rows]
        done = import_assignments(cells, actor="import_assignments", dry_run=options["dry_run"])
        if done.wrong:
            faults = [line for row in done.rows for line in _faults(row)]
            raise CommandError("\n".join([*faults, f"{done.wrong} of {len(rows)} rows are wrong. Nothing is stored."]))
        for row in done.rows if options["dry_run"] or options["verbosity"] > 1 else ():
            self.stdout.write(f"Line {row.line}: {row.customer}: {row.outcome}.")
        left = len(rows) - done.assigned
        there = f", {left} there already" if left else ""
        state = "imported" if done.stored else "to import; nothing is stored"
        self.stdout.write(f"{done.assigned} assignment{'' if done.assigned == 1 else 's'} {state}{there}.")


def _faults(row: ImportedRow) -> list[str]:
    return [f"Line {row.line}, {column}: {text}" for column, texts in row.errors.items() for text in texts]
