"""Bills that were beside bills that would have been: both by `compute`, on the same usage, before tax."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from django.db.models import F, Sum, Window
from django.db.models.functions import RowNumber

from invoices.adjustments import NOTHING_TRIED, Tried, promotions_of
from invoices.backtests.spans import Compared, Past, spans_of
from invoices.computing import compute
from invoices.drafting import Draft
from invoices.free_tier import FreeTier, free_tiers
from invoices.models import Invoice, InvoiceLine
from invoices.pricing_of import PricedVersion, frozen_version
from invoices.subjects import Subject
from meters.cycles import Cycle
from meters.periods import Period
from pricing.models import AppliedPromotion, Assignment
from pricing.money import total_of
from pricing.terms import PromotionTerms
from pricing.version_choice import cycle_of

Promotions = tuple[PromotionTerms, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A span of an assignment, what it came to, and what it would have come to; by product item how much is free."""

    assignment: Assignment
    period: Period
    currency_then: str
    currency_now: str
    then: Decimal
    now: Decimal
    free_then: Mapping[int, FreeTier]
    free_now: Mapping[int, FreeTier]


@dataclass(slots=True)
class Comparison:
    rows: list[Row] = field(default_factory=list)
    # Assignments without a period that is over, and those of which some periods could not be compared, with how many.
    without: list[Assignment] = field(default_factory=list)
    left_out: list[tuple[Assignment, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Job:
    """One row to be: the invoices of a span, oldest first, and the periods that would have been in it. `then` and
    `would_be` count the periods of promotions by all compared invoices of the assignment, and by what would have been
    in place of these."""

    assignment: Assignment
    invoices: Sequence[Invoice]
    now: Sequence[Period]
    then: Tried = NOTHING_TRIED
    would_be: Tried = NOTHING_TRIED


def compare(assignments: Sequence[Assignment], priced: PricedVersion, *, periods: int, as_of: datetime) -> Comparison:
    """The last `periods` periods of these assignments that were over at `as_of`, by the version that each of their
    invoices has and by `priced`.

    Customers without a capped promotion are computed together; what a cap leaves depends on the bills before it.
    """
    made = Comparison()
    invoices = _last_invoices(assignments, periods, as_of)
    jobs: list[_Job] = []
    capped_jobs: dict[int, list[_Job]] = defaultdict(list)
    promoted, capped = _promoted(assignments)
    for assignment in assignments:
        some = invoices[assignment.pk]
        if not some:
            made.without.append(assignment)
            continue
        for invoice in some:
            invoice.assignment = assignment
        found, left_out = _jobs(assignment, some, priced)
        if left_out:
            made.left_out.append((assignment, left_out))
        if assignment.customer_id in capped:
            capped_jobs[assignment.pk] = found
        else:
            jobs += found
    made.rows += _together(jobs, priced, promoted, as_of)
    for of_one in capped_jobs.values():
        made.rows += _one_by_one(of_one, priced, as_of)
    return made


def _last_invoices(assignments: Sequence[Assignment], periods: int, as_of: datetime) -> dict[int, list[Invoice]]:
    newest_first = Window(RowNumber(), partition_by="assignment", order_by=F("period_start").desc())
    found = (
        Invoice.objects.filter(assignment__in=assignments, period_end__lte=as_of, is_correction=False)
        .exclude(status=Invoice.Status.VOID)
        .annotate(place=newest_first)
        .filter(place__lte=periods)
        .order_by("assignment", "period_start")
    )
    by_assignment: dict[int, list[Invoice]] = defaultdict(list)
    for invoice in found:
        by_assignment[invoice.assignment_id].append(invoice)
    return by_assignment


def _promoted(assignments: Sequence[Assignment]) -> tuple[set[int], set[int]]:
    """The customers that have a promotion, and those that have one with a cap."""
    applied = AppliedPromotion.objects.filter(customer__in={assignment.customer_id for assignment in assignments})
    found = list(applied.values_list("customer", "promotion__cap"))
    return {customer for customer, _ in found}, {customer for customer, cap in found if cap is not None}


def _jobs(assignment: Assignment, invoices: Sequence[Invoice], priced: PricedVersion) -> tuple[list[_Job], int]:
    """The rows to be of an assignment, and how many of its periods are in none."""
    spans = spans_of(
        [Past(invoice.period, _cycle_then(invoice, assignment)) for invoice in invoices],
        cycle_of(priced.version, assignment),
        assignment.zone,
        starts_at=assignment.starts_at,
        ends_at=assignment.ends_at,
    )
    jobs, left_out = [], len(spans.left_out)
    for span in spans.compared:
        if _is_one_currency(span, invoices):
            jobs.append(_Job(assignment, invoices[span.first : span.end], span.now))
        else:
            left_out += span.end - span.first
    compared = frozenset(invoice.pk for job in jobs for invoice in job.invoices)
    were = [_stand_in(job, one.period, one.currency) for job in jobs for one in job.invoices]
    would_be = [_stand_in(job, period, priced.currency) for job in jobs for period in job.now]
    then, now = Tried(were, compared), Tried(would_be, compared)
    return [replace(job, then=then, would_be=now) for job in jobs], left_out


def _cycle_then(invoice: Invoice, assignment: Assignment) -> Cycle:
    return cycle_of(frozen_version(invoice.plan_version_id).version, assignment)


def _is_one_currency(span: Compared, invoices: Sequence[Invoice]) -> bool:
    return len({invoice.currency for invoice in invoices[span.first : span.end]}) == 1


# --- Computing ---


def _together(jobs: Sequence[_Job], priced: PricedVersion, promoted: set[int], as_of: datetime) -> list[Row]:
    subjects: list[Subject] = []
    for job in jobs:
        then, now = _promotions(job, priced, has_some=job.assignment.customer_id in promoted)
        subjects += [_then(job, *one) for one in zip(job.invoices, then, strict=True)]
        subjects += [_now(job, period, priced, some) for period, some in zip(job.now, now, strict=True)]
    drafts = iter([computed.draft for computed in compute(subjects, now=as_of)])
    return [_row(job, [next(drafts) for _ in job.invoices], [next(drafts) for _ in job.now], priced) for job in jobs]


def _promotions(job: _Job, priced: PricedVersion, *, has_some: bool) -> tuple[list[Promotions], list[Promotions]]:
    """Those of each bill that was and of each that would have been. They are asked for one by one, so only for
    customers who have some, and once where the bills are for the same periods in the same currency."""
    if not has_some:
        return [()] * len(job.invoices), [()] * len(job.now)
    then = [promotions_of(invoice, job.then) for invoice in job.invoices]
    same_periods = [invoice.period for invoice in job.invoices] == list(job.now)
    if same_periods and all(invoice.currency == priced.currency for invoice in job.invoices):
        return then, then
    stand_ins = [_stand_in(job, period, priced.currency) for period in job.now]
    return then, [promotions_of(one, job.would_be) for one in stand_ins]


def _one_by_one(jobs: Sequence[_Job], priced: PricedVersion, as_of: datetime) -> list[Row]:
    """The rows of one assignment, in order: what a bill takes of a cap, the next one does not have."""
    caps_then, caps_now = _Caps(jobs), _Caps(jobs)
    rows = []
    for job in jobs:
        then = [caps_then.bill(_then(job, one, promotions_of(one, job.then)), one, as_of) for one in job.invoices]
        stand_ins = [_stand_in(job, period, priced.currency) for period in job.now]
        now = [
            caps_now.bill(_now(job, one.period, priced, promotions_of(one, job.would_be)), one, as_of)
            for one in stand_ins
        ]
        rows.append(_row(job, then, now, priced))
    return rows


def _then(job: _Job, invoice: Invoice, promotions: Promotions) -> Subject:
    priced = frozen_version(invoice.plan_version_id)
    return Subject(job.assignment.customer, job.assignment, priced, invoice.period, promotions)


def _now(job: _Job, period: Period, priced: PricedVersion, promotions: Promotions) -> Subject:
    return Subject(job.assignment.customer, job.assignment, priced, period, promotions)


def _stand_in(job: _Job, period: Period, currency: str) -> Invoice:
    """The invoice that would have been, in the place of the first that was: to ask which promotions it would get."""
    first = job.invoices[0]
    return Invoice(
        pk=first.pk,
        customer_id=job.assignment.customer_id,
        assignment=job.assignment,
        period_start=period.start,
        period_end=period.end,
        time_zone=first.time_zone,
        currency=currency,
    )


class _Caps:
    """What caps leave for the bills of an assignment that are computed one after the other: what its compared invoices
    really took comes back to them, what the bills before took comes off."""

    def __init__(self, jobs: Sequence[_Job]) -> None:
        invoices = {invoice.pk: invoice for job in jobs for invoice in job.invoices}
        lines = InvoiceLine.objects.filter(invoice__in=invoices, promotion__isnull=False)
        sums = lines.order_by().values_list("invoice", "promotion").annotate(Sum("amount"))
        self.stored = [(invoices[invoice], applied, -amount) for invoice, applied, amount in sums]
        # By promotion and currency: a cap is of what was taken in its own.
        self.taken: dict[tuple[int, str], Decimal] = defaultdict(Decimal)

    def bill(self, subject: Subject, invoice: Invoice, as_of: datetime) -> Draft:
        """The bill of a subject whose promotions are those of `invoice`."""
        promotions = tuple(
            one if one.left is None else replace(one, left=self._left(one.id, one.left, invoice))
            for one in subject.promotions
        )
        (computed,) = compute([replace(subject, promotions=promotions)], now=as_of)
        for line in computed.draft.lines:
            if line.promotion_id is not None:
                self.taken[line.promotion_id, invoice.currency] -= line.amount
        return computed.draft

    def _left(self, applied: int, left: Decimal, invoice: Invoice) -> Decimal:
        """`left` is what all other invoices that count leave (`promotions_of` says which)."""
        for other, promotion, amount in self.stored:
            counts = other.period_start < invoice.period_start or other.status == Invoice.Status.FINAL
            if promotion == applied and counts and other.pk != invoice.pk and other.currency == invoice.currency:
                left += amount
        return max(left - self.taken[applied, invoice.currency], Decimal(0))


def _row(job: _Job, then: Sequence[Draft], now: Sequence[Draft], priced: PricedVersion) -> Row:
    return Row(
        assignment=job.assignment,
        period=Period(job.invoices[0].period_start, job.invoices[-1].period_end),
        currency_then=job.invoices[0].currency,
        currency_now=priced.currency,
        then=total_of(draft.subtotal for draft in then),
        now=total_of(draft.subtotal for draft in now),
        free_then=_free(then),
        free_now=_free(now),
    )


def _free(drafts: Sequence[Draft]) -> dict[int, FreeTier]:
    found: dict[int, FreeTier] = defaultdict(FreeTier)
    for draft in drafts:
        for item, tier in free_tiers(draft.lines):
            found[item] = found[item] + tier
    return dict(found)
