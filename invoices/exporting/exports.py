"""All invoices of a month as one file for accounting, made by a worker in the background.

The work is done in chunks of documents. A chunk is one part of the file, which is on the disk before the transaction is
committed that notes the progress, under the lock of the export's row. So a worker that dies loses one chunk, whoever
comes next writes that part again, and of two workers that come at once one finds the row locked and leaves.
"""

import logging
import time
from datetime import date, datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from invoices.exporting import files as export_files
from invoices.exporting.files import Work
from invoices.exporting.rows import documents_of, month_span
from invoices.models import Export

logger = logging.getLogger(__name__)

# Documents in a transaction, about a second of work.
CHUNKS = {Export.Form.CSV: 500, Export.Form.ZIP: 40}
# A message's share of work: other messages have their turn in between.
SLICE_SECONDS = 5
# A worker that has said nothing for so long is gone, or its message is.
SILENCE = timedelta(seconds=60)
# So often a chunk is begun: one that takes its worker with it each time, or for which the database gives up, is not
# tried for ever.
MOST_TRIES = 5
STUCK = f"It was begun {MOST_TRIES} times at the same place and came no further. The log of the workers may say why."
UNFINISHED = (Export.Status.WAITING, Export.Status.RUNNING)


@transaction.atomic
def start_export(*, month: date, form: str, actor: str = "", now: datetime | None = None) -> Export:
    """Asks for a file of a month. Raises ValidationError by field: for a month to come, another form, and while the
    same is being made."""
    now = now or timezone.now()
    month = month.replace(day=1)
    if form not in Export.Form.values:
        raise ValidationError({"form": "One of zip and csv."})
    if month_span(month).start > now:
        raise ValidationError({"month": "This month has not begun."})
    total = len(documents_of(month, now=now))
    try:
        with transaction.atomic():
            return Export.objects.create(month=month, form=form, actor=actor[:150], total=total)
    except IntegrityError:
        raise ValidationError("This file is being made already.") from None


def work_on(export_id: int, *, seconds: int = SLICE_SECONDS) -> bool:
    """Works on an export for so long; answers whether there is more to do. Nothing where another worker is on it.

    What cannot be made makes it a failed one, and so does a chunk that was begun MOST_TRIES times. Raises
    OperationalError where the database is gone.
    """
    began = time.monotonic()
    while _next_chunk(export_id):
        if time.monotonic() - began >= seconds:
            return True
    return False


def unattended(now: datetime, limit: int) -> list[int]:
    """Ids of unfinished exports that no worker is on: none came yet, or it fell silent."""
    silent = Q(seen_at__lte=now - SILENCE) | Q(seen_at=None, created_at__lte=now - SILENCE)
    waiting = Export.objects.filter(silent, status__in=UNFINISHED).order_by("id")
    return list(waiting.values_list("id", flat=True)[:limit])


def forget_old(now: datetime) -> int:
    """Removes files that are older than they are kept; answers how many. That there was an export stays on record."""
    before = now - timedelta(days=settings.EXPORT_DAYS)
    old = Export.objects.filter(finished_at__lt=before).exclude(file="")
    for export in old:
        export_files.remove(export)
        export.file = ""
        export.save(update_fields=["file"])
    return len(old)


def _next_chunk(export_id: int) -> bool:
    """Takes an export one chunk on; answers whether there is another."""
    try:
        # Counted in a transaction of its own: what dies with its worker counts as well.
        with transaction.atomic():
            if not _count_try(_held(export_id)):
                return False
        with transaction.atomic():
            export = _held(export_id)
            return export is not None and _advance(export)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("export %s failed", export_id)
        _fail(export_id, error)
        return False


def _held(export_id: int) -> Export | None:
    """None where it is over, or another worker is on it."""
    return Export.objects.select_for_update(skip_locked=True).filter(pk=export_id, status__in=UNFINISHED).first()


def _count_try(export: Export | None) -> bool:
    if export is None:
        return False
    if export.tries >= MOST_TRIES:
        raise RuntimeError(STUCK)
    export.tries += 1
    export.save(update_fields=["tries"])
    return True


def _fail(export_id: int, error: Exception) -> None:
    failed = Export.objects.filter(pk=export_id, status__in=UNFINISHED)
    text = str(error).replace("\0", "")[:500]
    failed.update(status=Export.Status.FAILED, error=text, finished_at=timezone.now())
    for export in Export.objects.filter(pk=export_id, status=Export.Status.FAILED):
        export_files.remove(export)


def _advance(export: Export) -> bool:
    now = timezone.now()
    work = Work(export)
    documents = work.documents() if export.done else None
    if documents is None:
        # Begun, or begun anew where the parts are gone. What becomes final from now on is not in it.
        documents = documents_of(export.month, now=now)
        work.begin(documents)
        export.done = 0
    export.total = len(documents)
    export.seen_at = now
    export.tries = 0
    export.status = Export.Status.RUNNING
    chunk = CHUNKS[Export.Form(export.form)]
    some = documents[export.done : export.done + chunk]
    if some:
        work.add(export.done, some)
        export.done += len(some)
        export.save()
        return True
    try:
        work.finish(range(0, len(documents), chunk))
    except FileNotFoundError:
        export.done = 0
        export.save()
        return True
    export.file = export_files.path_of(export).name
    export.status = Export.Status.DONE
    export.finished_at = timezone.now()
    export.save()
    return False
