"""What Prometheus is told."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest
import yaml
from celery import current_app
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from config.services import BASE_DIR
from config.watching import figures
from config.watching.figures import TASKS, part_of, serve, told
from config.watching.standing import DATABASE
from invoices import backlog_sql
from invoices.figures import MAILS, failed
from invoices.mailing.mails import send_due
from invoices.models import AuditRun, FailingWork, Mail, OutboxEvent
from meters import partitions, standing_sql
from meters.statements import execute
from tests.factories import json_event, make_meter

TOKEN = "the-token-of-prometheus"


def samples(text: str) -> dict[str, float]:
    """By name and labels, as they are written."""
    return {
        sample.name
        + ("{" + ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items())) + "}" if sample.labels else ""): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def now() -> dict[str, float]:
    return samples(told(standing=False).decode())


def more(before: dict[str, float]) -> dict[str, float]:
    """What has grown since, but for sums and buckets."""
    return {
        name: value - before.get(name, 0)
        for name, value in now().items()
        if value != before.get(name, 0) and "_bucket" not in name and "_sum" not in name and "_created" not in name
    }


class TestWhoMaySee:
    @pytest.mark.parametrize(
        ("token", "demo", "sent", "address", "sees"),
        [
            (TOKEN, False, f"Bearer {TOKEN}", "203.0.113.7", True),
            (TOKEN, True, f"Bearer {TOKEN}", "127.0.0.1", True),
            (TOKEN, True, "", "127.0.0.1", False),
            (TOKEN, False, f"Bearer {TOKEN}x", "127.0.0.1", False),
            (TOKEN, False, "Bearer ", "127.0.0.1", False),
            (TOKEN, False, "Bearer ünlucky", "127.0.0.1", False),
            (TOKEN, False, TOKEN, "127.0.0.1", False),
            ("", False, "", "127.0.0.1", False),
            ("", False, "Bearer ", "127.0.0.1", False),
            ("", True, "", "127.0.0.1", True),
            ("", True, "", "203.0.113.7", False),
        ],
    )
    def test_whoever_has_the_token(
        self, token: str, demo: bool, sent: str, address: str, sees: bool, settings: Any
    ) -> None:
        settings.METRICS_TOKEN, settings.DEMO = token, demo
        assert figures.may_see(sent, address) == sees

    @pytest.mark.django_db
    def test_nobody_else_is_told_that_there_is_something(self, settings: Any) -> None:
        settings.METRICS_TOKEN = TOKEN
        assert (Client().get("/metrics").status_code, Client().get("/metrics").content) == (404, b"")
        response = Client(headers={"Authorization": f"Bearer {TOKEN}"}).get("/metrics")
        assert response["Content-Type"].startswith("text/plain; version=")
        assert "no-store" in response["Cache-Control"]
        assert Client(headers={"Authorization": f"Bearer {TOKEN}"}).post("/metrics").status_code == 405

    def test_a_workers_own_port(self, settings: Any) -> None:
        settings.METRICS_TOKEN = TOKEN
        server = serve("127.0.0.1:0")
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            with urlopen(Request(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})) as answer:
                assert "tollmeter_task_seconds" in answer.read().decode()
            for path, token in (("/metrics", ""), ("/", TOKEN)):
                with pytest.raises(HTTPError, match="404"):
                    urlopen(Request(url + path, headers={"Authorization": f"Bearer {token}"}))
        finally:
            server.shutdown()
            server.server_close()


class TestCounting:
    def test_events_by_outcome(self, api: Callable[..., Any]) -> None:
        meter = make_meter()
        client, one = api("ingest"), json_event(meter=meter.key, id="one")
        before = now()
        other = one | {"value": "77"}
        answer = client.post("/v1/events", [one, one, other, one | {"meter": "none"}], format="json")
        assert answer.status_code == 200
        assert more(before) == {
            "tollmeter_events_total{outcome=accepted}": 1,
            "tollmeter_events_total{outcome=duplicate}": 1,
            "tollmeter_events_total{outcome=conflict}": 1,
            "tollmeter_events_total{outcome=rejected}": 1,
            "tollmeter_batch_events_count": 1,
            "tollmeter_ingest_seconds_count{status=2xx}": 1,
        }

    def test_requests_that_are_refused(self, api: Callable[..., Any]) -> None:
        before = now()
        api("ingest").post("/v1/events", "{", content_type="application/json")
        Client().post("/v1/events")
        assert more(before) == {"tollmeter_ingest_seconds_count{status=4xx}": 2}

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("path", "part", "status"),
        [
            ("/v1/customers", "api", "4xx"),
            ("/v1/events", "api", "4xx"),
            ("/admin/", "admin", "3xx"),
            ("/sign-in/", "portal", "2xx"),
            ("/healthz", "other", "2xx"),
            ("/static/nothing.css", "other", "4xx"),
        ],
    )
    def test_other_requests_by_part(self, path: str, part: str, status: str) -> None:
        before = now()
        Client().get(path)
        assert more(before) == {f"tollmeter_request_seconds_count{{part={part},status={status}}}": 1}
        assert part_of(path) == part

    @pytest.mark.django_db
    def test_mails(self, settings: Any) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        at = timezone.now()
        for name in ("anna@acme.example", "no address\n"):
            Mail.objects.create(kind="x", about=name, recipient=name, subject="s", next_try_at=at, created_at=at)
        before = MAILS["delivered"]._value.get(), MAILS["failed"]._value.get()
        send_due(now=at)
        assert (MAILS["delivered"]._value.get(), MAILS["failed"]._value.get()) == (before[0] + 1, before[1] + 1)

    def test_work_that_nobody_knows_has_no_label_of_its_own(self) -> None:
        before = now()
        failed("recalculate")
        failed("whatever it is")
        assert more(before) == {
            "tollmeter_work_failures_total{work=recalculate}": 1,
            "tollmeter_work_failures_total{work=other}": 1,
        }


def asked(statement: str) -> tuple[Any, ...]:
    at = timezone.now()
    ((first, *rest),) = execute(statement, {"now": at, "clock": at})
    return (first, *(None if age is None else round(float(age)) for age in rest))


@pytest.mark.django_db
class TestStanding:
    def test_where_nothing_waits(self) -> None:
        counted = (backlog_sql.STALE, backlog_sql.CLOSING, backlog_sql.PARKED, backlog_sql.OUTBOX, backlog_sql.MAILS)
        for statement in counted:
            assert asked(statement) == (0, None)
        assert execute(backlog_sql.AUDIT, {"now": timezone.now()}) == []

    def test_mails_and_the_outbox(self) -> None:
        at = timezone.now()
        for number, seconds in enumerate((-100, -40, 3600)):
            due = at + timedelta(seconds=seconds)
            Mail.objects.create(kind="x", about=str(number), recipient="a@b.example", next_try_at=due, created_at=at)
        Mail.objects.create(kind="x", about="s", recipient="a@b.example", status="sent", created_at=at)
        assert asked(backlog_sql.MAILS) == (3, 100)
        for number, (made, not_before, spread) in enumerate(
            ((-300, None, None), (-900, -60, None), (-900, 60, None), (-900, None, -800))
        ):
            OutboxEvent.objects.create(
                type="invoice.paid",
                data={},
                message_id=str(number),
                created_at=at + timedelta(seconds=made),
                not_before=None if not_before is None else at + timedelta(seconds=not_before),
                spread_at=None if spread is None else at + timedelta(seconds=spread),
            )
        assert asked(backlog_sql.OUTBOX) == (2, 300)

    def test_work_that_waits_for_staff(self) -> None:
        at = timezone.now()
        for number, (seconds, next_try_at) in enumerate(((50, None), (200, None), (900, at))):
            first = at - timedelta(seconds=seconds)
            FailingWork.objects.create(
                kind="close", object_id=number, error="x", first_at=first, last_at=at, next_try_at=next_try_at
            )
        assert asked(backlog_sql.PARKED) == (2, 200)

    def test_the_last_audit_that_came_to_its_end(self) -> None:
        at = timezone.now()
        for status, found, ago in (("done", 9, 900), ("done", 2, 500), ("failed", 7, 100), ("running", 5, 0)):
            AuditRun.objects.create(
                status=status, found=found, started_at=at, finished_at=at - timedelta(seconds=ago) if ago else None
            )
        assert asked(backlog_sql.AUDIT) == (2, 500)

    def test_the_months_ahead(self) -> None:
        at = timezone.now()
        partitions.forget()
        partitions.ensure_accepted_span(at)
        ((seconds,),) = execute(standing_sql.PARTITIONS_AHEAD, {"now": at})
        assert partitions.AHEAD <= timedelta(seconds=float(seconds)) < partitions.AHEAD + timedelta(days=32)


@dataclass
class Alert:
    name: str
    expression: str
    summary: str

    @property
    def selectors(self) -> list[tuple[str, str]]:
        return re.findall(r"(tollmeter_\w+)(?:\{([^}]*)\})?", self.expression)


def alerts() -> list[Alert]:
    rules = yaml.safe_load((BASE_DIR / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    return [Alert(rule["alert"], rule["expr"], rule["annotations"]["summary"]) for rule in rules]


def test_the_documentation_lists_the_alerts_in_their_order() -> None:
    text = (BASE_DIR / "docs/operations.md").read_text()
    assert re.findall(r"^\| `(Tollmeter\w+)` \|", text, re.M) == [alert.name for alert in alerts()]


def test_what_is_told_is_what_alerts_ask_for_and_in_time(transactional_db: None) -> None:
    AuditRun.objects.create(status="done", started_at=timezone.now(), finished_at=timezone.now())
    TASKS.labels("invoices.tasks.bills.sweep", "failure").observe(1)
    found = samples(told(standing=True).decode())
    of_database = {name for _, names in DATABASE for name, _ in names}
    assert of_database <= set(found)
    assert found["tollmeter_database_up"] == found["tollmeter_broker_up"] == 1
    assert found["tollmeter_figures_missing"] == found["tollmeter_audit_findings"] == 0
    assert abs(found["tollmeter_database_clock_ahead_seconds"]) < 1
    for alert in alerts():
        assert alert.selectors
        for name, labels in alert.selectors:
            series = [one for one in found if one.partition("{")[0] == name]
            assert series, f"{alert.name} asks for {name}"
            for label, value in re.findall(r'(\w+)=~?"([^"]*)"', labels):
                for one in value.split("|"):
                    assert any(f"{label}={one}" in known for known in series), f"{alert.name}: {label}={one}"
    assert "invoices.tasks.bills.sweep" in current_app.tasks

    parameters = connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}
    with psycopg.connect(**parameters) as other:
        other.execute("LOCK TABLE invoices_mail")
        began = time.monotonic()
        found = samples(told(standing=True).decode())
        assert time.monotonic() - began < 6
    assert found["tollmeter_database_up"] == found["tollmeter_figures_missing"] == 1
    assert of_database - set(found) == {"tollmeter_mails_waiting", "tollmeter_mail_overdue_seconds"}


@pytest.mark.django_db
def test_without_database_and_broker_the_rest_is_told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    found = samples(told(standing=True).decode())
    assert found["tollmeter_database_up"] == found["tollmeter_broker_up"] == 0
    assert found["tollmeter_figures_missing"] == len(DATABASE)
    assert "tollmeter_queue_messages" not in found
    assert "tollmeter_events_total{outcome=accepted}" in found


COUNTS = """
import os, sys
from meters.figures import EVENTS, INGEST
EVENTS["accepted"].inc()
if sys.argv[1] == "forks":
    child = os.fork()
    EVENTS["duplicate"].inc(10)
    if child:
        os.waitpid(child, 0)
    sys.exit()
