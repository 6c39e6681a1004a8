"""What the environment has to say, and what is said where it is wrong: by name, all at once, with what to do."""

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.urls import get_resolver

from config import settings
from config.environment import TAKEN, WrongEnvironment
from config.production import NEW_KEY
from config.servers import ServerFailed
from config.services import BASE_DIR, Services

GOOD = {
    "DATABASE_URL": "postgresql://tollmeter:a%40b@db.example:5432/tollmeter",
    "REDIS_URL": "redis://:secret@broker.example:6379/0",
    "SECRET_KEY": "Vb7-nQx2_uLw9Zr4Kc8Tj1Hy6Md3Pf5Sg0Ae-RtYuIoPqWzXcV",
    "ALLOWED_HOSTS": "billing.example.com",
    "PUBLIC_URL": "https://billing.example.com",
    "HTTPS": "true",
    "PROXIES": "1",
    "EMAIL_HOST": "mail.example.com",
    "EMAIL_FROM": "Example Billing <billing@example.com>",
}
Start = Callable[..., dict[str, Any]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Reads the settings anew, as a process of a production would with these variables; None takes one out."""

    def read(**changes: str | None) -> dict[str, Any]:
        variables = {**GOOD, "TOLLMETER_DATA": str(tmp_path), **changes}
        for name in settings.env.names:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            if value is not None:
                monkeypatch.setenv(name, value)
        return runpy.run_path(str(BASE_DIR / "config" / "settings.py"))

    return read


def faults_of(start: Start, **changes: str | None) -> list[str]:
    with pytest.raises(WrongEnvironment) as refused:
        start(**changes)
    head, *faults = str(refused.value.code).splitlines()
    assert head.startswith("Tollmeter does not start.")
    return faults


def test_what_is_needed_is_enough(start: Start) -> None:
    made = start()
    assert (made["PRODUCTION"], made["DEMO"], made["DEBUG"], made["SERVER_FAULTS"]) == (True, False, False, [])
    assert made["DATABASES"]["default"]["PASSWORD"] == "a@b"
    assert made["ALLOWED_HOSTS"] == ["billing.example.com"]
    assert (made["SESSION_COOKIE_SECURE"], made["CSRF_COOKIE_SECURE"], made["SECURE_SSL_REDIRECT"]) == (True,) * 3
    assert made["SECURE_HSTS_SECONDS"] == 31_536_000
    assert made["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")
    assert made["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend"


def test_what_a_proxy_says_is_believed_only_where_there_is_one(start: Start) -> None:
    assert start(PROXIES="0")["SECURE_PROXY_SSL_HEADER"] is None


def test_a_private_network_without_tls_has_to_be_said(start: Start) -> None:
    made = start(HTTPS=None, PLAIN_HTTP="true", PUBLIC_URL="http://billing.example.com")
    assert not made["SESSION_COOKIE_SECURE"]
    assert not made["SECURE_SSL_REDIRECT"]
    assert made["SECURE_HSTS_SECONDS"] == 0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", "mysql://db.example/tollmeter", "postgresql://user:password@host:5432/name"),
        ("DATABASE_URL", "postgresql:///tollmeter", "postgresql://user:password@host:5432/name"),
        ("DATABASE_URL", "postgresql://u:p@db.example:port/tollmeter", "postgresql://user:password@host"),
        ("DATABASE_URL", "postgresql://u:p%zz@db.example/tollmeter", "%25 for %"),
        ("DATABASE_URL", "postgresql://u:p@db.example/t?nonsense=1", "postgresql://user:password@host"),
        ("REDIS_URL", "http://broker.example", "redis://:password@host:6379/0"),
        ("REDIS_URL", "redis://", "redis://:password@host:6379/0"),
        ("REDIS_URL", "redis://broker.example:99999/0", "redis://:password@host:6379/0"),
        ("REDIS_URL", "redis://broker.example/zero", "redis://:password@host:6379/0"),
        ("REDIS_URL", None, "is missing"),
        ("SECRET_KEY", None, "is missing"),
        ("SECRET_KEY", "short", "too easy to guess"),
        ("SECRET_KEY", "ab" * 40, "too easy to guess"),
        ("SECRET_KEY", "django-insecure-" + GOOD["SECRET_KEY"], "for development"),
        ("DEBUG", "true", "Take it out"),
        ("DEBUG", "perhaps", "write true or false"),
        ("ALLOWED_HOSTS", None, "is missing"),
        ("ALLOWED_HOSTS", "billing.example.com,*", "Write the names themselves"),
        ("ALLOWED_HOSTS", "billing.example.com,https://b.example", "without https://"),
        ("ALLOWED_HOSTS", "billing.example.com,10.0.0.1:443", "without https://"),
        ("HTTPS", None, "HTTPS=true"),
        ("HTTPS", "false", "PLAIN_HTTP=true"),
        ("PLAIN_HTTP", "true", "take one of them out"),
        ("PROXIES", None, "is missing"),
        ("PROXIES", "-1", "from 0 to 20"),
        ("PUBLIC_URL", None, "is missing"),
        ("PUBLIC_URL", "billing.example.com", "such as https://"),
        ("PUBLIC_URL", "https://user@billing.example.com", "such as https://"),
        ("PUBLIC_URL", "http://billing.example.com", "Write https://"),
        ("PUBLIC_URL", "https://other.example.com", "not among ALLOWED_HOSTS"),
        ("CSRF_TRUSTED_ORIGINS", "billing.example.com", "such as https://"),
        ("EMAIL_HOST", None, "only be printed"),
        ("EMAIL_FROM", None, "is missing"),
        ("EMAIL_FROM", "billing", "write an address"),
        ("EMAIL_FROM", "Billing <billing@>", "write an address"),
        ("EMAIL_PORT", "0", "from 1 to 65535"),
        ("EMAIL_USE_SSL", "yes please", "write true or false"),
        ("EMAIL_BACKEND", "nowhere.Backend", "dotted path"),
        ("STATICFILES_STORAGE", "Storage", "dotted path"),
        ("GRACE_HOURS", "abc", "a whole number from 0 to 2160"),
        ("GRACE_HOURS", "-1", "a whole number from 0 to 2160"),
        ("GRACE_HOURS", "--5", "a whole number from 0 to 2160"),
        ("GRACE_HOURS", "1e3", "a whole number from 0 to 2160"),
        ("GRACE_HOURS", "9" * 5000, "a whole number from 0 to 2160"),
        ("AUDIT_DAYS", "١٠", "a whole number"),
        ("INGEST_MAX_BYTES", "10MB", "a whole number"),
        ("INGEST_MAX_EVENTS", "0", "a whole number from 1"),
        ("INGEST_HORIZON_DAYS", "0", "a whole number from 1"),
        ("INGEST_CREATES_CUSTOMERS", "maybe", "write true or false"),
        ("API_RATE_LIMIT", "-5", "a whole number"),
        ("SIGN_IN_ATTEMPTS", "0", "a whole number from 1"),
        ("SIGN_IN_LOCK_MINUTES", "a while", "a whole number from 1"),
        ("EXPORT_DAYS", "0", "a whole number from 1"),
        ("EXPORTS_DIR", str(BASE_DIR / "manage.py"), "this is a file"),
        ("EXPORTS_DIR", "~nobody-of-this-name/exports", "that this user can reach"),
        ("TOLLMETER_DATA", str(BASE_DIR / "manage.py"), "this is a file"),
        ("ACCOUNT_TIME_ZONE", "Europe/Nowhere", "such as Europe/Berlin"),
        ("ACCOUNT_CURRENCY", "EURO", "such as EUR"),
        ("LOG_LEVEL", "loud", "write one of DEBUG"),
        ("HSTS_SECONDS", "a year", "a whole number"),
        ("PORT", "70000", "from 1 to 65535"),
        ("WEB_PROCESSES", "0", "from 1"),
        ("WEB_THREADS", "many", "from 1"),
        ("WORKER_PROCESSES", "0", "from 1"),
        *(
            ("AMBERFLO_PREFIX", text, "the beginning of an address")
            for text in ("/v1/", "Invoices", "settings/theirs", "..", "theirs/../v1", "their<path:rest>", "a//b")
        ),
        ("DEMO", "true", "take out one of them"),
    ],
)
def test_each_wrong_value_is_told_by_its_name_with_what_to_do(
    start: Start, name: str, value: str | None, words: str
) -> None:
    faults = faults_of(start, **{name: value})
    assert len(faults) == 1, faults
    assert re.search(rf"\b{name}\b", faults[0])
    assert words in faults[0]
    assert len(faults[0]) < 300


@pytest.mark.parametrize("other", ["theirs", "/theirs/", "theirs/more", "the"])
def test_of_two_prefixes_none_is_within_the_other(start: Start, other: str) -> None:
    if other == "the":
        # The same letters are not the same address.
        assert start(AMBERFLO_PREFIX="theirs/", OPENMETER_PREFIX=other)["OPENMETER_PREFIX"] == "the/"
        return
    for one, two in (("theirs", other), (other, "theirs")):
        assert "OPENMETER_PREFIX" in faults_of(start, AMBERFLO_PREFIX=one, OPENMETER_PREFIX=two)[0]


def test_no_prefix_takes_an_address_of_ours() -> None:
    ours = {str(mounted.pattern) for mounted in get_resolver("config.urls").url_patterns}
    ours |= {str(mounted.pattern) for mounted in get_resolver("portal.urls").url_patterns}
    assert {address.partition("/")[0] for address in ours if "/" in address} <= TAKEN


def test_two_ways_of_tls_to_the_mail_server_exclude_each_other(start: Start) -> None:
    assert "take out the one" in faults_of(start, EMAIL_USE_SSL="true", EMAIL_USE_TLS="true")[0]


def test_all_faults_are_told_at_once_and_no_secret_is(start: Start) -> None:
    wrong = dict.fromkeys(GOOD) | {
        "DATABASE_URL": "postgresql://u:hunter2@db.example:x/t",
        "REDIS_URL": "redis://:hunter2@broker.example:x/0",
        "GRACE_HOURS": "abc",
        "ACCOUNT_TIME_ZONE": "Mars",
        "SECRET_KEY": "hunter2",
    }
    faults = faults_of(start, **wrong)
    for name in (*GOOD.keys() - {"EMAIL_FROM"}, "GRACE_HOURS", "ACCOUNT_TIME_ZONE"):
        assert sum(f"- {name} " in fault for fault in faults) == 1, name
    assert "hunter2" not in str(faults)


def test_a_choice_that_is_said_is_taken(start: Start) -> None:
    printed = "django.core.mail.backends.console.EmailBackend"
    assert start(EMAIL_HOST=None, EMAIL_FROM=None, EMAIL_BACKEND=printed)["EMAIL_BACKEND"] == printed


def test_a_key_made_as_the_fault_says_is_taken(start: Start) -> None:
    command = NEW_KEY.split("  ")[1].removeprefix("python3 -c ").strip("'")
    made = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    assert start(SECRET_KEY=made)["SECRET_KEY"] == made


def test_nothing_of_a_demo_that_runs_gets_into_a_production(start: Start, tmp_path: Path) -> None:
    """The folder has the services of a demo, and the environment another database."""
    state = {"DATABASE_URL": "postgresql://127.0.0.1:1/t", "REDIS_URL": "redis://x", "SECRET_KEY": "k", "DEMO": "1"}
    (tmp_path / "services.json").write_text(json.dumps(state))
    assert not start()["DEMO"]
    assert {fault[4:].split()[0] for fault in faults_of(start, REDIS_URL=None, SECRET_KEY=None)} == {
        "REDIS_URL",
        "SECRET_KEY",
    }
    demo = start(**dict.fromkeys(GOOD))
    assert (demo["DEMO"], demo["PRODUCTION"], demo["SECRET_KEY"]) == (True, False, "k")


def test_without_variables_the_settings_can_be_read_and_servers_cannot_start(start: Start) -> None:
    made = start(**dict.fromkeys(GOOD))
    assert not made["PRODUCTION"]
    missing = {fault.split()[0] for fault in made["SERVER_FAULTS"]}
    assert missing >= {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ALLOWED_HOSTS", "HTTPS", "PROXIES", "PUBLIC_URL"}


def test_embedded_servers_are_for_demo_and_tests_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "DEMO", "TOLLMETER_TESTS"):
        monkeypatch.delenv(name, raising=False)
    with Services(tmp_path / "data", lambda line: None) as services:
        with pytest.raises(ServerFailed, match=r"for the demo and the tests alone\. Set DATABASE_URL and REDIS_URL"):
            services.start()
        assert services.ledger.read() == []


PROGRAMS = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "manage.py", "migrate"],
        [sys.executable, "-m", "config.start", "web"],
        [str(PROGRAMS / "granian"), "--interface", "wsgi", "--port", "1", "config.wsgi:application"],
        [str(PROGRAMS / "celery"), "-A", "config", "worker"],
        [str(PROGRAMS / "celery"), "-A", "config", "beat"],
    ],
    ids=["manage.py", "start", "web", "worker", "beat"],
)
def test_every_process_says_so_and_ends_without_a_traceback(tmp_path: Path, command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in settings.env.names}
    environment |= GOOD | {"TOLLMETER_DATA": str(tmp_path), "SECRET_KEY": "short", "GRACE_HOURS": "abc"}
    ended = subprocess.run(command, cwd=BASE_DIR, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    output = ended.stdout + ended.stderr
    assert "SECRET_KEY is too easy to guess" in output
    assert "GRACE_HOURS is 'abc': write a whole number from 0 to 2160." in output
    assert "Traceback" not in output


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_a_server_without_a_database_says_what_is_missing(tmp_path: Path, name: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in settings.env.names}
    ended = subprocess.run(
        [sys.executable, "-m", "config.start", name],
        cwd=BASE_DIR,
        env=environment | {"TOLLMETER_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "DATABASE_URL is missing" in ended.stderr
    assert "`make run`" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_deployment_has_nothing_to_be_said_about(tmp_path: Path) -> None:
    # Tests in a browser set a variable of Django's for this process, which no deployment has.
    told = settings.env.names | {"DJANGO_ALLOW_ASYNC_UNSAFE"}
    environment = {name: value for name, value in os.environ.items() if name not in told}
    ended = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=BASE_DIR,
        env=environment | GOOD | {"TOLLMETER_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "no issues" in ended.stdout


def documented() -> set[str]:
    """The variables of the table in docs/operations.md."""
    text = (BASE_DIR / "docs" / "operations.md").read_text()
    table = text.partition("## Environment variables")[2].partition("\n## ")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for cell in first for name in re.findall(r"`([A-Z_]+)`", cell)}


# Of `make run` and of the tests, which have an installation of their own.
ELSEWHERE = {"VENDOR_PORT", "EXAMPLE_API_PORT", "TOLLMETER_TEST_DATA", "TOLLMETER_TEST_FSYNC"}


def test_the_docs_have_all_variables_that_are_read_and_no_others() -> None:
    assert documented() - ELSEWHERE == settings.env.names


def test_the_example_has_all_variables_that_an_installation_may_set_and_no_others() -> None:
    lines = [line for line in (BASE_DIR / ".env.example").read_text().splitlines() if line and line[0] != "#"]
    names = [line.partition("=")[0] for line in lines]
    assert len(names) == len(set(names))
    of_compose = set(re.findall(r"\$\{([A-Z_]+)", (BASE_DIR / "compose.yaml").read_text()))
    assert set(names) == settings.env.names - {"TOLLMETER_TESTS"} | of_compose


def test_the_example_once_filled_in_is_what_an_installation_needs(start: Start) -> None:
    """As it stands nothing of it is wrong but what is missing; with that filled in it starts."""
    lines = [line for line in (BASE_DIR / ".env.example").read_text().splitlines() if line and line[0] != "#"]
    example: dict[str, str | None] = dict(line.split("=", 1) for line in lines)
    filled = {name: value for name, value in GOOD.items() if not example[name]}
    assert filled.keys() == {
        *("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ALLOWED_HOSTS", "PUBLIC_URL", "EMAIL_HOST", "EMAIL_FROM")
    }
    assert start(**example | filled)["PRODUCTION"]
    missing = {fault.split()[0] for fault in start(**example)["SERVER_FAULTS"]}
    assert missing == filled.keys() - {"EMAIL_FROM"}
