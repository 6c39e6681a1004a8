"""What every test needs."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from django.conf import settings
from django.db import connection

from invoices import pricing_of
from meters import catalogue, partitions
from tests.scenarios.live import Live


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """A test that rolls back takes the rows with it that a process would otherwise know for ever."""
    yield
    catalogue.forget()
    partitions.forget()
    pricing_of.rates_of.cache_clear()


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
