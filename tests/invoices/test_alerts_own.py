"""Alerts of a customer's own, and whom alerts go to."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail as outbox
from django.core.exceptions import ValidationError

from invoices.alerting.alerts import (
    MOST_OWN,
    change_alert,
    change_own_alert,
    create_own_alert,
    own_alerts,
    own_firings,
    remove_own_alert,
    watchable_currencies,
    watchable_items,
)
from invoices.mailing.mails import send_due
from invoices.models import Alert, Invoice, Mail, OutboxEvent
from invoices.webhooks.endpoints import create_endpoint
from meters.models import Customer, Meter
from portal.models import Membership
from tests.factories import make_customer, make_meter, put_on, send
from tests.invoices.alarms import alert, fired, mailed, mails_on, told, work
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, plan_with
from tests.racing import race

FIRST = date(2026, 11, 1)


def member(customer: Customer, address: str) -> User:
    user = User.objects.create_user(address, email=address)
    Membership.objects.create(user=user, customer=customer)
    return user


def own(customer: Customer, threshold: Any = 5, **fields: Any) -> Alert:
    fields = {"name": "Own", "kind": "amount"} | fields
    return create_own_alert(customer, threshold=threshold, **fields)


def faults(call: Any) -> set[str]:
    with pytest.raises(ValidationError) as raised:
        call()
    return set(raised.value.message_dict)


@pytest.mark.usefixtures("acme")
class TestOwn:
    def test_one_is_made_for_the_customer_itself(self, acme: Customer) -> None:
        one = own(acme, actor="anna")
        assert (one.customer, one.audience, one.currency, one.actor) == (acme, "customer", "USD", "anna")
        send("acme", "ApiCalls", 5001)
        work()
        assert fired() == [("Own", "acme", Decimal(5))]

    def test_a_customer_sees_its_own_and_no_others(self, acme: Customer) -> None:
        globex = make_customer("globex")
        mine = own(acme)
        by_staff = alert(threshold=5, customer=acme, audience="customer")
        alert(threshold=5)
        alert(threshold=5, customer=acme)
        theirs = own(globex)
        assert set(own_alerts(acme)) == {mine, by_staff}
        for key in ("acme", "globex"):
            send(key, "ApiCalls", 5001)
        work()
        assert {firing.alert for firing in own_firings(acme)} == {mine, by_staff}
        assert {firing.alert for firing in own_firings(globex)} == {theirs}

    def test_and_changes_and_removes_no_others(self, acme: Customer) -> None:
        globex = make_customer("globex")
        others = [own(globex), alert(threshold=5), alert(threshold=5, customer=acme)]
        for one in others:
            with pytest.raises(Alert.DoesNotExist):
                change_own_alert(acme, one.pk, changes={"enabled": False})
            with pytest.raises(Alert.DoesNotExist):
                remove_own_alert(acme, one.pk)
        assert Alert.objects.filter(enabled=True).count() == 3
        mine = own(acme)
        assert change_own_alert(acme, mine.pk, changes={"enabled": False, "threshold": "7.50"}).threshold == 7.5
        remove_own_alert(acme, mine.pk)
        assert not own_alerts(acme).exists()

    def test_it_cannot_make_one_for_staff_or_for_somebody_else(self, acme: Customer) -> None:
        globex = make_customer("globex")
        assert faults(lambda: own(acme, audience="staff")) == {"audience"}
        mine = own(acme)
        for changes in ({"audience": "staff"}, {"customer": globex}, {"kind": "budget"}):
            assert faults(lambda changes=changes: change_own_alert(acme, mine.pk, changes=changes)) == set(changes)
        assert list(Alert.objects.all()) == [mine]

    def test_it_is_about_what_the_bills_have(self, acme: Customer) -> None:
        secret = make_meter("Secret").product_item
        plan_with("Other", {Meter.objects.get(key="Secret"): ONE_EACH}, currency="EUR")
        calls = Meter.objects.get(key="ApiCalls").product_item
        assert list(watchable_items(acme)) == [calls]
        assert watchable_currencies(acme) == ["USD"]
        assert faults(lambda: own(acme, kind="quantity", product_item=secret)) == {"product_item"}
        assert faults(lambda: own(acme, currency="EUR")) == {"currency"}
        assert own(acme, kind="free_tier", threshold=80, product_item=calls).currency == ""
        mine = own(acme)
        assert faults(lambda: change_own_alert(acme, mine.pk, changes={"currency": "EUR"})) == {"currency"}

    def test_of_bills_in_two_currencies_it_says_which(self, acme: Customer) -> None:
        put_on(acme, plan_with("Euro", {make_meter("Storage"): ONE_EACH}, currency="EUR"), FIRST)
        assert watchable_currencies(acme) == ["EUR", "USD"]
        assert faults(lambda: own(acme)) == {"currency"}
        assert own(acme, currency="EUR").currency == "EUR"

    def test_there_is_an_end_to_how_many(self, acme: Customer) -> None:
        alert(threshold=5, customer=acme)  # staff's do not count
        for number in range(MOST_OWN):
            own(acme, number + 1)
        with pytest.raises(ValidationError, match="as many as there can be"):
            own(acme)
        own(make_customer("globex"))

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"threshold": "0"}, {"threshold"}),
            ({"threshold": "1.001"}, {"threshold"}),
            ({"threshold": "x"}, {"threshold"}),
            ({"name": ""}, {"name"}),
            ({"name": "a\0b"}, {"name"}),
            ({"kind": "weather"}, {"kind"}),
            ({"kind": "budget"}, {"budget"}),
            ({"budget": "5"}, {"budget"}),
            ({"recipients": ["x"]}, {"recipients"}),
            ({"recipients": "a@b.example"}, {"recipients"}),
            ({"recipients": [1]}, {"recipients"}),
            ({"name": "", "threshold": "0", "recipients": ["x"]}, {"name", "threshold", "recipients"}),
        ],
    )
    def test_faults_are_told_by_field(self, acme: Customer, fields: Any, expected: set[str]) -> None:
        assert faults(lambda: own(acme, **({"threshold": 5} | fields))) == expected
        assert not Alert.objects.exists()


@pytest.mark.usefixtures("acme")
class TestRecipients:
    def reach(self) -> None:
        mails_on()
        send("acme", "ApiCalls", 5001)
        work()

    def test_staffs_go_to_the_addresses_given(self, acme: Customer) -> None:
        member(acme, "anna@acme.example")
        alert(threshold=5, recipients=["ops@vendor.example", "OPS@vendor.example", " b@vendor.example "], name="Five")
        alert(threshold=4, name="To nobody")
        self.reach()
        assert sorted(mailed()) == [
            ("OPS@vendor.example", "Five: $5.00 reached by acme"),
            ("b@vendor.example", "Five: $5.00 reached by acme"),
        ]
        assert len(fired()) == 2

    def test_a_customers_go_to_its_people(self, acme: Customer) -> None:
        Customer.objects.filter(pk=acme.pk).update(email="billing@acme.example")
        member(acme, "anna@acme.example")
        member(make_customer("globex"), "greta@globex.example")
        own(acme)
        self.reach()
        assert {address for address, _ in mailed()} == {"billing@acme.example", "anna@acme.example"}

    def test_or_to_those_of_them_that_are_given(self, acme: Customer) -> None:
        member(acme, "anna@acme.example")
        member(acme, "bert@acme.example")
        own(acme, recipients=["Anna@acme.example"])
        self.reach()
        assert [address for address, _ in mailed()] == ["anna@acme.example"]

    def test_never_to_strangers(self, acme: Customer) -> None:
        member(acme, "anna@acme.example")
        member(make_customer("globex"), "greta@globex.example")
        for stranger in ("greta@globex.example", "someone@example.com"):
            given = ["anna@acme.example", stranger]
            assert faults(lambda given=given: own(acme, recipients=given)) == {"recipients"}
        mine = own(acme, recipients=["anna@acme.example"])
        for change in (
            lambda: change_own_alert(acme, mine.pk, changes={"recipients": ["someone@example.com"]}),
            lambda: change_alert(mine, changes={"recipients": ["someone@example.com"]}),
        ):
            assert faults(change) == {"recipients"}

    def test_who_has_left_gets_none_and_the_others_do_then(self, acme: Customer) -> None:
        anna, _ = member(acme, "anna@acme.example"), member(acme, "bert@acme.example")
        mine = own(acme, recipients=["anna@acme.example"])
        Membership.objects.get(user=anna).delete()
        # It can be changed all the same.
        change_own_alert(acme, mine.pk, changes={"name": "Still"})
        self.reach()
        assert mailed() == [("bert@acme.example", "Still: $5.00 reached")]

    def test_while_mails_are_off_it_is_told_all_the_same(self, acme: Customer) -> None:
        member(acme, "anna@acme.example")
        own(acme)
        send("acme", "ApiCalls", 5001)
        work()
        assert len(fired()) == 1
        mails_on()
        send("acme", "ApiCalls", 5001)
        work()
        assert mailed() == []

    def test_the_mail_says_what_was_reached_and_is_sent(self, acme: Customer) -> None:
        member(acme, "anna@acme.example")
        own(acme, 40, kind="budget", budget="12.50", name="Budget <b>")
        self.reach()
        assert send_due(now=NOW) == 1
        [sent] = outbox.outbox
        assert sent.to == ["anna@acme.example"]
        assert sent.subject == "Budget <b>: 40% of the budget reached"
        for words in ("Budget", "$12.50", "40% of the budget", "$5.00"):
            assert words in sent.body
        assert Mail.objects.get().status == "sent"


@pytest.mark.usefixtures("acme")
class TestWebhooks:
    def test_an_event_says_what_was_reached(self, acme: Customer) -> None:
        create_endpoint(url="https://example.com/", types=["alert.triggered"])
        alerts = [
            alert("budget", 50, budget="10.00", name="Half"),
            own(acme, "5.00"),
            alert("free_tier", 33, name="Free"),
        ]
        send("acme", "ApiCalls", 5001)
        work()
        invoice = Invoice.objects.get()
        about_invoice = {
            "id": invoice.pk,
            "number": None,
            "period_start": "2026-11-22T00:00:00Z",
            "period_end": "2026-12-01T00:00:00Z",
        }
        assert {event.about for event in OutboxEvent.objects.all()} == {f"invoice:{invoice.pk}"}
        half, mine, free = told()
        assert half == {
            "alert": {"id": alerts[0].pk, "name": "Half", "kind": "budget", "audience": "staff", "product_item": None},
            "customer": "acme",
            "invoice": about_invoice,
            "threshold": "50",
            "value": "50",
            "budget": "10.00",
            "currency": "USD",
        }
        assert (mine["alert"]["audience"], mine["threshold"], mine["value"]) == ("customer", "5.00", "5.00")
        assert (free["alert"]["product_item"], free["value"], free["currency"]) == ("ApiCalls", "100.02", None)

    def test_of_yen_amounts_have_no_decimals(self) -> None:
        create_endpoint(url="https://example.com/", types=["alert.triggered"])
        customer = make_customer("globex")
        put_on(customer, plan_with("Yen", {make_meter("Storage"): ONE_EACH}, currency="JPY"), FIRST)
        mails_on()
        alert(threshold=500, currency="JPY", name="Yen", recipients=["ops@vendor.example"])
        send("globex", "Storage", "499.6")
        work()
        [data] = told()
        assert (data["threshold"], data["value"], data["currency"]) == ("500", "500", "JPY")
        assert mailed() == [("ops@vendor.example", "Yen: ¥500 reached by globex")]


@pytest.mark.django_db(transaction=True)
def test_of_many_made_at_once_no_more_are_made_than_there_can_be() -> None:
    customer = make_customer("acme")
    put_on(customer, plan_with("Basic", {make_meter(): ONE_EACH}), FIRST)
    for number in range(MOST_OWN - 1):
        own(customer, number + 1)
    raised = race(*[lambda: own(customer)] * 4)
    assert len(raised) == 3
    assert all(isinstance(error, ValidationError) for error in raised)
    assert own_alerts(customer).count() == MOST_OWN
