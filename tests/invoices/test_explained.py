"""One explanation of a line for every surface: the API, the admin and the portal say the same."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client

from invoices.lines.explained import notes_of, rows_of, sentences_of
from invoices.models import Invoice
from portal.models import Membership
from tests.factories import live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send

pytestmark = pytest.mark.django_db

ROUNDING = "$0.0033 is rounded to $0.00."


@pytest.fixture
def invoice() -> Invoice:
    customer = make_customer("acme")
    rate = {"model": "per_unit", "unit_price": "0.0033", "included_units": "10"}
    put_on(customer, make_plan("Fine", {make_meter(): rate}), datetime.now(UTC).date())
    send("acme", "ApiCalls", 11)
    run_sweep()
    return live_invoice(customer)


def test_the_notes_are_what_the_rows_do_not_say(invoice: Invoice) -> None:
    line = invoice.lines.get()
    assert [row.detail for row in rows_of(line)] == ["10 of 10 free", "1 call x $0.0033"]
    assert sentences_of(line) == ["10 of 10 free calls used.", "1 call x $0.0033 = $0.0033.", ROUNDING]
    assert notes_of(line) == [ROUNDING]


def test_every_surface_says_where_it_rounds(invoice: Invoice, api) -> None:
    user = User.objects.create_superuser("both", password="a long enough password")
    Membership.objects.create(user=user, customer=invoice.customer)
    person = Client()
    person.force_login(user)
    for path in (f"/admin/invoices/invoice/{invoice.pk}/change/", f"/invoices/{invoice.pk}/", "/"):
        assert ROUNDING in person.get(path).content.decode(), path
    answer = api("read").get("/v1/invoices", {"customer": "acme"}).json()
    assert ROUNDING in answer["data"][0]["lines"][0]["explanation"]
