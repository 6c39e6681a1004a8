"""`manage.py migrate`, beside a Tollmeter that runs: a change that has to wait for a lock holds up nobody for long."""

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import LockNotAvailable

from meters.concurrently_sql import SET_LOCK_TIMEOUT

# Whoever wants to use a table that a change waits for waits behind it, so it waits for so long and gives way.
LOCK_SECONDS = 3
TRIES = 20
# Between two tries those who waited have their turn; more of it each time, up to so much.
LONGEST_PAUSE = 15


class Command(migrate.Command):
    help = f"{migrate.Command.help} A lock is waited for {LOCK_SECONDS} seconds at a time."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-seconds",
            type=float,
            default=LOCK_SECONDS,
            help="How long to wait for a lock at a time; 0: for good.",
        )
        parser.add_argument("--tries", type=int, default=TRIES, help="How often to try again behind such a wait.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["lock_seconds"] < 0 or options["tries"] < 1:
            raise CommandError("--lock-seconds is 0 or more, and --tries 1 or more.")
        connection = connections[options["database"]]
        try:
            for left in reversed(range(options["tries"])):
                with connection.cursor() as cursor:
                    cursor.execute(SET_LOCK_TIMEOUT, {"limit": f"{options['lock_seconds']:g}s"})
                try:
                    super().handle(*args, **options)
                    return
                except OperationalError as error:
                    if not isinstance(error.__cause__, LockNotAvailable):
                        raise
                    # The migration that waited was undone; those before it are there.
                    self._give_way(left, options)
        finally:
            if connection.connection is not None and not connection.in_atomic_block:
                with connection.cursor() as cursor:
                    cursor.execute("RESET lock_timeout")

    def _give_way(self, left: int, options: dict[str, Any]) -> None:
        if not left:
            raise CommandError(
                "Somebody holds a lock that this needs: a long transaction, or a backup. What was applied stays. "
                "Run it again when that is over; `SELECT * FROM pg_stat_activity ORDER BY xact_start` shows who it is."
            )
        pause = min(options["tries"] - left, LONGEST_PAUSE)
        self.stderr.write(f"Waited for a lock for {options['lock_seconds']:g} s; {left} tries are left.")
        time.sleep(pause)
