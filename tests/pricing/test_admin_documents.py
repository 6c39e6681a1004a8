"""Plans as documents on the staff pages: downloaded, shown against what is there, applied."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from pricing.models import Plan, PlanVersion
from pricing.plans import draft_version, set_terms
from tests.factories import STORY_RATE, make_meter, make_plan
from tests.pricing.pages import faults, text, words

pytestmark = pytest.mark.django_db

APPLY = "/admin/pricing/plan/apply/"


@pytest.fixture
def plan() -> Plan:
    return make_plan("Basic", {make_meter(): STORY_RATE})


def document(plan: Plan, staff: Client, **query: object) -> Any:
    return staff.get(f"/admin/pricing/plan/{plan.pk}/document/", query)


def dearer(plan: Plan, staff: Client) -> str:
    found = json.loads(text(document(plan, staff)))
    found["rates"][0]["parameters"]["block_price"] = "6"
    return json.dumps(found)


def test_a_plan_is_downloaded_as_json_and_yaml(colleague: Callable[..., Client], plan: Plan) -> None:
    viewer = colleague("view_plan")
    response = document(plan, viewer)
    assert response["Content-Type"] == "application/json; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="Basic.json"'
    assert json.loads(text(response))["rates"][0]["parameters"] == STORY_RATE
    response = document(plan, viewer, format="yaml")
    assert response["Content-Disposition"] == 'attachment; filename="Basic.yaml"'
    assert text(response).startswith("key: Basic\n")


def test_each_version_has_its_document(staff: Client, plan: Plan) -> None:
    set_terms(draft_version(plan), trial_days=14)
    assert json.loads(text(document(plan, staff)))["trial_days"] == 0
    assert json.loads(text(document(plan, staff, version=1)))["trial_days"] == 0
    second = document(plan, staff, version=2)
    assert json.loads(text(second))["trial_days"] == 14
    assert second["Content-Disposition"] == 'attachment; filename="Basic-v2.json"'
    for query in ({"version": "3"}, {"version": "x"}, {"version": "9" * 30}, {"version": "²"}, {"format": "xml"}):
        assert document(plan, staff, **query).status_code == 404


def test_a_document_is_shown_first_and_applied_as_it_was_shown(staff: Client, plan: Plan) -> None:
    changed = dearer(plan, staff)
    shown = staff.post(APPLY, {"text": changed, "preview": "1"})
    assert [(change.kind, change.subject) for change in shown.context["would"].differences] == [("changed", "ApiCalls")]
    assert "What it changes in Basic" in words(shown)
    assert not PlanVersion.objects.filter(status="draft").exists()

    edited = changed.replace('"6"', '"7"')
    again = staff.post(APPLY, {"text": edited, "checked": shown.context["checked"], "apply": "1"})
    assert "$7.00" in words(again)
    assert not PlanVersion.objects.filter(status="draft").exists()

    done = staff.post(APPLY, {"text": edited, "checked": again.context["checked"], "apply": "1"}, follow=True)
    assert done.redirect_chain[-1][0] == f"/admin/pricing/plan/{plan.pk}/change/"
    assert "Basic v2 says what the document says, a draft" in words(done)
    assert PlanVersion.objects.get(status="draft").rates.get().parameters["block_price"] == "7"


def test_line_ends_of_a_browser_do_not_make_it_another_text(staff: Client, plan: Plan) -> None:
    changed = json.dumps(json.loads(dearer(plan, staff)), indent=2)
    shown = staff.post(APPLY, {"text": changed.replace("\n", "\r\n"), "preview": "1"})
    sent = shown.context["form"]["text"].value().replace("\r\n", "\n").replace("\n", "\r\n")
    done = staff.post(APPLY, {"text": sent, "checked": shown.context["checked"], "apply": "1"})
    assert done.status_code == 302


def test_a_file_makes_a_new_plan(staff: Client, plan: Plan) -> None:
    other = text(document(plan, staff, format="yaml")).replace("key: Basic\n", "key: Extra\n")
    file = SimpleUploadedFile("extra.yaml", other.encode())
    shown = staff.post(APPLY, {"file": file, "preview": "1"})
    assert "A new plan, Extra" in words(shown)
    assert not Plan.objects.filter(key="Extra").exists()
    staff.post(
        APPLY, {"text": shown.context["form"]["text"].value(), "checked": shown.context["checked"], "apply": "1"}
    )
    assert Plan.objects.get(key="Extra").versions.get().rates.get().parameters == STORY_RATE


def test_what_is_there_already_changes_nothing(staff: Client, plan: Plan) -> None:
    shown = staff.post(APPLY, {"text": text(document(plan, staff)), "preview": "1"})
    assert "Nothing changes" in words(shown)
    assert 'name="apply"' not in text(shown)
    done = staff.post(
        APPLY,
        {"text": text(document(plan, staff)), "checked": shown.context["checked"], "apply": "1"},
        follow=True,
    )
    assert "Basic says that already: nothing is changed." in words(done)
    assert plan.versions.count() == 1


def test_faults_are_named_by_their_place(staff: Client, plan: Plan) -> None:
    wrong = dearer(plan, staff).replace('"6"', '"six"')
    shown = staff.post(APPLY, {"text": wrong, "preview": "1"})
    assert shown.context["would"] is None
    assert [path for path, _ in shown.context["faults"]] == ["rates[0].parameters.block_price"]
    assert "rates[0].parameters.block_price" in words(shown)
    assert "This document cannot be applied" in words(shown)
    assert shown.context["form"]["text"].value() == wrong


def test_the_page_asks_before_it_complains(staff: Client) -> None:
    asked = staff.get(APPLY)
    assert not asked.context["form"].is_bound
    assert "errornote" not in text(asked)


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({}, "text", "Choose a file, or paste the document."),
    ({"text": "  \n"}, "text", "Choose a file, or paste the document."),
    ({"text": '{"key": '}, "text", ""),
    ({"text": "key: [1"}, "text", ""),
    ({"file": b"\xff\xfe\x00"}, "file", "This is no text in UTF-8."),
    ({"file": b"x" * 1_000_001}, "file", "At most 1,000,000 bytes."),
    ({"text": "x" * 1_000_001}, "text", "At most 1,000,000 characters."),
]


@pytest.mark.parametrize(("sent", "field", "error"), BAD)
def test_what_is_no_document_is_refused(staff: Client, sent: dict[str, Any], field: str, error: str) -> None:
    if "file" in sent:
        sent = {"file": SimpleUploadedFile("plan.json", sent["file"])}
    found = faults(staff.post(APPLY, sent | {"preview": "1"}))
    assert list(found) == [field]
    assert error in found[field][0]


@pytest.mark.parametrize("sent", ["[]", '"x"', "{}", "null", "key: 5", "key: Basic\nrates: {}"])
def test_documents_of_the_wrong_shape_are_told_what_is_wrong(staff: Client, sent: str) -> None:
    response = staff.post(APPLY, {"text": sent, "preview": "1"})
    assert response.context["faults"]
    assert not Plan.objects.exists()


def test_applying_needs_the_permission_to_add_and_to_change(colleague: Callable[..., Client], plan: Plan) -> None:
    assert colleague("view_plan", "change_plan").get(APPLY).status_code == 403
    assert colleague("view_plan", "add_plan").get(APPLY).status_code == 403
    both = colleague("view_plan", "add_plan", "change_plan")
    assert both.get(APPLY).status_code == 200
    assert APPLY in text(both.get("/admin/pricing/plan/"))
    assert APPLY not in text(colleague("view_plan", "add_plan").get("/admin/pricing/plan/"))
