"""Who sees what: three people and nobody, in front of every page."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from invoices.models import Invoice
from meters.models import Customer
from tests.portal.conftest import SignIn

HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/usage/?meter=ApiCalls"}

PAGES = ["/", "/usage/", "/usage.csv", "/invoices/", "/statement/", "/statement.csv", "/alerts/", "/invoices/{pk}/"]
OF_NONE_ELSE = [page for page in PAGES if "{pk}" not in page]


@pytest.mark.parametrize("page", PAGES)
def test_owner_and_colleague_see_the_same(page: str, owner: Client, colleague: Client, november: Invoice) -> None:
    url = page.format(pk=november.pk)
    answers = [client.get(url) for client in (owner, colleague)]
    assert [answer.status_code for answer in answers] == [200, 200]
    # Forms differ by a secret of their own.
    first, second = (re.sub(r'value="\w{64}"', "", answer.content.decode().split("<main")[-1]) for answer in answers)
    assert first == second


@pytest.mark.parametrize("page", OF_NONE_ELSE)
def test_a_stranger_sees_nothing_of_it(page: str, owner: Client, stranger: Client, october: Invoice) -> None:
    content = stranger.get(page).content.decode()
    assert "Acme" not in content
    assert october.number not in content
    assert "12,300" not in content
    assert "12300" not in content
    assert "$40.00" not in content


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
def test_an_invoice_of_somebody_else_does_not_exist(
    headers: dict[str, str], stranger: Client, november: Invoice, october: Invoice
) -> None:
    for invoice in (november, october):
        answer = stranger.get(reverse("portal:invoice", args=[invoice.pk]), headers=headers)
        assert answer.status_code == 404
        assert "Acme" not in answer.content.decode()
    missing = stranger.get(reverse("portal:invoice", args=[10**30]))
    assert missing.status_code == 404


@pytest.mark.parametrize("page", PAGES)
def test_nobody_is_sent_to_sign_in(page: str, client: Client, november: Invoice) -> None:
    url = page.format(pk=november.pk)
    answer = client.get(url)
    assert answer.status_code == 302
    assert answer["Location"] == f"/sign-in/?next={url}"


@pytest.mark.parametrize("page", PAGES)
def test_nobodys_fragment_sends_the_whole_page_to_sign_in(page: str, client: Client, november: Invoice) -> None:
    answer = client.get(page.format(pk=november.pk), headers=HTMX)
    assert answer.status_code == 401
    assert answer.content == b""
    assert answer["HX-Redirect"] == "/sign-in/?next=%2Fusage%2F%3Fmeter%3DApiCalls"


def test_a_page_elsewhere_is_no_place_to_come_back_to(client: Client, db: None) -> None:
    answer = client.get("/", headers=HTMX | {"HX-Current-URL": "https://evil.example/"})
    assert answer["HX-Redirect"] == "/sign-in/?next=%2F"


def test_nothing_is_kept_in_caches(owner: Client) -> None:
    answer = owner.get("/")
    assert "no-store" in answer["Cache-Control"]
    assert "private" in answer["Cache-Control"]
    assert "HX-Request" in answer["Vary"]


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_only_read(page: str, owner: Client, november: Invoice) -> None:
    assert owner.post(page.format(pk=november.pk)).status_code == 405


def test_staff_without_a_customer_is_shown_to_the_admin(sign_in: SignIn) -> None:
    answer = sign_in("sue", is_staff=True).get("/")
    assert answer.status_code == 403
    assert 'href="/admin/"' in answer.content.decode()


def test_a_person_without_a_customer_is_told_so(sign_in: SignIn, november: Invoice) -> None:
    person = sign_in("nobody")
    answer = person.get(f"/invoices/{november.pk}/")
    assert answer.status_code == 403
    assert "/admin/" not in answer.content.decode()
    assert "Acme" not in answer.content.decode()


def test_a_person_of_two_customers_switches_between_them(acme: Customer, globex: Customer, sign_in: SignIn) -> None:
    person = sign_in("dora", acme, globex)
    assert "$40.00" in person.get("/").content.decode()
    assert person.post("/switch-customer/", {"customer": globex.pk}).status_code == 302
    assert "$40.00" not in person.get("/").content.decode()
    assert person.get("/switch-customer/").status_code == 405


@pytest.mark.parametrize("choice", ["acme", "nonsense", ""])
def test_nobody_switches_to_a_customer_that_is_not_theirs(choice: str, acme: Customer, stranger: Client) -> None:
    stranger.post("/switch-customer/", {"customer": acme.pk if choice == "acme" else choice})
    assert "Acme" not in stranger.get("/").content.decode()


def test_a_membership_that_ends_ends_at_once(acme: Customer, globex: Customer, sign_in: SignIn) -> None:
    person = sign_in("dora", acme, globex)
    person.post("/switch-customer/", {"customer": globex.pk})
    globex.memberships.all().delete()
    assert "$40.00" in person.get("/").content.decode()
    acme.memberships.all().delete()
    assert person.get("/").status_code == 403
