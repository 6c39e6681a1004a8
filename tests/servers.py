"""A pytest plugin: a real PostgreSQL and a real Valkey for the session, up before Django reads its settings.

Their data is in var/test (TOLLMETER_TEST_DATA moves it), so tests run beside `make run`; a second session at the
same time takes var/test-2, and each worker of a session on several cores takes one, too. DATABASE_URL and REDIS_URL in
the environment replace them. They do not wait for the disk: what a killed process had written is with the system, and
only a crash of the machine would lose it. TOLLMETER_TEST_FSYNC=1 waits.
"""

import atexit
import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from config.postgres import Postgres
from config.processes import FolderInUse
from config.servers import ServerFailed, Valkey
from config.services import BASE_DIR, Services

_services: Services | None = None


def postgres() -> Postgres:
    """The session's PostgreSQL, for a test that stops and starts it (on the same port); skips without one."""
    if _services is None or _services.postgres is None:
        pytest.skip("DATABASE_URL names a server that tests must not stop")
    return _services.postgres


def has_postgres() -> bool:
    """Whether the session's PostgreSQL is one that it started itself."""
    return _services is not None and _services.postgres is not None


def valkey() -> Valkey:
    """The session's Valkey, as `postgres()`."""
    if _services is None or _services.valkey is None:
        pytest.skip("REDIS_URL names a server that tests must not stop")
    return _services.valkey


def folder(number: int) -> Path:
    base = Path(os.environ.get("TOLLMETER_TEST_DATA") or BASE_DIR / "var" / "test")
    return base if number == 1 else base.with_name(f"{base.name}-{number}")


def start() -> None:
    """Starts the services on the first data folder that no other session uses, and tells the settings of them."""
    global _services
    fsync = os.environ.get("TOLLMETER_TEST_FSYNC", "0") == "1"
    for number in range(1, 10):
        services = Services(folder(number), lambda line: None, fsync=fsync)
        try:
            services.claim()
        except FolderInUse:
            continue
        _services = services
        atexit.register(stop)
        # Otherwise a terminated session would leave its servers running until the next one.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        os.environ |= services.start()
        (services.folder / "static").mkdir(exist_ok=True)  # WhiteNoise warns when there is none
        return
    raise pytest.UsageError(f"{folder(1)} and eight more data folders are all in use by other test sessions.")


def stop() -> None:
    global _services
    services, _services = _services, None
    if services:
        services.stop()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    os.environ["TOLLMETER_TESTS"] = "1"
    # Of tests that import what a web server does: a busy machine takes its time.
    os.environ.setdefault("WEB_STATEMENT_SECONDS", "0")
    os.environ["STATICFILES_STORAGE"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    options = early_config.known_args_namespace
    # Who hands out the tests to workers runs none.
    hands_out = getattr(options, "numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ
    if options.help or options.version or hands_out:
        os.environ.setdefault("SECRET_KEY", "no test runs")
        # Tests whose parameters are sets are named alike in all workers.
        os.environ.setdefault("PYTHONHASHSEED", "0")
    else:
        try:
            start()
        except ServerFailed as error:
            raise pytest.UsageError(str(error)) from error
    return (yield)


def pytest_unconfigure() -> None:
    stop()
