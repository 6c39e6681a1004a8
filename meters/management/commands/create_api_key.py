"""`manage.py create_api_key NAME --scope ingest`: makes a key and prints it once."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from meters.keys import create_api_key
from meters.models import ApiKey, Customer
from meters.staff_roles import StaffRole

MAX_DAYS = 3650


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
        parser.add_argument(
            "--role",
            choices=StaffRole.values,
            default=StaffRole.OWNER.value,
            help="Bounds what the scopes open to what staff of this role may do. Default: owner, all of it.",
        )
        parser.add_argument("--customer", metavar="KEY", help="Restricts it to this customer. Default: all customers.")
        parser.add_argument("--expires-in-days", type=int, metavar="DAYS", help="Default: it never expires.")
        parser.add_argument(
            "--rate-limit", type=int, metavar="N", help="Requests a second. Default: the account's limit."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        days, customer_key = options["expires_in_days"], options["customer"]
        customer = None
        if customer_key is not None:
            customer = Customer.objects.filter(key=customer_key).first()
            if customer is None:
                raise CommandError(f"--customer: there is none with the key {customer_key!r}.")
        if days is not None and not 0 < days <= MAX_DAYS:
            raise CommandError(f"--expires-in-days: from 1 to {MAX_DAYS}.")
        try:
            _, text = create_api_key(
                name=options["name"],
                scopes=options["scope"],
                customer=customer,
                expires_at=None if days is None else timezone.now() + timedelta(days=days),
                rate_limit=options["rate_limit"],
                role=options["role"],
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        self.stdout.write(text)
