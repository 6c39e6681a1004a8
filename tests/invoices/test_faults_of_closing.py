"""A worker killed with -9 in the middle of closing an invoice: one number, one set of lines, nothing lost."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.db import transaction

from invoices.tasks import bills
from meters.models import Customer
from tests.invoices.closing import (
    AFTER,
    CLOSE,
    check_nothing_of_it,
    check_numbers,
    check_whole,
    make_closing,
    november,
    numbers_of,
    outcome,
)
from tests.invoices.november import NOW
from tests.invoices.prepaid import CLOSING
from tests.killing import Gate, Workers, killed_at, wait_for_waiting

# A few minutes before November's grace time is over.
BEHIND = CLOSING - timedelta(minutes=5)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock(transactional_db: None) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def customers(clock: time_machine.Traveller) -> list[Customer]:
    made = make_closing("acme", "globex")
    clock.move_to(AFTER)
    return made


def test_killed_between_its_statements(customers: list[Customer], workers: Workers) -> None:
    """Whatever it had done by then, the next worker finds the bill as it was, or as it is to be."""
    acme, globex = customers

    def check() -> None:
        (check_whole if november(acme).number else check_nothing_of_it)(acme)
        check_numbers()

    close = f"from invoices import services; services.close({november(acme).pk})"
    assert workers.killed_everywhere(close, check, step=2, clock=AFTER) > 30
    check_whole(acme)
    bills.close_periods()
    assert outcome(acme) == outcome(globex)
    assert numbers_of(customers) == ["2026-0003", "2026-0004"]
    check_numbers()


# Where a worker stands in the finalising transaction when it is killed: the change that it has just made.
MOMENTS = {
    "in grace": Gate("invoices_invoice", "UPDATE", condition="OLD.status = 'open' AND NEW.status = 'grace'"),
    "lines taken away": Gate("invoices_invoiceline", "DELETE"),
    "lines written": Gate("invoices_invoiceline", "INSERT"),
    "number taken": Gate("invoices_numberseries", "UPDATE"),
    "final": Gate("invoices_invoice", "UPDATE", condition="OLD.status <> 'final' AND NEW.status = 'final'"),
    "told, before credits": Gate("invoices_outboxevent", "INSERT", condition="NEW.type = 'invoice.finalized'"),
    "credits drawn": Gate("invoices_creditentry", "INSERT", condition="NEW.kind = 'drawn'"),
    "mail written": Gate("invoices_mail", "INSERT"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_while_its_statement_runs(moment: str, customers: list[Customer], workers: Workers) -> None:
    """Its backend lives on until the statement is over; the next worker waits for it no longer than that."""
    with killed_at(workers, CLOSE, MOMENTS[moment], clock=AFTER):
        check_nothing_of_it(customers[0])
        check_numbers()
        # It waits behind the dead one, and goes on as soon as that is gone.
        successor = workers.start(CLOSE, clock=AFTER)
    assert successor.end() == 0
    for customer in customers:
        check_whole(customer)
    assert numbers_of(customers) == ["2026-0003", "2026-0004"]
    check_numbers()


def test_killed_while_it_commits(customers: list[Customer], workers: Workers) -> None:
    """The commit goes on without it: nobody does it again."""
    gate = Gate("invoices_invoiceevent", "INSERT", condition="NEW.kind = 'finalized'", at_commit=True)
    with killed_at(workers, CLOSE, gate, clock=AFTER):
        check_nothing_of_it(customers[0])
    check_whole(customers[0])
    before = outcome(customers[0])
    bills.close_periods()
    assert outcome(customers[0]) == before
    check_whole(customers[1])
    assert numbers_of(customers) == ["2026-0003", "2026-0004"]


def test_two_worker_processes_close_and_recalculate_at_once(customers: list[Customer], workers: Workers) -> None:
    """All of them stand before the same customer when the test lets them go."""
    sweep = "from invoices.tasks import bills; bills.sweep()"
    with transaction.atomic():
        Customer.objects.select_for_update().get(pk=customers[0].pk)
        # One of each is minutes behind: it sees bills that are not to be final yet.
        clocks = (AFTER, AFTER, BEHIND, BEHIND)
        started = [workers.start(code, clock=at) for code, at in zip((CLOSE, sweep, CLOSE, sweep), clocks, strict=True)]
        wait_for_waiting(4)
    assert [worker.end() for worker in started] == [0] * 4
    bills.close_periods()
    for customer in customers:
        check_whole(customer)
    assert outcome(customers[0]) == outcome(customers[1])
    assert numbers_of(customers) == ["2026-0003", "2026-0004"]
    check_numbers()
