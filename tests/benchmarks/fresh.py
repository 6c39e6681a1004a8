"""How soon an open invoice follows an event: 1,000 events a second of 1,000 customers, with the web server and one
worker of the Procfile.

Each customer sends in its turn, so each event raises its customer's usage version by one: the k-th event of a customer
is on the open invoice once that is at the version of the beginning and k. A watcher looks at the open invoices all the
time and takes down when it first sees each at a version; what counts is the time from the event's answer until then.
"""

import json
import os
import random
import shlex
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
from django.db import connection

from invoices import services
from invoices.models import Invoice
from meters.ids import uuid7
from meters.keys import create_api_key
from meters.metering import save_meter
from meters.models import Customer, Meter
from pricing.models import Assignment, Plan
from pricing.plans import activate, draft_version, set_rate
from tests.benchmarks import load
from tests.benchmarks.backtest import RATE
from tests.benchmarks.dataset import METER, SYSTEMS
from tests.benchmarks.servers import BASE_DIR, web_server

PLAN = "bench-fresh"
CUSTOMERS = 1000
RATE_PER_SECOND = 1000
# Events of this many customers go in one request, as a gateway in front of an API sends them.
BATCH = 10
LIMIT = 2.0
# How often the watcher looks: what it sees is late by up to this, and looking more often takes from what it watches.
LOOK = 0.05
# What is not there after this is lost; the worker is to be there first.
PATIENCE, START = 30.0, 120.0


@dataclass(frozen=True)
class Measured:
    events: int
    seconds: float
    customers: int
    waits: list[float]
    limit: float = LIMIT

    def at(self, share: float) -> float:
        return sorted(self.waits)[min(int(share * len(self.waits)), len(self.waits) - 1)]

    @property
    def worst(self) -> float:
        return max(self.waits)

    @property
    def rate(self) -> float:
        return self.events / self.seconds


def measure(meter: Meter, customers: int, seconds: float, say: Callable[[str], None]) -> Measured:
    """Raises RuntimeError where an invoice does not follow, or the events do not get through in time."""
    prepare(meter, customers)
    _, key = create_api_key(name="bench-fresh", scopes=["ingest"])
    with web_server() as web, worker():
        warm_up(web.port, key, customers)
        say("The worker is there, the invoices are up to date.")
        with Watcher(customers) as watcher:
            sent = send(web.port, key, customers, seconds)
            watcher.wait_until_there(len(sent))
        took = max(answered for _, answered in sent) - min(answered for _, answered in sent)
    waits = watcher.waits(sent)
    say(f"{len(sent):,} events in {took:.1f} s, {len(waits):,} followed")
    return Measured(len(sent), max(took, 1e-9), customers, waits)


def prepare(meter: Meter, customers: int) -> None:
    """Customers with an open invoice each, on a plan with free units and blocks."""
    if not meter.used_for_billing:
        save_meter(meter, changes={"used_for_billing": True})
    plan, is_new = Plan.objects.get_or_create(key=PLAN)
    if is_new:
        set_rate(draft_version(plan), product_item=meter.product_item, parameters=RATE)
        activate(plan)
    keys = keys_of(customers)
    Customer.objects.bulk_create(
        [Customer(key=one, onboarded_at=datetime.now(UTC)) for one in keys], ignore_conflicts=True, batch_size=1000
    )
    first = datetime.now(UTC).date().replace(day=1)
    for customer in Customer.objects.filter(key__in=keys, assignments=None).order_by("id"):
        # Its signal opens the invoice.
        Assignment.objects.create(customer=customer, plan=plan, time_zone="UTC", starts_on=first)
    services.mark_all_stale()
    stale = list(Invoice.objects.filter(is_stale=True, status__in=Invoice.LIVE).values_list("pk", flat=True))
    for index in range(0, len(stale), 500):
        services.recalculate_many(stale[index : index + 500])


def keys_of(customers: int) -> list[str]:
    return [f"fresh-{number}" for number in range(customers)]


@contextmanager
def worker() -> Iterator[None]:
    """The worker and the beat as `make run` starts them."""
    lines = dict(line.split(": ", 1) for line in (BASE_DIR / "Procfile").read_text().splitlines())
    environment = os.environ | {"LOG_LEVEL": "ERROR"}
    data = environment.get("TOLLMETER_DATA", str(BASE_DIR / "var" / "bench"))
    running = []
    for name in ("worker", "beat"):
        command = shlex.split(lines[name].replace("exec ", "", 1).replace("$TOLLMETER_DATA", data))
        command[0] = str(BASE_DIR / ".venv/bin" / command[0])
        running.append(subprocess.Popen(command, cwd=BASE_DIR, env=environment, stdout=sys.stderr))
    try:
        yield
    finally:
        for process in running:
            children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                for child in children:
                    child.kill()
                process.kill()


