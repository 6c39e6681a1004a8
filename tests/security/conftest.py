"""A small installation, the drop-ins beside it, and who attacks it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from meters.keys import create_api_key
from meters.models import Customer
from tests.amberflo.conftest import mount
from tests.kept import kept
from tests.security.installation import fill
from tests.security.site import people_of

NOW = datetime(2026, 11, 18, 14, 2, tzinfo=UTC)

Keyed = Callable[..., APIClient]


def client_with(*scopes: str, **fields: Any) -> APIClient:
    _, text = create_api_key(name="attacker", scopes=scopes, **fields)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_X_API_KEY=text)
    return client


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
@kept(at=NOW)
def acme(db: None, clock: object) -> Customer:
    fill(client_with("ingest", "read", "write"), NOW)
    return Customer.objects.get(key="acme")


@pytest.fixture
@kept(at=NOW)
def people(acme: Customer) -> User:
    """Those who are signed in; the row is staff's."""
    return people_of(acme, NOW)


@pytest.fixture
def theirs(acme: Customer) -> APIClient:
    """With a key of another customer."""
    return client_with("ingest", "read", customer=Customer.objects.get(key="globex"))


@pytest.fixture
def everything(acme: Customer) -> APIClient:
    """With a key that opens all that a key can open."""
    return client_with("ingest", "read", "write")


@pytest.fixture
def dropins(settings: Any) -> Iterator[None]:
    settings.AMBERFLO_PREFIX, settings.OPENMETER_PREFIX = "amberflo/", "openmeter/"
    mount()
    yield
    settings.AMBERFLO_PREFIX = settings.OPENMETER_PREFIX = ""
    mount()
