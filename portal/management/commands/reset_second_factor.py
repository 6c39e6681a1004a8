"""`manage.py reset_second_factor USER`: for staff who have lost their device, where no owner can do it in the admin."""

from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from portal.staff.second_factor import remove_device


class Command(BaseCommand):
    help = "Removes the second factor of a person with its recovery codes, and signs that person out everywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="The user name.")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']!r}.")
        if not remove_device(user, now=timezone.now()):
            raise CommandError(f"{user} has no second factor.")
        # The log of the admin knows no commands: it stands there as the person's own.
        LogEntry.objects.log_actions(user.pk, [user], CHANGE, "Second factor reset by manage.py.", single_object=True)
        self.stdout.write(f"{user} has no second factor any more, and is signed out.")
