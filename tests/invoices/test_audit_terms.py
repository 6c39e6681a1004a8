"""Terms that hang together: what one invoice takes of a cap the next ones have not, whatever happens to it later."""

from collections.abc import Callable
from datetime import date

import pytest
import time_machine
from django.db.models import Sum

from invoices.models import Correction, Invoice, InvoiceLine
from invoices.settling.voiding import reissue, void_invoice
from meters.models import Customer
from pricing.promotions import apply_promotion, save_promotion
from tests.factories import make_customer, make_meter, put_on, send
from tests.invoices.books import audit, findings
from tests.invoices.late import at, void, work_at
from tests.invoices.plans import ONE_EACH, plan_with

pytestmark = pytest.mark.django_db


def first(customer: Customer) -> Invoice:
    return customer.invoices.filter(period_start=at(9, 1, 0)).order_by("-pk")[0]


@pytest.mark.parametrize(
    "take_back",
    [lambda pk: void_invoice(pk, reason="Wrong"), lambda pk: reissue(pk, reason="Wrong")],
    ids=["void", "issued anew"],
)
@pytest.mark.parametrize("late_after", [False, True])
def test_a_cap_is_in_order_when_the_first_that_took_of_it_is_taken_back(
    take_back: Callable[[int], Invoice], late_after: bool
) -> None:
    with time_machine.travel(at(9, 1), tick=False) as clock:
        customer = make_customer("acme")
        off = {"key": "off", "name": "Off", "kind": "percent", "percent": "10", "cap": "15", "currency": "USD"}
        apply_promotion(customer=customer, promotion=save_promotion(changes=off), starts_on=date(2026, 9, 1))
        put_on(customer, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), date(2026, 9, 1))
        for month in (9, 10, 11):
            send("acme", "Calls", 60, time=at(month, 10), now=at(month, 10), id=f"of-{month}")
            work_at(clock, at(month + 1, 3))
        assert findings(audit()) == []
        send("acme", "Calls", 40, time=at(9, 12), id="late")
        work_at(clock, at(12, 4))
        assert findings(audit()) == []
        take_back(first(customer).pk)
        work_at(clock, at(12, 5))
        assert findings(audit()) == []
        if late_after:
            void("of-10")
            work_at(clock, at(12, 6))
        assert findings(audit()) == []
        counting = Invoice.objects.exclude(status="void")
        taken = InvoiceLine.objects.filter(kind="promotion", invoice__in=counting).aggregate(sum=Sum("amount"))["sum"]
        of_finals = Correction.objects.filter(kind="promotion", invoice__in=counting, invoice__status="final")
        corrected = sum(one.amount for one in of_finals)
        assert -15 <= taken + corrected < 0