def body(keys: list[str]) -> bytes:
    now = datetime.now(UTC).isoformat()
    events = [
        {
            "id": str(uuid7()),
            "customer": key,
            "meter": METER,
            "time": now,
            "value": random.randrange(1000),
            "dimensions": {"source": random.choice(SYSTEMS)},
        }
        for key in keys
    ]
    return json.dumps(events).encode()


def warm_up(port: int, key: str, customers: int) -> None:
    """One event of each customer, and the worker has worked them in."""
    with Watcher(customers) as watcher:
        for some in _batches(customers):
            load.run(port, [load.post("/v1/events", key, body(some))], connections=1, seconds=60)
        watcher.wait_until_there(customers, START)


def _batches(customers: int) -> list[list[str]]:
    keys = keys_of(customers)
    return [keys[first : first + BATCH] for first in range(0, customers, BATCH)]


def send(port: int, key: str, customers: int, seconds: float) -> list[tuple[str, float]]:
    """Sends batches at a steady pace, the customers in turn; answers each event's customer and when it was answered."""
    batches = _batches(customers)
    pace = BATCH / (RATE_PER_SECOND * customers / CUSTOMERS)
    total = int(seconds / pace)
    begin = time.monotonic()
    answered: list[tuple[str, float]] = []
    lock, turns = threading.Lock(), iter(range(total))
    failures: list[BaseException] = []

    def go() -> None:
        try:
            while True:
                with lock:
                    turn = next(turns, None)
                if turn is None:
                    return
                some = batches[turn % len(batches)]
                time.sleep(max(0.0, begin + turn * pace - time.monotonic()))
                load.run(port, [load.post("/v1/events", key, body(some))], connections=1, seconds=60)
                now = time.monotonic()
                with lock:
                    answered.extend((one, now) for one in some)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return answered


_LOOK = """
SELECT c.key, v.version, i.usage_version FROM meters_customer AS c
JOIN meters_usageversion AS v ON v.customer_id = c.id
JOIN invoices_invoice AS i ON i.customer_id = c.id AND i.status = 'open'
WHERE c.key LIKE 'fresh-%%'
"""


class Watcher:
    """Looks at the open invoices all the time, on a connection of its own."""

    def __init__(self, customers: int) -> None:
        self.customers = set(keys_of(customers))
        self.usage: dict[str, int] = {}
        # By customer when its invoice was first seen at which version.
        self.seen: dict[str, list[tuple[float, int]]] = {key: [] for key in self.customers}
        self.stopped, self.looked = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.failure: BaseException | None = None

    def __enter__(self) -> "Watcher":
        self.thread.start()
        self.looked.wait(PATIENCE)
        self.begin = dict(self.usage)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join()
        if self.failure is not None:
            raise self.failure

    def _watch(self) -> None:
        try:
            with connection.cursor() as cursor:
                while not self.stopped.is_set():
                    cursor.execute(_LOOK)
                    rows = cursor.fetchall()
                    now = time.monotonic()
                    for key, usage, invoice in rows:
                        if key in self.customers:
                            self.usage[key] = usage
                            if not self.seen[key] or self.seen[key][-1][1] != invoice:
                                self.seen[key].append((now, invoice))
                    self.looked.set()
                    self.stopped.wait(LOOK)
        except BaseException as error:
            self.failure = error
        finally:
            connection.close()

    def wait_until_there(self, sent: int, patience: float = PATIENCE) -> None:
        """Until so many events have been seen in the customers' versions, and each version on an invoice."""
        until = time.monotonic() + patience
        while time.monotonic() < until and self.failure is None:
            risen = sum(self.usage.values()) - sum(self.begin.values())
            if risen == sent and all(self.seen[key][-1][1] >= version for key, version in list(self.usage.items())):
                return
            time.sleep(LOOK)
        behind = sum(1 for key, version in self.usage.items() if self.seen[key][-1][1] < version)
        risen = sum(self.usage.values()) - sum(self.begin.values())
        raise RuntimeError(
            f"Of {sent:,} events {risen:,} raised a version, and {behind:,} invoices had not followed after"
            f" {patience:g} s"
        ) from self.failure

    def waits(self, sent: list[tuple[str, float]]) -> list[float]:
        """Seconds from each answer until the invoice was first seen to have followed."""
        by_customer: dict[str, list[float]] = defaultdict(list)
        for key, answered in sent:
            by_customer[key].append(answered)
        found = []
        for key, answers in by_customer.items():
            for wanted, answered in enumerate(sorted(answers), start=self.begin.get(key, 0) + 1):
                there = next(at for at, version in self.seen[key] if version >= wanted)
                found.append(max(0.0, there - answered))
        return found
