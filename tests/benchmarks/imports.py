"""Events a second out of files, beside the same events in batches of 10,000 over HTTP in the same round."""

import csv
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connection

from meters.importing.files import Input
from meters.importing.run import Settings, import_events
from meters.models import Event
from tests.benchmarks import dataset, load
from tests.benchmarks.ingest import PREPARED, counted
from tests.benchmarks.servers import Web

BATCH, CONNECTIONS = 10_000, 4
KINDS = {"every event of another customer": False, "one customer a batch": True}
# Of each file, so many events a second of a measurement: it takes about as long as that.
ROWS = 80_000
FORMS = ("JSON array", "lines of JSON", "CSV")
BAR = 1.0


@dataclass
class Measured:
    """One kind of events, round by round: over HTTP, and by form of the file."""

    name: str
    http: list[float] = field(default_factory=list)
    files: dict[str, list[float]] = field(default_factory=lambda: {form: [] for form in FORMS})

    def ratio(self, form: str) -> float:
        pairs = zip(self.files[form], self.http, strict=True)
        return statistics.median(imported / sent for imported, sent in pairs)


class _Nobody:
    def show(self, read: int, state: Any) -> None: ...
    def refuse(self, refused: Any) -> None: ...


def measure(web: Web, key: str, rounds: int, seconds: float, say: Callable[[str], None]) -> list[Measured]:
    """Raises RuntimeError where an answer was not kept."""
    before, bucketed, accepted = Event.objects.count(), counted(), 0
    measured = [Measured(name) for name in KINDS]
    accepted += _sent(web, key, 1, one_customer=False)[0]
    for number in range(1, rounds + 1):
        for into, one_customer in zip(measured, KINDS.values(), strict=True):
            events, rate = _sent(web, key, seconds, one_customer=one_customer)
            accepted += events
            into.http.append(rate)
            for form in FORMS:
                bodies = dataset.bodies(
                    max(int(ROWS * seconds / BATCH), 4), BATCH, one_customer=one_customer, random_ids=False
                )
                rows, rate = _imported(bodies, form)
                accepted += rows
                into.files[form].append(rate)
                say(
                    f"round {number}: {into.name}, {form}: {rate:,.0f} events/s, HTTP {into.http[-1]:,.0f}, "
                    f"ratio {rate / into.http[-1]:.2f}"
                )
    stored, in_buckets = Event.objects.count() - before, counted() - bucketed
    if not accepted == stored == in_buckets:
        raise RuntimeError(f"accepted {accepted:,}, stored {stored:,}, in buckets {in_buckets:,}: not the same")
    return measured


def _sent(web: Web, key: str, seconds: float, *, one_customer: bool) -> tuple[int, float]:
    bodies = dataset.bodies(int(PREPARED[BATCH] * seconds), BATCH, one_customer=one_customer, random_ids=False)
    requests = [load.post("/v1/events", key, body) for body in bodies]
    result = load.run(web.port, requests, connections=CONNECTIONS, seconds=seconds)
    return result.accepted, result.accepted / result.seconds


def _imported(bodies: list[bytes], form: str) -> tuple[int, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "usage"
        path.write_bytes(_text(bodies, form))
        kind = {"JSON array": "json", "lines of JSON": "ndjson", "CSV": "csv"}[form]
        settings = Settings(Input(path, kind, name="usage"), datetime.now(UTC), notes=path.with_name("notes"))
        connection.close()
        began = time.perf_counter()
        result = import_events(settings, _Nobody())
        took = time.perf_counter() - began
    return result.state.counts.accepted, result.state.rows / took


def _text(bodies: list[bytes], form: str) -> bytes:
    if form == "JSON array":
        return b"[" + b",".join(body[1:-1] for body in bodies) + b"]"
    events = [event for body in bodies for event in json.loads(body)]
    if form == "lines of JSON":
        return b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["id", "customer", "meter", "time", "value", "source"])
    for event in events:
        row = [event[name] for name in ("id", "customer", "meter", "time", "value")]
        writer.writerow([*row, event["dimensions"]["source"]])
    return text.getvalue().encode()
