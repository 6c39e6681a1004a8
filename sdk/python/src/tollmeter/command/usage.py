"""Shows how much of a meter was used.

tollmeter usage ApiCalls --customer acme --period last_month --window day
"""

from __future__ import annotations

import argparse
import json

from tollmeter.client import Tollmeter
from tollmeter.command.pairs import by_name, pair
from tollmeter.reads import Usage, parse_time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("meter")
    parser.add_argument("--customer", action="append", help="may be given several times; all, if it is left out")
    parser.add_argument("--period", help="2026-11, today, last_month, last_7_days, ...; this month, if it is left out")
    parser.add_argument("--from", dest="start", type=parse_time, help="a time with its zone, in place of a period")
    parser.add_argument("--to", dest="end", type=parse_time, help="not included")
    parser.add_argument("--window", choices=["none", "hour", "day", "week", "month"])
    parser.add_argument("--group-by", action="append", default=[], help="a dimension, or customer")
    parser.add_argument("--filter", type=pair, action="append", default=[], metavar="DIMENSION=TEXT")
    parser.add_argument("--top", type=int, help="only the greatest groups")
    parser.add_argument("--time-zone")
    parser.add_argument("--json", action="store_true", help="the answer as it came")


def run(options: argparse.Namespace) -> int:
    with Tollmeter(options.api_key, options.url) as client:
        usage = client.usage(
            options.meter,
            customer=options.customer,
            period=options.period,
            start=options.start,
            end=options.end,
            window=options.window,
            group_by=options.group_by,
            filter=by_name(options.filter),
            top=options.top,
            time_zone=options.time_zone,
        )
    print(json.dumps(usage.document) if options.json else table(usage))
    return 0


def table(usage: Usage) -> str:
    names = list(usage.document["group_by"])
    rows = [["from", "to", *names, f"{usage.unit or 'value'}", "events"]]
    for row in usage.rows:
        groups = ["(others)" if row.other else row.group.get(name, "") for name in names]
        start, end = (moment.isoformat(" ", "minutes") for moment in (row.start, row.end))
        rows.append([start, end, *groups, f"{row.value:,f}", f"{row.events:,}"])
    if len(usage.rows) != 1:
        rows.append(["total", "", *[""] * len(names), f"{usage.value:,f}", f"{usage.events:,}"])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    first_number = len(widths) - 2
    lines = []
    for texts in rows:
        cells = [
            cell.rjust(width) if place >= first_number else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(texts, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
