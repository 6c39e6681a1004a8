"""Runs of the audit: one at a time, in chunks of customers, taken up where a worker died.

A chunk is read in a snapshot, all of one moment, under no lock: neither events nor bills wait for it. What was found is
looked at once more, in another snapshot, and stored with the mark of how far the run is, unless another worker has
moved that mark meanwhile. So a worker that dies loses a chunk, and two that come at once store it once.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import TruncMonth
from django.utils import timezone

from invoices.auditing.checks import NAMES, OF_ACCOUNT, OF_CUSTOMERS
from invoices.auditing.looking import BEGINNING, Look, Seen
from invoices.models import AuditFinding, AuditRun, Invoice
from meters.models import Customer
from meters.periods import local_date, local_midnight, read_day
from meters.snapshot import snapshot

logger = logging.getLogger(__name__)

# Customers of one snapshot, some seconds of work at most.
CHUNK = 50
# A message's share of work: other messages have their turn in between.
SLICE_SECONDS = 5
# A worker that has said nothing for so long is gone, or its message is.
SILENCE = timedelta(minutes=2)
# So often a chunk is begun: one that takes its worker with it each time, or for which the database gives up, is not
# tried for ever.
MOST_TRIES = 10
STUCK = f"It was begun {MOST_TRIES} times at the same place and came no further. The log of the workers may say why."
# What newer usage waited for is looked at again after so long.
PAUSE_SECONDS = 1
# Findings of a run that are kept; the others are counted.
MOST_KEPT = 2000
# The time of the night when a run is due, at the account.
NIGHT = time_of_day(2, 30)
# So many of the last runs are kept, and of those before the last one of each month.
KEPT = 30
# An audit of everything is due every night; so long without one is worth a notice.
TOO_LONG = timedelta(days=2)

Status = AuditRun.Status


@transaction.atomic
def start_audit(
    *,
    customer: str = "",
    since: str | date | None = None,
    checks: Sequence[str] = (),
    actor: str = "",
    now: datetime | None = None,
) -> AuditRun:
    """Asks for an audit of everything; or of one customer (by key), of the usage from a day on, or by some checks.

    Raises ValidationError by field, and while another audit runs. One whose worker has long been silent is given up.
    """
    now = now or timezone.now()
    options: dict[str, object] = {}
    if customer:
        if not Customer.objects.filter(key=customer).exists():
            raise ValidationError({"customer": f"There is no customer {customer!r}."})
        options["customer"] = customer
    if since:
        try:
            options["since"] = (read_day(since) if isinstance(since, str) else since).isoformat()
        except ValueError as error:
            raise ValidationError({"since": f"{error}."}) from None
    if unknown := sorted(set(checks) - set(NAMES)):
        raise ValidationError({"checks": f"No such check: {', '.join(unknown)}. There are {', '.join(NAMES)}."})
    if checks:
        options["checks"] = [name for name in NAMES if name in checks]
    _running().filter(seen_at__lte=now - SILENCE).update(
        status=Status.FAILED, error="Its worker has gone.", finished_at=now
    )
    _thin()
    try:
        with transaction.atomic():
            run = AuditRun.objects.create(options=options, started_at=now, seen_at=now, actor=actor[:150])
    except IntegrityError:
        raise ValidationError("An audit is running. Wait for it, then start another.") from None
    run.total = customers_of(run).count()
    run.save(update_fields=["total"])
    return run


def _running() -> "QuerySet[AuditRun]":
    return AuditRun.objects.filter(status=Status.RUNNING)


def _thin() -> None:
    old = set(AuditRun.objects.exclude(status=Status.RUNNING).order_by("-id").values_list("pk", flat=True)[KEPT:])
    by_month = AuditRun.objects.filter(pk__in=old).annotate(month=TruncMonth("started_at")).order_by("id")
    last_of_month = {month: pk for pk, month in by_month.values_list("pk", "month")}
    AuditRun.objects.filter(pk__in=old - set(last_of_month.values())).delete()


def customers_of(run: AuditRun) -> "QuerySet[Customer]":
    everybody = Customer.objects.order_by("pk")
    key = run.options.get("customer")
    return everybody.filter(key=key) if key else everybody


def is_whole(run: AuditRun) -> bool:
    """Whether it was of all customers, by all checks."""
    return not run.options.get("customer") and not run.options.get("checks")


def work_on(run_id: int, *, seconds: int = SLICE_SECONDS) -> bool:
    """Works on a run for so long; answers whether there is more to do.

    What cannot be done makes it a failed one, and so does a chunk that was begun MOST_TRIES times. Raises
    OperationalError where the database is gone.
    """
    began = time.monotonic()
    while _next_chunk(run_id):
        if time.monotonic() - began >= seconds:
            return True
    return False


def unattended(now: datetime) -> list[int]:
    """Ids of runs that no worker is on: their message was lost, or it fell silent. There is one at most."""
    return list(_running().filter(Q(seen_at__lte=now - SILENCE) | Q(seen_at=None)).values_list("id", flat=True))


def is_due(now: datetime) -> bool:
    """Whether no audit of everything was begun since the last night, and there were invoices then."""
    zone = ZoneInfo(settings.ACCOUNT_TIME_ZONE)
    today = local_date(now, zone)
    at = datetime.combine(today, NIGHT, tzinfo=zone)
    night = at if at <= now else datetime.combine(today - timedelta(days=1), NIGHT, tzinfo=zone)
    if any(is_whole(run) for run in AuditRun.objects.filter(started_at__gte=night)):
        return False
    running = AuditRun.objects.filter(status=Status.RUNNING).exists()
    return not running and Invoice.objects.filter(created_at__lt=night).exists()


def last_audit() -> AuditRun | None:
    """The last one of everything that came to its end."""
    ended = AuditRun.objects.exclude(status=Status.RUNNING).order_by("-id")
    return next((run for run in ended if is_whole(run)), None)


def is_overdue(now: datetime) -> bool:
    """Whether no audit of everything was done for long, while there were invoices."""
    done = AuditRun.objects.filter(status=Status.DONE, finished_at__gt=now - TOO_LONG)
    if any(is_whole(run) for run in done):
        return False
    return Invoice.objects.filter(created_at__lt=now - TOO_LONG).exists()


def give_up(run_id: int, error: str) -> None:
    error = error.replace("\0", "")[:500]
    AuditRun.objects.filter(pk=run_id, status=Status.RUNNING).update(
        status=Status.FAILED, error=error, finished_at=timezone.now()
    )


def _next_chunk(run_id: int) -> bool:
    """Takes a run one chunk on; answers whether there is another."""
    run = AuditRun.objects.filter(pk=run_id, status=Status.RUNNING).first()
    if run is None:
        return False
    if run.tries >= MOST_TRIES:
        give_up(run_id, STUCK)
        return False
    AuditRun.objects.filter(pk=run_id).update(seen_at=timezone.now(), tries=F("tries") + 1)
    try:
        return _advance(run)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("audit %s failed", run_id)
        give_up(run_id, f"{type(error).__name__}: {error}")
        return False


def _advance(run: AuditRun) -> bool:
    customers = list(customers_of(run).filter(pk__gt=run.after)[:CHUNK])
    is_last = len(customers) < CHUNK
    seen = _looked(run, customers, of_account=is_last)
    with transaction.atomic():
        held = AuditRun.objects.select_for_update().filter(pk=run.pk, status=Status.RUNNING, after=run.after).first()
        if held is None or held.done != run.done:
            # Another worker was faster, or it was given up.
            return False
        room = max(MOST_KEPT - held.found, 0)
        _keep(held, seen, room)
        held.found += len(seen.findings)
        held.checked = _added(held.checked, seen.checked)
        held.left_out = _added(held.left_out, seen.left_out)
        if seen.waiting:
            held.left_out = _added(held.left_out, {"waiting": len(seen.waiting)})
        held.done += len(customers)
        held.after = customers[-1].pk if customers else held.after
        held.seen_at = timezone.now()
        held.tries = 0
        held.total = max(held.total, held.done)
        if is_last:
            # Whoever joined or left meanwhile is not missing from it.
            held.total = held.done
            held.status, held.finished_at = Status.DONE, timezone.now()
        held.save()
    return not is_last


def _added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) + more.get(name, 0) for name in dict.fromkeys([*counts, *more])}


def _keep(run: AuditRun, seen: Seen, room: int) -> None:
    there = {one.invoice_id for one in seen.findings if one.invoice_id is not None}
    # An invoice that was live may be gone with its assignment.
    invoices = set(Invoice.objects.filter(pk__in=there).values_list("pk", flat=True))
    AuditFinding.objects.bulk_create(
        AuditFinding(
            run=run,
            check_name=one.check,
            customer_id=one.customer_id,
            invoice_id=one.invoice_id if one.invoice_id in invoices else None,
            # A long name must not keep anybody from hearing of it.
            text=one.text[:500],
            expected=one.expected[:120],
            found=one.found[:120],
        )
        for one in seen.findings[:room]
    )


def _looked(run: AuditRun, customers: Sequence[Customer], *, of_account: bool) -> Seen:
    seen = _look(run, customers)
    concerned = [customer for customer in customers if customer.pk in seen.concerned]
    if concerned:
        if seen.waiting:
            # For a worker to catch up.
            time.sleep(PAUSE_SECONDS)
        again = _look(run, concerned)
        # Those of them that did not wait are counted already.
        caught_up = len(seen.waiting) - len(again.waiting)
        if caught_up > 0:
            seen.checked["amounts"] += caught_up
        seen.findings, seen.waiting = again.findings, again.waiting
    if of_account and not run.options.get("customer"):
        for name in OF_ACCOUNT:
            if _is_asked(run, name):
                found = _look_at_account(name)
                seen.add(_look_at_account(name) if found.findings else found)
    return seen


def _look(run: AuditRun, customers: Sequence[Customer]) -> Seen:
    seen = Seen()
    if customers:
        with snapshot():
            at = Look(customers, timezone.now(), _since(run))
            for name, look in OF_CUSTOMERS.items():
                if _is_asked(run, name):
                    seen.add(look(at))
    return seen


def _look_at_account(name: str) -> Seen:
    with snapshot():
        return OF_ACCOUNT[name]()


def _is_asked(run: AuditRun, name: str) -> bool:
    return name in run.options.get("checks", NAMES)


def _since(run: AuditRun) -> datetime:
    day = run.options.get("since")
    return local_midnight(date.fromisoformat(day), ZoneInfo(settings.ACCOUNT_TIME_ZONE)) if day else BEGINNING
