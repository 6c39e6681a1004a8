"""AwesomeIntegrationApi: an API whose customers move records between systems, metered over HTTP like any other.

It runs integration jobs at random and posts one event a job: the records processed as value, `source` and `target`
as dimensions. An event that could not be delivered is sent again under the same id, so it counts once.
"""

import os
import random
import signal
import time
import uuid
from argparse import ArgumentTypeError
from collections import deque
from pathlib import Path
from typing import Any

import httpx
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from meters.ids import uuid7

SYSTEMS = ("crm", "shop", "erp", "warehouse", "mailing", "ledger")
# Undelivered events wait here, the oldest first; beyond this the API would have to slow down.
MAX_WAITING = 10_000
LONGEST_PAUSE = 30.0


def job(customers: list[str], meter: str, chance: random.Random) -> dict[str, Any]:
    """The event of one integration job, which has just ended."""
    source, target = chance.sample(SYSTEMS, 2)
    return {
        "id": uuid7(),
        "customer": chance.choice(customers),
        "meter": meter,
        "time": timezone.now().isoformat(),
        "value": str(chance.randint(1, 5)),
        "dimensions": {"source": source, "target": target, "connection": f"{source}-{target}"},
    }


def rate_of_jobs(text: str) -> float:
    try:
        rate = float(text)
    except ValueError as error:
        raise ArgumentTypeError("a number of jobs a second") from error
    if not 0.001 <= rate <= 1000:  # which a NaN is not either
        raise ArgumentTypeError("from 0.001 to 1000 jobs a second")
    return rate


def count(text: str) -> int:
    if not text.isdigit():
        raise ArgumentTypeError("a whole number, not below 0")
    return int(text)


def address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ArgumentTypeError("an address that begins with http:// or https://")
    return text


def customer_keys(text: str) -> list[str]:
    keys = [key.strip() for key in text.split(",") if key.strip()]
    if not keys:
        raise ArgumentTypeError("name at least one customer")
    return keys


class Command(BaseCommand):
    help = "Plays an API that meters its jobs: posts an event a job over HTTP until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", type=address, default="http://127.0.0.1:8000", help="Where Tollmeter answers.")
        parser.add_argument("--rate", type=rate_of_jobs, default=1.0, help="Jobs a second, on average.")
        parser.add_argument(
            "--customers", type=customer_keys, default=["acme"], help="Their keys, separated by commas."
        )
        parser.add_argument("--meter", default="ApiCalls")
        parser.add_argument("--jobs", type=count, default=0, help="Stop after so many; 0 goes on until Ctrl-C.")
        parser.add_argument(
            "--key-file", type=Path, help="A file that holds the API key; otherwise TOLLMETER_API_KEY is used."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        key = self._key(options["key_file"])
        chance = random.Random(uuid.uuid4().int)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        waiting: deque[dict[str, Any]] = deque()
        made = sent = 0
        pause = 1.0
        self.failures = 0
        try:
            with httpx.Client(base_url=options["url"], headers={"X-API-KEY": key}, timeout=10) as client:
                while not options["jobs"] or made < options["jobs"] or waiting:
                    if not options["jobs"] or made < options["jobs"]:
                        time.sleep(chance.expovariate(options["rate"]))
                        if len(waiting) < MAX_WAITING:
                            waiting.append(job(options["customers"], options["meter"], chance))
                            made += 1
                    delivered = self._deliver(client, waiting)
                    sent += delivered
                    if waiting:
                        time.sleep(pause)
                        pause = min(pause * 2, LONGEST_PAUSE)
                    else:
                        pause = 1.0
        except KeyboardInterrupt:
            pass
        self.stdout.write(f"{sent} jobs metered, {len(waiting)} not delivered.")

    def _key(self, path: Path | None) -> str:
        key = path.read_text().strip() if path and path.is_file() else os.environ.get("TOLLMETER_API_KEY", "")
        if not key or not key.isascii():
            raise CommandError("Give an API key with scope ingest in TOLLMETER_API_KEY or --key-file.")
        return key

    def _deliver(self, client: httpx.Client, waiting: "deque[dict[str, Any]]") -> int:
        """Sends what waits in one request; what fails for now stays, in order, and will be sent again."""
        batch = list(waiting)[:1000]
        if not batch:
            return 0
        try:
            answer = client.post("/v1/events", json=batch)
        except httpx.TransportError as error:
            return self._failed(len(waiting), str(error))
        if answer.status_code >= 500 or answer.status_code == 429:
            return self._failed(len(waiting), f"the server answers {answer.status_code}")
        self.failures = 0
        if answer.status_code not in (200, 422):
            raise CommandError(f"The server answers {answer.status_code}: {answer.text[:500]}")
        for outcome in answer.json()["outcomes"]:
            if outcome["outcome"] != "duplicate":
                self.stderr.write(f"{outcome['outcome']}: {outcome.get('detail', '')}")
        for _ in batch:
            waiting.popleft()
        return len(batch)

    def _failed(self, waiting: int, why: str) -> int:
        """Tells of it from the third time in a row on: a server that starts or restarts is nothing to report."""
        self.failures += 1
        if self.failures >= 3:
            self.stderr.write(f"{waiting} events wait: {why}")
        return 0
