"""The list of invoices: what is owed on top, what runs, files, and what narrows it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from invoices.listing import State, listing_of
from invoices.models import Invoice
from invoices.settling.payments import record_payment, write_off
from invoices.settling.voiding import void_invoice
from meters.models import Customer
from portal.access import visible_invoices
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_terms
from tests.factories import make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.plans import plan_with
from tests.portal.conftest import NOW, SignIn
from tests.portal.test_overview import text

HTMX = {"HX-Request": "true"}


@pytest.fixture
def later(owner: Client, november: Invoice, october: Invoice, clock: time_machine.Traveller) -> Client:
    """The owner on 5 December, three days after October's was due; November's is final, too."""
    clock.move_to(datetime(2026, 12, 5, 12, tzinfo=UTC))
    owner.force_login(User.objects.get(username="alice"))
    run_sweep()
    return owner


def test_nothing_is_late_before_the_day_after_it_was_due(owner: Client, october: Invoice) -> None:
    page = text(owner, "/invoices/")
    assert "To pay $5.00 1 invoice Overdue $0.00 Nothing is late" in page


def test_what_is_overdue_is_part_of_what_is_to_pay(october: Invoice, november: Invoice, later: Client) -> None:
    page = text(later, "/invoices/")
    assert "To pay $45.00 2 invoices Overdue $5.00 1 invoice , part of what is to pay" in page
    record_payment(october.pk, amount=Decimal(2), actor="ben")
    assert "To pay $43.00 2 invoices Overdue $3.00 1 invoice" in text(later, "/invoices/")
    write_off(october.pk, reason="Small.", actor="ben")
    record_payment(november.pk, amount=Decimal(40), actor="ben")
    assert "To pay $0.00 Nothing is due Overdue $0.00 Nothing is late" in text(later, "/invoices/")


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("", ["2026-0001", "2026-0002"]),
        ("to_pay", ["2026-0001", "2026-0002"]),
        ("overdue", ["2026-0001"]),
        ("paid", []),
        ("written_off", []),
        ("void", []),
    ],
)
def test_it_is_narrowed_by_state(state: str, found: list[str], later: Client) -> None:
    page = text(later, f"/invoices/?state={state}")
    assert [number for number in ("2026-0001", "2026-0002") if f"{number} ," in page] == found
    if state:
        assert f"{len(found)} found" in page
        assert "Running ," not in page
        assert ("No invoice is like this. Show all" in page) is not bool(found)


def test_each_state_finds_its_own(october: Invoice, november: Invoice, later: Client) -> None:
    record_payment(october.pk, amount=Decimal(5), actor="ben")
    void_invoice(november.pk, reason="Wrong.", actor="ben")
    for state, number in ((State.PAID, october.number), (State.VOID, "2026-0002")):
        page = text(later, f"/invoices/?state={state}")
        assert "1 found" in page
        assert number in page
    assert "0 found" in text(later, "/invoices/?state=to_pay")


def test_it_is_narrowed_by_the_year_of_its_days(sign_in: SignIn, growth: Plan) -> None:
    """A week over New Year is of both; a year is of the invoice's zone."""
    set_terms(draft_version(growth), interval="week")
    activate(growth)
    customer = make_customer("weekly", time_zone="America/New_York")
    put_on(customer, growth, date(2025, 12, 15))
    for _ in range(3):
        run_sweep()
    client = sign_in("wim", customer)
    listing = listing_of(visible_invoices(customer), now=NOW)
    assert listing.years == [2026, 2025]
    old = text(client, "/invoices/?year=2025")
    assert "3 found" in old
    assert "29 Dec 2025 – 4 Jan 2026" in old
    assert "22–28 Dec 2025" in old
    new = text(client, "/invoices/?year=2026")
    assert "29 Dec 2025 – 4 Jan 2026" not in text(client, "/invoices/?year=2026&page=1")
    assert "29 Dec 2025 – 4 Jan 2026" in text(client, "/invoices/?year=2026&page=99")
    assert "22–28 Dec" not in new
    assert 'value="2025"' in client.get("/invoices/").content.decode()
    assert "?year=2026&amp;page=2" in client.get("/invoices/?year=2026").content.decode()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("year=1999", "There are no invoices of “1999”."),
        ("year=abc", "There are no invoices of “abc”."),
        ("year=%00", "There are no invoices of"),
        ("state=settled", "“settled” is no state of an invoice."),
        (f"state={'x' * 5000}", "is no state of an invoice."),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(query: str, said: str, owner: Client) -> None:
    answer = owner.get(f"/invoices/?{query}")
    assert answer.status_code == 422
    page = answer.content.decode()
    assert said in page
    assert len(page) < 20_000
    assert "2026-0001" not in page


