"""What a check gets and what it answers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from invoices.models import Invoice
from meters.models import Customer
from meters.words import period_words
from pricing.money import format_amount, format_quantity

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    check: str
    text: str
    customer_id: int | None = None
    invoice_id: int | None = None
    expected: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """At whom, and when. Usage before `since` is left alone, and so are invoices for periods that ended before; sums
    and ledgers are looked at whole."""

    customers: Sequence[Customer]
    now: datetime
    since: datetime = BEGINNING

    @property
    def ids(self) -> list[int]:
        return [customer.pk for customer in self.customers]


@dataclass(slots=True)
class Seen:
    """What was looked at, and what was found. `waiting` are invoices, by their customers, that newer usage waits to be
    worked into, which says nothing of them; `left_out` is what can never be recounted, by reason."""

    findings: list[Finding] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    waiting: dict[int, int] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Seen") -> None:
        self.findings += other.findings
        self.checked.update(other.checked)
        self.waiting |= other.waiting
        self.left_out.update(other.left_out)

    @property
    def concerned(self) -> set[int]:
        """The customers that are worth another look."""
        found = {one.customer_id for one in self.findings if one.customer_id is not None}
        return found | set(self.waiting.values())


def name_of(invoice: Invoice) -> str:
    """ "invoice 2026-0042 (1–30 Nov 2026)"."""
    kind = f"invoice {invoice.number}" if invoice.number else f"the running bill {invoice.pk}"
    return f"{kind} ({period_words(invoice.period, invoice.zone)})"


def money_words(amount: Decimal, currency: str) -> str:
    """An amount with every digit that it has: half a cent too much must not look like nothing."""
    return format_amount(amount, currency)


def quantity_words(quantity: Decimal | None, unit: str) -> str:
    return "" if quantity is None else f"{format_quantity(quantity)} {unit}".strip()
