"""What every page links, and where a switch to another customer leads."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver

from meters.models import Customer
from portal.models import Membership
from portal.roles import Role
from portal.sections import ACCOUNT, PAGES, links, page_of, section_of
from tests.factories import make_customer

pytestmark = pytest.mark.django_db


@pytest.fixture
def customers() -> list[Customer]:
    return [make_customer(key, name=f"{key.title()} Ltd") for key in ("first", "second")]


@pytest.fixture
def dora(customers: list[Customer]) -> Client:
    user = User.objects.create_user("dora", "dora@example.com")
    for customer, role in zip(customers, (Role.OWNER, Role.READ_ONLY), strict=True):
        Membership.objects.create(user=user, customer=customer, role=role)
    client = Client()
    client.force_login(user)
    return client


def test_the_pages_are_linked_in_their_order(dora: Client) -> None:
    page = dora.get("/team/").content.decode()
    places = [page.index(f'href="{url}"') for url in ("/", "/usage/", "/invoices/", "/alerts/")]
    assert places == sorted(places)
    places = [page.index(f'href="{url}"') for url in ("/team/", "/account/")]
    assert places == sorted(places)
    assert '<a href="/team/" aria-current="page">Team</a>' in page


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("overview", "/"),
        ("usage", "/usage/"),
        ("usage-csv", "/usage/"),
        ("invoices", "/invoices/"),
        ("invoice", "/invoices/"),
        ("invoice-line", "/invoices/"),
        ("statement", "/invoices/"),
        ("credit-note-pdf", "/invoices/"),
        ("alerts", "/alerts/"),
        ("alert-add", "/alerts/"),
        ("alert", "/alerts/"),
        ("team", "/team/"),
        ("team-remove", "/team/"),
        ("account", "/account/"),
        ("join", "/"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("x\x00", "/"),
    ],
)
def test_a_switch_keeps_the_kind_of_page(name: str, page: str, dora: Client, customers: list[Customer]) -> None:
    answer = dora.post("/switch-customer/", {"customer": customers[1].pk, "page": name})
    assert answer["Location"] == page
    assert "usage and bills of Second Ltd" in dora.get("/team/").content.decode()


def test_a_page_says_of_which_kind_it_is(dora: Client) -> None:
    assert '<input type="hidden" name="page" value="team">' in dora.get("/team/").content.decode()


def test_each_customer_has_its_role(dora: Client, customers: list[Customer]) -> None:
    assert "/team/invite/" in dora.get("/team/").content.decode()
    dora.post("/switch-customer/", {"customer": customers[1].pk, "page": "team"})
    assert "/team/invite/" not in dora.get("/team/").content.decode()
    assert dora.post("/team/invite/", {"email": "x@example.com", "role": "owner"}).status_code == 403


def test_every_page_of_a_person_belongs_to_a_section() -> None:
    """Else nothing of the navigation is marked on it, and a switch leads to the overview."""
    elsewhere = {"brand", "sign", "password", "join", "switch", "enter", "leave", "embed"}
    names = {name for name in get_resolver("portal.urls").reverse_dict if isinstance(name, str)}
    lost = {name for name in names if section_of(name) is None and name.split("-")[0] not in elsewhere}
    assert lost == set()


def test_a_section_below_another_is_marked_otherwise() -> None:
    marked = {link.section.name: link.current for link in links(PAGES, "invoice-line")}
    assert marked["invoices"] == "true"
    assert not marked["overview"]
    assert {link.section.name: link.current for link in links(ACCOUNT, "account")}["account"] == "page"


def test_an_address_that_there_is_not_is_linked_nowhere() -> None:
    assert page_of("no-such-page") == "/"
