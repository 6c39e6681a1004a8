"""Sends one fact, lines of facts as JSON, or what is left in a spool.

tollmeter send --customer acme --meter ApiCalls --value 52 --dimension source=crm
tollmeter send events.ndjson
tollmeter send --spool /var/lib/api/usage.db --refused
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal, InvalidOperation
from typing import Any

from tollmeter.client import Tollmeter
from tollmeter.command.pairs import pair
from tollmeter.errors import TollmeterError
from tollmeter.facts import new_id, time_text
from tollmeter.reads import parse_time
from tollmeter.spool import Spool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", help="lines of facts as JSON (- reads them from the standard input)")
    parser.add_argument("--customer")
    parser.add_argument("--meter")
    parser.add_argument("--value", default="1")
    parser.add_argument("--dimension", type=pair, action="append", default=[], metavar="NAME=TEXT")
    parser.add_argument("--time", help="with its zone; now, if it is left out")
    parser.add_argument("--id", help="the fact counts once, however often it is sent with this id")
    parser.add_argument("--spool", help="a file of facts that a program left behind")
    parser.add_argument("--refused", action="store_true", help="with --spool: also those that the server had refused")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds (default: 60)")


def run(options: argparse.Namespace) -> int:
    if sum((options.file is not None, options.customer is not None, options.spool is not None)) != 1:
        raise ValueError("Name a customer and a meter, a file of facts, or a spool.")
    client = Tollmeter(
        options.api_key, options.url, spool=options.spool, when_full="block", close_timeout=0, on_error=_tell
    )
    if options.customer is not None:
        _send_one(client, options)
    elif options.file is not None:
        for fact in _facts_of(options.file):
            client.put(json.dumps(fact).encode())
    elif options.refused and isinstance(client.queue, Spool):
        client.queue.take_back()
    done = client.flush(options.timeout)
    client.close(0 if not done else None)
    counted = client.counters
    print(f"{counted.sent:,} sent, {counted.duplicate:,} sent before, {counted.rejected:,} rejected")
    if not done:
        print("Not all was answered in time.", file=sys.stderr)
    return 0 if done and not counted.rejected else 1


def _send_one(client: Tollmeter, options: argparse.Namespace) -> None:
    try:
        value = Decimal(options.value)
    except InvalidOperation:
        raise ValueError(f"{options.value!r} is no number.") from None
    time = None if options.time is None else parse_time(options.time)
    labels = dict(options.dimension)
    print(client.meter(options.customer, options.meter, value, dimensions=labels, time=time, id=options.id))


def _facts_of(path: str) -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        lines = sys.stdin if path == "-" else stack.enter_context(open(path, encoding="utf-8"))
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                # Numbers keep their digits.
                fact = json.loads(line, parse_float=str)
            except ValueError as error:
                raise ValueError(f"Line {number} is no JSON: {error}") from error
            if not isinstance(fact, dict):
                raise ValueError(f"Line {number} is no fact.")
            fact.setdefault("id", new_id())
            fact.setdefault("time", time_text(None))
            yield fact


def _tell(error: TollmeterError) -> None:
    print(f"tollmeter: {error}", file=sys.stderr)
