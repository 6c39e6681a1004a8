"""The doctor's checks of the machine; how all checks are run; the command and the page."""

import json
import os
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import Client

from config.doctor import of_database, of_machine, of_work, pages
from config.doctor.checks import CHECKS
from config.doctor.findings import DATABASE, Check, Finding, State, examine, failed, ok, warning
from config.services import BASE_DIR
from invoices.exporting import files
from invoices.tasks.signs import sign_of_life
from meters import heartbeats
from meters.models import Heartbeat
from tests.config.doctor import WORKER, execute, sees

pytestmark = pytest.mark.django_db

# --- The machine ---


@pytest.fixture
def mail_server(settings: Any) -> Iterator[socket.socket]:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = of_machine.SMTP, "127.0.0.1"
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.EMAIL_PORT = server.getsockname()[1]
        yield server


def test_a_mail_server(mail_server: socket.socket) -> None:
    def be_one() -> None:
        asked, _ = mail_server.accept()
        with asked, asked.makefile("rwb", buffering=0) as lines:
            lines.write(b"220 here\r\n")
            for line in lines:
                lines.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 well\r\n")

    threading.Thread(target=be_one, daemon=True).start()
    sees(of_machine.mail_server, State.OK, "lets us in")


def test_a_mail_server_that_is_gone(mail_server: socket.socket) -> None:
    mail_server.close()
    sees(of_machine.mail_server, State.FAILED, "refused", "EMAIL_PORT")


def test_a_mail_server_that_hangs(mail_server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_machine, "MAIL_SECONDS", 0.1)
    sees(of_machine.mail_server, State.FAILED, "timed out", "EMAIL_PORT")


