"""`manage.py distribute`: spreads what grows with usage over the nodes of a Citus cluster (docs/scale.md)."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.template.defaultfilters import filesizeformat

from meters import distribution
from meters.distribution import CannotDistribute, Plan


def shards(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1024:
        raise ArgumentTypeError("a whole number from 1 to 1024")
    return int(text)


class Command(BaseCommand):
    help = (
        "Distributes the tables that grow with usage by customer over the nodes of a Citus cluster, and puts the "
        "dictionary of dimensions on each. Says what it will do first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and do nothing.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument(
            "--shards", type=shards, default=distribution.SHARDS, metavar="N", help="Into how many parts (%(default)s)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("There are migrations to apply: run `manage.py migrate` first.")
        try:
            plan = distribution.plan(options["shards"])
        except CannotDistribute as error:
            raise CommandError(str(error)) from error
        self._tell(plan)
        if not plan.left and plan.keeps_connections:
            self.stdout.write("Nothing is left to do.")
            return
        if options["dry_run"]:
            self.stdout.write("Nothing was done (--dry-run).")
            return
        if not options["yes"] and not self._is_sure():
            raise CommandError("Nothing was done.")
        try:
            for table in distribution.distribute(plan) if plan.left else ():
                self.stdout.write(f"{table} ...")
            if not plan.keeps_connections:
                distribution.keep_connections(plan.kept_connections)
        except CannotDistribute as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Done. Start web servers and workers again, and run `manage.py verify_usage`.")

    def _tell(self, plan: Plan) -> None:
        self.stdout.write(f"Citus {plan.version}. Shards go to {', '.join(plan.nodes)}.")
        if plan.is_alone:
            self.stdout.write("That is the coordinator alone: add workers (citus_add_node) to use more machines.")
        for step in plan.steps:
            what = "whole on each node" if step.is_reference else "by customer"
            if not step.is_reference and not any(other.done for other in plan.steps if not other.is_reference):
                what += f", in {plan.shards} shards"
            state = "done already" if step.done else f"{filesizeformat(step.bytes)} to copy"
            self.stdout.write(f"  {step.table:<22}{what} ({state})")
        state = "done already" if plan.keeps_connections else f"up to {plan.kept_connections} each"
        self.stdout.write(f"  connections to the nodes are kept open ({state}; ALTER ROLE in this database)")
        if plan.left:
            self.stdout.write(
                "All in one transaction. Stop web servers, workers and beat first: who uses these tables waits until "
                "it is done. The disks of the nodes need room for what is copied, and this one for both until the end."
            )

    def _is_sure(self) -> bool:
        self.stdout.write("Go on? Type yes: ", ending="")
        self.stdout.flush()
        try:
            return input().strip() == "yes"
        except EOFError:
            return False