def test_each_has_its_files(owner: Client, october: Invoice, november: Invoice) -> None:
    page = owner.get("/invoices/").content.decode()
    for invoice in (october, november):
        for ending in ("pdf", "csv"):
            assert f'href="/invoices/{invoice.pk}.{ending}"' in page
            assert owner.get(f"/invoices/{invoice.pk}.{ending}").status_code == 200


def test_several_currencies_are_not_added(owner: Client, acme: Customer) -> None:
    yen = plan_with("Yen", {make_meter("Storage"): {"model": "per_unit", "unit_price": "1"}}, currency="JPY")
    put_on(acme, yen, date(2026, 10, 1))
    send("acme", "Storage", 700, time=datetime(2026, 10, 3, tzinfo=UTC))
    run_sweep()
    run_sweep()
    listing = listing_of(visible_invoices(acme), now=NOW)
    assert [(one.currency, one.to_pay, one.to_pay_count) for one in listing.owed] == [("JPY", 700, 1), ("USD", 5, 1)]
    assert "To pay ¥700 1 invoice $5.00 1 invoice Overdue ¥0 Nothing is late $0.00 Nothing is late" in text(
        owner, "/invoices/"
    )


def test_the_running_part_is_what_is_asked_for_again(owner: Client, november: Invoice) -> None:
    fragment = owner.get("/invoices/", headers=HTMX)
    assert fragment.status_code == 200
    part = fragment.content.decode().strip()
    assert part in owner.get("/invoices/").content.decode()
    assert "Updated" in part
    assert "$40.00" in part
    send("acme", "ApiCalls", 1)
    assert "Updating" in owner.get("/invoices/", headers=HTMX).content.decode()
    Invoice.objects.filter(pk=november.pk).update(status="void")
    ended = owner.get("/invoices/", headers=HTMX)
    assert ended.status_code == 286
    assert "Nothing runs any more" in ended.content.decode()


def test_nobody_else_sees_them(stranger: Client, october: Invoice, client: Client) -> None:
    page = text(stranger, "/invoices/")
    assert october.number not in page
    assert "To pay $0.00 Nothing is due" in page
    assert client.get("/invoices/").status_code == 302
    assert client.get("/invoices/", headers=HTMX).status_code == 401
    assert stranger.post("/invoices/").status_code == 405
    assert stranger.get(f"/invoices/{october.pk}.pdf").status_code == 404


def test_overdue_is_of_the_invoices_own_zone(sign_in: SignIn, growth: Plan, clock: time_machine.Traveller) -> None:
    customer = make_customer("far", time_zone="Pacific/Auckland")
    put_on(customer, growth, date(2026, 10, 1))
    send("far", "ApiCalls", 6000, time=datetime(2026, 10, 3, tzinfo=UTC))
    run_sweep()
    run_sweep()
    invoice = Invoice.objects.get(customer=customer, status="final")
    assert invoice.due_on is not None
    midnight = datetime(invoice.due_on.year, invoice.due_on.month, invoice.due_on.day, tzinfo=invoice.zone)
    midnight += timedelta(days=1)
    for now, count in ((midnight - timedelta(minutes=1), 0), (midnight, 1)):
        assert listing_of(visible_invoices(customer), now=now).owed[0].overdue_count == count
