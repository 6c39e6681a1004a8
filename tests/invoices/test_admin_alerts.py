"""The staff pages of alerts."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from invoices.models import Alert, AlertFiring, Invoice, Mail
from meters.models import Customer
from tests.factories import make_customer, send
from tests.invoices.alarms import alert, fired, mails_on, work
from tests.invoices.late import at, work_at

pytestmark = pytest.mark.django_db
ALERTS, FIRINGS = "/admin/invoices/alert/", "/admin/invoices/alertfiring/"


@pytest.fixture
def staff(client: Client, acme: Customer) -> Client:
    client.force_login(User.objects.create_superuser("staff", email="staff@vendor.example"))
    return client


@pytest.fixture
def looker(acme: Customer) -> Client:
    """Somebody who may look at alerts, and do nothing."""
    user = User.objects.create_user("looker", is_staff=True)
    names = ["view_alert", "view_alertfiring"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def text(response: Any) -> str:
    assert response.status_code == 200, response
    return str(response.content.decode())


def page(one: Alert) -> str:
    return f"{ALERTS}{one.pk}/change/"


def test_the_kind_is_asked_for_first_and_the_customer_kept(staff: Client) -> None:
    shown = text(staff.get(f"{ALERTS}add/?customer=acme"))
    for kind in Alert.Kind:
        assert str(kind.label) in shown
        assert f"?kind={kind.value}&amp;customer=acme" in shown
    assert 'value="acme"' in text(staff.get(f"{ALERTS}add/?kind=amount&customer=acme"))
    assert "What should it watch?" in text(staff.get(f"{ALERTS}add/?kind=weather"))


def test_a_customers_page_leads_to_its_alerts_and_to_one_more(staff: Client, acme: Customer) -> None:
    alert(threshold=5, customer=acme, name="Of acme")
    alert(threshold=5, customer=make_customer("globex"), name="Of globex")
    url = f"{ALERTS}?customer__id__exact={acme.pk}"
    assert url in text(staff.get(f"/admin/meters/customer/{acme.pk}/change/"))
    listed = text(staff.get(url))
    assert "Of acme" in listed
    assert "Of globex" not in listed
    assert f"add/?_changelist_filters=customer__id__exact%3D{acme.pk}" in listed
    assert "customer=acme" in text(staff.get(f"{ALERTS}add/?_changelist_filters=customer__id__exact%3D{acme.pk}"))
    assert "customer=" not in text(staff.get(f"{ALERTS}add/?_changelist_filters=customer__id__exact%3Dx"))


@pytest.mark.parametrize(
    ("kind", "has", "has_not"),
    [
        ("amount", ["currency"], ["product_item", "budget"]),
        ("budget", ["currency", "budget"], ["product_item"]),
        ("quantity", ["product_item"], ["currency", "budget"]),
        ("free_tier", ["product_item"], ["currency", "budget"]),
    ],
)
def test_a_kind_has_the_fields_that_it_needs(staff: Client, kind: str, has: list[str], has_not: list[str]) -> None:
    shown = text(staff.get(f"{ALERTS}add/?kind={kind}"))
    for name in ["name", "threshold", "customer", "audience", "recipients", "enabled", *has]:
        assert f'name="{name}"' in shown
    for name in has_not:
        assert f'name="{name}"' not in shown


def test_one_is_added_and_lands_on_its_page(staff: Client, acme: Customer) -> None:
    fields = {
        "name": "Half",
        "budget": "20",
        "threshold": "50",
        "currency": " usd",
        "customer": "acme",
        "audience": "staff",
        "recipients": "ops@vendor.example\nOPS@vendor.example, b@vendor.example",
        "enabled": "on",
    }
    answer = staff.post(f"{ALERTS}add/?kind=budget", fields)
    one = Alert.objects.get()
    assert answer["Location"] == page(one)
    assert (one.kind, one.customer, one.currency, one.actor) == ("budget", acme, "USD", "staff")
    assert one.recipients == ["OPS@vendor.example", "b@vendor.example"]
    send("acme", "ApiCalls", 6001)
    work()
    shown = text(staff.get(page(one)))
    assert "50% of a budget of $20.00" in shown
    assert "50% of $20.00 ($10.00)" in shown
    assert "Reached" in shown


@pytest.mark.parametrize(
    ("kind", "changed", "field", "words"),
    [
        ("amount", {"threshold": ""}, "threshold", "This field is required."),
        ("amount", {"threshold": "0"}, "threshold", "above zero"),
        ("amount", {"threshold": "1.001"}, "threshold", "USD has 2 decimals."),
        ("amount", {"currency": "XYZ"}, "currency", "This is no currency"),
        ("amount", {"name": ""}, "name", "This field is required."),
        ("amount", {"customer": "nobody"}, "customer", "There is no customer with this key."),
        ("amount", {"customer": "", "audience": "customer"}, "customer", "is of one customer"),
        ("amount", {"recipients": "nobody"}, "recipients", "is no mail address"),
        ("amount", {"audience": "customer", "recipients": "a@b.example"}, "recipients", "nor a portal member"),
        ("budget", {"budget": ""}, "budget", "This field is required."),
        ("budget", {"budget": "5", "threshold": "2000"}, "threshold", "a percentage, of at most 1,000"),
        ("quantity", {}, "product_item", "This field is required."),
    ],
)
def test_faults_stand_beside_their_fields(staff: Client, kind: str, changed: Any, field: str, words: str) -> None:
    fields = {"name": "A", "threshold": "5", "currency": "USD", "customer": "acme", "audience": "staff"}
    answer = staff.post(f"{ALERTS}add/?kind={kind}", fields | changed)
    assert not Alert.objects.exists()
    assert any(words in fault for fault in answer.context["form"].errors[field]), answer.context["form"].errors
    assert words.replace("'", "&#x27;") in text(answer)


def test_all_faults_are_told_at_once(staff: Client) -> None:
    fields = {"name": "", "threshold": "1.001", "currency": "USD", "audience": "staff", "recipients": "nobody"}
    answer = staff.post(f"{ALERTS}add/?kind=amount", fields)
    assert set(answer.context["form"].errors) == {"name", "threshold", "recipients"}


def test_looking_shows_where_it_would_stand_and_stores_nothing(staff: Client, acme: Customer) -> None:
    send("acme", "ApiCalls", 3150)
    work()
    item = Invoice.objects.get().lines.get().product_item_id
    fields = {"name": "Free", "product_item": item, "threshold": "80", "audience": "staff", "_look": "1"}
    shown = text(staff.post(f"{ALERTS}add/?kind=free_tier", fields))
    assert "Name a customer to look at" in shown
    shown = text(staff.post(f"{ALERTS}add/?kind=free_tier", fields | {"look_at": "acme"}))
    assert "63% of 5,000 free calls" in shown
    assert "Below" in shown
    assert "63% of 5,000 free calls" in text(staff.post(f"{ALERTS}add/?kind=free_tier", fields | {"customer": "acme"}))
    assert "Reached" in text(
        staff.post(f"{ALERTS}add/?kind=free_tier", fields | {"customer": "acme", "threshold": "63"})
    )
    assert not Alert.objects.exists()
    answer = staff.post(f"{ALERTS}add/?kind=free_tier", fields | {"threshold": "-1"})
    assert "threshold" in answer.context["form"].errors


def test_looking_at_a_customer_without_a_bill_or_with_another_currency(staff: Client, acme: Customer) -> None:
    one = alert(threshold=5, currency="EUR", customer=acme)
    assert "Nothing to watch" in text(staff.get(page(one)))
    Customer.objects.create(key="idle", onboarded_at=acme.created_at)
    fields = {"name": "A", "threshold": "5", "currency": "USD", "audience": "staff", "_look": "1", "look_at": "idle"}
    assert "idle has no running bill." in text(staff.post(f"{ALERTS}add/?kind=amount", fields))


def test_one_is_changed_looked_at_before_and_switched_off(staff: Client) -> None:
    one = alert(threshold=50, name="Fifty")
    send("acme", "ApiCalls", 6001)
    work()
    fields = {"name": "Fifty", "threshold": "10", "currency": "USD", "enabled": "on", "recipients": ""}
    shown = text(staff.post(page(one), fields | {"_look": "1", "look_at": "acme"}))
    assert "Reached" in shown
    assert "Not yet." in shown
    assert Alert.objects.get().threshold == 50
    answer = staff.post(page(one), fields)
    assert answer["Location"] == page(one)
    work()
    assert fired() == [("Fifty", "acme", 10)]
    del fields["enabled"]
    staff.post(page(one), fields)
    assert not Alert.objects.get().enabled
    history = text(staff.get(f"{ALERTS}{one.pk}/history/"))
    assert "Changed amount." in history
    assert "Changed switched on." in history


def test_firings_are_shown_with_customer_invoice_and_time(
    staff: Client, looker: Client, november: Any, acme: Customer
) -> None:
    one = alert("budget", 50, budget=20, name="Half")
    send("acme", "ApiCalls", 6001)
    work_at(november, at(11, 22, 15))
    [firing] = AlertFiring.objects.all()
    for client in (staff, looker):
        for path in (page(one), FIRINGS, f"{FIRINGS}?alert__id__exact={one.pk}"):
            shown = text(client.get(path))
            for words in ("22 Nov 2026, 15:00 UTC", "acme", "50% of the budget", f"invoice/{firing.invoice_id}/"):
                assert words in shown
    listed = text(staff.get(ALERTS))
    assert "50% of a budget of $20.00" in listed
    assert "22 Nov 2026, 15:00 UTC" in listed


def test_the_list_is_searched_filtered_and_switches(staff: Client, acme: Customer) -> None:
    make_customer("globex")
    one, other = alert(threshold=5, customer=acme, name="Five"), alert("quantity", 7, name="Seven")
    assert "Seven" not in text(staff.get(f"{ALERTS}?q=acme"))
    assert "Five" not in text(staff.get(f"{ALERTS}?kind__exact=quantity"))
    both = {"_selected_action": [one.pk, other.pk]}
    assert "Switched off: 2." in text(staff.post(ALERTS, {"action": "switch_off", **both}, follow=True))
    assert not Alert.objects.filter(enabled=True).exists()
    assert "Switched on: 2." in text(staff.post(ALERTS, {"action": "switch_on", **both}, follow=True))
    assert Invoice.objects.filter(is_stale=True).count() == 2


def test_one_is_removed_with_what_it_told(staff: Client) -> None:
    one = alert(threshold=5)
    send("acme", "ApiCalls", 5001)
    work()
    assert "told: 1" in text(staff.get(f"{ALERTS}{one.pk}/delete/"))
    staff.post(f"{ALERTS}{one.pk}/delete/", {"post": "yes"})
    assert not Alert.objects.exists()
    assert staff.get(page(one)).status_code == 404


def test_a_test_mail_goes_to_who_asks(staff: Client, acme: Customer) -> None:
    one = alert(threshold=50, customer=acme, name="Fifty", recipients=["ops@vendor.example"])
    send("acme", "ApiCalls", 6001)
    work()
    # At its threshold, as long as it is not reached.
    asked = text(staff.get(f"{ALERTS}{one.pk}/test/"))
    assert 'value="staff@vendor.example"' in asked
    assert "Test: Fifty: $50.00 reached by acme" in asked
    assert "Enter a valid email address." in text(staff.post(f"{ALERTS}{one.pk}/test/", {"address": "x"}))
    answer = staff.post(f"{ALERTS}{one.pk}/test/", {"address": "staff@vendor.example"})
    assert answer["Location"] == page(one)
    staff.post(f"{ALERTS}{one.pk}/test/", {"address": "staff@vendor.example"})
    assert [(mail.recipient, mail.subject, mail.status) for mail in Mail.objects.all()] == [
        ("staff@vendor.example", "Test: Fifty: $50.00 reached by acme", "waiting")
    ] * 2


def test_a_test_mail_of_one_that_has_no_bill(staff: Client) -> None:
    one = alert("free_tier", 80, name="Free")
    assert "Test: Free: 80% of the free units reached" in text(staff.get(f"{ALERTS}{one.pk}/test/"))


def test_it_says_that_mails_are_off(staff: Client) -> None:
    one = alert()
    assert "Mails of alerts are switched off" in text(staff.get(page(one)))
    mails_on()
    assert "Mails of alerts are switched off" not in text(staff.get(page(one)))


def test_who_may_only_look_does_nothing(looker: Client, acme: Customer) -> None:
    one = alert(threshold=5, customer=acme)
    shown = text(looker.get(page(one)))
    assert "Where it stands now" in shown
    assert '<form method="post" novalidate' not in shown
    assert looker.post(page(one), {"name": "Mine"}).status_code == 403
    for path in (f"{ALERTS}add/", f"{ALERTS}add/?kind=amount", f"{ALERTS}{one.pk}/test/"):
        assert looker.get(path).status_code == 403
    assert looker.post(f"{ALERTS}{one.pk}/delete/", {"post": "yes"}).status_code == 403
    stranger = Client()
    stranger.force_login(User.objects.create_user("nobody", is_staff=True))
    for path in (ALERTS, FIRINGS, page(one)):
        assert stranger.get(path).status_code == 403
    assert Alert.objects.get() == one


def test_names_are_text(staff: Client, acme: Customer) -> None:
    one = alert(name="<script>alert(1)</script>", customer=acme)
    for path in (ALERTS, page(one), f"{ALERTS}{one.pk}/test/", f"{ALERTS}{one.pk}/delete/"):
        assert "<script>alert(1)" not in text(staff.get(path))


def test_the_list_asks_the_same_of_the_database_however_long_it_is(
    staff: Client, acme: Customer, django_assert_max_num_queries: Any
) -> None:
    for number in range(8):
        alert("quantity", number + 1, customer=acme)
    send("acme", "ApiCalls", 20)
    work()
    assert len(fired()) == 8
    for path in (ALERTS, FIRINGS):
        with django_assert_max_num_queries(7):
            text(staff.get(path))


def test_a_list_is_not_asked_for_what_cannot_be_stored(staff: Client) -> None:
    for path in ("/admin/invoices/alert/?kind=a%00b", "/admin/invoices/invoice/?number=%00"):
        answer = staff.get(path)
        assert (answer.status_code, answer["Location"].partition("?")[2]) == (302, "e=1")
    assert staff.get("/admin/invoices/alert/?q=%00").status_code == 200
