"""Mails: written with their reason, sent afterwards, tried again until they are taken."""

import smtplib
import sys
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail as outbox
from django.core.mail.backends.locmem import EmailBackend
from django.db import transaction
from django.utils import timezone

from invoices.mailing.contents import MOST_LINES, MailContent, alert_content, invoice_content
from invoices.mailing.mails import queue, send_again, send_due
from invoices.mailing.recipients import distinct, recipients_of
from invoices.models import Alert, Invoice, Mail, MailSetting
from invoices.prepaid.credits import grant_credits
from invoices.prepaid.rules import set_credit_rule
from invoices.services import open_invoices
from portal.models import Membership
from tests.factories import make_customer, make_meter, put_on, send
from tests.invoices.plans import ONE_EACH, plan_with
from tests.invoices.settled import MID_NOVEMBER, finalize, make_bill
from tests.racing import race

pytestmark = pytest.mark.django_db
LOW, FINAL = MailSetting.Kind.CREDIT_LOW, MailSetting.Kind.INVOICE_FINALIZED
CONTENT = MailContent(subject="Hello", intro="something has happened.", facts=[("What", "this")])


@pytest.fixture(autouse=True)
def _locmem(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.DEFAULT_FROM_EMAIL = "Billing <billing@vendor.example>"
    Failing.raises = {}
    Failing.sent = []


class Failing(EmailBackend):
    """Raises for an address what is said of it, once for each time."""

    raises: dict[str, list[Exception]] = {}
    sent: list[str] = []

    def send_messages(self, messages: Any) -> int:
        [message] = messages
        [address] = message.to
        if self.raises.get(address):
            raise self.raises[address].pop(0)
        self.sent.append(address)
        return super().send_messages(messages)


def switched_on(kind: str, **fields: Any) -> MailSetting:
    return MailSetting.objects.create(kind=kind, enabled=True, **fields)


def put(*addresses: str, about: str = "customer:1", now: Any = None) -> int:
    return queue(LOW, about, addresses or ["anna@acme.example"], CONTENT, now or timezone.now())


def test_nothing_is_written_while_a_kind_is_switched_off() -> None:
    assert put() == 0
    MailSetting.objects.create(kind=LOW, enabled=False)
    assert put() == 0
    assert not Mail.objects.exists()


def test_a_mail_goes_out_as_text_and_html() -> None:
    switched_on(LOW)
    assert put() == 1
    assert send_due() == 1
    assert send_due() == 0
    [sent] = outbox.outbox
    assert (sent.subject, sent.to, sent.from_email) == (
        "Hello",
        ["anna@acme.example"],
        "Billing <billing@vendor.example>",
    )
    assert "What: this" in sent.body
    [(html, kind)] = sent.alternatives
    assert kind == "text/html"
    assert "something has happened." in str(html)
    assert sent.extra_headers["Auto-Submitted"] == "auto-generated"
    assert str(sent.extra_headers["Message-ID"]).endswith("@vendor.example>")
    mail = Mail.objects.get()
    assert (mail.status, mail.attempts, mail.next_try_at) == ("sent", 1, None)
    assert mail.sent_at is not None


def test_for_one_reason_nobody_gets_two() -> None:
    switched_on(LOW)
    put("anna@acme.example", "ben@acme.example")
    put("anna@acme.example")
    assert Mail.objects.count() == 2
    put("anna@acme.example", about="customer:2")
    assert Mail.objects.count() == 3


def test_addresses_are_taken_once_and_only_good_ones() -> None:
    assert distinct(["a@x.example", "A@X.example ", "", "no address", "b@x.example\nBcc: c@x.example"]) == [
        "a@x.example"
    ]
    switched_on(LOW)
    assert put("nobody") == 0


def test_what_is_undone_is_not_sent() -> None:
    switched_on(LOW)

    class Undone(Exception):
        pass

    def undone() -> None:
        with transaction.atomic():
            put()
            raise Undone

    with pytest.raises(Undone):
        undone()
    assert send_due() == 0


# --- To whom ---


def test_a_customers_mails_go_to_it_and_to_its_members() -> None:
    customer = make_customer("acme", email="billing@acme.example")
    for name, is_active in (("anna", True), ("ben", True), ("gone", False), ("billing", True), ("none", True)):
        address = "" if name == "none" else f"{name}@acme.example"
        user = User.objects.create_user(name, address, is_active=is_active)
        Membership.objects.create(user=user, customer=customer)
    other = User.objects.create_user("eve", "eve@globex.example")
    Membership.objects.create(user=other, customer=make_customer("globex"))
    assert recipients_of(customer) == ["billing@acme.example", "anna@acme.example", "ben@acme.example"]


# --- Tried again ---


@pytest.fixture
def failing(settings: Any) -> type[Failing]:
    settings.EMAIL_BACKEND = f"{__name__}.Failing"
    # So that it is found by its name, which pytest's import leaves out.
    sys.modules.setdefault(__name__, sys.modules[Failing.__module__])
    return Failing


def test_a_mail_server_that_is_away_is_tried_again(failing: type[Failing]) -> None:
    switched_on(LOW)
    now = timezone.now()
    put("a@x.example", "b@x.example", now=now)
    failing.raises = {"a@x.example": [ConnectionRefusedError("no")] * 2}
    # The second one does not knock at the same closed door.
    assert send_due(now=now) == 1
    assert send_due(now=now) == 1
    assert failing.sent == ["b@x.example"]
    first = Mail.objects.get(recipient="a@x.example")
    assert (first.status, first.attempts, first.error) == ("waiting", 1, "ConnectionRefusedError: no")
    assert first.next_try_at is not None
    assert timedelta(seconds=25) <= first.next_try_at - now <= timedelta(seconds=35)
    assert send_due(now=first.next_try_at) == 1
    assert send_due(now=now + timedelta(hours=1)) == 1
    assert failing.sent == ["b@x.example", "a@x.example"]
    first.refresh_from_db()
    assert (first.status, first.attempts, first.error) == ("sent", 3, "")


def test_after_three_days_it_is_given_up(failing: type[Failing]) -> None:
    switched_on(LOW)
    now = start = timezone.now()
    put("a@x.example", now=now)
    failing.raises = {"a@x.example": [TimeoutError() for _ in range(1000)]}
    for _ in range(100):
        if not send_due(now=now):
            break
        now = Mail.objects.get().next_try_at or now
    mail = Mail.objects.get()
    assert mail.status == "failed"
    assert timedelta(days=2.5) < now - start <= timedelta(days=3)
    assert 12 <= mail.attempts <= 30
    failing.raises = {}
    send_again(mail, now=now)
    assert send_due(now=now) == 1
    assert failing.sent == ["a@x.example"]


def test_an_address_that_is_refused_for_good_is_not_tried_again(failing: type[Failing]) -> None:
    switched_on(LOW)
    put("a@x.example", "b@x.example", "c@x.example")
    failing.raises = {
        "a@x.example": [smtplib.SMTPRecipientsRefused({"a@x.example": (550, b"No such user")})],
        "b@x.example": [smtplib.SMTPRecipientsRefused({"b@x.example": (450, b"Greylisted")})],
    }
    assert send_due() == 3
    states = dict(Mail.objects.values_list("recipient", "status"))
    assert states == {"a@x.example": "failed", "b@x.example": "waiting", "c@x.example": "sent"}


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_once(failing: type[Failing]) -> None:
    switched_on(LOW)
    put(*[f"m{number}@x.example" for number in range(20)])

    def work() -> None:
        while send_due():
            pass

    assert race(work, work) == []
    assert sorted(failing.sent) == sorted(f"m{number}@x.example" for number in range(20))


# --- Why ---


def test_a_final_invoice_is_mailed_with_its_figures() -> None:
    switched_on(FINAL, greeting="Dear customer,", closing="Kind regards")
    anna = User.objects.create_user("anna", "anna@acme.example")
    invoice = make_bill()
    # Its customer had nobody to write to.
    assert not Mail.objects.exists()
    Membership.objects.create(user=anna, customer=invoice.customer)
    december = invoice.period_end + timedelta(days=3)
    send("acme", "ApiCalls", 5, time=december, now=december)
    open_invoices(invoice.assignment, now=december)
    second = finalize(invoice.customer, now=december + timedelta(days=40))
    [mail] = Mail.objects.all()
    assert mail.about == f"invoice:{second.pk}"
    assert second.number in mail.subject
    for words in ("Dear customer,", "Kind regards", second.number, "Dec 2026", "Total"):
        assert words in mail.text
        assert words in mail.html


def test_the_figures_of_a_mail(settings: Any) -> None:
    settings.PUBLIC_URL = "https://billing.vendor.example"
    invoice = make_bill()
    content = invoice_content(invoice)
    assert list(content.lines)[:2] == [("ApiCalls", "$100.00"), ("Storage", "$3.50")]
    assert list(content.sums) == [("Subtotal", "$93.15"), ("Tax 1 19%", "$17.70"), ("Total", "$110.85")]
    assert ("Due", "17 Dec 2026") in content.facts
    assert content.url == f"https://billing.vendor.example/invoices/{invoice.pk}/"


def test_credits_are_taken_off_in_it() -> None:
    switched_on(FINAL)
    customer = make_customer("globex", email="billing@globex.example")
    grant_credits(customer=customer, name="Pack", currency="USD", amount=30, now=MID_NOVEMBER)
    put_on(customer, plan_with("Basic", {make_meter(): ONE_EACH}), date(2026, 11, 1))
    send("globex", "ApiCalls", 100, time=MID_NOVEMBER, now=MID_NOVEMBER)
    finalize(customer)
    [mail] = Mail.objects.all()
    assert "Paid by credits: -$30.00" in mail.text
    assert "Amount due: $70.00" in mail.text
    assert mail.subject.endswith("$70.00")


def test_low_credit_is_mailed_each_time_that_it_has_become_low() -> None:
    switched_on(LOW)
    customer = make_customer("acme", email="billing@acme.example")
    now = timezone.now()
    set_credit_rule(customer, currency="USD", low_below=10, top_up=50, now=now)
    [mail] = Mail.objects.all()
    assert "Add $50.00 to go on as before." in mail.text
    set_credit_rule(customer, currency="USD", low_below=10, top_up=50, now=now)
    assert Mail.objects.count() == 1
    grant_credits(customer=customer, name="Pack", currency="USD", amount=30, now=now)
    set_credit_rule(customer, currency="USD", low_below=100, now=now + timedelta(minutes=1))
    assert Mail.objects.count() == 2


def test_a_long_invoice_is_cut() -> None:
    rates = {make_meter(f"M{number}"): ONE_EACH for number in range(MOST_LINES + 5)}
    customer = make_customer("globex")
    put_on(customer, plan_with("Long", rates), date(2026, 11, 1))
    lines = list(invoice_content(finalize(customer)).lines)
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == ("and 5 more, on the invoice", "")


def test_an_alert_says_what_was_reached() -> None:
    invoice = make_bill()
    item = invoice.lines.order_by("position")[0].product_item
    assert item is not None
    alert = Alert(name="Many calls", kind=Alert.Kind.QUANTITY, threshold=Decimal(80), product_item=item)
    content = alert_content(alert, invoice, Decimal(100))
    assert content.subject == "Many calls: 100 calls reached by acme"
    assert ("Customer", "acme") in content.facts
    assert ("Threshold", "80 calls") in content.facts
    own = Alert(
        name="Half",
        kind=Alert.Kind.BUDGET,
        audience=Alert.Audience.CUSTOMER,
        customer=invoice.customer,
        threshold=Decimal(50),
        budget=Decimal(500),
        currency="USD",
    )
    content = alert_content(own, invoice, Decimal("50.125"))
    assert content.subject == "Half: 50.1% of the budget reached"
    assert ("Budget", "$500.00") in content.facts
    assert ("Reached", "50.1% of the budget") in content.facts
    assert "Customer" not in dict(content.facts)


def test_nothing_of_another_kind_is_sent() -> None:
    switched_on(LOW)
    invoice = make_bill()
    assert Invoice.objects.filter(pk=invoice.pk).exists()
    assert not Mail.objects.exists()