def test_a_mail_server_that_does_not_know_us(mail_server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise smtplib.SMTPAuthenticationError(535, b"bad password")

    monkeypatch.setattr(smtplib.SMTP, "connect", refuse)
    sees(of_machine.mail_server, State.FAILED, "535", "EMAIL_HOST_PASSWORD")


def test_mails_that_nobody_gets(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    sees(of_machine.mail_server, State.OK, "console")
    settings.PRODUCTION = True
    sees(of_machine.mail_server, State.WARNING, "console", "Set EMAIL_HOST")


def test_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    sees(of_machine.disk, State.OK, "GiB free")
    monkeypatch.setattr(of_machine, "LITTLE", 1 << 60)
    sees(of_machine.disk, State.WARNING, "data folder", "Make room")
    monkeypatch.setattr(of_machine, "TOO_LITTLE", 1 << 60)
    sees(of_machine.disk, State.FAILED, "exports", "Make room")


def test_a_folder_of_exports_that_cannot_be_one(settings: Any) -> None:
    settings.EXPORTS_DIR = BASE_DIR / "manage.py" / "exports"
    sees(of_machine.exports, State.FAILED, "Not a directory", "let web and worker write there")


def test_another_folder_of_exports_than_the_workers(settings: Any, tmp_path: Path) -> None:
    settings.EXPORTS_DIR = tmp_path / "shared"
    sees(of_machine.exports, State.OK, "can be written to")
    heartbeats.note(WORKER, "celery@there")
    sees(of_machine.exports, State.WARNING, "not the folder of celery@there", "EXPORTS_DIR")
    files.leave_sign("celery@there")
    sees(of_machine.exports, State.OK, "as 1 of the workers did")
    # As the beat sends it.
    Heartbeat.objects.all().delete()
    sign_of_life.apply()
    sees(of_machine.exports, State.OK, "as 1 of the workers did")
    sees(of_work.worker, State.OK, "0 seconds ago")


def test_a_worker_that_cannot_write_there_goes_on(settings: Any) -> None:
    settings.EXPORTS_DIR = BASE_DIR / "manage.py" / "exports"
    assert sign_of_life.apply().successful()
    assert Heartbeat.objects.count() == 1


def test_static_files(settings: Any, tmp_path: Path) -> None:
    sees(of_machine.static_files, State.OK, "as they are")
    backend = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": backend}
    settings.STATIC_ROOT = tmp_path
    sees(of_machine.static_files, State.FAILED, "not collected", "collectstatic")
    ours = BASE_DIR / "static"
    names = [str(path.relative_to(ours)) for path in ours.rglob("*") if path.is_file()]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    manifest = tmp_path / "staticfiles.json"

    def collect(collected: list[str]) -> None:
        paths = {name: name for name in collected}
        manifest.write_text(json.dumps({"paths": paths, "version": "1.1", "hash": ""}))

    collect(names)
    sees(of_machine.static_files, State.OK, f"{len(names)} are collected")
    os.utime(manifest, (1, 1))
    sees(of_machine.static_files, State.WARNING, "is newer than what was collected", "collectstatic")
    collect(names[1:])
    sees(of_machine.static_files, State.FAILED, f"{names[0]} is not among those", "collectstatic")
    collect(names)
    (tmp_path / names[0]).unlink()
    sees(of_machine.static_files, State.FAILED, f"{names[0]} is gone from {tmp_path}", "collectstatic")


def test_what_the_check_of_a_deployment_says(settings: Any) -> None:
    sees(of_machine.settings_say, State.OK, "a demo or a test")
    settings.PRODUCTION, settings.PLAIN_HTTP = True, True
    sees(of_machine.settings_say, State.WARNING, "tollmeter.W001", "HTTPS=true")


# --- All of them ---


def test_one_that_hangs_or_breaks_holds_up_no_other() -> None:
    def breaks() -> Finding:
        raise ValueError("of some kind\nand more")

    never = threading.Event()
    lines = examine(
        [
            Check("hangs", lambda: ok(str(never.wait())), "one"),
            Check("behind it", lambda: ok("seen"), "one"),
            Check("breaks", breaks, "two"),
            Check("works", lambda: warning("seen", "do"), "two"),
        ],
        seconds=0.3,
    )
    assert [line.name for line in lines] == ["hangs", "behind it", "breaks", "works"]
    assert [line.finding.state for line in lines] == [State.FAILED, State.FAILED, State.FAILED, State.WARNING]
    assert lines[0].finding.saw == "no answer within 0.3 seconds"
    assert lines[2].finding.saw == "cannot be looked at: of some kind"
    never.set()


def test_a_statement_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.doctor.findings.STATEMENT_SECONDS", 0.1)

    def sleep() -> Finding:
        execute("SELECT pg_sleep(60)")
        return ok("")

    began = time.monotonic()
    slow, next_one = examine([Check("slow", sleep, DATABASE), Check("next", of_database.clock, DATABASE)])
    assert time.monotonic() - began < 5
    assert "statement timeout" in slow.finding.saw
    assert next_one.finding.state == State.OK


def test_the_command_says_all_and_fails_where_something_failed() -> None:
    """The threads of the checks see the database as it is without the test's transaction: nobody works there."""
    page = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=page)
    assert ended.value.code == 1
    text = page.getvalue()
    assert [line[9:].split("  ")[0] for line in text.splitlines() if line and line[0] != " "][:-1] == [
        check.name for check in CHECKS
    ]
    assert "FAILED   Beat" in text
    assert "-> Start it: python -m config.start beat." in text

    page = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", "--json", stdout=page)
    told = json.loads(page.getvalue())
    assert told["state"] == "failed"
    assert [one["check"] for one in told["checks"]] == [check.name for check in CHECKS]
    assert {"check": "Beat", "state": "failed", "saw": "never seen"}.items() <= told["checks"][10].items()


def test_it_ends_well_where_nothing_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    one = (Check("Clock", of_database.clock, DATABASE),)
    monkeypatch.setattr("config.management.commands.doctor.CHECKS", one)
    page = StringIO()
    call_command("doctor", stdout=page)
    assert page.getvalue() == "ok       Clock  together\n\nAll 1 checks are well.\n"


def test_without_a_database_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.databases["default"], "PORT", "1")
    found = {line.name: line.finding for line in examine(CHECKS)}
    for check in CHECKS:
        if check.lane == DATABASE:
            assert found[check.name].state == State.FAILED
    assert "refused" in found["Database"].saw
    assert (found["Broker"].state, found["Disk"].state) == (State.OK, State.OK)


# --- The page ---


def test_staff_see_the_same_page(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = (
        Check("Broker", lambda: failed("it does <b>not</b> answer", "Start it."), "one"),
        Check("Disk", lambda: ok("much"), "two"),
        Check("Mails", lambda: warning("some", "Look."), "three"),
    )
    monkeypatch.setattr(pages, "latest", pages.Latest(seen))
    page = admin_client.get("/admin/health/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "Of 3 checks 1 failed, and 1 warn." in text
    assert "it does &lt;b&gt;not&lt;/b&gt; answer" in text
    assert "Start it." in text
    assert admin_client.post("/admin/health/").status_code == 405
    assert 'href="/admin/health/"' in admin_client.get("/admin/").content.decode()


def test_it_is_for_staff_who_may_see_it(client: Client, django_user_model: Any) -> None:
    assert client.get("/admin/health/").status_code == 302
    staff = django_user_model.objects.create_user("sam", password="x", is_staff=True)
    client.force_login(staff)
    assert client.get("/admin/health/").status_code == 403
    assert "/admin/health/" not in client.get("/admin/").content.decode()


def test_who_reloads_the_page_asks_nobody_again() -> None:
    asked: list[int] = []

    def look() -> Finding:
        asked.append(1)
        return ok("")

    latest = pages.Latest([Check("one", look, "one")])
    assert latest.lines() == latest.lines()
    assert len(asked) == 1
