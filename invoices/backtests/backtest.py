"""A plan version against usage that has been: what its customers paid, and what they would have paid.

The work is done in chunks of customers, each in one transaction with its rows and its progress, under the lock of the
backtest's row. So a worker that dies loses one chunk, whoever comes next goes on behind the last that was committed,
and of two workers that come at once one finds the row locked and leaves.
"""

import logging
import time
from datetime import UTC, datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from invoices.backtests.compare import compare
from invoices.backtests.prices import prices_of, version_of
from invoices.backtests.summary import add_up, conclude, detail_of
from invoices.models import Backtest, BacktestRow
from invoices.pricing_of import priced_version
from pricing.models import Assignment, Plan, PlanVersion

logger = logging.getLogger(__name__)

DEFAULT_PERIODS, MOST_PERIODS = 3, 36
# Of a plan; an older one goes, with its rows, when there are more.
KEPT = 20
# Customers (assignments) in a transaction, about a second of work.
CHUNK = 250
# A message's share of work: other messages have their turn in between.
SLICE_SECONDS = 5
# A worker that has said nothing for so long is gone, or its message is.
SILENCE = timedelta(seconds=20)
# What was said so far ahead was said by a clock that has been put back since.
AHEAD = timedelta(minutes=10)

UNFINISHED = (Backtest.Status.WAITING, Backtest.Status.RUNNING)


@transaction.atomic
def start_backtest(
    *, plan: Plan, version: PlanVersion | None = None, periods: int = DEFAULT_PERIODS, actor: str = ""
) -> Backtest:
    """Asks for a backtest of a version (default: the draft, without one the active version) on the last `periods`
    periods of each customer of the plan. It works on a copy of the version's prices.

    Raises ValidationError by field: for a version without prices or of another plan, a number of periods that is not
    from 1 to 36, and while another backtest of the plan is not finished.
    """
    plan = Plan.objects.select_for_update().get(pk=plan.pk)
    if not 1 <= periods <= MOST_PERIODS:
        raise ValidationError({"periods": f"From 1 to {MOST_PERIODS} periods."})
    if version is None:
        version = plan.versions.filter(status__in=["draft", "active"]).order_by("-number").first()
    if version is None or version.plan_id != plan.pk:
        raise ValidationError({"version": "The plan has no such version."})
    priced = priced_version(version)
    if not priced.rates and not priced.fees:
        raise ValidationError({"version": f"{version} has no prices yet."})
    if plan.backtests.filter(status__in=UNFINISHED).exists():
        raise ValidationError("A backtest of this plan is not finished yet. Wait for it, then start another.")
    for old in plan.backtests.order_by("-id")[KEPT - 1 :]:
        old.delete()
    backtest = Backtest.objects.create(
        plan=plan, version=version, periods=periods, prices=prices_of(priced), actor=actor
    )
    backtest.total = customers_of(backtest).count()
    backtest.save(update_fields=["total"])
    return backtest


def customers_of(backtest: Backtest) -> "QuerySet[Assignment]":
    """The assignments that a backtest is about: those of the plan that ran when it was asked for. Of a private plan
    those of its customer to the plan that it was made of, too: they are what it is to take the place of."""
    today = backtest.created_at.astimezone(UTC).date()
    plans = Q(plan=backtest.plan)
    if backtest.plan.base_id is not None:
        plans |= Q(plan=backtest.plan.base_id, customer=backtest.plan.customer_id)
    running = Q(ends_on=None) | Q(ends_on__gt=today)
    made = Assignment.objects.filter(starts_on__lte=today, created_at__lte=backtest.created_at)
    return made.filter(plans, running).order_by("pk")


def hold_backtests(version: PlanVersion) -> None:
    """Keeps workers off the backtests of a version that is about to be deleted, in the transaction that does it: one
    would write rows of what is gone."""
    list(Backtest.objects.select_for_update().filter(version=version).order_by("pk"))


def work_on(backtest_id: int, *, seconds: int = SLICE_SECONDS) -> bool:
    """Works on a backtest for so long; answers whether there is more to do. Nothing where another worker is on it.

    What cannot be computed makes it a failed one. Raises OperationalError where the database is gone.
    """
    began = time.monotonic()
    while _next_chunk(backtest_id):
        if time.monotonic() - began >= seconds:
            return True
    return False


def unattended(now: datetime, limit: int) -> list[int]:
    """Ids of unfinished backtests that no worker is on: none came yet, or it fell silent."""
    silent = _not_lately("seen_at", now) | (Q(seen_at=None) & _not_lately("created_at", now))
    return list(
        Backtest.objects.filter(silent, status__in=UNFINISHED).order_by("id").values_list("id", flat=True)[:limit]
    )


def _not_lately(field: str, now: datetime) -> Q:
    return Q(**{f"{field}__lte": now - SILENCE}) | Q(**{f"{field}__gt": now + AHEAD})


def _next_chunk(backtest_id: int) -> bool:
    """Takes a backtest one chunk on; answers whether there is another."""
    try:
        with transaction.atomic():
            backtest = (
                Backtest.objects.select_for_update(skip_locked=True, of=("self",))
                .select_related("plan", "version__plan")
                .filter(pk=backtest_id, status__in=UNFINISHED)
                .first()
            )
            return backtest is not None and _advance(backtest)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("backtest %s failed", backtest_id)
        Backtest.objects.filter(pk=backtest_id, status__in=UNFINISHED).update(
            status=Backtest.Status.FAILED, error=str(error)[:500], finished_at=timezone.now()
        )
        return False


def _advance(backtest: Backtest) -> bool:
    now = timezone.now()
    backtest.started_at = backtest.started_at or now
    backtest.seen_at = now
    backtest.status = Backtest.Status.RUNNING
    following = customers_of(backtest).filter(pk__gt=backtest.summary.get("after", 0))
    assignments = list(following.select_related("customer", "plan")[:CHUNK])
    if assignments:
        made = compare(
            assignments,
            version_of(backtest.prices, backtest.version),
            periods=backtest.periods,
            as_of=backtest.created_at,
        )
        BacktestRow.objects.bulk_create(
            BacktestRow(
                backtest=backtest,
                assignment=row.assignment,
                customer=row.assignment.customer,
                period_start=row.period.start,
                period_end=row.period.end,
                currency_then=row.currency_then,
                currency_now=row.currency_now,
                amount_then=row.then,
                amount_now=row.now,
                detail=detail_of(row),
            )
            for row in made.rows
        )
        add_up(backtest.summary, made)
        backtest.summary["after"] = assignments[-1].pk
        backtest.done += len(assignments)
    is_over = len(assignments) < CHUNK
    if is_over:
        conclude(backtest)
        backtest.summary.pop("after", None)
        # Whoever left the plan meanwhile is not missing from it.
        backtest.total = backtest.done
        backtest.status = Backtest.Status.DONE
        backtest.finished_at = timezone.now()
    backtest.save()
    return not is_over
