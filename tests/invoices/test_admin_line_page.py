"""The page of a line in the admin: the same words, and events for whoever may see those."""

import csv
import io
from collections.abc import Iterator
from datetime import date

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client

from invoices.models import Invoice
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.late import at, void
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.portal.test_overview import text

pytestmark = pytest.mark.django_db


@pytest.fixture
def invoice() -> Iterator[Invoice]:
    with time_machine.travel(at(9, 5), tick=False):
        customer = make_customer("acme", time_zone="Europe/Berlin")
        put_on(customer, plan_with("Basic", {make_meter("Calls"): ONE_EACH}, fee("base", "20")), date(2026, 9, 1))
        send("acme", "Calls", 30, time=at(9, 3), id="first", source="crm")
        send("acme", "Calls", 2, time=at(9, 4), id="<i>wrong</i>")
        void("<i>wrong</i>")
        run_sweep()
        yield live_invoice(customer)


def person(*permissions: str) -> Client:
    user = User.objects.create_user("sam", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def line_of(invoice: Invoice, position: int = 1) -> str:
    return f"/admin/invoices/invoice/{invoice.pk}/lines/{position}/"


def test_the_invoice_says_the_price_and_leads_to_the_line(invoice: Invoice, admin_client: Client) -> None:
    address = f"/admin/invoices/invoice/{invoice.pk}/change/"
    page = text(admin_client, address)
    assert "Price Basic, version 1, activated on 5 Sep 2026" in page
    assert "30 calls $30.00 $1.00 per call" in page
    assert "1 Sep 2026, 00:00 CEST to 1 Oct 2026, 00:00 CEST (Europe/Berlin)" in page
    assert "31 Aug 2026, 22:00 UTC to 30 Sep 2026, 22:00 UTC" in page
    source = admin_client.get(address).content.decode()
    for position in (1, 2):
        assert line_of(invoice, position) in source


def test_days_steps_and_events(invoice: Invoice, admin_client: Client) -> None:
    page = text(admin_client, line_of(invoice))
    assert "30 calls $30.00" in page
    assert "3 Sep 2026 30 4 Sep 2026 0" in page
    assert "3 Sep 2026, 14:00:00 CEST first 30 source: crm" in page
    assert "&lt;i&gt;wrong&lt;/i&gt;" in admin_client.get(line_of(invoice)).content.decode()
    assert "Voided test" in page
    assert "wrong" not in text(admin_client, line_of(invoice) + "?state=counted")
    assert "Came or voided since final" not in page
    assert "$20.00, every period" in text(admin_client, line_of(invoice, 2))
    assert "Events" not in text(admin_client, line_of(invoice, 2)).split("every period")[1]


def test_what_there_is_not(invoice: Invoice, admin_client: Client) -> None:
    for address in (line_of(invoice, 3), f"{line_of(invoice)}?state=changed", f"{line_of(invoice)}?cursor=x"):
        assert admin_client.get(address).status_code == 404
    assert admin_client.get(f"{line_of(invoice, 2)}events.csv").status_code == 404


def test_who_may_see_what(invoice: Invoice) -> None:
    address = line_of(invoice)
    assert person("view_customer").get(address).status_code == 403
    User.objects.all().delete()
    sees_invoices = person("view_invoice")
    page = text(sees_invoices, address)
    assert "3 Sep 2026 30" in page
    assert "first" not in page
    assert sees_invoices.get(f"{address}events.csv").status_code == 403
    User.objects.all().delete()
    both = person("view_invoice", "view_event")
    assert "first" in text(both, address)
    answer = both.get(f"{address}events.csv")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row[0] for row in rows] == ["id", "<i>wrong</i>", "first"]
    assert Client().get(address).status_code == 302
