"""Celery's part of backtests: a message is a few seconds of work, then it sends the next one. Other messages have their
turn in between, so bills stay up to date meanwhile."""

from celery import shared_task
from django.utils import timezone

from invoices.backtests import backtest

# At most so many are looked after at a tick.
BATCH = 20


@shared_task
def work_on_backtest(backtest_id: int) -> None:
    """Works on it for a while and passes it on."""
    if backtest.work_on(backtest_id):
        send(backtest_id)


@shared_task
def continue_backtests() -> None:
    """Takes up those that no worker is on: their message was lost, or their worker died."""
    for backtest_id in backtest.unattended(timezone.now(), BATCH):
        send(backtest_id)


def send(backtest_id: int) -> None:
    """A message that is lost or comes too late is made up for by `continue_backtests`."""
    work_on_backtest.apply_async((backtest_id,), retry=False, expires=60)
