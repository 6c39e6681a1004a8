"""A customer's budget: its own alerts of that kind, set together."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from invoices.alerting.alerts import MOST_OWN, create_own_alert, own_alerts
from invoices.alerting.budgets import MARKS, Budget, budgets_of, set_budget, switch_budget_off
from invoices.models import Alert
from meters.models import Customer
from tests.factories import make_customer, make_meter, put_on, send
from tests.invoices.alarms import alert, fired, work
from tests.invoices.plans import ONE_EACH, plan_with
from tests.racing import race

FIRST = date(2026, 11, 1)
HALF, MOST, ALL = MARKS


def told(customer: Customer) -> list[tuple[Decimal, Decimal | None, bool]]:
    return list(own_alerts(customer).order_by("threshold").values_list("threshold", "budget", "enabled"))


def faults(call: Any) -> set[str]:
    with pytest.raises(ValidationError) as raised:
        call()
    return set(raised.value.message_dict)


@pytest.fixture
def euro(acme: Customer) -> None:
    put_on(acme, plan_with("Euro", {make_meter("Storage"): ONE_EACH}, currency="EUR"), FIRST)


class TestSetting:
    def test_one_makes_an_alert_at_each_mark(self, acme: Customer) -> None:
        assert set_budget(acme, amount="60", actor="anna") == Budget(Decimal(60), "USD", MARKS)
        assert [(one.name, one.actor) for one in own_alerts(acme)] == [
            ("Budget: 50%", "anna"),
            ("Budget: 75%", "anna"),
            ("Budget: 100%", "anna"),
        ]
        assert budgets_of(acme) == [Budget(Decimal(60), "USD", MARKS)]

    def test_what_is_passed_already_is_told(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 5001)  # $5
        work()
        set_budget(acme, amount="8")
        work()
        assert [name for name, *_ in fired()] == ["Budget: 50%"]
        set_budget(acme, amount="5")
        work()
        assert [name for name, *_ in fired()] == ["Budget: 50%", "Budget: 50%", "Budget: 75%", "Budget: 100%"]

    def test_changing_it_moves_all_of_its_alerts(self, acme: Customer) -> None:
        set_budget(acme, amount="60")
        own = create_own_alert(acme, name="Mine", kind="budget", threshold=120, budget="60")
        off = create_own_alert(acme, name="Off", kind="budget", threshold=90, budget="60", enabled=False)
        set_budget(acme, amount="75.50", marks=[HALF, ALL])
        amount = Decimal("75.50")
        assert told(acme) == [
            (50, amount, True),
            (75, amount, False),
            (90, amount, False),
            (100, amount, True),
            (120, amount, True),
        ]
        assert budgets_of(acme) == [Budget(amount, "USD", (HALF, ALL, own.threshold))]
        assert off.threshold not in budgets_of(acme)[0].thresholds

    def test_the_same_again_changes_nothing(self, acme: Customer) -> None:
        set_budget(acme, amount="60")
        work()
        before = list(own_alerts(acme).values())
        set_budget(acme, amount="60.00")
        assert list(own_alerts(acme).values()) == before

    def test_it_may_leave_marks_out(self, acme: Customer) -> None:
        assert set_budget(acme, amount="60", marks=[ALL]).thresholds == (ALL,)
        assert told(acme) == [(100, 60, True)]
        assert set_budget(acme, amount="60", marks=[HALF]).thresholds == (HALF,)

    @pytest.mark.parametrize("amount", [None, "", "0", "-5", "x", "NaN", "5.001", "1e40"])
    def test_it_is_an_amount_of_money(self, acme: Customer, amount: str | None) -> None:
        assert faults(lambda: set_budget(acme, amount=amount)) == {"budget"}
        assert not own_alerts(acme).exists()

    def test_of_a_currency_without_digits(self, acme: Customer) -> None:
        put_on(acme, plan_with("Yen", {make_meter("Storage"): ONE_EACH}, currency="JPY"), FIRST)
        assert faults(lambda: set_budget(acme, amount="500.5", currency="JPY")) == {"budget"}
        assert set_budget(acme, amount="500", currency="JPY").amount == 500

    @pytest.mark.parametrize("marks", [[], [Decimal(60)], [HALF, Decimal(60)]])
    def test_its_marks_are_some_of_these(self, acme: Customer, marks: list[Decimal]) -> None:
        assert faults(lambda: set_budget(acme, amount="60", marks=marks)) == {"marks"}

    @pytest.mark.usefixtures("euro")
    def test_each_currency_has_its_own(self, acme: Customer) -> None:
        assert faults(lambda: set_budget(acme, amount="60")) == {"currency"}
        for currency in ("GBP", "dollars"):
            assert faults(lambda currency=currency: set_budget(acme, amount="60", currency=currency)) == {"currency"}
        set_budget(acme, amount="60", currency="USD")
        set_budget(acme, amount="40", currency="EUR")
        set_budget(acme, amount="50", currency="EUR")
        assert budgets_of(acme) == [Budget(Decimal(50), "EUR", MARKS), Budget(Decimal(60), "USD", MARKS)]

    @pytest.mark.django_db
    def test_without_a_bill_there_is_none(self) -> None:
        assert faults(lambda: set_budget(make_customer("lonely"), amount="60")) == {"currency"}

    def test_there_is_an_end_to_how_many_and_then_nothing_is_made(self, acme: Customer) -> None:
        for number in range(MOST_OWN - 2):
            create_own_alert(acme, name="Own", kind="amount", threshold=number + 1)
        with pytest.raises(ValidationError):
            set_budget(acme, amount="60")
        assert budgets_of(acme) == []

    def test_what_staff_or_others_have_is_left_alone(self, acme: Customer) -> None:
        put_on(globex := make_customer("globex"), plan_with("Other", {make_meter("M"): ONE_EACH}), FIRST)
        set_budget(globex, amount="10")
        alert(name="Staff", kind="budget", threshold=50, budget="10", customer=acme)
        set_budget(acme, amount="60")
        switch_budget_off(acme, currency="USD")
        assert budgets_of(globex) == [Budget(Decimal(10), "USD", MARKS)]
        assert Alert.objects.get(name="Staff").budget == 10
        assert Alert.objects.get(name="Staff").enabled


class TestSwitchingOff:
    def test_keeps_its_alerts_and_what_they_told(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 5001)
        set_budget(acme, amount="5")
        work()
        assert switch_budget_off(acme, currency="USD") == 3
        assert budgets_of(acme) == []
        assert len(fired()) == 3
        assert switch_budget_off(acme, currency="USD") == 0
        set_budget(acme, amount="5")
        work()
        assert (len(told(acme)), len(fired())) == (3, 3)

    @pytest.mark.usefixtures("euro")
    def test_is_of_one_currency(self, acme: Customer) -> None:
        set_budget(acme, amount="60", currency="USD")
        set_budget(acme, amount="60", currency="EUR")
        switch_budget_off(acme, currency="EUR")
        assert [one.currency for one in budgets_of(acme)] == ["USD"]


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one_budget(acme: Customer) -> None:
    race(lambda: set_budget(acme, amount="60"), lambda: set_budget(acme, amount="70"))
    [one] = budgets_of(acme)
    assert (one.amount in (60, 70), one.thresholds, own_alerts(acme).count()) == (True, MARKS, 3)
