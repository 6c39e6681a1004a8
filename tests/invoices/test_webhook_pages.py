"""The staff pages of webhooks and mails."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from invoices.mailing.mails import queue, rendered, setting_of
from invoices.mailing.preview import preview_of
from invoices.models import Mail, MailSetting, WebhookDelivery, WebhookEndpoint
from invoices.outbox import tell
from invoices.webhooks.delivering import send_due
from invoices.webhooks.endpoints import create_endpoint
from invoices.webhooks.spreading import spread
from tests.invoices.receiver import Receiver, receiving
from tests.invoices.settled import make_bill

pytestmark = pytest.mark.django_db
ENDPOINTS, DELIVERIES = "/admin/invoices/webhookendpoint/", "/admin/invoices/webhookdelivery/"
SETTINGS, MAILS = "/admin/invoices/mailsetting/", "/admin/invoices/mail/"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
def looker(client: Client) -> Client:
    """Somebody who may look at everything here, and do nothing."""
    user = User.objects.create_user("looker", is_staff=True)
    names = ["webhookendpoint", "webhookdelivery", "mail", "mailsetting"]
    user.user_permissions.set(Permission.objects.filter(codename__in=[f"view_{name}" for name in names]))
    client.force_login(user)
    return client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def delivery(receiver: Receiver) -> WebhookDelivery:
    create_endpoint(url=receiver.url, allow_private=True)
    receiver.answer = (500, {}, "<b>broken</b>")
    tell("credit.low", "customer:1", {"left": "1.00"}, timezone.now())
    spread()
    send_due()
    return WebhookDelivery.objects.get()


def text(response: Any) -> str:
    assert response.status_code == 200, response
    return str(response.content.decode())


def test_an_endpoint_is_made_and_its_secret_shown_once(staff: Client) -> None:
    fields = {"url": "https://example.com/hook", "description": "ERP", "types": ["invoice.paid"]}
    shown = text(staff.post(f"{ENDPOINTS}add/", fields))
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.secret in shown
    assert (endpoint.types, endpoint.enabled, endpoint.allow_private) == (["invoice.paid"], True, False)
    for page in (ENDPOINTS, f"{ENDPOINTS}{endpoint.pk}/change/", f"{ENDPOINTS}{endpoint.pk}/history/"):
        assert endpoint.secret not in text(staff.get(page))


def test_faults_stand_beside_their_fields(staff: Client) -> None:
    page = text(staff.post(f"{ENDPOINTS}add/", {"url": "https://127.0.0.1/"}))
    assert "inside a private network" in page
    assert not WebhookEndpoint.objects.exists()
    staff.post(f"{ENDPOINTS}add/", {"url": "http://127.0.0.1:9000/", "allow_private": "on"})
    assert WebhookEndpoint.objects.get().allow_private


def test_an_endpoint_is_changed_and_switched_off(staff: Client) -> None:
    endpoint = create_endpoint(url="https://example.com/", types=["invoice.paid"])
    fields = {"url": "https://example.com/new", "types": ["invoice.paid", "credit.low"], "description": "x"}
    assert staff.post(f"{ENDPOINTS}{endpoint.pk}/change/", fields).status_code == 302
    changed = WebhookEndpoint.objects.get()
    assert (changed.url, changed.types, changed.enabled) == (
        "https://example.com/new",
        ["invoice.paid", "credit.low"],
        False,
    )
    assert changed.secret == endpoint.secret
    assert "Switched off" in text(staff.get(ENDPOINTS))


def test_a_secret_is_rotated(staff: Client) -> None:
    endpoint = create_endpoint(url="https://example.com/")
    page = f"{ENDPOINTS}{endpoint.pk}/rotate/"
    assert "Hours of overlap" in text(staff.get(page))
    assert "Ensure this value is less" in text(staff.post(page, {"overlap_hours": "10000"}))
    shown = text(staff.post(page, {"overlap_hours": "24"}))
    rotated = WebhookEndpoint.objects.get()
    assert rotated.secret != endpoint.secret
    assert rotated.secret in shown
    assert endpoint.secret not in shown
    assert "the one before signs too until" in text(staff.get(f"{ENDPOINTS}{endpoint.pk}/change/"))


def test_an_endpoint_is_removed_with_its_log(staff: Client, delivery: WebhookDelivery) -> None:
    page = f"{ENDPOINTS}{delivery.endpoint_id}/delete/"
    assert "Deliveries with their log: 1" in text(staff.get(page))
    assert staff.post(page, {"post": "yes"}).status_code == 302
    assert not WebhookDelivery.objects.exists()


def test_a_delivery_with_its_tries_and_a_button(staff: Client, delivery: WebhookDelivery, receiver: Receiver) -> None:
    page = f"{DELIVERIES}{delivery.pk}/change/"
    shown = text(staff.get(page))
    assert "&lt;b&gt;broken&lt;/b&gt;" in shown
    assert "Answered with 500." in shown
    assert receiver.got[0].body.replace('"', "&quot;") in shown
    receiver.answer = (200, {}, "")
    answer = staff.post(f"{DELIVERIES}{delivery.pk}/replay/", follow=True)
    assert "To be sent again within seconds: 1." in text(answer)
    assert send_due() == 1
    assert "Delivered" in text(staff.get(page))
    assert staff.get(f"{DELIVERIES}{delivery.pk}/replay/").status_code == 405
    assert f"{DELIVERIES}{delivery.pk}/change/" in text(staff.get(f"{ENDPOINTS}{delivery.endpoint_id}/change/"))


def test_the_list_of_deliveries(staff: Client, delivery: WebhookDelivery) -> None:
    assert "credit.low" in text(staff.get(DELIVERIES, {"event": "credit.low", "status": "waiting"}))
    assert "customer:1" not in text(staff.get(DELIVERIES, {"event": "invoice.paid"}))
    assert "customer:1" in text(staff.get(DELIVERIES, {"q": delivery.event.message_id}))
    assert "customer:1" in text(staff.get(DELIVERIES, {"endpoint__id__exact": delivery.endpoint_id}))
    fields = {"action": "replay_selected", "_selected_action": [delivery.pk]}
    assert "To be sent again" in text(staff.post(DELIVERIES, fields, follow=True))
    WebhookEndpoint.objects.update(enabled=False)
    assert "switched off" in text(staff.post(DELIVERIES, fields, follow=True))


def test_who_may_only_look_does_nothing(looker: Client, delivery: WebhookDelivery) -> None:
    shown = text(looker.get(f"{DELIVERIES}{delivery.pk}/change/"))
    assert "Send again" not in shown
    assert looker.post(f"{DELIVERIES}{delivery.pk}/replay/").status_code == 403
    endpoint = f"{ENDPOINTS}{delivery.endpoint_id}/"
    assert "Rotate" not in text(looker.get(f"{endpoint}change/"))
    for page in (f"{endpoint}rotate/", f"{endpoint}delete/", f"{ENDPOINTS}add/"):
        assert looker.get(page).status_code == 403
        assert looker.post(page, {"overlap_hours": "0"}).status_code == 403
    assert WebhookEndpoint.objects.get().old_secret == ""


def test_strangers_see_nothing(client: Client, delivery: WebhookDelivery) -> None:
    for page in (ENDPOINTS, DELIVERIES, SETTINGS, MAILS, f"{DELIVERIES}{delivery.pk}/replay/"):
        assert client.get(page).status_code == 302


# --- Mails ---


def test_every_kind_of_mail_is_listed_and_switched_off(staff: Client) -> None:
    page = text(staff.get(SETTINGS))
    for words in MailSetting.Kind.labels:
        assert words in page
    assert not MailSetting.objects.filter(enabled=True).exists()


@pytest.mark.parametrize("kind", MailSetting.Kind.values)
def test_a_kind_is_looked_at_and_then_switched_on(staff: Client, kind: str) -> None:
    link = f"{SETTINGS}{quote(kind)}/change/"
    assert link in text(staff.get(SETTINGS))
    page = text(staff.get(link))
    assert "an example, as there is none yet" in page
    fields = {"enabled": "on", "greeting": "Dear customer,", "closing": "Best\nBilling", "subject": "News"}
    assert staff.post(link, fields).status_code == 302
    assert MailSetting.objects.get(kind=kind).enabled
    page = text(staff.get(link))
    assert "<strong>News</strong>" in page
    assert "Dear customer," in page


def test_the_preview_is_of_a_real_invoice_where_there_is_one(staff: Client) -> None:
    staff.get(SETTINGS)
    invoice = make_bill()
    page = text(staff.get(f"{SETTINGS}invoice_finalized/change/"))
    assert f"Of invoice {invoice.number} of" in page
    assert "$110.85" in page


def test_a_mail_as_a_page_loads_and_runs_nothing(staff: Client) -> None:
    answer = staff.get(f"{SETTINGS}credit_low/html/")
    html = text(answer)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style-src 'sha256-" in policy
    assert "script" not in html
    assert "<img" not in html
    assert "style=" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert "prefers-color-scheme: dark" in html
    assert staff.get(f"{SETTINGS}other/html/").status_code == 404


def test_the_log_of_mails(staff: Client) -> None:
    MailSetting.objects.create(kind="credit_low", enabled=True)
    queue("credit_low", "customer:1", ["anna@acme.example"], preview_of("credit_low")[0], timezone.now())
    mail = Mail.objects.get()
    assert "anna@acme.example" in text(staff.get(MAILS))
    assert "Your prepaid credit is running low" in text(staff.get(f"{MAILS}{mail.pk}/change/"))
    assert mail.html == text(staff.get(f"{MAILS}{mail.pk}/html/"))
    Mail.objects.update(status="failed", next_try_at=None)
    fields = {"action": "send_selected_again", "_selected_action": [mail.pk]}
    assert "To be sent again" in text(staff.post(MAILS, fields, follow=True))
    assert Mail.objects.get().status == "waiting"


def test_what_staff_write_is_text(staff: Client) -> None:
    setting = setting_of("credit_low")
    setting.greeting, setting.closing, setting.subject = "<i>Hi</i>", "a & b", "One\nTwo"
    subject, plain, html = rendered(setting, preview_of("credit_low")[0])
    assert subject == "One Two"
    assert "<i>Hi</i>" in plain
    assert "a & b" in plain
    assert "&lt;i&gt;Hi&lt;/i&gt;" in html
