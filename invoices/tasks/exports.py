"""Celery's part of exports: a message is a few seconds of work, then it sends the next one. Other messages have their
turn in between, so bills stay up to date meanwhile."""

from celery import shared_task
from django.utils import timezone

from invoices.exporting import exports

# At most so many are looked after at a tick.
BATCH = 5


@shared_task
def work_on_export(export_id: int) -> None:
    """Works on it for a while and passes it on."""
    if exports.work_on(export_id):
        send(export_id)


@shared_task
def continue_exports() -> None:
    """Takes up those that no worker is on: their message was lost, or their worker died."""
    for export_id in exports.unattended(timezone.now(), BATCH):
        send(export_id)


@shared_task
def forget_old_exports() -> None:
    """Removes the files of some days ago."""
    exports.forget_old(timezone.now())


def send(export_id: int) -> None:
    """A message that is lost or comes too late is made up for by `continue_exports`."""
    work_on_export.apply_async((export_id,), retry=False, expires=60)