print("counted", flush=True)
sys.stdin.read()
"""

TELLS = """
import json, sys
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
found = CollectorRegistry()
MultiProcessCollector(found, sys.argv[1])
outcomes = "accepted", "duplicate"
print(json.dumps([found.get_sample_value("tollmeter_events_total", {"outcome": one}) for one in outcomes]))
"""


def counting(folder: Path, how: str = "stays") -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTS, how],
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if how == "stays":
        assert process.stdout
        assert process.stdout.readline() == "counted\n"
    return process


def counted(folder: Path) -> tuple[float, float]:
    """What another process tells of them, without a process of its own among them."""
    answer = subprocess.run([sys.executable, "-c", TELLS, str(folder)], stdout=subprocess.PIPE, check=True)
    accepted, duplicate = json.loads(answer.stdout)
    return accepted, duplicate


def test_processes_count_together_and_what_they_counted_stays(tmp_path: Path) -> None:
    first, second = counting(tmp_path), counting(tmp_path)
    assert counted(tmp_path) == (2, 0)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert counted(tmp_path) == (2, 0)
    # Who comes next goes on where it was, and leaves the other one alone.
    third = counting(tmp_path)
    assert counted(tmp_path) == (3, 0)
    counting(tmp_path, "forks").wait()
    assert counted(tmp_path) == (4, 20)
    assert len(list(tmp_path.glob("*.place"))) == 4
    for process in (second, third):
        process.communicate()
    (tmp_path / "counter_0.db").write_bytes(b"\x40\0\0\0 half a file")
    fourth = counting(tmp_path)
    assert counted(tmp_path)[0] == 3
    assert len(list(tmp_path.glob("*.place"))) == 4
    fourth.communicate()


def test_a_folder_that_cannot_be_had_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    counting(tmp_path / "file" / "folder").communicate()


def test_no_label_comes_from_outside() -> None:
    labels = {label for name in now() for label in re.findall(r"[{,](\w+)=", name)}
    assert labels <= {"outcome", "status", "part", "task", "work", "le"}
