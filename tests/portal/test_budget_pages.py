"""A customer's budget on the page of its alerts: set and changed in one step, by those who may."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from invoices.alerting.alerts import MOST_OWN, create_own_alert, own_alerts
from invoices.alerting.budgets import MARKS, Budget, budgets_of, set_budget
from meters.models import Customer, Meter
from portal.models import Membership
from portal.roles import Role
from tests.factories import make_customer, make_meter, put_on, run_sweep
from tests.invoices.plans import ONE_EACH, plan_with
from tests.portal.conftest import SignIn
from tests.portal.test_overview import text
from tests.portal.test_pages import check

EVERY = ["50", "75", "100"]


def post(client: Client, url: str = "/alerts/budget/", **fields: Any) -> Any:
    return client.post(url, {"budget": "60", "marks": EVERY} | fields)


def errors_of(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 422
    check(answer.content.decode())
    return dict(answer.context["form"].errors)


@pytest.fixture
def two_currencies(acme: Customer) -> None:
    put_on(acme, plan_with("Euro", {make_meter("Storage"): ONE_EACH}, currency="EUR"), date(2026, 11, 1))
    run_sweep()


class TestSetting:
    def test_one_takes_one_step(self, owner: Client, acme: Customer) -> None:
        assert "No budget is set." in text(owner, "/alerts/")
        answer = post(owner)
        assert (answer.status_code, answer["Location"]) == (302, "/alerts/")
        assert budgets_of(acme) == [Budget(Decimal(60), "USD", MARKS)]
        assert set(own_alerts(acme).values_list("actor", flat=True)) == {"alice"}
        page = text(owner, "/alerts/")
        assert "The budget is $60.00 a period." in page
        assert "$60.00 a period · mails at 50%, 75% and 100%" in page
        assert "Budget: 50% 50% of a budget of $60.00 now at 66.6% of $60.00 ($40.00)" in page

    def test_the_form_has_what_is_set(self, owner: Client, acme: Customer) -> None:
        set_budget(acme, amount="60", marks=[MARKS[2]])
        content = owner.get("/alerts/").content.decode()
        assert 'name="budget" value="60.00"' in content
        assert content.count(" checked") == 1
        post(owner, budget="75.5", marks=["50", "100"])
        assert budgets_of(acme) == [Budget(Decimal("75.5"), "USD", (MARKS[0], MARKS[2]))]

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"budget": ""}, {"budget"}),
            ({"budget": "-1"}, {"budget"}),
            ({"budget": "much"}, {"budget"}),
            ({"budget": "1.001"}, {"budget"}),
            ({"budget": "9" * 400}, {"budget"}),
            ({"marks": []}, {"marks"}),
            ({"marks": ["60"]}, {"marks"}),
        ],
    )
    def test_what_is_wrong_is_told_at_its_field(
        self, owner: Client, acme: Customer, fields: dict[str, Any], wrong: set[str]
    ) -> None:
        answer = post(owner, **fields)
        assert set(errors_of(answer)) == wrong
        assert "Nothing is saved yet" in answer.content.decode()
        assert not own_alerts(acme).exists()

    @pytest.mark.usefixtures("two_currencies")
    def test_of_two_currencies_it_says_which(self, owner: Client, acme: Customer) -> None:
        assert set(errors_of(post(owner))) == {"currency"}
        assert set(errors_of(post(owner, currency="GBP"))) == {"currency"}
        post(owner, currency="EUR")
        post(owner, budget="80", currency="USD")
        page = text(owner, "/alerts/")
        assert "€60.00 a period" in page
        assert "$80.00 a period" in page

    def test_more_alerts_than_there_can_be_are_refused(self, owner: Client, acme: Customer) -> None:
        for number in range(MOST_OWN):
            create_own_alert(acme, name="Own", kind="amount", threshold=number + 1)
        assert list(errors_of(post(owner))) == ["__all__"]

    def test_without_a_bill_there_is_nothing_to_set(self, sign_in: SignIn, calls: Meter) -> None:
        person = sign_in("lou", make_customer("lonely"))
        assert 'id="budget"' not in person.get("/alerts/").content.decode()
        assert post(person).status_code == 422


class TestSwitchingOff:
    def test_takes_one_step_too(self, owner: Client, acme: Customer) -> None:
        post(owner)
        answer = owner.post("/alerts/budget/off/", {"currency": "USD"})
        assert (answer.status_code, answer["Location"]) == (302, "/alerts/")
        assert budgets_of(acme) == []
        page = text(owner, "/alerts/")
        assert "The budget is switched off. Its alerts are kept below." in page
        assert "No budget is set." in page
        owner.post("/alerts/budget/off/", {"currency": "USD"})
        assert "The budget is switched off" not in text(owner, "/alerts/")


class TestWhoMay:
    @pytest.mark.parametrize("url", ["/alerts/budget/", "/alerts/budget/off/"])
    def test_read_only_sees_and_changes_nothing(self, url: str, acme: Customer, sign_in: SignIn) -> None:
        set_budget(acme, amount="60")
        reader = sign_in("ria", acme)
        Membership.objects.filter(user__username="ria").update(role=Role.READ_ONLY)
        content = reader.get("/alerts/").content.decode()
        assert "$60.00" in content
        assert "<form" not in content.split('id="budget"')[1].split("</section>")[0]
        assert post(reader, url, currency="USD", budget="5").status_code == 403
        assert budgets_of(acme) == [Budget(Decimal(60), "USD", MARKS)]

    @pytest.mark.parametrize("url", ["/alerts/budget/", "/alerts/budget/off/"])
    def test_billing_may(self, url: str, acme: Customer, sign_in: SignIn) -> None:
        set_budget(acme, amount="60")
        person = sign_in("bill", acme)
        Membership.objects.filter(user__username="bill").update(role=Role.BILLING)
        assert post(person, url, currency="USD", budget="70").status_code == 302
        assert budgets_of(acme) != [Budget(Decimal(60), "USD", MARKS)]

    @pytest.mark.parametrize("url", ["/alerts/budget/", "/alerts/budget/off/"])
    def test_a_stranger_changes_its_own_only(self, url: str, acme: Customer, stranger: Client) -> None:
        set_budget(acme, amount="60")
        post(stranger, url, currency="USD", budget="5")
        assert budgets_of(acme) == [Budget(Decimal(60), "USD", MARKS)]
        assert Client().post(url, {"budget": "5"}).status_code == 302

    @pytest.mark.parametrize("url", ["/alerts/budget/", "/alerts/budget/off/"])
    def test_following_a_link_changes_nothing(self, url: str, owner: Client, acme: Customer) -> None:
        set_budget(acme, amount="60")
        assert owner.get(url)["Location"] == "/alerts/"
        assert budgets_of(acme) == [Budget(Decimal(60), "USD", MARKS)]
        assert Client(enforce_csrf_checks=True).post(url, {"budget": "5"}).status_code == 403
