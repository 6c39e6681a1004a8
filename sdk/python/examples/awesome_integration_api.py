"""AwesomeIntegrationApi: a small API whose customers move records from one system into another, metered by the records.

    TOLLMETER_URL=http://localhost:8000 TOLLMETER_API_KEY=... python awesome_integration_api.py --port 8101
    curl http://localhost:8101/v1/jobs -H "Authorization: Bearer awesome-acme" -H "Content-Type: application/json" \
        -d '{"source": "crm", "target": "shop", "records": [{"name": "Ada"}, {"name": "Grace"}]}'

A WSGI application with the SDK's middleware around it, and a server for it; it needs the package and nothing else.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from uuid import uuid4
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from tollmeter import Tollmeter, TollmeterError, Unreachable
from tollmeter.wsgi import TollmeterWSGI

SYSTEMS = ("crm", "shop", "erp", "warehouse", "mailing", "ledger")
# Older jobs are forgotten.
JOBS = 1_000
MOST_RECORDS = 1_000
MOST_BYTES = 1_000_000

Environ = dict[str, Any]


@dataclass(frozen=True)
class Job:
    id: str
    source: str
    target: str
    records: int


class Refused(Exception):
    """What a caller is told in place of an answer."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Api:
    """`keys`: the customer that each key of this API belongs to. `now` is asked when a job counts."""

    def __init__(self, keys: dict[str, str], now: Callable[[], datetime]) -> None:
        self._keys, self._now = keys, now
        self._jobs: OrderedDict[tuple[str, str], Job] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            status, answer = self._answer(environ)
        except Refused as refused:
            status, answer = refused.status, {"error": str(refused)}
        body = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]

    def _answer(self, environ: Environ) -> tuple[HTTPStatus, Any]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/healthz":
            return HTTPStatus.OK, {"up": True}
        customer = self._customer_of(environ)
        if method == "GET" and path == "/v1/systems":
            return HTTPStatus.OK, {"systems": SYSTEMS}
        if method == "POST" and path == "/v1/jobs":
            return HTTPStatus.CREATED, asdict(self._run_job(customer, environ))
        before, slash, job_id = path.rpartition("/")
        if method == "GET" and before == "/v1/jobs" and slash:
            with self._lock:
                job = self._jobs.get((customer, job_id))
            if job is not None:
                return HTTPStatus.OK, asdict(job)
        raise Refused(HTTPStatus.NOT_FOUND, f"There is nothing at {method} {path}.")

    def _customer_of(self, environ: Environ) -> str:
        scheme, _, key = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or key not in self._keys:
            raise Refused(HTTPStatus.UNAUTHORIZED, "Send a key: Authorization: Bearer ...")
        # The middleware asks for the customer when the request is over.
        environ["api.customer"] = self._keys[key]
        return self._keys[key]

    def _run_job(self, customer: str, environ: Environ) -> Job:
        source, target, records = _job_of(_body_of(environ))
        # A real one would read from the source and write to the target here.
        job = Job(str(uuid4()), source, target, len(records))
        with self._lock:
            self._jobs[customer, job.id] = job
            while len(self._jobs) > JOBS:
                self._jobs.popitem(last=False)
        usage = environ["tollmeter.usage"]
        usage.add(job.records)
        usage.label(source=source, target=target, connection=f"{source}-{target}")
        usage.time = self._now()
        return job


def _body_of(environ: Environ) -> Any:
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > MOST_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {MOST_BYTES:,} bytes.")
    try:
        return json.loads(environ["wsgi.input"].read(int(length)))
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"The body is no JSON: {error}") from None


def _job_of(body: Any) -> tuple[str, str, list[dict[str, Any]]]:
    if not isinstance(body, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "The body is an object with source, target and records.")
    source, target = _system_of(body, "source"), _system_of(body, "target")
    records = body.get("records")
    if source == target:
        raise Refused(HTTPStatus.BAD_REQUEST, "source and target are two systems.")
    if not isinstance(records, list) or not 1 <= len(records) <= MOST_RECORDS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"records is a list of 1 to {MOST_RECORDS:,}.")
    if not all(isinstance(record, dict) for record in records):
        raise Refused(HTTPStatus.BAD_REQUEST, "Each record is an object.")
    return source, target, records


def _system_of(body: dict[str, Any], name: str) -> str:
    for system in SYSTEMS:
        if body.get(name) == system:
            return system
    raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is one of {', '.join(SYSTEMS)}.")


def metered(api: Api, tollmeter: Tollmeter) -> TollmeterWSGI:
    """Requests are not counted, but the records that they moved; so a request that moved none makes no fact."""
    return TollmeterWSGI(
        api,
        tollmeter,
        customer=lambda environ: environ.get("api.customer"),
        meter=None,
        records="ApiCalls",
        route=lambda environ: "/v1/jobs",
    )


def clock(file: Path | None) -> datetime:
    """Now; as many seconds ahead as `file` says, as the clock of Tollmeter's demo can be put forward."""
    now = datetime.now(timezone.utc)
    if file is None or not file.exists():
        return now
    return now + timedelta(seconds=int(file.read_text()))


def tell(error: TollmeterError) -> None:
    # A server that starts or restarts is nothing to report.
    if not isinstance(error, Unreachable) or (error.retry_in or 0) > 5:
        print(error, file=sys.stderr, flush=True)


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8101)
    parser.add_argument("--customers", default="acme", help="separated by commas; the key of acme is awesome-acme")
    parser.add_argument("--spool", help="a file in which usage waits while Tollmeter is away")
    parser.add_argument("--clock", type=Path, help="a file that says by how many seconds the clock is ahead")
    asked = parser.parse_args()
    keys = {f"awesome-{customer}": customer for customer in asked.customers.split(",")}
    # At the end, what the spool has is in no hurry.
    tollmeter = Tollmeter(spool=asked.spool, retry_wait_max=10, close_timeout=1 if asked.spool else 5, on_error=tell)
    server = Server(("127.0.0.1", asked.port), Handler)
    server.set_app(metered(Api(keys, lambda: clock(asked.clock)), tollmeter))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    print(f"AwesomeIntegrationApi answers at http://127.0.0.1:{server.server_port}", flush=True)
    with server, tollmeter, suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
