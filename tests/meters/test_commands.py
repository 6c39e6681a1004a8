"""The commands of `meters`."""

import io

import pytest
from django.core.management import CommandError, call_command

from meters.keys import find
from meters.models import ApiKey


@pytest.mark.django_db
def test_create_api_key_prints_a_key_that_opens_its_scopes() -> None:
    out = io.StringIO()
    call_command("create_api_key", "gateway", "--scope", "ingest", "read", stdout=out)
    key = find(out.getvalue().strip())
    assert key is not None
    assert (key.name, key.scopes) == ("gateway", ["ingest", "read"])


@pytest.mark.django_db
@pytest.mark.parametrize("scopes", [[], ["--scope", "everything"]], ids=["none", "unknown"])
def test_create_api_key_refuses_scopes_that_do_not_exist(scopes: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("create_api_key", "gateway", *scopes)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "nan"],
        ["--rate", "0"],
        ["--rate", "x"],
        ["--jobs", "-5"],
        ["--url", "localhost"],
        ["--customers", ","],
    ],
    ids=" ".join,
)
def test_simulate_usage_refuses_what_makes_no_sense(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=arguments[0]):
        call_command("simulate_usage", *arguments)


def test_simulate_usage_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOLLMETER_API_KEY", raising=False)
    with pytest.raises(CommandError, match="TOLLMETER_API_KEY"):
        call_command("simulate_usage")


def test_the_demo_refuses_an_installation_that_is_none() -> None:
    with pytest.raises(CommandError, match="not a demo"):
        call_command("demo")
