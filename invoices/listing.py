"""A customer's invoices summed up and narrowed: what is to be paid of them, by year and by state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, DateTimeField, F, Func, Max, Min, Q, QuerySet, Sum, TextChoices
from django.db.models.functions import Coalesce, ExtractYear

from invoices.models import Invoice
from invoices.settling.settlement import UNSETTLED, overdue
from meters.words import INSTANT

ZERO = Decimal(0)
TO_PAY = Q(UNSETTLED, status=Invoice.Status.FINAL)
# What `Invoice.amount_due` is of a final one.
DUE = F("total") - F("credits_applied") - F("credited") - F("paid") - F("written_off")


class State(TextChoices):
    """What can be asked for. What is overdue is to be paid, too."""

    TO_PAY = "to_pay", "To pay"
    OVERDUE = "overdue", "Overdue"
    PAID = "paid", "Paid"
    WRITTEN_OFF = "written_off", "Written off"
    VOID = "void", "Void"


@dataclass(frozen=True, slots=True)
class Owed:
    """What is left to pay in one currency, and how much of it is overdue."""

    currency: str
    to_pay: Decimal
    to_pay_count: int
    overdue: Decimal
    overdue_count: int


@dataclass(frozen=True, slots=True)
class Listing:
    """`owed`: for each currency of the invoices. `years`: those that a period has a day in, newest first."""

    owed: Sequence[Owed]
    years: Sequence[int]


def listing_of(invoices: "QuerySet[Invoice]", *, now: datetime) -> Listing:
    """Sums these invoices up, in one statement."""
    late = Q(pk__in=overdue(Invoice.objects.filter(pk__in=invoices.values("pk")), now).values("pk"))
    rows = (
        invoices.order_by()
        .values("currency")
        .annotate(
            to_pay=Coalesce(Sum(DUE, filter=TO_PAY), ZERO),
            to_pay_count=Count("pk", filter=TO_PAY),
            overdue=Coalesce(Sum(DUE, filter=late), ZERO),
            overdue_count=Count("pk", filter=late),
            first=Min(_first_year()),
            last=Max(_last_year()),
        )
        .order_by("currency")
    )
    found = list(rows)
    years = range(min((row["first"] for row in found), default=1), max((row["last"] for row in found), default=0) + 1)
    owed = [
        Owed(row["currency"], row["to_pay"], row["to_pay_count"], row["overdue"], row["overdue_count"]) for row in found
    ]
    return Listing(owed, list(reversed(years)))


def of_year(invoices: "QuerySet[Invoice]", year: int) -> "QuerySet[Invoice]":
    """Those whose period has a day in that year, in their own zones: a week may be of two."""
    return invoices.alias(first_year=_first_year(), last_year=_last_year()).filter(
        first_year__lte=year, last_year__gte=year
    )


def in_state(invoices: "QuerySet[Invoice]", state: State, *, now: datetime) -> "QuerySet[Invoice]":
    if state == State.OVERDUE:
        return overdue(invoices, now)
    if state == State.TO_PAY:
        return invoices.filter(TO_PAY)
    if state == State.VOID:
        return invoices.filter(status=Invoice.Status.VOID)
    return invoices.filter(status=Invoice.Status.FINAL, payment_status=state.value)


def _first_year() -> ExtractYear:
    return ExtractYear(_local(F("period_start")))


def _last_year() -> ExtractYear:
    return ExtractYear(_local(F("period_end") - INSTANT))


def _local(instant: object) -> Func:
    """The wall's time in the invoice's own zone; named as UTC, so that nothing shifts it again."""
    return Func(
        F("time_zone"),
        instant,
        template="(timezone(%(expressions)s) AT TIME ZONE 'UTC')",
        output_field=DateTimeField(),
    )
