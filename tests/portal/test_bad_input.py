"""What no page sends, but anybody can: it is refused, and nothing breaks."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from meters.models import Customer
from portal.embedding.tokens import VIEWS, create_embed_token
from portal.people.accounts import account_named
from pricing.models import Assignment
from tests.portal.conftest import NOW


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_plan_of_no_text_is_none(owner: Client, acme: Customer, method: str) -> None:
    on = Assignment.objects.get(customer=acme)

    assert getattr(owner, method)(f"/plan/{on.pk}/change/a%00b/").status_code == 404


def test_a_session_of_no_text_is_none(owner: Client) -> None:
    assert owner.post("/account/sessions/%00/end/").status_code == 404


def test_a_budget_of_no_currency_is_none(owner: Client) -> None:
    assert owner.post("/alerts/budget/off/", {"currency": "\0"}).status_code == 302


def test_an_address_that_only_looks_alike_is_no_name_of_an_account(db: None) -> None:
    """Or tries of the one would tell, by the lock that comes of them, that somebody has the other."""
    tim = User.objects.create_user("tim", "Tim@example.com")

    assert account_named("tIM@example.com") == tim
    assert account_named("t\N{LATIN SMALL LETTER DOTLESS I}m@example.com") is None


@pytest.mark.parametrize("view", VIEWS)
def test_a_frame_is_asked_for_a_part_that_only_another_one_has(acme: Customer, view: str) -> None:
    _, token = create_embed_token(customer=acme, origins=["https://app.example"], actor="test", now=NOW)

    answer = Client().get(f"/embed/{view}", {"token": token}, headers={"HX-Request": "true", "HX-Target": "embed"})

    assert answer.status_code == 200
