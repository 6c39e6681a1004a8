"""A Chromium, and pages that note what the browser complains of."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from pytest_django import DjangoDbBlocker

from tests.browser.chromium import CHROMIUM, FLAGS
from tests.kept import let_go
from tests.scenarios.live import BASE_DIR


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        missing = pytest.mark.skip(reason="no Chromium on this machine: install Debian's chromium")
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(missing)


@pytest.fixture(scope="session", autouse=True)
def _static() -> Iterator[None]:
    """The static files as an installation serves them: collected, with their hashes in their names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STATICFILES_STORAGE")
        command = [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity=0"]
        subprocess.run(command, cwd=BASE_DIR, check=True)
        yield


@pytest.fixture(scope="session")
def browser(django_db_blocker: DjangoDbBlocker) -> Iterator[Browser]:
    # Below the event loop this thread has another connection, so what is held on this one goes first. It is closed:
    # a process that is forked, where no loop runs, finds this one again.
    with django_db_blocker.unblock():
        let_go()
        connection.close()
    # Playwright runs an event loop in this thread, which Django's ORM would take for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browser's console said of any page: it must be nothing, violations of the policy least of all."""
    noted: list[str] = []
    yield noted
    assert noted == []


@pytest.fixture
def new_page(request: pytest.FixtureRequest, browser: Browser, complaints: list[str]) -> Iterator["NewPage"]:
    """Pages of the `live` installation of a test that has one; else of a server in this process, which costs nothing to
    start and has no worker."""
    server = request.getfixturevalue("live" if "live" in request.fixturenames else "live_server")
    made = NewPage(browser, server.url, complaints)
    yield made
    made.close()


class NewPage:
    """Opens pages, each of a person of their own: nobody shares a session."""

    def __init__(self, browser: Browser, url: str, complaints: list[str]) -> None:
        self.browser, self.url, self.complaints = browser, url, complaints
        self.pages: list[Page] = []

    def __call__(self, **options: object) -> Page:
        context = self.browser.new_context(base_url=self.url, **options)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.pages.append(page)
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def close(self) -> None:
        for page in self.pages:
            page.context.close()
