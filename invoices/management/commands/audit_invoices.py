"""`manage.py audit_invoices`: counts and rates invoices again from the raw events, and checks numbers and ledgers."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from invoices.auditing.checks import NAMES
from invoices.auditing.runs import MOST_KEPT, give_up, start_audit, work_on
from invoices.models import AuditFinding, AuditRun

WIDTH = 40


class Command(BaseCommand):
    help = (
        "Counts and rates all invoices again from the raw events, compares them with what is stored, and checks "
        "numbers, ledgers and usage that nothing bills. Prints each finding; ends with 1 where there is one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--customer", metavar="KEY", default="", help="This customer alone.")
        parser.add_argument(
            "--since", metavar="DAY", help="Usage from this day on, such as 2026-10-01, and invoices that have some."
        )
        parser.add_argument(
            "--check", action="append", choices=NAMES, default=[], help="This check alone; may be said several times."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            run = start_audit(
                customer=options["customer"], since=options["since"], checks=options["check"], actor="manage.py"
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        self._work(run)
        run.refresh_from_db()
        if run.status != AuditRun.Status.DONE:
            raise CommandError(f"The audit could not be finished. {run.error}".strip())
        if run.found > MOST_KEPT:
            self.stdout.write(f"There are {run.found - MOST_KEPT:,} more findings.")
        looked_at = ", ".join(f"{name} {run.checked[name]:,}" for name in NAMES if name in run.checked)
        left_out = "".join(f" Left out: {count:,} {WHY[name]}." for name, count in run.left_out.items())
        said = f"Customers: {run.done:,}. Looked at: {looked_at or 'nothing'}.{left_out} Findings: {run.found:,}."
        if run.found:
            raise CommandError(said)
        self.stdout.write(said)

    def _work(self, run: AuditRun) -> None:
        printed = 0
        try:
            self._show(run)
            more = True
            while more:
                more = work_on(run.pk, seconds=0)
                printed = self._print(run, printed)
                run.refresh_from_db()
                self._show(run)
        except BaseException as error:
            # Interrupted, or the database is gone: whoever comes next need not wait for this one.
            give_up(run.pk, f"It was stopped: {type(error).__name__}.")
            raise
        finally:
            self._clear()

    def _print(self, run: AuditRun, printed: int) -> int:
        for one in AuditFinding.objects.filter(run=run, pk__gt=printed).select_related("customer").order_by("pk"):
            self._clear()
            self.stdout.write(line_of(one))
            printed = one.pk
        return printed

    def _show(self, run: AuditRun) -> None:
        """The bar, drawn over itself on a terminal and left out where a log would keep each of its states."""
        if self.stderr.isatty():
            done = WIDTH * run.done // max(run.total, 1)
            bar = "#" * done + "." * (WIDTH - done)
            self.stderr.write(f"\r[{bar}] {run.done:,} of {run.total:,} customers", ending="", style_func=str)
            self.stderr.flush()

    def _clear(self) -> None:
        if self.stderr.isatty():
            self.stderr.write("\r\x1b[K", ending="", style_func=str)
            self.stderr.flush()


WHY = {
    "waiting": "invoices that newer usage waits to be worked into",
    "archived": "invoices for months whose events are archived",
}


def line_of(one: AuditFinding) -> str:
    """ "amounts acme: Calls on invoice 2026-0001 (1-30 Nov 2026): expected $40.00, found $45.00"."""
    whose = f" {one.customer.key}" if one.customer is not None else ""
    figures = [f"{word} {text}" for word, text in (("expected", one.expected), ("found", one.found)) if text]
    return f"{one.check_name}{whose}: {one.text}" + (f": {', '.join(figures)}" if figures else "")
