"""What every test needs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import hypothesis
import pytest
import redis
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from invoices import branding, pricing_of
from meters import catalogue, keys, partitions, rate_limit, retention
from meters.keys import create_api_key
from portal import policy
from tests import emptying
from tests.kept import hold_for
from tests.scenarios.live import Live

# On a busy machine an example may take long, and is no worse for that.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

emptying.use()

# How long it takes to guess a password is nothing that tests look at.
PBKDF2PasswordHasher.iterations = 10

# Each test client is an application of its own, which would first look through all static files.
settings.WHITENOISE_AUTOREFRESH = True


def pytest_make_parametrize_id(val: object) -> str | None:
    """A set by its values in order. Its own order hangs on how the file was compiled, and all workers of a run have to
    name a test alike."""
    if isinstance(val, set):
        return str(sorted(val))
    return str(val) if isinstance(val, dict) else None


@pytest.fixture
def _kept_rows(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock():
        hold_for(request.node)


@pytest.fixture
def _django_db_helper(_kept_rows: None, _django_db_helper: None) -> None:
    """What is kept is there before the transaction of the test begins."""


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """A test that rolls back takes the rows with it that a process would otherwise know for ever."""
    yield
    catalogue.forget()
    partitions.forget()
    keys.forget()
    rate_limit.forget()
    pricing_of.forget()


@pytest.fixture(autouse=True)
def _brand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has set a brand, and every process knows that; tests of brands take `fresh_brand`."""
    monkeypatch.setattr(branding, "_known", (1 << 62, branding.Brand("")))


@pytest.fixture
def fresh_brand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The brand is read whenever it is asked for."""
    monkeypatch.setattr(branding, "_known", (0, branding.Brand("")))
    monkeypatch.setattr(branding, "LIVE_SECONDS", 0)


@pytest.fixture(autouse=True)
def _retention(monkeypatch: pytest.MonkeyPatch) -> None:
    """No month is retired, and every process knows that; tests of retired months take `fresh_retention`."""
    monkeypatch.setattr(retention, "_before", None)
    monkeypatch.setattr(retention, "_read_at", 1 << 62)


@pytest.fixture
def fresh_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which months are retired is read whenever it is asked for."""
    monkeypatch.setattr(retention, "_read_at", retention.LONG_AGO)
    monkeypatch.setattr(retention, "LIVE", -1)


@pytest.fixture(autouse=True)
def _policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers are offered keys, and every process knows that; tests of that switch take `fresh_policy`."""
    monkeypatch.setattr(policy, "_known", (1 << 62, True))


@pytest.fixture
def fresh_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The portal's policy is read whenever it is asked for."""
    monkeypatch.setattr(policy, "_known", (0, True))
    monkeypatch.setattr(policy, "LIVE_SECONDS", 0)


@pytest.fixture
def api(db: None) -> Callable[..., APIClient]:
    """Makes a client whose key has these scopes."""

    def client(*scopes: str) -> APIClient:
        _, text = create_api_key(name="test", scopes=scopes or ("ingest", "read", "write"))
        made = APIClient()
        made.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        return made

    return client


@pytest.fixture
def live(transactional_db: None, tmp_path: Path) -> Iterator[Live]:
    """Web server, worker and beat as processes, on the test's own database."""
    redis.Redis.from_url(settings.REDIS_URL).flushall()
    with Live(_database_url(), tmp_path) as running:
        yield running


def _database_url() -> str:
    parts = connection.settings_dict
    return "postgresql://{}:{}@{}:{}/{}".format(
        *(quote(str(parts[name]), safe="") for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME"))
    )
