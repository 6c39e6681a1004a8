"""`manage.py create_api_key NAME --scope ingest`: makes a key and prints it once."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from meters.keys import create_api_key
from meters.models import ApiKey


class Command(BaseCommand):
    help = "Makes an API key and prints it; it is not shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="What the key is for, for example 'production gateway'.")
        parser.add_argument(
            "--scope",
            action="extend",
            nargs="+",
            required=True,
            choices=ApiKey.Scope.values,
            help="What the key may do: one or more of these.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            _, text = create_api_key(name=options["name"], scopes=options["scope"])
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        self.stdout.write(text)
