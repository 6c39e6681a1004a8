"""Many assignments at once: every row is checked, and then all of them are stored or none.

What the rows name is read in a few statements, and each is checked in memory against what is there and the rows before
it. Their invoices are opened afterwards, by the sweep: an assignment that is new has none which it could contradict.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from meters.models import Customer
from meters.periods import read_day
from meters.words import day_words
from pricing.assignments import check_new, store_new
from pricing.models import Assignment, Plan
from pricing.overlaps import Prices

COLUMNS = ("customer", "plan", "starts_on", "ends_on", "anchor_on")
REQUIRED = ("customer", "plan", "starts_on")
MOST_ROWS = 10_000
LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """One row: `customer` and `plan` as they were written, what becomes of it in words, or what is wrong by column."""

    line: int
    customer: str
    plan: str
    outcome: str = ""
    errors: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Imported:
    """`assigned`: how many assignments were made, or would have been; `stored`: whether they are there."""

    rows: list[ImportedRow]
    assigned: int
    stored: bool

    @property
    def wrong(self) -> int:
        """How many rows cannot be imported."""
        return sum(1 for row in self.rows if row.errors)


@dataclass(frozen=True, slots=True)
class _There:
    """What rows name. `assignments`: by customer in the order of their days, with those of the rows before."""

    customers: dict[str, Customer]
    plans: dict[str, Plan]
    assignments: dict[int, list[Assignment]]
    prices: Prices


@transaction.atomic
def import_assignments(
    rows: Iterable[Mapping[str, str]], *, actor: str, dry_run: bool, source: str = Assignment.Source.IMPORT
) -> Imported:
    """Puts the customer of each row on its plan; days are written 2026-12-31. All rows are stored, or none where one is
    wrong. A dry run checks the same, stores nothing, and holds nobody up.

    A row may say on which `line` it stands; otherwise a heading is the first line. A customer that is on the plan
    with just these days already is left there. Raises ValidationError for more rows than can be done at a time.
    """
    rows = list(rows)
    if len(rows) > MOST_ROWS:
        raise ValidationError({"rows": f"At most {MOST_ROWS:,} rows at a time."})
    there = _read(rows, lock=not dry_run)
    done: list[ImportedRow] = []
    new: list[Assignment] = []
    for index, row in enumerate(rows):
        made, outcome = _check_row(_text(row, "line") or str(index + 2), row, there, source)
        done.append(outcome)
        if made is not None:
            new.append(made)
            insort(there.assignments[made.customer_id], made, key=lambda one: one.starts_on)
    stored = not dry_run and not any(row.errors for row in done)
    if stored:
        store_new(new, actor=actor)
    return Imported(done, len(new), stored)


def _read(rows: Sequence[Mapping[str, str]], *, lock: bool) -> _There:
    """What rows name; locked, it is held in the order in which every assignment takes it: two imports of the same
    customers would otherwise wait for each other in a circle."""
    customers = Customer.objects.filter(key__in={_text(row, "customer") for row in rows} - {""}).order_by("pk")
    if lock:
        customers = customers.select_for_update(no_key=True)
    ids = [customer.pk for customer in customers]
    named = Plan.objects.filter(key__in={_text(row, "plan") for row in rows} - {""})
    theirs = Plan.objects.filter(assignments__customer__in=ids)
    plans = Plan.objects.filter(Q(pk__in=named.values("pk")) | Q(pk__in=theirs.values("pk"))).order_by("pk")
    if lock:
        plans = plans.select_for_update(no_key=True)
    by_key = {plan.key: plan for plan in plans}
    # Statements of their own: they see what was committed while these waited.
    assignments: dict[int, list[Assignment]] = defaultdict(list)
    for one in Assignment.objects.filter(customer__in=ids).select_related("plan").order_by("starts_on", "pk"):
        assignments[one.customer_id].append(one)
    prices = Prices(plan.pk for plan in by_key.values())
    return _There({customer.key: customer for customer in customers}, by_key, assignments, prices)


def _check_row(line: str, row: Mapping[str, str], there: _There, source: str) -> tuple[Assignment | None, ImportedRow]:
    """The assignment to be made for a row, if any, and what is told of it."""
    customer, plan = there.customers.get(_text(row, "customer")), there.plans.get(_text(row, "plan"))
    told = {
        "line": int(line) if line.isdecimal() and len(line) < 10 else 0,
        "customer": _text(row, "customer")[:LONGEST_SHOWN],
        "plan": _text(row, "plan")[:LONGEST_SHOWN],
    }
    errors: dict[str, list[str]] = {
        str(name): ["There is no such column."] for name in row if name not in (*COLUMNS, "line") and row[name]
    }
    errors |= {name: ["This is missing."] for name in REQUIRED if not _text(row, name)}
    if customer is None:
        errors.setdefault("customer", ["There is no customer with this key."])
    if plan is None:
        errors.setdefault("plan", ["There is no plan with this key."])
    days = {name: _day(row, name, errors) for name in ("starts_on", "ends_on", "anchor_on")}
    starts_on = days["starts_on"]
    if errors or customer is None or plan is None or starts_on is None:
        return None, ImportedRow(**told, errors=errors)  # type: ignore[arg-type]
    span = f"from {day_words(starts_on)}"
    beside = there.assignments[customer.pk]
    if any((one.plan_id, one.starts_on, one.ends_on, one.anchor_on) == (plan.pk, *days.values()) for one in beside):
        return None, ImportedRow(**told, outcome=f"Is on {plan} {span} already")  # type: ignore[arg-type]
    try:
        made = check_new(
            customer=customer,
            plan=plan,
            starts_on=starts_on,
            ends_on=days["ends_on"],
            anchor_on=days["anchor_on"],
            source=source,
            beside=beside,
            prices=there.prices,
        )
    except ValidationError as error:
        return None, ImportedRow(**told, errors=error.message_dict)  # type: ignore[arg-type]
    return made, ImportedRow(**told, outcome=f"On {plan} {span}")  # type: ignore[arg-type]


def _text(row: Mapping[str, str], name: str) -> str:
    """A cell without the blanks around it; NUL, which no key has, would be refused by the database."""
    return (row.get(name) or "").strip().replace("\0", "�")


def _day(row: Mapping[str, str], name: str, errors: dict[str, list[str]]) -> date | None:
    text = _text(row, name)
    if not text:
        return None
    try:
        return read_day(text)
    except ValueError:
        errors[name] = ["This is a day, written 2026-12-31."]
        return None
