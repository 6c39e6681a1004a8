"""`manage.py doctor`: one page on whether the installation is well."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.doctor.checks import CHECKS
from config.doctor.findings import Line, State, examine, summary

SIGNS = {State.OK: "ok", State.WARNING: "WARNING", State.FAILED: "FAILED"}


class Command(BaseCommand):
    help = "Looks at database, broker, worker, beat, queues, mail, disk and settings, and says what to do."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object in place of the page")

    def handle(self, *args: Any, **options: Any) -> None:
        lines = examine(CHECKS)
        self.stdout.write(as_json(lines) if options["json"] else as_page(lines))
        if any(line.finding.state == State.FAILED for line in lines):
            raise SystemExit(1)


def as_page(lines: list[Line]) -> str:
    width = max(len(line.name) for line in lines)
    page = []
    for line in lines:
        finding = line.finding
        page.append(f"{SIGNS[finding.state]:<8} {line.name:<{width}}  {finding.saw}")
        if finding.remedy:
            page.append(f"{'':<8} {'':<{width}}  -> {finding.remedy}")
    return "\n".join([*page, "", summary(lines)])


def as_json(lines: list[Line]) -> str:
    checks = [
        {
            "check": line.name,
            "state": line.finding.state.value,
            "saw": line.finding.saw,
            "remedy": line.finding.remedy,
        }
        for line in lines
    ]
    failures = any(line.finding.state == State.FAILED for line in lines)
    return json.dumps({"state": "failed" if failures else "ok", "checks": checks}, indent=2)
