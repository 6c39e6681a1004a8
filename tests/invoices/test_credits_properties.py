"""Whatever happens to credits and to the invoices that they pay, the ledger sums up."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from invoices import services
from invoices.models import CreditGrant, Invoice
from invoices.prepaid.balances import balances_of, drawn_of
from invoices.prepaid.credits import expire_grants, grant_credits, void_grant
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.voiding import void_invoice
from meters import catalogue
from meters.models import Customer, Meter
from pricing.models import Plan
from tests.factories import make_customer, make_meter, put_on, send
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, plan_with
from tests.invoices.prepaid import check_ledger

DAY = timedelta(days=1)
days = st.integers(1, 60).map(lambda count: NOW + count * DAY)
cents = st.integers(1, 9_999).map(lambda count: Decimal(count).scaleb(-2))
GRANT = st.tuples(
    st.just("grant"), cents, st.integers(0, 2), st.none() | days, st.sampled_from([None, "ApiCalls", "Storage"])
)
USE = st.tuples(st.just("use"), st.sampled_from(["ApiCalls", "Storage"]), st.integers(1, 80))
VOID_GRANT = st.tuples(st.just("void grant"), st.integers(0, 3))
WAIT = st.tuples(st.just("wait"), st.integers(1, 30))
CREDIT = st.tuples(st.just("credit"), st.integers(0, 1), st.integers(1, 40).map(Decimal))
VOID = st.tuples(st.just("void"), st.integers(0, 1))
BEFORE = st.lists(GRANT | GRANT | USE | USE | VOID_GRANT, min_size=3, max_size=8)
AFTER = st.lists(CREDIT | CREDIT | VOID | WAIT | GRANT | USE | VOID_GRANT, min_size=2, max_size=8)


class _Undo(Exception):
    pass


@pytest.mark.django_db
class TestLedger:
    @pytest.fixture
    def plan(self) -> Plan:
        with time_machine.travel(NOW, tick=False):
            return plan_with("Basic", {make_meter(): ONE_EACH, make_meter("Storage"): ONE_EACH})

    @hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(before=BEFORE, after=AFTER)
    def test_it_sums_up_after_each_step(self, plan: Plan, before: list[Any], after: list[Any]) -> None:
        catalogue.forget()
        try:
            with transaction.atomic(), time_machine.travel(NOW, tick=False) as clock:
                customer = make_customer("acme")
                put_on(customer, plan, date(2026, 11, 1))
                for step in [("use", "ApiCalls", 20), *before, ("wait", 11), *after]:
                    self.take(customer, clock, *step)
                    check_ledger()
                    self.check_invoices(customer)
                raise _Undo
        except _Undo:
            pass

    def take(self, customer: Customer, clock: Any, what: str, *how: Any) -> None:
        now = timezone.now()
        finals = list(customer.invoices.exclude(number="").order_by("id"))
        match what:
            case "grant":
                amount, priority, expires_at, item = how
                items = [Meter.objects.get(key=item).product_item] if item else []
                try:
                    grant_credits(
                        customer=customer,
                        name="Prepaid",
                        currency="USD",
                        amount=amount,
                        priority=priority,
                        expires_at=expires_at,
                        product_items=items,
                        now=now,
                    )
                except ValidationError:
                    assert expires_at is not None
                    assert expires_at <= now
            case "void grant":
                grants = list(CreditGrant.objects.filter(voided_at=None).order_by("id"))
                if how[0] < len(grants):
                    void_grant(grants[how[0]], now=now)
            case "use":
                send("acme", how[0], how[1], now=now)
            case "wait":
                clock.shift(how[0] * DAY)
                self.follow(customer)
            case "credit" | "void" if how[0] < len(finals):
                invoice = finals[how[0]]
                try:
                    if what == "void":
                        void_invoice(invoice.pk, reason="Test", now=now)
                    else:
                        issue_credit_note(invoice.pk, reason="Test", amounts={1: how[1]}, now=now)
                except ValidationError:
                    pass  # it is void, or there is less than that

    def follow(self, customer: Customer) -> None:
        now = timezone.now()
        expire_grants(customer.pk, now=now)
        for assignment in customer.assignments.all():
            services.open_invoices(assignment, now=now)
        for pk in customer.invoices.filter(status__in=Invoice.LIVE, closes_at__lte=now).values_list("pk", flat=True):
            services.close(pk, now=now)
        for balance in balances_of(customer, now):
            assert balance.amount >= balance.restricted >= 0

    def check_invoices(self, customer: Customer) -> None:
        for invoice in customer.invoices.exclude(number=""):
            limit = 0 if invoice.status == "void" else max(invoice.total - invoice.credited, Decimal(0))
            drawn = drawn_of(invoice)
            assert sum((amount for _, amount in drawn), Decimal(0)) == invoice.credits_applied <= limit
            for grant, amount in drawn:
                assert 0 < amount <= grant.amount
                if items := set(grant.product_items.values_list("pk", flat=True)):
                    lines = invoice.lines.filter(product_item__in=items)
                    assert amount <= sum(line.amount for line in lines)
