"""`manage.py export_plan Basic --format yaml --output plans/basic.yaml`: a plan as one document."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from pricing.document_text import FORMATS, write_text
from pricing.documents import export_plan
from pricing.models import Plan


class Command(BaseCommand):
    help = "Writes a plan's names, terms, rates and fees as one document, as apply_plan reads it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="The key of the plan.")
        parser.add_argument("--format", choices=FORMATS, default="json")
        parser.add_argument("--output", metavar="FILE", type=Path, help="Default: the standard output.")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = Plan.objects.select_related("base", "customer").filter(key=options["key"]).first()
        if plan is None:
            raise CommandError(f"There is no plan with the key {options['key']!r}.")
        text = write_text(export_plan(plan), options["format"])
        if options["output"] is None:
            self.stdout.write(text, ending="")
            return
        try:
            options["output"].write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options['output']}: {error.strerror}.") from None
