"""Many assignments at once: every row is tried, and then all of them are stored or none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from meters.models import Customer
from meters.periods import read_day
from meters.words import day_words
from pricing.assignments import assign
from pricing.models import Assignment, Plan

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


class _Undo(Exception):
    """Takes everything back that was tried."""


def import_assignments(
    rows: Iterable[Mapping[str, str]], *, actor: str, dry_run: bool, source: str = Assignment.Source.IMPORT
) -> Imported:
    """Puts the customer of each row on its plan; days are written 2026-12-31. All rows are stored, or none: where one
    is wrong, or in a dry run, nothing is left of it. Nothing else happens in a dry run than would happen.

    A row may say on which `line` it stands; otherwise a heading is the first line. A customer that is on the plan
    with just these days already is left there. Raises ValidationError for more rows than can be done at a time.
    """
    rows = list(rows)
    if len(rows) > MOST_ROWS:
        raise ValidationError({"rows": f"At most {MOST_ROWS:,} rows at a time."})
    done: list[ImportedRow] = []
    assigned = 0
    try:
        with transaction.atomic():
            customers, plans = _locked(rows)
            for index, row in enumerate(rows):
                made, outcome = _import_row(_text(row, "line") or str(index + 2), row, customers, plans, actor, source)
                assigned += made
                done.append(outcome)
            if dry_run or any(row.errors for row in done):
                raise _Undo
    except _Undo:
        return Imported(done, assigned, stored=False)
    return Imported(done, assigned, stored=True)


def _locked(rows: Sequence[Mapping[str, str]]) -> tuple[dict[str, Customer], dict[str, Plan]]:
    """The customers and plans that rows name, held in the order in which every assignment takes them: two imports of
    the same customers would otherwise wait for each other in a circle."""
    customers = Customer.objects.filter(key__in={_text(row, "customer") for row in rows} - {""}).order_by("pk")
    held = {customer.key: customer for customer in customers.select_for_update(no_key=True)}
    named = Plan.objects.filter(key__in={_text(row, "plan") for row in rows} - {""})
    theirs = Plan.objects.filter(assignments__customer__in=held.values())
    concerned = Plan.objects.filter(Q(pk__in=named.values("pk")) | Q(pk__in=theirs.values("pk")))
    plans = concerned.order_by("pk").select_for_update(no_key=True)
    return held, {plan.key: plan for plan in plans}


def _import_row(
    line: str,
    row: Mapping[str, str],
    customers: Mapping[str, Customer],
    plans: Mapping[str, Plan],
    actor: str,
    source: str,
) -> tuple[int, ImportedRow]:
    """Whether an assignment was made for a row, and what is told of it."""
    customer, plan = customers.get(_text(row, "customer")), plans.get(_text(row, "plan"))
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
        return 0, ImportedRow(**told, errors=errors)  # type: ignore[arg-type]
    span = f"from {day_words(starts_on)}"
    same = {"plan": plan, "starts_on": starts_on, "ends_on": days["ends_on"], "anchor_on": days["anchor_on"]}
    if Assignment.objects.filter(customer=customer, **same).exists():
        return 0, ImportedRow(**told, outcome=f"Is on {plan} {span} already")  # type: ignore[arg-type]
    try:
        with transaction.atomic():
            assign(customer=customer, **same, source=source, actor=actor)  # type: ignore[arg-type]
    except ValidationError as error:
        return 0, ImportedRow(**told, errors=error.message_dict)  # type: ignore[arg-type]
    return 1, ImportedRow(**told, outcome=f"On {plan} {span}")  # type: ignore[arg-type]


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
