"""`manage.py verify_usage`: recounts the raw events against buckets, distinct values and keys."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from meters import verification
from meters.models import Customer

WIDTH = 40


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ArgumentTypeError("a whole number above 0")
    return int(text)


class Command(BaseCommand):
    help = (
        "Recounts the raw events against what is computed from them, and prints each difference. Ends with 1 where a "
        "difference is left, or events are lost."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--customer", metavar="KEY", help="This customer alone.")
        which.add_argument("--sample", type=positive, metavar="N", help="So many customers, chosen at random.")
        parser.add_argument("--repair", action="store_true", help="Make what differs anew from the events.")

    def handle(self, *args: Any, **options: Any) -> None:
        spans = self._spans(options["customer"], options["sample"])
        customers = sum(span.customers for span in spans)
        checked = found = left = released = 0
        self._show(0, customers)
        for chunk in verification.verify(spans, repair=options["repair"]):
            checked += chunk.customers
            found += len(chunk.differences)
            left += len(chunk.left)
            released += chunk.released
            if chunk.differences:
                self._clear()
                for line in verification.in_words(chunk.differences):
                    self.stdout.write(line)
            self._show(checked, customers)
        self._clear()
        said = f"Customers checked: {checked}. Differences: {found}"
        if options["repair"] and found:
            said += f", left after the repair: {left}"
        if released:
            said += f". Keys released: {released}. Their events are lost, and count once they are sent again"
        if left or released:
            raise CommandError(f"{said}.")
        self.stdout.write(f"{said}.")

    def _spans(self, key: str | None, sample: int | None) -> list[verification.Span]:
        if key is not None:
            customer = Customer.objects.filter(key=key).first()
            if customer is None:
                raise CommandError(f"There is no customer {key!r}.")
            return verification.spans_of([customer])
        if sample is not None:
            return verification.spans_of(verification.sample(sample))
        return verification.spans_of_all()

    def _show(self, checked: int, customers: int) -> None:
        """The bar, drawn over itself on a terminal and left out where a log would keep each of its states."""
        if self.stderr.isatty():
            done = WIDTH * checked // max(customers, 1)
            bar = "#" * done + "." * (WIDTH - done)
            self.stderr.write(f"\r[{bar}] {checked:,} of {customers:,} customers", ending="", style_func=str)
            self.stderr.flush()

    def _clear(self) -> None:
        if self.stderr.isatty():
            self.stderr.write("\r\x1b[K", ending="", style_func=str)
            self.stderr.flush()
