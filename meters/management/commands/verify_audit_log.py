"""Recomputes the chain of the audit log, and names what is not as it was sealed."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from meters.audit_log.sealing import Head
from meters.audit_log.verifying import verify


def noted_head(text: str) -> Head:
    """Of a head as it is printed."""
    position, _, hashed = text.partition(":")
    try:
        found = Head(int(position), bytes.fromhex(hashed))
    except ValueError:
        found = Head(-1, b"")
    if found.position < 1 or len(found.hash) != 32:
        raise argparse.ArgumentTypeError(f"{text!r} is no POSITION:HASH, as this command prints it.")
    return found


class Command(BaseCommand):
    help = "Recomputes the chain of the audit log; ends with 1 where a row was changed, removed, put in or moved."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--expect",
            type=noted_head,
            action="append",
            default=[],
            metavar="POSITION:HASH",
            help="a head that this command or the worker's log told earlier; may be said several times",
        )

    def handle(self, *args: Any, expect: list[Head], **options: Any) -> None:
        show = self._progress if self.stderr.isatty() else lambda *_: None
        result = verify(now=timezone.now(), expected=tuple(expect), note_progress=show)
        if self.stderr.isatty():
            self.stderr.write("")
        for finding in result.findings:
            self.stdout.write(finding)
        if result.found > len(result.findings):
            self.stdout.write(f"... and {result.found - len(result.findings):,} more.")
        said = f"Rows: {result.rows:,}. Findings: {result.found:,}. Head: {result.head}"
        if result.found:
            raise CommandError(said)
        self.stdout.write(said)

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"\r{done:,} of {total:,}", ending="")
