"""An API client with a key."""

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from meters.keys import create_api_key

Client = Callable[..., APIClient]


@pytest.fixture
def api(db: None) -> Client:
    """Makes a client whose key has these scopes."""

    def client(*scopes: str) -> APIClient:
        _, text = create_api_key(name="test", scopes=scopes or ("ingest", "read", "write"))
        made = APIClient()
        made.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        return made

    return client
