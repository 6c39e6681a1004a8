"""The commands of `meters`."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from meters.keys import find
from meters.models import ApiKey
from tests.factories import make_customer


@pytest.mark.django_db
def test_create_api_key_prints_a_key_that_opens_its_scopes() -> None:
    out = io.StringIO()
    call_command("create_api_key", "gateway", "--scope", "ingest", "read", stdout=out)
    key = find(out.getvalue().strip())
    assert key is not None
    assert (key.name, key.scopes) == ("gateway", ["ingest", "read"])


@pytest.mark.django_db
def test_create_api_key_with_customer_expiry_and_limit() -> None:
    out = io.StringIO()
    customer = make_customer("acme")
    options = ["--customer", "acme", "--expires-in-days", "90", "--rate-limit", "20"]
    call_command("create_api_key", "gateway", "--scope", "ingest", *options, stdout=out)
    key = find(out.getvalue().strip())
    assert key is not None
    assert (key.customer, key.rate_limit) == (customer, 20)
    assert key.expires_at is not None
    assert timedelta(days=89) < key.expires_at - timezone.now() <= timedelta(days=90)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--customer", "nobody"], "nobody"),
        (["--expires-in-days", "0"], "expires-in-days"),
        (["--expires-in-days", "99999999999"], "expires-in-days"),
        (["--rate-limit", "-1"], "requests a second"),
    ],
    ids=str,
)
def test_create_api_key_refuses_what_makes_no_sense(options: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("create_api_key", "gateway", "--scope", "ingest", *options)
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("scopes", [[], ["--scope", "everything"]], ids=["none", "unknown"])
def test_create_api_key_refuses_scopes_that_do_not_exist(scopes: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("create_api_key", "gateway", *scopes)
    assert not ApiKey.objects.exists()


def test_the_demo_refuses_an_installation_that_is_none() -> None:
    with pytest.raises(CommandError, match="not a demo"):
        call_command("demo")
