"""`make bench-ingest`: events a second over HTTP into committed events and buckets, beside bare COPY of the same rows.

The load generator, the web server and the database share the machine, so the ratio to COPY in the same round is
the result; the absolute figures are orientation. Ends with the check that every answered event is there once.
"""

import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.models import Sum

from meters.ids import uuid7
from meters.keys import create_api_key
from meters.models import Customer, Event, Meter, UsageBucket

CUSTOMERS = 10_000
COPY_BATCH = 10_000
COPY_ROWS = 200_000
SYSTEMS = ("crm", "shop", "erp", "warehouse", "mailing", "ledger")
# What a sender does: every event of another customer, or all events of a batch of one.
WORKLOADS = ("many customers", "one customer a batch")


class Command(BaseCommand):
    help = "Measures ingest over HTTP against bare COPY. Works in a database of its own and leaves events there."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--seconds", type=float, default=3.0, help="Of each measurement.")
        parser.add_argument("--batches", type=int, nargs="+", default=[1, 100, 1000])
        parser.add_argument("--connections", type=int, default=8)

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        if Event.objects.exists() and not Customer.objects.filter(key="bench-0").exists():
            raise CommandError("This database has events of its own; the benchmark works in an empty one.")
        key = prepare()
        before = Event.objects.count()
        copied: list[float] = []
        rates: dict[tuple[str, int], list[float]] = {}
        answered = 0
        with web_server() as port:
            for number in range(1, options["rounds"] + 1):
                self.stderr.write(f"round {number} of {options['rounds']} ...")
                copied.append(copy_rate())
                for workload in WORKLOADS:
                    for batch in options["batches"]:
                        if batch == 1 and workload != WORKLOADS[0]:
                            continue  # the same thing
                        load = Load(port, key, workload, batch, options["connections"], options["seconds"])
                        rates.setdefault((workload, batch), []).append(load.run())
                        answered += load.accepted
        self._print(copied, rates)
        stored = Event.objects.count() - before
        bucketed = UsageBucket.objects.aggregate(n=Sum("count"))["n"]
        self.stdout.write(f"\nanswered {answered:,}, stored {stored:,}, counted in buckets {bucketed - before:,}")
        if not answered == stored == bucketed - before:
            raise CommandError("These should be equal.")

    def _print(self, copied: list[float], rates: dict[tuple[str, int], list[float]]) -> None:
        copy = statistics.median(copied)
        self.stdout.write(f"\n{'':24}{'batch':>8}{'events/s':>12}{'x COPY':>9}")
        self.stdout.write(f"{'COPY, bare table':24}{COPY_BATCH:>8,}{copy:>12,.0f}{1:>9.3f}")
        for (workload, batch), measured in rates.items():
            ratio = statistics.median(rate / base for rate, base in zip(measured, copied, strict=True))
            self.stdout.write(f"{workload:24}{batch:>8,}{statistics.median(measured):>12,.0f}{ratio:>9.3f}")


def prepare() -> str:
    """The meter and the customers of the benchmark; answers an API key."""
    Meter.objects.get_or_create(key="ApiCalls", defaults={"dimensions": ["source", "target"]})
    Customer.objects.bulk_create(
        [Customer(key=f"bench-{number}", onboarded_at=datetime.now(UTC)) for number in range(CUSTOMERS)],
        ignore_conflicts=True,
        batch_size=1000,
    )
    return create_api_key(name="bench", scopes=["ingest"])[1]


@contextmanager
def web_server() -> Iterator[int]:
    """The web server as `make run` starts it, with one worker: the database needs the other core."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [
        *(str(Path(sys.executable).with_name("granian")), "--interface", "wsgi", "--host", "127.0.0.1"),
        *("--port", str(port), "--workers", "1", "--blocking-threads", "16", "--no-ws", "--log-level", "error"),
        "config.wsgi:application",
    ]
    with subprocess.Popen(command, env=os.environ | {"LOG_LEVEL": "ERROR"}) as server:
        try:
            while True:
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                if server.poll() is not None:
                    raise CommandError("The web server ended at its start.")
                time.sleep(0.1)
            yield port
        finally:
            server.terminate()


def copy_rate() -> float:
    """Rows a second of text COPY into a bare unlogged table on one connection, a transaction a batch."""
    chance, now = random.Random(1), datetime.now(UTC)
    lines = [
        "\t".join(
            (
                str(uuid.UUID(int=chance.getrandbits(128))),
                "1",
                str(chance.randrange(CUSTOMERS)),
                str(chance.randrange(36)),
                str(chance.randrange(1000)),
                (now - timedelta(seconds=chance.randrange(3600))).isoformat(),
            )
        )
        + "\n"
        for _ in range(COPY_ROWS)
    ]
    texts = ["".join(lines[first : first + COPY_BATCH]) for first in range(0, COPY_ROWS, COPY_BATCH)]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_copy")
        cursor.execute(
            "CREATE UNLOGGED TABLE bench_copy (key uuid, meter_id int, customer_id int, dimension_set_id int,"
            " value numeric, occurred_at timestamptz)"
        )
        began = time.perf_counter()
        for text in texts:
            with cursor.copy("COPY bench_copy FROM STDIN") as copy:
                copy.write(text)
        took = time.perf_counter() - began
        cursor.execute("DROP TABLE bench_copy")
    return COPY_ROWS / took


class Load:
    """Senders that post batches over connections of their own until the time is over."""

    def __init__(self, port: int, key: str, workload: str, batch: int, connections: int, seconds: float) -> None:
        self.port, self.batch, self.connections, self.seconds = port, batch, connections, seconds
        self.one_customer = workload == WORKLOADS[1]
        self.headers = {"X-API-KEY": key, "Content-Type": "application/json"}
        self.accepted = 0
        self.lock = threading.Lock()
        self.errors: list[str] = []

    def run(self) -> float:
        """Events a second from the first request to the last answer."""
        # Bodies are made beforehand, more than can be sent; their making is no part of what is measured.
        bodies = [self._bodies(sender) for sender in range(self.connections)]
        began = time.perf_counter()
        threads = [threading.Thread(target=self._send, args=[mine, began]) for mine in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.errors:
            raise CommandError(self.errors[0])
        return self.accepted / (time.perf_counter() - began)

    def _bodies(self, sender: int) -> list[bytes]:
        chance, now = random.Random(), datetime.now(UTC)
        most = {1: 2500, 100: 25_000}.get(self.batch, 50_000)
        count = max(2, int(most * self.seconds / self.connections / self.batch) * 2)
        bodies = []
        for _ in range(count):
            customer = chance.randrange(CUSTOMERS)
            batch = [
                {
                    "id": uuid7(),
                    "customer": f"bench-{customer if self.one_customer else chance.randrange(CUSTOMERS)}",
                    "meter": "ApiCalls",
                    "time": (now - timedelta(seconds=chance.randrange(3600))).isoformat(),
                    "value": chance.randrange(1000),
                    "dimensions": {"source": chance.choice(SYSTEMS), "target": chance.choice(SYSTEMS)},
                }
                for _ in range(self.batch)
            ]
            bodies.append(json.dumps(batch).encode())
        return bodies

    def _send(self, bodies: list[bytes], began: float) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        accepted = 0
        for body in bodies:
            if time.perf_counter() - began > self.seconds:
                break
            client.request("POST", "/v1/events", body, self.headers)
            answer = client.getresponse()
            content = answer.read()
            if answer.status != 200:
                self.errors.append(f"{answer.status}: {content[:500]!r}")
                break
            accepted += json.loads(content)["accepted"]
        client.close()
        with self.lock:
            self.accepted += accepted
