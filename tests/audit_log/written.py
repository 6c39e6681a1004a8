"""What was written to the audit log by what was just done."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models import Max

from meters.models import AuditRow


def last() -> int:
    return AuditRow.objects.aggregate(last=Max("id"))["last"] or 0


@contextmanager
def written() -> Iterator[list[AuditRow]]:
    """The list is filled at the end of the block, in the order in which the rows were written."""
    before, rows = last(), []
    yield rows
    rows += AuditRow.objects.filter(id__gt=before).order_by("id")


def of(rows: list[AuditRow], table: str) -> AuditRow:
    """The one row of a table."""
    (found,) = [row for row in rows if row.table_name == table]
    return found
