"""Usage as a CSV file (RFC 4180): the rows of the JSON answer, in the same order, with the same numbers."""

import csv

from django.http import HttpResponse

from meters.aggregation import plain
from meters.api.usage_query import text_of
from meters.api.usage_table import Table
from meters.periods import local_date
from meters.spreadsheet import cell

MEDIA_TYPE = "text/csv"


def csv_of(table: Table) -> HttpResponse:
    """A header row, then a line for each row. What is of the answer as a whole is in its headers."""
    query = table.query
    first, last = local_date(query.span.start, query.zone), local_date(query.span.end, query.zone)
    name = f"usage-{query.meter.key}-{first.isoformat()}-to-{last.isoformat()}.csv"
    response = HttpResponse(
        content_type=f"{MEDIA_TYPE}; charset=utf-8; header=present",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Usage-Version": str(table.version),
            "Usage-Total": plain(table.value),
        },
    )
    writer = csv.writer(response)
    unit = f" ({query.meter.unit})" if query.meter.unit else ""
    others = [] if query.top is None else ["other"]
    writer.writerow(["from", "to", *(cell(name) for name in query.group_by), *others, f"value{unit}", "events"])
    bounds = {window: (text_of(window.start), text_of(window.end)) for window in query.windows}
    for row in table.rows():
        texts = [cell(row.group.get(name, "")) for name in query.group_by]
        marks = ["true" if row.other else "false"] if others else []
        writer.writerow([*bounds[row.window], *texts, *marks, plain(row.value), row.events])
    return response
