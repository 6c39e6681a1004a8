"""What scenarios begin with."""

from collections.abc import Callable, Iterator

import pytest
import time_machine
from rest_framework.test import APIClient

from tests.scenarios.account import Account


@pytest.fixture
def account(api: Callable[..., APIClient]) -> Iterator[Account]:
    """An account without anything, before any scenario begins. At its end an audit of it all finds nothing."""
    with time_machine.travel("2026-06-01T00:00:00Z", tick=False) as clock:
        made = Account(api(), clock)
        yield made
        made.audit()
