"""Calls AwesomeIntegrationApi as its customers would: jobs at random times, of a few records each, until Ctrl-C.

python traffic.py --url http://localhost:8101 --customers acme,globex --rate 2
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from contextlib import suppress
from typing import Any

import httpx

SYSTEMS = ("crm", "shop", "erp", "warehouse", "mailing", "ledger")
# A server that starts or restarts is nothing to report.
TOLD_FROM = 3


def job(chance: random.Random) -> dict[str, Any]:
    source, target = chance.sample(SYSTEMS, 2)
    records = [{"number": chance.randrange(10**6)} for _ in range(chance.randint(1, 5))]
    return {"source": source, "target": target, "records": records}


class Traffic:
    def __init__(self, url: str, customers: list[str], rate: float) -> None:
        self._http = httpx.Client(base_url=url, timeout=10)
        self._customers, self._rate = customers, rate
        self._chance = random.Random()
        self.calls = self.records = 0
        self._failures = 0

    def run(self, jobs: int) -> None:
        """Calls until so many jobs are done; of 0, for ever."""
        while not jobs or self.calls < jobs:
            time.sleep(self._chance.expovariate(self._rate))
            self._call(self._chance.choice(self._customers), job(self._chance))

    def _call(self, customer: str, body: dict[str, Any]) -> None:
        try:
            answer = self._http.post("/v1/jobs", json=body, headers={"Authorization": f"Bearer awesome-{customer}"})
        except httpx.TransportError as error:
            self._failed(str(error))
            return
        if answer.status_code != httpx.codes.CREATED:
            self._failed(f"{answer.status_code} {answer.text[:200]}")
            return
        self._failures = 0
        self.calls += 1
        self.records += answer.json()["records"]

    def _failed(self, why: str) -> None:
        self._failures += 1
        if self._failures >= TOLD_FROM:
            print(f"AwesomeIntegrationApi does not do its jobs: {why}", file=sys.stderr, flush=True)
        time.sleep(min(2**self._failures / 10, 30))


def rate_of_jobs(text: str) -> float:
    try:
        rate = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("a number of jobs a second") from error
    if not 0.001 <= rate <= 1000:  # which a NaN is not either
        raise argparse.ArgumentTypeError("from 0.001 to 1000 jobs a second")
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8101", help="where the API answers")
    parser.add_argument("--customers", default="acme", help="separated by commas")
    parser.add_argument("--rate", type=rate_of_jobs, default=1.0, help="jobs a second, on average")
    parser.add_argument("--jobs", type=int, default=0, help="stop after so many; 0 goes on until Ctrl-C")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    traffic = Traffic(asked.url, asked.customers.split(","), asked.rate)
    with suppress(KeyboardInterrupt):
        traffic.run(asked.jobs)
    print(f"{traffic.calls} jobs of {traffic.records} records")


if __name__ == "__main__":
    main()
