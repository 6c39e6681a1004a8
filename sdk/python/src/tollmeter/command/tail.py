"""Shows the newest events, and with --follow those that come in.

tollmeter tail --customer acme --meter ApiCalls --follow
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tollmeter.client import Tollmeter
from tollmeter.command.pairs import pair

PAGE = 100
# Of so many events it is known whether they were shown.
REMEMBERED = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--customer")
    parser.add_argument("--meter")
    parser.add_argument("--filter", type=pair, action="append", default=[], metavar="DIMENSION=TEXT")
    parser.add_argument("-n", "--lines", type=int, default=10, help="how many to begin with (default: 10)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="each event as a line of JSON")
    parser.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="how often to look (default: 1)")


def run(options: argparse.Namespace) -> int:
    asked = [(f"filter[{name}]", text) for name, text in options.filter]
    asked += [(name, text) for name in ("customer", "meter") if (text := getattr(options, name)) is not None]
    with Tollmeter(options.api_key, options.url) as client:
        shown: dict[tuple[str, str, str], None] = {}
        for event in reversed(_newest(client, asked, options.lines)):
            _show(event, shown, options.json)
        while options.follow:
            time.sleep(options.every)
            for event in reversed(list(_until_shown(client, asked, shown))):
                _show(event, shown, options.json)
    return 0


def _newest(client: Tollmeter, asked: list[tuple[str, str]], count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for event in _events(client, asked):
        if len(found) >= count:
            break
        found.append(event)
    return found


def _until_shown(
    client: Tollmeter, asked: list[tuple[str, str]], shown: dict[tuple[str, str, str], None]
) -> Iterator[dict[str, Any]]:
    """What is newer than what was shown, and what came in late among the latest page."""
    known = 0
    for number, event in enumerate(_events(client, asked), 1):
        if _name(event) in shown:
            known += 1
        else:
            yield event
        if number >= PAGE and (known or not shown):
            return


def _events(client: Tollmeter, asked: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """The newest first, page by page."""
    cursor: list[tuple[str, str]] = []
    while True:
        page = client.request("GET", "/v1/events", params=[*asked, ("limit", str(PAGE)), *cursor])
        yield from page["data"]
        if not page["next"]:
            return
        cursor = [("cursor", parse_qs(urlsplit(page["next"]).query)["cursor"][0])]


def _name(event: dict[str, Any]) -> tuple[str, str, str]:
    return event["customer"], event["meter"], event["id"]


def _show(event: dict[str, Any], shown: dict[tuple[str, str, str], None], as_json: bool) -> None:
    shown[_name(event)] = None
    while len(shown) > REMEMBERED:
        del shown[next(iter(shown))]
    if as_json:
        print(json.dumps(event), flush=True)
        return
    labels = " ".join(f"{name}={text}" for name, text in sorted(event["dimensions"].items()))
    why = "" if event["counts"] else f" ({event['not_counted_because']})"
    line = f"{event['time']}  {event['customer']}  {event['meter']} {event['value']}{why}  {labels}"
    print(line.rstrip(), flush=True)
