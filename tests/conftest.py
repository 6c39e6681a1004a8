"""What every test needs."""

from collections.abc import Iterator

import pytest

from invoices import pricing_of
from meters import catalogue, partitions


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """A test that rolls back takes the rows with it that a process would otherwise know for ever."""
    yield
    catalogue.forget()
    partitions.forget()
    pricing_of.rates_of.cache_clear()
