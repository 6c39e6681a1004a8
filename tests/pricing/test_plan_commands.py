"""`manage.py export_plan` and `apply_plan`."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from pricing.models import Plan
from pricing.plans import activate, active_version
from pricing.private_plans import make_private
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan

pytestmark = pytest.mark.django_db


@pytest.fixture
def plan() -> Plan:
    return make_plan("Basic", {make_meter(): STORY_RATE})


def run(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def answering(monkeypatch: Any, answer: str) -> None:
    monkeypatch.setattr("builtins.input", lambda question: answer)


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_plan_goes_out_and_comes_in_and_nothing_changes(plan: Plan, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"basic.{form}"
    assert run("export_plan", "Basic", "--format", form, "--output", str(file)) == ""
    assert file.read_text() == run("export_plan", "Basic", "--format", form)
    assert run("apply_plan", str(file), "--yes", "--activate") == "Basic: nothing changes.\n"
    assert plan.versions.count() == 1


def test_a_price_that_was_changed_by_hand_is_shown_and_then_applied(
    plan: Plan, tmp_path: Path, monkeypatch: Any
) -> None:
    file = tmp_path / "basic.yaml"
    run("export_plan", "Basic", "--format", "yaml", "--output", str(file))
    file.write_text(file.read_text().replace("block_price: '5'", "block_price: 6.50"))
    difference = [
        "Basic:",
        "  ~ ApiCalls",
        "      - 5,000 calls free, then $5.00 per started block of 1,000 calls",
        "      + 5,000 calls free, then $6.50 per started block of 1,000 calls",
    ]
    assert run("apply_plan", str(file), "--dry-run").splitlines() == [*difference, "Nothing is done."]
    answering(monkeypatch, "")
    assert run("apply_plan", str(file)).splitlines() == [*difference, "Nothing is done."]
    assert plan.versions.count() == 1
    answering(monkeypatch, "y")
    assert run("apply_plan", str(file)).splitlines() == [*difference, "Basic v2 is a draft."]
    private = make_private(plan, customer=make_customer("acme"))
    activate(private)
    assert run("apply_plan", str(file), "--yes", "--activate", "--stay").splitlines()[-3:] == [
        "Basic v2 is active.",
        "Customers on the plan stay on the version that they have.",
        "Basic (acme) v2 follows it, and is active.",
    ]
    version = active_version(plan)
    assert version is not None
    assert (version.number, version.moves_existing, version.activated_by) == (2, False, "command line")
    assert version.rates.get().parameters["block_price"] == "6.5"


def test_a_new_plan_comes_in_on_the_standard_input(monkeypatch: Any) -> None:
    make_meter()
    document = {"key": "New", "rates": [{"product_item": "ApiCalls", "parameters": STORY_RATE}]}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(document)))
    assert run("apply_plan", "-", "--yes", "--activate").splitlines()[-1] == "New v1 is active."
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(document | {"name": "Renamed"})))
    assert run("apply_plan", "-", "--yes").splitlines()[-1] == "New is changed; its prices stay."
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(document)))
    with pytest.raises(CommandError, match="nobody to ask"):
        run("apply_plan", "-")


def test_what_is_wrong_is_told(plan: Plan, tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "basic.yaml"
    file.write_text("key: New\nrates:\n  - product_item: Nope\n    parameters: {}\nfees: 7\n")
    with pytest.raises(CommandError) as error:
        run("apply_plan", str(file))
    assert str(error.value).splitlines() == [
        "rates[0].product_item: There is no product item of a meter with this key.",
        "fees: This must be a list of at most 1,000.",
    ]
    file.write_text("key: [")
    with pytest.raises(CommandError, match=r"basic\.yaml: "):
        run("apply_plan", str(file))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(CommandError, match="UTF-8"):
        run("apply_plan", str(file))
    with pytest.raises(CommandError, match="No such file"):
        run("apply_plan", str(tmp_path / "none.yaml"))
    with pytest.raises(CommandError, match="no plan with the key 'None'"):
        run("export_plan", "None")
    with pytest.raises(CommandError, match="No such file"):
        run("export_plan", "Basic", "--output", str(tmp_path / "none" / "basic.json"))
    assert list(Plan.objects.all()) == [plan]


def test_a_question_that_nobody_answers_does_nothing(plan: Plan, tmp_path: Path, monkeypatch: Any) -> None:
    def closed(question: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", closed)
    file = tmp_path / "basic.json"
    file.write_text(json.dumps({"key": "Basic"}))
    with pytest.raises(CommandError, match="nobody to ask"):
        run("apply_plan", str(file))
    assert plan.versions.count() == 1
