"""What promotions take off, in which periods, up to which cap; and that every change of them reaches the bill."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from invoices import due, services
from invoices.models import BillingPolicy, Invoice, InvoiceLine
from meters.models import Customer, Meter
from pricing.assignments import change_plan, end
from pricing.models import AppliedPromotion, Promotion, TaxRate
from pricing.promotions import apply_promotion, end_promotion, save_promotion
from pricing.taxes import save_tax_rate, set_billing_profile
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.november import MONTH_END, NOW
from tests.invoices.plans import FREE, ONE_EACH, fee, plan_with
from tests.racing import race

FIRST = date(2026, 11, 1)


def promotion(key: str, **fields: Any) -> Promotion:
    return save_promotion(changes={"key": key, "name": key, **fields})


def give(customer: Customer, key: str, *, starts_on: date = FIRST, **fields: Any) -> AppliedPromotion:
    return apply_promotion(customer=customer, promotion=promotion(key, **fields), starts_on=starts_on)


def off(invoice: Invoice) -> list[tuple[str, Decimal]]:
    return [(line.name, line.amount) for line in invoice.lines.filter(kind=InvoiceLine.Kind.PROMOTION)]


def offs(customer: Customer) -> list[Decimal]:
    """What each invoice got off, in order of time."""
    invoices = customer.invoices.exclude(status="void").order_by("period_start", "id")
    return [sum((amount for _, amount in off(invoice)), Decimal(0)) for invoice in invoices]


@pytest.mark.usefixtures("november")
class TestWhatTheyTakeOff:
    @pytest.fixture
    def customer(self, db: None) -> Customer:
        customer = make_customer("acme")
        calls, storage = make_meter(), make_meter("Storage", unit="GB")
        put_on(customer, plan_with("Full", {calls: ONE_EACH, storage: ONE_EACH}, fee("base", "50")), FIRST)
        for meter, amount in (("ApiCalls", 100), ("Storage", 40)):
            send("acme", meter, amount, time=NOW)
        run_sweep()
        return customer

    def test_one_after_another_in_their_order(self, customer: Customer) -> None:
        item = Meter.objects.get(key="Storage").product_item
        give(customer, "last", amount="20", kind="amount", currency="USD", position=30)
        give(customer, "storage", percent="50", product_items=[item], position=20)
        give(customer, "all", percent="10", position=10)
        run_sweep()
        assert off(live_invoice(customer)) == [("all", -19), ("storage", -18), ("last", -20)]
        assert live_invoice(customer).total == 190 - 57

    def test_minimum_and_taxes_are_of_what_is_left(self, customer: Customer) -> None:
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "20", "is_default": True})
        give(customer, "half", percent="50")
        run_sweep()
        invoice = live_invoice(customer)
        assert (invoice.subtotal, invoice.total) == (95, 114)

    def test_only_invoices_in_its_currency(self, customer: Customer) -> None:
        give(customer, "euros", amount="5", kind="amount", currency="EUR")
        give(customer, "capped", percent="5", cap="5", currency="EUR")
        give(customer, "percent", percent="10", currency="EUR")
        run_sweep()
        assert off(live_invoice(customer)) == [("percent", -19)]

    def test_the_line_names_the_applied_promotion(self, customer: Customer) -> None:
        applied = give(customer, "half", percent="50")
        run_sweep()
        assert live_invoice(customer).lines.get(kind="promotion").promotion == applied


@pytest.mark.usefixtures("november")
class TestPeriods:
    @pytest.fixture
    def daily(self, db: None) -> Customer:
        customer = make_customer("acme")
        plan = plan_with("Daily", {make_meter(): FREE}, fee("base", "10"), interval="day")
        put_on(customer, plan, date(2026, 11, 18))  # the 22nd is the fifth day
        return customer

    @pytest.mark.parametrize(
        ("starts_on", "ends_on", "expected"),
        [
            (date(2026, 11, 1), None, [1, 1, 1, 1, 1]),
            (date(2026, 11, 20), None, [0, 0, 1, 1, 1]),
            (date(2026, 11, 19), date(2026, 11, 21), [0, 1, 1, 0, 0]),
            (date(2026, 11, 19), date(2026, 11, 19), [0, 0, 0, 0, 0]),
        ],
    )
    def test_with_one_of_its_days(
        self, daily: Customer, starts_on: date, ends_on: date | None, expected: list[int]
    ) -> None:
        applied = give(daily, "tenth", percent="10", starts_on=starts_on)
        if ends_on:
            end_promotion(applied, ends_on=ends_on)
        run_sweep()
        assert offs(daily) == [-one for one in expected]

    def test_a_longer_period_that_it_reaches_into(self, db: None) -> None:
        customer = make_customer("acme")
        put_on(customer, plan_with("Monthly", {make_meter(): FREE}, fee("base", "10")), FIRST)
        give(customer, "tenth", percent="10", starts_on=date(2026, 11, 30))
        run_sweep()
        assert offs(customer) == [-1]

    def test_only_the_first_so_many_after_the_trial(self, daily: Customer) -> None:
        give(daily, "twice", percent="10", periods=2, starts_on=date(2026, 11, 19))
        run_sweep()
        assert offs(daily) == [0, -1, -1, 0, 0]
        globex = make_customer("globex")
        plan = plan_with("Tried", {make_meter("Other"): FREE}, fee("base", "10"), interval="day", trial_days=2)
        put_on(globex, plan, date(2026, 11, 18))
        apply_promotion(customer=globex, promotion=Promotion.objects.get(key="twice"), starts_on=date(2026, 11, 1))
        run_sweep()
        assert offs(globex) == [0, 0, -1, -1, 0]

    def test_the_first_so_many_are_those_of_each_assignment_and_a_cap_is_of_the_customer(self, daily: Customer) -> None:
        give(daily, "twice", percent="10", periods=2)
        give(daily, "capped", percent="10", cap="2.5", currency="USD")
        other = plan_with("Other", {make_meter("Other"): FREE}, fee("base", "10"), interval="day")
        change_plan(daily.assignments.get(), plan=other, when=date(2026, 11, 21))
        for _ in range(6):
            run_sweep()
        assert due.stale_invoices(10) == []
        assert [off(invoice) for invoice in daily.invoices.exclude(status="void").order_by("period_start")] == [
            [("twice", -1), ("capped", Decimal("-0.9"))],
            [("twice", -1), ("capped", Decimal("-0.9"))],
            [("capped", Decimal("-0.7"))],
            [("twice", -1)],
            [("twice", -1)],
        ]

    def test_until_the_cap_is_used_up(self, daily: Customer) -> None:
        give(daily, "capped", percent="30", cap="8", currency="USD")
        run_sweep()
        run_sweep()
        assert offs(daily) == [-3, -3, -2, 0, 0]


@pytest.mark.usefixtures("november")
class TestCapsOverInvoices:
    @pytest.fixture
    def customer(self, db: None) -> Customer:
        """Usage by the month, and beside it storage by the week."""
        customer = make_customer("acme")
        put_on(customer, plan_with("Monthly", {make_meter(): ONE_EACH}), FIRST)
        weekly = plan_with("Weekly", {make_meter("Storage"): FREE}, fee("base", "10"), interval="week")
        put_on(customer, weekly, date(2026, 11, 16))
        give(customer, "half", percent="50", cap="12", currency="USD")
        run_sweep()
        return customer

    def settle(self) -> None:
        """Until nothing is stale; each change makes the later ones stale once."""
        for _ in range(3):
            run_sweep()
        assert due.stale_invoices(10) == []

    def test_what_an_earlier_one_takes_is_not_left_for_a_later_one(self, customer: Customer) -> None:
        self.settle()
        assert offs(customer) == [0, -5]
        send("acme", "ApiCalls", 18, time=NOW)
        self.settle()
        assert offs(customer) == [-9, -3]

    def test_what_a_final_one_took_is_left_for_none(self, customer: Customer) -> None:
        with time_machine.travel(datetime(2026, 11, 24, 12, tzinfo=UTC), tick=False):
            run_sweep()
            self.settle()
            assert list(customer.invoices.values_list("status", flat=True).order_by("period_start", "id")) == [
                "open",
                "final",
                "open",
            ]
            send("acme", "ApiCalls", 100, time=NOW)
            self.settle()
            assert offs(customer) == [-7, -5, 0]

    def test_what_a_void_one_took_is_free_again(self, customer: Customer) -> None:
        send("acme", "ApiCalls", 24, time=NOW)
        self.settle()
        assert offs(customer) == [-12, 0]
        monthly = customer.assignments.get(plan__key="Monthly")
        end(monthly, ends_on=monthly.starts_on)
        self.settle()
        assert offs(customer) == [-5]


@pytest.mark.usefixtures("november")
class TestWhatMakesABillStale:
    @pytest.fixture
    def customer(self, acme: Customer) -> Customer:
        make_customer("globex")
        give(acme, "half", percent="50")
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "20"})
        run_sweep()
        assert due.stale_invoices(10) == []
        return acme

    @pytest.mark.parametrize(
        "change",
        [
            lambda customer: save_promotion(Promotion.objects.get(), changes={"percent": "40"}),
            lambda customer: Promotion.objects.get().product_items.set([Meter.objects.get().product_item]),
            lambda customer: Meter.objects.get().product_item.promotions.add(Promotion.objects.get()),
            lambda customer: end_promotion(AppliedPromotion.objects.get(), ends_on=date(2026, 11, 30)),
            lambda customer: AppliedPromotion.objects.all().delete(),
            lambda customer: give(customer, "more", percent="1"),
            lambda customer: set_billing_profile(customer, tax_exempt=True),
            lambda customer: set_billing_profile(customer, tax_rates=TaxRate.objects.all()),
        ],
    )
    def test_of_one_customer(self, customer: Customer, change: Callable[[Customer], object]) -> None:
        change(customer)
        assert due.stale_invoices(10) == [live_invoice(customer).pk]

    def test_taken_away_from_the_other_side(self, customer: Customer) -> None:
        item = Meter.objects.get().product_item
        item.promotions.add(Promotion.objects.get())
        set_billing_profile(customer, tax_rates=TaxRate.objects.all())
        for clear in (item.promotions.clear, TaxRate.objects.get().billing_profiles.clear):
            run_sweep()
            clear()
            assert due.stale_invoices(10) == [live_invoice(customer).pk]

    def test_of_everybody(self, customer: Customer) -> None:
        save_tax_rate(TaxRate.objects.get(), changes={"is_default": True})
        assert len(due.stale_invoices(10)) == 2

    def test_of_everybody_for_another_name_of_what_is_sold(self, customer: Customer) -> None:
        item = Meter.objects.get().product_item
        item.name = "Calls"
        item.save()
        assert len(due.stale_invoices(10)) == 2
        run_sweep()
        assert live_invoice(customer).lines.get(product_item=item).name == "Calls"

    def test_not_what_nobody_has(self, customer: Customer) -> None:
        promotion("unused", percent="5")
        save_tax_rate(changes={"key": "gst", "name": "GST", "percent": "5"})
        assert due.stale_invoices(10) == []

    def test_no_final_one(self, customer: Customer) -> None:
        with time_machine.travel(MONTH_END + timedelta(hours=25), tick=False):
            run_sweep()
            final = customer.invoices.get(status="final")
            save_promotion(Promotion.objects.get(), changes={"percent": "40"})
            final.refresh_from_db()
            assert not final.is_stale


@pytest.mark.django_db(transaction=True)
class TestRaces:
    @pytest.fixture
    def _long_grace(self) -> None:
        """All invoices stay live."""
        BillingPolicy.objects.create(grace_hours=24 * 90)

    @pytest.fixture
    def customer(self) -> Customer:
        """Two plans beside each other, whose invoices share a cap; months back, so that there is much to do."""
        customer = make_customer("acme")
        first = (datetime.now(UTC).date().replace(day=1) - timedelta(days=40)).replace(day=1)
        for key in ("One", "Two"):
            put_on(customer, plan_with(key, {make_meter(key): FREE}, fee("base", "10")), first)
        give(customer, "half", percent="50", cap="12", currency="USD", starts_on=first)
        for _ in range(4):
            run_sweep()
        return customer

    def test_of_a_cap_no_more_is_taken_than_there_is(self, customer: Customer) -> None:
        invoices = list(customer.invoices.values_list("pk", flat=True))
        Invoice.objects.filter(status__in=Invoice.LIVE).update(is_stale=True)
        assert race(*[lambda pk=pk: services.recalculate(pk) for pk in invoices * 2]) == []
        assert race(*[lambda pk=pk: services.close(pk) for pk in invoices * 2]) == []
        for _ in range(4):
            run_sweep()
        assert sum(offs(customer)) == -12

    @pytest.mark.usefixtures("_long_grace")
    def test_a_change_reaches_what_is_opened_at_the_same_time(self, customer: Customer) -> None:
        assignment = customer.assignments.earliest("id")
        for number in range(3):
            InvoiceLine.objects.filter(invoice__assignment=assignment).delete()
            Invoice.objects.filter(assignment=assignment).delete()
            percent = 10 + number

            def tax(percent: int = percent) -> None:
                rate = TaxRate.objects.filter(key="vat").first()
                save_tax_rate(rate, changes={"key": "vat", "name": "VAT", "percent": str(percent), "is_default": True})

            def open_all() -> None:
                services.open_invoices(assignment)

            def recalculate_all() -> None:
                for pk in customer.invoices.values_list("pk", flat=True):
                    services.recalculate(pk)

            assert race(tax, open_all, open_all, recalculate_all, lambda: set_billing_profile(customer)) == []
            for _ in range(4):
                run_sweep()
            live = Invoice.objects.filter(status__in=Invoice.LIVE, subtotal__gt=0)
            assert live.exists()
            for invoice in live:
                assert invoice.total == invoice.subtotal * (100 + percent) / 100
