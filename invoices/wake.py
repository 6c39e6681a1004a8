"""Waking a worker when usage has changed: a hint that makes the bill follow at once instead of at the next sweep.

However many events come in, one message waits at a time: a flag in Redis says that it does. The worker takes the
flag down before it looks at the rows, so whoever commits later finds it down and sends a message of their own. Redis
may lose all of it; the sweep finds the rows.
"""

import logging
import time
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)

FLAG = "tollmeter:sweep-waits"
# A broker that hangs costs one sender its time-out; for so long the others leave the hint out.
PAUSE_SECONDS = 2.0
_paused_until = float("-inf")
# A message lost together with its worker must not keep the flag up.
FLAG_SECONDS = 5


@lru_cache(maxsize=1)
def _redis() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=0.5)


def wake(**_: Any) -> None:
    """Sends a sweep to the workers, unless one waits already. Never fails and never waits long."""
    from invoices.tasks.bills import sweep

    global _paused_until
    if time.monotonic() < _paused_until:
        return
    try:
        if _redis().set(FLAG, "1", nx=True, ex=FLAG_SECONDS):
            sweep.apply_async(retry=False, expires=60)
    except Exception as error:
        _paused_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("no worker woken, the sweep will find the change: %s", error)


def taken_up() -> None:
    """The worker's side: from here on a change needs a new message."""
    try:
        _redis().delete(FLAG)
    except redis.RedisError as error:
        logger.warning("the flag in Redis stays up: %s", error)


def wake_backtest(backtest_id: int) -> None:
    """Sends a backtest to the workers once it is committed. Never fails; the beat finds what no message told."""

    def send() -> None:
        from invoices.tasks import backtests as backtest_tasks

        try:
            backtest_tasks.send(backtest_id)
        except Exception as error:
            logger.warning("no worker woken, the beat will find backtest %s: %s", backtest_id, error)

    transaction.on_commit(send)


def wake_audit(run_id: int) -> None:
    """Sends an audit to the workers once it is committed. Never fails; the beat finds what no message told."""

    def send() -> None:
        from invoices.tasks import audits as audit_tasks

        try:
            audit_tasks.send(run_id)
        except Exception as error:
            logger.warning("no worker woken, the beat will find audit %s: %s", run_id, error)

    transaction.on_commit(send)


def wake_export(export_id: int) -> None:
    """Sends an export to the workers once it is committed. Never fails; the beat finds what no message told."""

    def send() -> None:
        from invoices.tasks import exports as export_tasks

        try:
            export_tasks.send(export_id)
        except Exception as error:
            logger.warning("no worker woken, the beat will find export %s: %s", export_id, error)

    transaction.on_commit(send)
