"""What is looked at of the work: who does it, and what waits."""

import time
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.utils import timezone

from config.doctor.findings import Finding, failed, in_words, ok, warning
from config.health import brief_broker
from invoices import failing, waiting
from meters import heartbeats
from meters.models import Heartbeat

# A sign of life comes every 10 seconds; a worker that is at a long task misses some.
LATE, LOST = timedelta(seconds=45), timedelta(minutes=5)
# The sweep comes every 2 seconds and takes what was computed longest ago first.
LOOK_AGAIN_SECONDS = 2.5
OLD, TOO_OLD = timedelta(minutes=1), timedelta(minutes=10)
FULL = 0.9
MANY_MESSAGES = 1000
LISTED = 6
QUEUE = "celery"
AUDIT_LATE = timedelta(days=2)


def broker() -> Finding:
    try:
        with brief_broker() as asked:
            memory: Any = asked.info("memory")
            messages: Any = asked.llen(QUEUE)
    except (redis.RedisError, OSError, ValueError) as error:
        return failed(
            f"it does not answer: {in_words(error)}",
            "Start it, and see that REDIS_URL is right. Until then bills stand still and nothing is lost.",
        )
    most, used = int(memory.get("maxmemory", 0)), int(memory.get("used_memory", 0))
    saw = f"{messages} messages wait, {used / 2**20:.0f} MiB in use"
    if most and used > most * FULL:
        return warning(f"{saw} of {most / 2**20:.0f}", "Raise its maxmemory, and see whether the worker keeps up.")
    if messages > MANY_MESSAGES:
        return warning(saw, "Workers do not keep up: see that they run, or start more of them.")
    return ok(saw)


def beat() -> Finding:
    heard = heartbeats.heard_of(Heartbeat.Kind.BEAT)
    if not heard:
        return failed("never seen", "Start it: python -m config.start beat.")
    here = [name for name, ago in heard if ago < LATE]
    if len(here) > 1:
        return warning(f"{len(here)} of them: {', '.join(here)}", "One is enough: stop the others.")
    name, ago = heard[0]
    saw = f"{name}, seen {_ago(ago)}"
    if ago >= LATE:
        return failed(saw, "Nothing is begun without it: no bill closes. See its log, and start it again.")
    return ok(saw)


def worker() -> Finding:
    heard = heartbeats.heard_of(Heartbeat.Kind.WORKER)
    if not heard:
        return failed("never seen", "Start one: python -m config.start worker. It needs the beat and the broker.")
    saw = ", ".join(f"{name} {_ago(ago)}" for name, ago in heard[:LISTED] if ago < LOST) or (
        f"{heard[0][0]} was the last, {_ago(heard[0][1])}"
    )
    remedy = "Where beat and broker are well: see the worker's log, and start it again; or it is at a long task."
    nearest = heard[0][1]
    if nearest >= LOST:
        return failed(saw, remedy)
    return warning(saw, remedy) if nearest >= LATE else ok(saw)


def stale_invoice() -> Finding:
    found = waiting.stale_invoice(timezone.now())
    if found is None:
        return ok("none")
    # It was overtaken at some time after it was computed, maybe just now. So it is given the time to be taken up.
    if found.computed_at is None or timezone.now() - found.computed_at > OLD:
        time.sleep(LOOK_AGAIN_SECONDS)
        again = waiting.stale_invoice(timezone.now())
        if again != found:
            return ok("the oldest is being taken up")
    age = timezone.now() - found.computed_at if found.computed_at else None
    saw = f"invoice {found.id}, {'computed ' + _ago(age) if age is not None else 'never computed'}"
    remedy = "See to worker, beat and broker first; then to the worker's log for what fails with this invoice."
    if age is None or age > TOO_OLD:
        return failed(saw, remedy)
    return warning(saw, remedy) if age > OLD else ok(saw)


def closing() -> Finding:
    remedy = "Bills of periods that are over are not closed: see to worker and beat, then to the worker's log."
    return _backlog(waiting.closing(timezone.now()), 0, remedy)


def failing_work() -> Finding:
    parked, retried = failing.parked().count(), failing.retried().count()
    saw = f"{parked} parked" if parked else "none parked"
    if retried:
        saw += f", {retried} tried again by itself"
    if parked:
        return failed(saw, "The admin has it under Failing work, with the reason: mend that, then have it tried again.")
    return warning(saw, "The admin has it under Failing work, with the reason.") if retried else ok(saw)


def outbox() -> Finding:
    return _backlog(waiting.outbox(timezone.now()), 0, "See to the worker: it takes events up every 2 seconds.")


def mails() -> Finding:
    now = timezone.now()
    remedy = "See to the worker and the mail server; what was given up is in the admin under Mails, with the reason."
    return _backlog(waiting.mails(now), waiting.failed_mails(now), remedy)


def webhooks() -> Finding:
    now = timezone.now()
    remedy = "Each try is in the admin under Webhook deliveries. Where none of them is new, see to the worker."
    return _backlog(waiting.deliveries(now), waiting.failed_deliveries(now), remedy)


def audit() -> Finding:
    last = waiting.last_audit(timezone.now())
    if last is None:
        return ok("none yet; the first comes at night")
    found, ago = last
    saw = f"{found} findings {_ago(ago)}"
    if found:
        return failed(saw, "Look at them in the admin, under Audit, before the next invoices are sent.")
    if ago > AUDIT_LATE:
        return warning(saw, "There should be one each night: see to worker and beat.")
    return ok(saw)


def _backlog(backlog: waiting.Backlog, given_up: int, remedy: str) -> Finding:
    saw = f"{backlog.count} wait" if backlog.count else "nothing waits"
    if backlog.age > OLD:
        saw = f"{saw}, the oldest for {_span(backlog.age)}"
    if given_up:
        saw = f"{saw}; {given_up} were given up in the last day"
    if backlog.age > TOO_OLD:
        return failed(saw, remedy)
    return warning(saw, remedy) if backlog.age > OLD or given_up else ok(saw)


def _ago(span: timedelta) -> str:
    return f"{_span(span)} ago"


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} seconds"


def is_printed() -> bool:
    return "smtp" not in settings.EMAIL_BACKEND
