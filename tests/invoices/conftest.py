"""What tests of invoices begin with."""

from collections.abc import Iterator

import pytest
import time_machine

from invoices.models import Invoice
from meters.models import Customer
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan
from tests.invoices.november import NOW
from tests.invoices.settled import make_bill
from tests.kept import kept
from tests.killing import Workers


@pytest.fixture
def november() -> Iterator[time_machine.Traveller]:
    """The clock stands in the afternoon of 22 November."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def acme(november: None, db: None) -> Customer:
    """A customer on the story's plan."""
    make_plan("AwesomeIntegrationApi", {make_meter(): STORY_RATE}, is_default=True)
    return make_customer("acme")


@pytest.fixture
@kept(at=NOW)
def november_bill(november: None, db: None) -> Invoice:
    """November's bill of `settled.make_bill`, final on 3 December."""
    return make_bill()


@pytest.fixture(scope="session")
def workers(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Worker processes on the test's own database; for tests whose rows are committed."""
    with Workers(tmp_path_factory.mktemp("workers")) as made:
        yield made
