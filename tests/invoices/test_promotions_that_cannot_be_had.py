"""A promotion's periods and its cap are used up by nothing but what could get it, in its own currency."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from invoices.backtests.backtest import start_backtest, work_on
from invoices.models import Backtest, BacktestRow, Invoice
from meters.models import Customer
from pricing.models import Plan, Promotion
from pricing.plans import draft_version, set_fee, set_terms
from pricing.promotions import apply_promotion, save_promotion
from tests.factories import make_customer, make_meter, put_on, run_sweep
from tests.invoices.plans import FREE, fee, plan_with, version_with
from tests.invoices.test_services_promotions import give, offs, promotion

pytestmark = pytest.mark.django_db
FIRST_DAY = date(2026, 11, 18)


def noon(day: int) -> datetime:
    return datetime(2026, 11, day, 12, tzinfo=UTC)


def daily(currency: str = "USD", amount: str = "10") -> Plan:
    return plan_with("Daily", {make_meter(): FREE}, fee("base", amount), interval="day", currency=currency)


def by_currency(customer: Customer) -> list[tuple[str, Decimal]]:
    bills = customer.invoices.exclude(status="void").order_by("period_start")
    return list(zip([bill.currency for bill in bills], offs(customer), strict=True))


@pytest.mark.usefixtures("november")
class TestPeriods:
    def test_those_in_another_currency_use_up_none(self) -> None:
        customer = make_customer("acme")
        with time_machine.travel(noon(18), tick=False) as clock:
            plan = daily("EUR")
            put_on(customer, plan, FIRST_DAY)
            give(customer, "dollars", kind="amount", amount="3", currency="USD", periods=2, starts_on=FIRST_DAY)
            clock.move_to(noon(19))
            run_sweep()
            version_with(plan, {}, currency="USD")
        run_sweep()
        run_sweep()
        assert by_currency(customer) == [("EUR", 0), ("EUR", 0), ("USD", -3), ("USD", -3), ("USD", 0)]

    def test_those_that_were_final_when_it_was_given_use_up_none(self) -> None:
        customer = make_customer("acme")
        with time_machine.travel(noon(18), tick=False) as clock:
            put_on(customer, daily(), FIRST_DAY)
            clock.move_to(noon(20))
            run_sweep()
            run_sweep()
            final = customer.invoices.filter(status=Invoice.Status.FINAL).count()
            give(customer, "twice", percent="50", periods=2, starts_on=FIRST_DAY)
            clock.move_to(noon(24))
            run_sweep()
            run_sweep()
        assert final > 0
        assert offs(customer) == [0] * final + [-5, -5] + [0] * (5 - final)

    def test_those_that_became_final_after_it_do_though_nothing_came_off(self) -> None:
        customer = make_customer("acme")
        with time_machine.travel(noon(18), tick=False) as clock:
            plan = daily(amount="0")
            put_on(customer, plan, FIRST_DAY)
            give(customer, "twice", percent="50", periods=2, starts_on=FIRST_DAY)
            clock.move_to(noon(19))
            run_sweep()
            version_with(plan, {}, fee("base", "10"))
            clock.move_to(noon(24))
            run_sweep()
            run_sweep()
        assert offs(customer) == [0] * 7


@pytest.mark.usefixtures("november")
class TestCaps:
    def test_takings_in_another_currency_do_not_count(self) -> None:
        customer = make_customer("acme")
        with time_machine.travel(noon(18), tick=False) as clock:
            plan = daily("JPY", "1000")
            put_on(customer, plan, FIRST_DAY)
            give(customer, "capped", percent="100", cap="1000", currency="JPY", starts_on=FIRST_DAY)
            run_sweep()
            version_with(plan, {}, fee("base", "10"), currency="USD")
            clock.move_to(noon(20))
            run_sweep()
            run_sweep()
            save_promotion(Promotion.objects.get(), changes={"currency": "USD", "cap": "12"})
            run_sweep()
            run_sweep()
        assert by_currency(customer) == [("JPY", -1000), ("USD", -10), ("USD", -2)]

    @pytest.mark.parametrize(
        ("currency", "amount", "fault"),
        [
            ("USD", "10.005", "Amounts in USD have at most 2 decimals."),
            ("JPY", "99.5", "Amounts in JPY have no decimals."),
            ("KWD", "1.0005", "Amounts in KWD have at most 3 decimals."),
            ("USD", "10.0100", None),
            ("KWD", "1.005", None),
        ],
    )
    def test_amounts_are_ones_that_an_invoice_can_have(self, currency: str, amount: str, fault: str | None) -> None:
        for fields in ({"percent": "5", "cap": amount}, {"kind": "amount", "amount": amount}):
            key = "cap" if "cap" in fields else "amount"
            if fault is None:
                promotion(key, currency=currency, **fields)
                continue
            with pytest.raises(ValidationError) as error:
                promotion(key, currency=currency, **fields)
            assert error.value.message_dict == {key: [fault]}

    def test_one_that_is_finer_all_the_same_is_not_passed(self) -> None:
        customer = make_customer("acme")
        put_on(customer, plan_with("Monthly", {make_meter(): FREE}, fee("base", "1000")), date(2026, 11, 1))
        give(customer, "capped", percent="50", cap="10", currency="USD")
        Promotion.objects.update(cap="10.005")
        run_sweep()
        assert offs(customer) == [-10]


class TestBacktests:
    @pytest.mark.parametrize("capped", [False, True])
    @pytest.mark.parametrize("given_first", [False, True])
    def test_another_cycle_has_as_many_periods_of_its_own(self, capped: bool, given_first: bool) -> None:
        this_month = timezone.now().date().replace(day=1)
        start = (this_month - timedelta(days=32)).replace(day=1)
        plan = plan_with("P", {make_meter(): FREE}, fee("base", "31"))
        customer = make_customer("acme")
        cap = {"cap": "15"} if capped else {}
        twice = promotion("twice", kind="amount", amount="10", currency="USD", periods=2, **cap)
        put_on(customer, plan, start)
        if given_first:
            apply_promotion(customer=customer, promotion=twice, starts_on=start)
        run_sweep()
        run_sweep()
        if not given_first:
            apply_promotion(customer=customer, promotion=twice, starts_on=start)
        draft = draft_version(plan)
        set_terms(draft, interval="day")
        set_fee(draft, key="base", name="Base", amount="10")
        started = start_backtest(plan=plan)
        assert not work_on(started.pk, seconds=60)
        assert Backtest.objects.get().status == Backtest.Status.DONE
        rows = list(BacktestRow.objects.order_by("period_start").values_list("amount_then", "amount_now"))
        days = (this_month - start).days
        months = len(customer.invoices.filter(period_end__date__lte=this_month))
        assert sum(then for then, _ in rows) == 31 * months - (15 if capped else 20)
        assert sum(now for _, now in rows) == 10 * days - (15 if capped else 20)
