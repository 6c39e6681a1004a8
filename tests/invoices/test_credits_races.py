"""Workers at the same time, on connections of their own: no cent is drawn twice, granted twice or expires twice."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from invoices import services
from invoices.models import CreditEntry, CreditGrant, Invoice
from invoices.prepaid.credits import expire_grants, grant_credits, void_grant
from invoices.settling.voiding import void_invoice
from meters.models import Customer
from tests.factories import make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, plan_with
from tests.invoices.prepaid import CLOSING, check_ledger, ledger, prepaid
from tests.racing import race

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owing(november: object) -> Customer:
    """A customer with two plans that owes $40 by each."""
    customer = make_customer("acme")
    for key in ("ApiCalls", "Storage"):
        put_on(customer, plan_with(key, {make_meter(key): ONE_EACH}), date(2026, 11, 1))
        send("acme", key, 40)
    run_sweep()
    return customer


def test_two_invoices_that_become_final_at_once_share_one_grant(owing: Customer) -> None:
    grant = prepaid(owing, "50")
    first, second = owing.invoices.filter(status="open").values_list("pk", flat=True)
    jobs = [lambda: services.close(first, now=CLOSING), lambda: services.close(second, now=CLOSING)] * 2
    assert race(*jobs) == []
    assert sorted(row[1:] for row in ledger([grant])) == [("drawn", -40, 10), ("drawn", -10, 0), ("granted", 50, 50)]
    applied = sorted(owing.invoices.filter(status="final").values_list("credits_applied", flat=True))
    assert applied == [10, 40]
    check_ledger()


def test_the_same_reference_at_once_grants_once(owing: Customer) -> None:
    found: list[tuple[CreditGrant, bool]] = []

    def grant() -> None:
        found.append(
            grant_credits(customer=owing, name="Prepaid", currency="USD", amount="10", reference="order-17", now=NOW)
        )

    assert race(*[grant] * 4) == []
    assert CreditGrant.objects.count() == CreditEntry.objects.count() == 1
    assert sorted(is_new for _, is_new in found) == [False, False, False, True]


def test_what_expires_while_invoices_close_pays_those_that_are_only_late(owing: Customer) -> None:
    """Whoever comes first: the credit was good when both were to become final."""
    grant = prepaid(owing, "100", expires_at=CLOSING)
    first, second = owing.invoices.filter(status="open").values_list("pk", flat=True)
    before = CLOSING - timedelta(microseconds=1)
    Invoice.objects.filter(status="open").update(closes_at=before)
    jobs = [
        lambda: services.close(first, now=before),
        lambda: services.close(second, now=CLOSING),
        lambda: expire_grants(owing.pk, now=CLOSING),
        lambda: expire_grants(owing.pk, now=CLOSING),
    ]
    assert race(*jobs) == []
    assert sorted(owing.invoices.filter(status="final").values_list("credits_applied", flat=True)) == [40, 40]
    assert race(*jobs[2:] * 2) == []
    assert grant.entries.filter(kind="expired").count() == 1
    assert grant.entries.latest("id").balance == 0
    check_ledger()


def test_what_expires_with_the_grace_time_pays_nothing(owing: Customer) -> None:
    grant = prepaid(owing, "100", expires_at=CLOSING)
    first, second = owing.invoices.filter(status="open").values_list("pk", flat=True)
    jobs = [
        lambda: services.close(first, now=CLOSING),
        lambda: services.close(second, now=CLOSING),
        lambda: expire_grants(owing.pk, now=CLOSING),
        lambda: expire_grants(owing.pk, now=CLOSING),
    ]
    assert race(*jobs) == []
    assert [row[1:] for row in ledger([grant])] == [("granted", 100, 100), ("expired", -100, 0)]
    check_ledger()


def test_void_while_invoices_close_takes_what_is_left(owing: Customer) -> None:
    grant = prepaid(owing, "100")
    first, second = owing.invoices.filter(status="open").values_list("pk", flat=True)
    jobs = [
        lambda: services.close(first, now=CLOSING),
        lambda: void_grant(grant),
        lambda: services.close(second, now=CLOSING),
        lambda: void_grant(grant),
    ]
    raised = race(*jobs)
    assert len(raised) == 1, "the second one is told that it is void already"
    assert grant.entries.filter(kind="voided").count() == 1
    assert grant.entries.latest("id").balance == 0
    check_ledger()


def test_giving_back_and_drawing_at_once(owing: Customer) -> None:
    """What a void invoice gives back, the other one draws, or not: as they come; nothing is lost."""
    prepaid(owing, "50")
    first, second = owing.invoices.filter(status="open").values_list("pk", flat=True)
    services.close(first, now=CLOSING)
    jobs = [
        lambda: void_invoice(first, reason="Test", now=CLOSING),
        lambda: services.close(second, now=CLOSING),
    ]
    assert race(*jobs) == []
    check_ledger()
    applied = Invoice.objects.get(pk=second).credits_applied
    left = CreditEntry.objects.latest("id").balance
    assert applied in (10, 40)
    assert applied + left == Decimal(50)
    assert Invoice.objects.get(pk=first).credits_applied == 0
