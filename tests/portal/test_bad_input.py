"""What no page sends, but anybody can: it is refused, and nothing breaks."""

import pytest
from django.test import Client

from meters.models import Customer
from pricing.models import Assignment


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_plan_of_no_text_is_none(owner: Client, acme: Customer, method: str) -> None:
    on = Assignment.objects.get(customer=acme)

    assert getattr(owner, method)(f"/plan/{on.pk}/change/a%00b/").status_code == 404


def test_a_session_of_no_text_is_none(owner: Client) -> None:
    assert owner.post("/account/sessions/%00/end/").status_code == 404


def test_a_budget_of_no_currency_is_none(owner: Client) -> None:
    assert owner.post("/alerts/budget/off/", {"currency": "\0"}).status_code == 302
