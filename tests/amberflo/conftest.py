"""Amberflo's own Python client, unchanged but for where it sends, against a live server of ours."""

import importlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from django.urls import clear_url_caches
from django.utils import timezone
from metering.session import ApiSession, IngestSession
from rest_framework.test import APIClient

from config import urls
from meters.keys import create_api_key
from meters.models import Customer


def mount() -> None:
    importlib.reload(urls)
    clear_url_caches()


@pytest.fixture
def mounted(settings: Any) -> Iterator[None]:
    settings.AMBERFLO_PREFIX = "amberflo/"
    mount()
    yield
    settings.AMBERFLO_PREFIX = ""
    mount()


@pytest.fixture
def key(transactional_db: None, mounted: None, live_server: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A key of all scopes, for a client that sends to the live server."""
    for session in (ApiSession, IngestSession):
        monkeypatch.setattr(session, "root_url", f"{live_server.url}/amberflo")
    return create_api_key(name="their client", scopes=["ingest", "read", "write"])[1]


@pytest.fixture
def their(db: None, mounted: None) -> Callable[..., APIClient]:
    """Makes a client that sends what it is told, with a key of these scopes, perhaps of one customer or role."""

    def client(*scopes: str, customer: Customer | None = None, **fields: Any) -> APIClient:
        asked = scopes or (("ingest", "read") if customer else ("ingest", "read", "write"))
        _, text = create_api_key(name="test", scopes=asked, customer=customer, **fields)
        made = APIClient()
        made.credentials(HTTP_X_API_KEY=text)
        return made

    return client


def millis(moment: datetime | None = None) -> int:
    return int((moment or timezone.now()).timestamp() * 1000)


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def day_in_seconds(day: date) -> int:
    return seconds(datetime.combine(day, time(), UTC))
