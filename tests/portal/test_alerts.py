"""A customer's own alerts in the portal: what the page says of them, and what its people do with them."""

import html
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from invoices.alerting.alerts import MOST_OWN, create_alert, create_own_alert
from invoices.models import Alert, AlertFiring, Invoice, Mail
from meters.models import Customer, Meter
from portal.models import Membership
from pricing.models import ProductItem
from tests.factories import make_customer, make_meter, put_on, run_sweep
from tests.invoices.alarms import mails_on
from tests.invoices.plans import ONE_EACH, plan_with
from tests.portal.conftest import NOW, SignIn
from tests.portal.test_pages import check

# Of a story: 12,300 calls, of which 5,000 are free and the rest come to $40.00.
HUGE = "9" * 400


def own(customer: Customer, kind: str = "amount", threshold: Any = 30, **fields: Any) -> Alert:
    return create_own_alert(customer, **({"name": "Own", "kind": kind, "threshold": threshold} | fields))


def calls_item() -> ProductItem:
    return Meter.objects.get(key="ApiCalls").product_item


def words(answer: Any) -> str:
    """What a page says between its tags, in one line."""
    main = answer.content.decode().split("<main")[-1]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def errors_of(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 422
    check(answer.content.decode())
    return {name: list(texts) for name, texts in answer.context["form"].errors.items()}


class TestList:
    def test_without_any_it_says_what_they_are_for(self, owner: Client) -> None:
        answer = owner.get("/alerts/")
        assert "No alerts yet" in words(answer)
        assert 'href="/alerts/add/"' in answer.content.decode()

    def test_it_is_in_the_navigation(self, owner: Client) -> None:
        assert '<a href="/alerts/">Alerts<' in owner.get("/").content.decode()
        assert '<a href="/alerts/" aria-current="page">' in owner.get("/alerts/").content.decode()
        assert '<a href="/alerts/" aria-current="true">' in owner.get("/alerts/add/").content.decode()

    def test_who_has_no_bill_has_nothing_to_watch(self, db: None, sign_in: SignIn) -> None:
        client = sign_in("new", make_customer("new"))
        assert "Alerts watch your running bills" in words(client.get("/alerts/"))
        assert "Nothing to watch yet" in words(client.get("/alerts/add/"))
        answer = client.post("/alerts/add/?kind=amount", {"name": "x", "threshold": "5"})
        assert answer.status_code == 422
        assert not Alert.objects.exists()

    def test_each_says_what_it_watches_and_where_it_stands(self, acme: Customer, owner: Client) -> None:
        own(acme, "free_tier", 300, product_item=calls_item(), name="Free")
        own(acme, "budget", 50, budget="500", name="Half")
        own(acme, "quantity", 12300, product_item=calls_item(), name="Many", enabled=False)
        text = words(owner.get("/alerts/"))
        assert "Free 300% of the free units of API calls now at 246% of 5,000 free" in text
        assert "Half 50% of a budget of $500.00 now at 8% of $500.00 ($40.00)" in text
        assert "Many 12,300 calls of API calls now at 12,300 calls Reached" in text
        assert (text.count(" On "), text.count(" Off ")) == (2, 1)

    def test_each_of_two_bills_is_named(self, acme: Customer, owner: Client) -> None:
        own(acme)
        with time_machine.travel(datetime.fromisoformat("2026-12-01T00:05:00Z"), tick=False):
            run_sweep()
            text = words(owner.get("/alerts/"))
        assert "now at $40.00 Reached Growth, 1–30 Nov 2026" in text
        assert "now at $0.00 Growth, 1–31 Dec 2026" in text

    def test_a_bill_without_what_it_watches_says_so(self, acme: Customer, owner: Client) -> None:
        create_alert(
            name="Euro", kind="amount", threshold=5, currency="EUR", audience="customer", customer=acme, now=NOW
        )
        assert "€5.00 before tax No running bill has this yet" in words(owner.get("/alerts/"))

    def test_it_says_who_gets_the_mail(self, acme: Customer, owner: Client, colleague: Client) -> None:
        own(acme, name="For all")
        own(acme, name="For one", recipients=["bob@example.com"])
        text = words(owner.get("/alerts/"))
        assert "All of you alice@example.com bob@example.com" in text
        assert text.count("alice@example.com") == 1
        assert text.count("bob@example.com") == 2

    def test_it_says_that_mails_are_off(self, acme: Customer, owner: Client) -> None:
        assert "switched off at present" in words(owner.get("/alerts/"))
        mails_on()
        assert "switched off at present" not in words(owner.get("/alerts/"))

    def test_it_says_when_it_was_last_reached_with_the_threshold_of_then(self, acme: Customer, owner: Client) -> None:
        own(acme, "free_tier", 200, product_item=calls_item())
        assert "Not yet" in words(owner.get("/alerts/"))
        run_sweep()
        firing = AlertFiring.objects.get()
        answer = owner.get("/alerts/")
        assert "18 Nov 2026, 14:02 UTC 246% of the free units, 1–30 Nov 2026" in words(answer)
        assert f'href="/invoices/{firing.invoice_id}/"' in answer.content.decode()

    def test_it_does_not_link_what_the_customer_does_not_see(self, acme: Customer, owner: Client) -> None:
        own(acme)
        run_sweep()
        pk = AlertFiring.objects.get().invoice_id
        Invoice.objects.filter(pk=pk).update(status="void", number="")
        answer = owner.get("/alerts/")
        assert "14:02" in words(answer)
        assert f"/invoices/{pk}/" not in answer.content.decode()

    def test_staffs_and_other_customers_are_not_on_it(self, acme: Customer, globex: Customer, owner: Client) -> None:
        own(globex, name="Theirs")
        create_alert(name="Secret", kind="amount", threshold=5, currency="USD", customer=acme)
        create_alert(name="Of each", kind="amount", threshold=5, currency="USD")
        create_alert(name="By staff", kind="amount", threshold=5, currency="USD", customer=acme, audience="customer")
        text = words(owner.get("/alerts/"))
        assert "By staff" in text
        assert not [name for name in ("Theirs", "Secret", "Of each") if name in text]

    def test_more_alerts_take_no_more_statements(self, acme: Customer, owner: Client) -> None:
        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                owner.get("/alerts/")
            return len(queries)

        own(acme)
        run_sweep()
        before = count()
        for number in range(5):
            own(acme, "quantity", number + 1, product_item=calls_item())
        run_sweep()
        assert count() == before

    def test_names_are_text(self, acme: Customer, owner: Client) -> None:
        own(acme, name="<b>Bold</b> & “so”")
        answer = owner.get("/alerts/")
        assert "&lt;b&gt;Bold&lt;/b&gt; &amp;" in answer.content.decode()
        check(answer.content.decode())


FAULTS: list[tuple[str, dict[str, Any], set[str]]] = [
    ("amount", {}, {"name", "threshold"}),
    ("budget", {}, {"name", "threshold", "budget"}),
    ("quantity", {}, {"name", "threshold", "product_item"}),
    ("amount", {"name": "x", "threshold": "0"}, {"threshold"}),
    ("amount", {"name": "x", "threshold": "-5"}, {"threshold"}),
    ("amount", {"name": "x", "threshold": "1.001"}, {"threshold"}),
    ("amount", {"name": "x", "threshold": "1,5"}, {"threshold"}),
    ("amount", {"name": "x", "threshold": "1e999999"}, {"threshold"}),
    ("amount", {"name": "x", "threshold": "NaN"}, {"threshold"}),
    ("amount", {"name": "x", "threshold": HUGE}, {"threshold"}),
    ("amount", {"name": "x", "threshold": "9" * 30}, {"threshold"}),
    ("budget", {"name": "x", "threshold": "1001", "budget": "x"}, {"threshold", "budget"}),
    ("amount", {"name": "a\0b", "threshold": "\0"}, {"name", "threshold"}),
    ("amount", {"name": "a\nb", "threshold": "x"}, {"name", "threshold"}),
    ("amount", {"name": "x" * 201, "threshold": "x"}, {"name", "threshold"}),
    ("quantity", {"name": "", "product_item": HUGE, "threshold": "x"}, {"name", "threshold", "product_item"}),
    ("quantity", {"name": "x", "product_item": "\0", "threshold": "5"}, {"product_item"}),
    (
        "amount",
        {"name": "", "threshold": "", "recipients": "eve@evil.example"},
        {"name", "threshold", "recipients"},
    ),
    ("amount", {"name": "x", "threshold": "5", "recipients": ["\0", HUGE]}, {"recipients"}),
]


class TestAdd:
    def test_first_comes_the_kind(self, owner: Client) -> None:
        content = owner.get("/alerts/add/").content.decode()
        assert re.findall(r'href="\?kind=(\w+)"', content) == ["amount", "budget", "free_tier", "quantity"]

    def test_another_kind_there_is_not(self, owner: Client) -> None:
        for kind in ("weather", "a%00b", HUGE):
            url = f"/alerts/add/?kind={kind}"
            for answer in (owner.get(url), owner.post(url, {"name": "x"})):
                assert answer.status_code == 422
                assert "There is no such kind of alert" in words(answer)

    def test_it_asks_for_what_the_kind_needs(self, owner: Client) -> None:
        for kind, extra in (
            ("amount", None),
            ("budget", "budget"),
            ("quantity", "product_item"),
            ("free_tier", "product_item"),
        ):
            answer = owner.get(f"/alerts/add/?kind={kind}")
            fields = [name for name in ("name", extra, "threshold", "recipients") if name]
            assert list(answer.context["form"].fields) == fields
            check(answer.content.decode())

    def test_each_kind_is_made(self, owner: Client) -> None:
        item = calls_item().pk
        made: list[tuple[str, dict[str, Any], str]] = [
            ("amount", {"threshold": "50"}, "$50.00 before tax"),
            ("budget", {"threshold": "80", "budget": "500"}, "80% of a budget of $500.00"),
            ("quantity", {"threshold": "20000", "product_item": item}, "20,000 calls of API calls"),
            ("free_tier", {"threshold": "80.5", "product_item": item}, "80.5% of the free units of API calls"),
        ]
        for kind, fields, watches in made:
            answer = owner.post(f"/alerts/add/?kind={kind}", {"name": " Mine ", **fields}, follow=True)
            assert answer.redirect_chain == [("/alerts/", 302)]
            assert "The alert “Mine” is there." in words(answer)
            assert watches in words(answer)
            alert = Alert.objects.latest("pk")
            assert (alert.kind, alert.audience, alert.actor, alert.recipients) == (kind, "customer", "alice", [])
            assert alert.enabled

    def test_what_is_reached_already_is_told(self, acme: Customer, owner: Client) -> None:
        mails_on()
        owner.post("/alerts/add/?kind=amount", {"name": "Mine", "threshold": "40", "recipients": "alice@example.com"})
        run_sweep()
        assert Mail.objects.get().subject == "Mine: $40.00 reached"

    def test_faults_are_told_at_their_fields_all_at_once(self, owner: Client) -> None:
        for kind, fields, expected in FAULTS:
            answer = owner.post(f"/alerts/add/?kind={kind}", fields)
            assert set(errors_of(answer)) == expected, fields
            for name in expected:
                assert f'id="id_{name}_error"' in answer.content.decode(), name
        assert not Alert.objects.exists()

    def test_what_was_typed_stays(self, owner: Client) -> None:
        content = owner.post("/alerts/add/?kind=amount", {"name": "Fifty", "threshold": "fifty"}).content.decode()
        assert 'value="Fifty"' in content
        assert 'value="fifty"' in content

    def test_an_item_that_is_on_no_bill_is_not_offered(self, owner: Client) -> None:
        secret = make_meter("Secret", name="Secret item").product_item
        assert "Secret item" not in owner.get("/alerts/add/?kind=quantity").content.decode()
        answer = owner.post("/alerts/add/?kind=quantity", {"name": "x", "threshold": "5", "product_item": secret.pk})
        assert errors_of(answer) == {"product_item": ["Your bill has no such item."]}

    def test_of_bills_in_two_currencies_it_asks_which(self, acme: Customer, owner: Client) -> None:
        in_yen(acme)
        fields = {"name": "Yen", "threshold": "500.5"}
        assert list(errors_of(owner.post("/alerts/add/?kind=amount", fields))) == ["currency"]
        for wrong in ("EUR", "jpy", "\0", HUGE):
            answer = owner.post("/alerts/add/?kind=amount", fields | {"currency": wrong})
            assert errors_of(answer)["currency"] == ["None of your running bills is in this currency."]
        assert list(errors_of(owner.post("/alerts/add/?kind=amount", fields | {"currency": "JPY"}))) == ["threshold"]
        owner.post("/alerts/add/?kind=amount", {"name": "Yen", "threshold": "500", "currency": "JPY"})
        assert "¥500 before tax" in words(owner.get("/alerts/"))

    def test_there_is_an_end_to_how_many(self, acme: Customer, owner: Client) -> None:
        for number in range(MOST_OWN):
            own(acme, threshold=number + 1)
        text = words(owner.get("/alerts/"))
        assert "as many as there can be" in text
        assert "Add an alert" not in text
        answer = owner.post("/alerts/add/?kind=amount", {"name": "x", "threshold": "5"})
        assert "as many as there can be" in errors_of(answer)["__all__"][0]


def in_yen(customer: Customer) -> None:
    put_on(customer, plan_with("Yen", {make_meter("Storage"): ONE_EACH}, currency="JPY"), date(2026, 11, 1))
    run_sweep()


class TestChange:
    def test_the_form_has_what_is_stored(self, acme: Customer, owner: Client) -> None:
        alert = own(acme, "budget", "80.50", budget="500", recipients=["alice@example.com"])
        answer = owner.get(f"/alerts/{alert.pk}/")
        content = answer.content.decode()
        assert 'value="80.5"' in content
        assert 'value="500.00"' in content
        assert re.search(r'value="alice@example.com"[^>]*checked', content)
        assert "now at 8% of $500.00 ($40.00)" in words(answer)
        check(content)

    def test_some_of_it_is_changed(self, acme: Customer, owner: Client) -> None:
        alert = own(acme, recipients=["alice@example.com"])
        answer = owner.post(f"/alerts/{alert.pk}/", {"name": "New", "threshold": "75"}, follow=True)
        assert "The alert “New” is saved." in words(answer)
        alert.refresh_from_db()
        assert (alert.name, alert.threshold, alert.recipients) == ("New", Decimal(75), [])

    def test_neither_what_it_is_nor_whose(self, acme: Customer, globex: Customer, owner: Client) -> None:
        alert = own(acme)
        fields = {"kind": "budget", "audience": "staff", "customer": globex.pk, "currency": "EUR", "enabled": "0"}
        owner.post(f"/alerts/{alert.pk}/", {"name": "Own", "threshold": "31"} | fields)
        alert.refresh_from_db()
        assert (alert.kind, alert.audience, alert.customer) == ("amount", "customer", acme)
        assert (alert.currency, alert.enabled, alert.threshold) == ("USD", True, 31)

    def test_faults_are_told_at_their_fields(self, acme: Customer, owner: Client) -> None:
        alert = own(acme, "budget", 80, budget="500")
        sent = {"name": "\0", "threshold": HUGE, "budget": "0", "recipients": "eve@evil.example"}
        assert set(errors_of(owner.post(f"/alerts/{alert.pk}/", sent))) == set(sent)
        alert.refresh_from_db()
        assert (alert.name, alert.budget) == ("Own", Decimal(500))

    def test_who_has_left_does_not_keep_it_from_being_changed(
        self, acme: Customer, owner: Client, colleague: Client
    ) -> None:
        alert = own(acme, recipients=["bob@example.com"])
        Membership.objects.filter(user__username="bob").delete()
        assert "bob@" not in owner.get(f"/alerts/{alert.pk}/").content.decode()
        assert owner.post(f"/alerts/{alert.pk}/", {"name": "Still", "threshold": "30"}).status_code == 302
        alert.refresh_from_db()
        assert alert.name == "Still"

    def test_one_of_a_currency_that_no_bill_has_any_more(self, acme: Customer, owner: Client) -> None:
        alert = create_alert(
            name="Euro", kind="amount", threshold=5, currency="EUR", audience="customer", customer=acme
        )
        fields = {"name": "Old", "threshold": "6", "currency": "EUR"}
        assert owner.post(f"/alerts/{alert.pk}/", fields).status_code == 302
        assert owner.post(f"/alerts/{alert.pk}/", fields | {"currency": "USD"}).status_code == 302
        alert.refresh_from_db()
        assert (alert.name, alert.currency) == ("Old", "USD")


class TestSwitchAndRemove:
    def test_it_is_switched_by_what_is_said(self, acme: Customer, owner: Client) -> None:
        alert = own(acme)
        for to, enabled in (("off", False), ("off", False), ("on", True), ("", True), ("\0", True)):
            answer = owner.post(f"/alerts/{alert.pk}/switch/", {"to": to})
            assert (answer.status_code, answer["Location"]) == (302, "/alerts/")
            alert.refresh_from_db()
            assert alert.enabled is enabled, to
        assert owner.get(f"/alerts/{alert.pk}/switch/").status_code == 302
        alert.refresh_from_db()
        assert alert.enabled

    def test_it_is_removed_after_asking(self, acme: Customer, owner: Client) -> None:
        alert = own(acme, name="Mine")
        answer = owner.get(f"/alerts/{alert.pk}/remove/")
        assert "Remove “Mine”?" in words(answer)
        check(answer.content.decode())
        assert Alert.objects.exists()
        assert "is removed" in words(owner.post(f"/alerts/{alert.pk}/remove/", follow=True))
        assert not Alert.objects.exists()
        assert owner.post(f"/alerts/{alert.pk}/remove/").status_code == 404


class TestTestMail:
    def test_it_shows_what_it_says_and_goes_to_who_asks(self, acme: Customer, owner: Client, colleague: Client) -> None:
        alert = own(acme, name="Mine", threshold=100)
        answer = colleague.get(f"/alerts/{alert.pk}/test/")
        assert "Test: Mine: $100.00 reached" in words(answer)
        content = answer.content.decode()
        check(content)
        assert re.search(r'value="bob@example.com" selected', content)
        answer = colleague.post(f"/alerts/{alert.pk}/test/", {"address": "bob@example.com"}, follow=True)
        assert "A test mail is on its way to bob@example.com." in words(answer)
        mail = Mail.objects.get()
        assert (mail.recipient, mail.subject, mail.status) == (
            "bob@example.com",
            "Test: Mine: $100.00 reached",
            "waiting",
        )
        assert not AlertFiring.objects.exists()

    def test_never_to_strangers(self, acme: Customer, owner: Client, stranger: Client) -> None:
        alert = own(acme)
        for address in ("eve@evil.example", "charlie@example.com", "", "\0", HUGE):
            answer = owner.post(f"/alerts/{alert.pk}/test/", {"address": address})
            assert list(errors_of(answer)) == ["address"]
        assert not Mail.objects.exists()

    def test_one_a_minute_to_each(self, acme: Customer, owner: Client, colleague: Client) -> None:
        first, second = own(acme), own(acme, threshold=50)
        send = {"address": "alice@example.com"}
        assert owner.post(f"/alerts/{first.pk}/test/", send).status_code == 302
        for pk in (first.pk, second.pk):
            assert "Try again in a minute" in errors_of(owner.post(f"/alerts/{pk}/test/", send))["address"][0]
        assert owner.post(f"/alerts/{first.pk}/test/", {"address": "bob@example.com"}).status_code == 302
        with time_machine.travel(datetime.fromisoformat("2026-11-18T14:03:00Z"), tick=False):
            assert owner.post(f"/alerts/{second.pk}/test/", send).status_code == 302
        assert Mail.objects.count() == 3

    def test_where_nobody_has_an_address(self, acme: Customer, owner: Client) -> None:
        User.objects.filter(username="alice").update(email="")
        alert = own(acme)
        assert "Nobody of Acme Corp has a mail address" in words(owner.get(f"/alerts/{alert.pk}/test/"))
        assert owner.post(f"/alerts/{alert.pk}/test/", {"address": ""}).status_code == 422
        assert "Nobody has a mail address" in words(owner.get("/alerts/"))
        assert "Nobody of Acme Corp has a mail address" in words(owner.get(f"/alerts/{alert.pk}/"))


class TestWhose:
    WAYS = ("", "switch/", "remove/", "test/")

    @pytest.fixture
    def others(self, acme: Customer, globex: Customer) -> list[Alert]:
        """Not Acme's: another's, staff's of Acme, and of each customer."""
        return [
            own(globex),
            create_alert(name="Secret", kind="amount", threshold=5, currency="USD", customer=acme),
            create_alert(name="Of each", kind="amount", threshold=5, currency="USD"),
        ]

    def test_what_is_not_its_own_does_not_exist(self, others: list[Alert], owner: Client) -> None:
        sent = {"name": "Mine now", "threshold": "1", "to": "off", "address": "alice@example.com"}
        for pk in [*(alert.pk for alert in others), 0, 10**30]:
            for way in self.WAYS:
                assert owner.get(f"/alerts/{pk}/{way}").status_code == 404
                assert owner.post(f"/alerts/{pk}/{way}", sent).status_code == 404
        assert Alert.objects.filter(enabled=True).exclude(name="Mine now").count() == 3
        assert not Mail.objects.exists()

    def test_nobody_is_sent_to_sign_in(self, acme: Customer, client: Client) -> None:
        alert = own(acme)
        for way in (*(f"{alert.pk}/{way}" for way in self.WAYS), "add/?kind=amount"):
            for answer in (client.get(f"/alerts/{way}"), client.post(f"/alerts/{way}", {"to": "off"})):
                assert answer.status_code == 302
                assert answer["Location"].startswith("/sign-in/?next=/alerts/")
        assert Alert.objects.get().enabled

    def test_nothing_is_sent_from_elsewhere(self, acme: Customer, owner: Client) -> None:
        alert = own(acme)
        client = Client(enforce_csrf_checks=True)
        client.cookies = owner.cookies
        for way in ("add/?kind=amount", *(f"{alert.pk}/{way}" for way in self.WAYS)):
            assert client.post(f"/alerts/{way}", {"to": "off"}).status_code == 403
        assert Alert.objects.get().enabled

    def test_pages_are_kept_out_of_caches(self, acme: Customer, owner: Client) -> None:
        for way in ("", "add/", f"{own(acme).pk}/"):
            assert "no-store" in owner.get(f"/alerts/{way}")["Cache-Control"]
