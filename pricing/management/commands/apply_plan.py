"""`manage.py apply_plan plans/basic.yaml`: makes a plan what a document says, after showing what that changes."""

import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from pricing.differences import Difference
from pricing.document_text import DocumentFault, read_text
from pricing.documents import Applied, apply_plan
from pricing.models import PlanVersion

SIGNS = {"added": "+", "removed": "-", "changed": "~"}


class Command(BaseCommand):
    help = "Shows what a document changes of a plan, and makes it the plan's draft. Without changes it does nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="JSON or YAML, as export_plan writes it. A dash: the standard input.")
        parser.add_argument("--dry-run", action="store_true", help="Only show what would change.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument("--activate", action="store_true", help="Activate the new version at once.")
        parser.add_argument(
            "--stay", action="store_true", help="With --activate: customers on the plan stay on the version they have."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        document = self._read(options["file"])
        choice = {"activate": options["activate"], "moves_existing": not options["stay"]}
        would = _apply(document, **choice, dry_run=True)
        if not would.differences:
            self.stdout.write(f"{would.plan.key}: nothing changes.")
            return
        self.stdout.write(f"{would.plan.key}:")
        for difference in would.differences:
            self.stdout.write(words(difference))
        if options["dry_run"] or not (options["yes"] or self._confirmed(options)):
            self.stdout.write("Nothing is done.")
            return
        applied = _apply(document, **choice, dry_run=False)
        if applied.version is None:
            self.stdout.write(f"{applied.plan.key} is changed; its prices stay.")
        elif applied.version.is_draft:
            self.stdout.write(f"{applied.version} is a draft.")
        else:
            self.stdout.write(f"{applied.version} is active.")
            self._say_what_follows(applied.version, moves_existing=not options["stay"])

    def _say_what_follows(self, version: PlanVersion, *, moves_existing: bool) -> None:
        if version.number > 1:
            become = "get it with their next period" if moves_existing else "stay on the version that they have"
            self.stdout.write(f"Customers on the plan {become}.")
        made = PlanVersion.objects.filter(plan__base=version.plan, activated_at=version.activated_at)
        for private in made.select_related("plan__customer").order_by("plan__key"):
            self.stdout.write(f"{private} follows it, and is active.")

    def _read(self, name: str) -> Any:
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{name}: {getattr(error, 'strerror', '') or 'it is no text in UTF-8'}.") from None
        form = "json" if name.endswith(".json") or text.lstrip().startswith("{") else "yaml"
        try:
            return read_text(text, form)
        except DocumentFault as fault:
            raise CommandError(f"{name}: {fault}") from None

    def _confirmed(self, options: dict[str, Any]) -> bool:
        if options["file"] == "-":
            raise CommandError("There is nobody to ask: say --yes, or --dry-run.")
        question = "Make this the active version? [y/N] " if options["activate"] else "Make this the draft? [y/N] "
        try:
            return input(question).strip().lower() in ("y", "yes")
        except EOFError:
            raise CommandError("There is nobody to ask: say --yes, or --dry-run.") from None


def words(difference: Difference) -> str:
    """ "~ API calls", with the lines before and after below it."""
    lines = [f"  {SIGNS[difference.kind]} {difference.subject}"]
    lines += [f"      - {line}" for line in difference.before]
    lines += [f"      + {line}" for line in difference.after]
    return "\n".join(lines)


def _apply(document: Any, **choice: Any) -> Applied:
    try:
        return apply_plan(document, **choice, actor="command line")
    except ValidationError as error:
        faults = [f"{path}: {' '.join(texts)}" for path, texts in error.message_dict.items()]
        raise CommandError("\n".join(faults)) from None
