"""Voiding events over HTTP, and bringing them back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from meters import voiding
from meters.models import Event, Meter, VoidRecord
from meters.voiding import EventRef, select_events, void_events
from tests.factories import make_customer, make_meter, send

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def writer(api: Callable[..., APIClient]) -> APIClient:
    return api("write")


@pytest.fixture
def calls(db: None) -> Meter:
    make_customer("acme")
    return make_meter()


def test_by_id_with_a_dry_run_first(writer: APIClient, calls: Meter) -> None:
    for number in range(3):
        send("acme", "ApiCalls", 10, id=f"job-{number}", time=NOW, now=NOW)
    asked = [{"customer": "acme", "id": name} for name in ("job-0", "job-1", "nothing")]
    body = {"events": asked, "reason": "Sent twice"}
    would = writer.post("/v1/events/void", body | {"dry_run": True}, format="json")
    expected = {
        "dry_run": True,
        "record": None,
        "events": 2,
        "unchanged": 0,
        "unknown": [{"customer": "acme", "id": "nothing"}],
        "changes": [{"customer": "acme", "meter": "ApiCalls", "events": 2, "sum": "20"}],
        "changes_left_out": 0,
    }
    assert would.json() == expected
    assert not VoidRecord.objects.exists()
    done = writer.post("/v1/events/void", body, format="json").json()
    record = done.pop("record")
    assert done | {"record": None} == expected | {"dry_run": False}
    assert (record["kind"], record["reason"], record["actor"], record["events"]) == (
        "void",
        "Sent twice",
        "test",
        2,
    )
    assert Event.objects.filter(void=record["id"]).count() == 2
    again = writer.post("/v1/events/void", body, format="json").json()
    assert (again["events"], again["unchanged"], again["record"]) == (0, 2, None)


def test_by_filter_and_back_by_record(writer: APIClient, calls: Meter) -> None:
    for number in range(4):
        time = NOW - timedelta(hours=number)
        send("acme", "ApiCalls", 10, id=f"job-{number}", time=time, now=NOW, source="ab"[number % 2])
    conditions = {"customer": "acme", "from": "2026-11-22T12:00:00Z", "dimensions": {"source": "a"}}
    done = writer.post("/v1/events/void", {"filter": conditions, "reason": "x"}, format="json").json()
    assert done["events"] == 2
    back = writer.post("/v1/events/unvoid", {"record": done["record"]["id"], "reason": "right"}, format="json")
    assert (back.json()["events"], back.json()["record"]["kind"]) == (2, "unvoid")
    assert not Event.objects.exclude(void=None).exists()
    other = {"filter": {"meter": "ApiCalls"} | conditions, "reason": "again"}
    assert writer.post("/v1/events/void", other, format="json").json()["events"] == 2


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"reason": "x"}, [""]),
        ({"reason": "x", "events": [], "filter": {"customer": "acme"}}, [""]),
        ({"reason": "x", "events": []}, ["/events"]),
        ({"events": [{"customer": "acme", "id": "job"}]}, ["/reason"]),
        ({"events": [{"customer": "acme", "id": "job"}], "reason": " "}, ["/reason"]),
        ({"events": [{"customer": "acme", "id": "job"}], "reason": "x" * 501}, ["/reason"]),
        ({"events": [{"customer": "acme"}], "reason": "x"}, ["/events/0/id"]),
        ({"events": ["job"], "reason": "x"}, ["/events/0"]),
        ({"filter": {}, "reason": "x"}, ["/filter/customer"]),
        ({"filter": {"customer": "nobody"}, "reason": "x"}, ["/filter/customer"]),
        ({"filter": {"meter": "ApiCalls"}, "reason": "x"}, ["/filter/from"]),
        ({"filter": {"meter": "ApiCalls", "from": "2026-11-22T00:00:00Z"}, "reason": "x"}, ["/filter/to"]),
        ({"filter": {"customer": "acme", "source": "crm"}, "reason": "x"}, ["/filter/source"]),
        ({"filter": {"customer": "acme", "dimensions": {"source": ["a"]}}, "reason": "x"}, None),
        ({"record": 1, "reason": "x"}, ["/record"]),
    ],
)
def test_refusals_point_at_what_is_wrong(
    writer: APIClient, calls: Meter, body: dict[str, Any], pointers: list[str] | None
) -> None:
    send("acme", "ApiCalls", 1, id="job", now=NOW)
    answer = writer.post("/v1/events/void", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), answer.content
    if pointers:
        assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert Event.objects.get().void is None


@pytest.mark.parametrize(
    ("extra", "ref", "pointers"),
    [
        ({"dryRun": True}, {}, ["/dryRun"]),
        ({"dry_run": True, "note": 1, "a/b": 2}, {}, ["/a~1b", "/note"]),
        ({}, {"Meter": "Other"}, ["/events/1/Meter"]),
        ({}, {"time": "2026-11-22T14:00:00Z"}, ["/events/1/time"]),
    ],
)
@pytest.mark.parametrize("path", ["void", "unvoid"])
def test_members_that_are_not_known_are_refused(
    writer: APIClient,
    calls: Meter,
    path: str,
    extra: dict[str, Any],
    ref: dict[str, Any],
    pointers: list[str],
) -> None:
    for name in ("job-0", "job-1"):
        send("acme", "ApiCalls", 1, id=name, now=NOW)
    if path == "unvoid":
        void_events(select_events(refs=[EventRef("acme", name) for name in ("job-0", "job-1")]), reason="x", actor="")
    before = list(Event.objects.order_by("sequence").values_list("void", flat=True))
    events = [{"customer": "acme", "id": "job-0"}, {"customer": "acme", "id": "job-1"} | ref]
    answer = writer.post(f"/v1/events/{path}", {"events": events, "reason": "x"} | extra, format="json")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert {error["detail"] for error in answer.json()["errors"]} == {"There is no such member."}
    assert list(Event.objects.order_by("sequence").values_list("void", flat=True)) == before


def test_more_than_a_call_may_change_is_refused(
    writer: APIClient, calls: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voiding, "MAX_EVENTS", 1)
    for number in range(2):
        send("acme", "ApiCalls", 1, id=f"job-{number}", now=NOW)
    answer = writer.post("/v1/events/void", {"filter": {"customer": "acme"}, "reason": "x"}, format="json")
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/filter"]
    assert "more than 1 events" in answer.json()["errors"][0]["detail"]


def test_only_a_void_is_undone(writer: APIClient, calls: Meter) -> None:
    send("acme", "ApiCalls", 1, id="job", now=NOW)
    writer.post("/v1/events/void", {"filter": {"customer": "acme"}, "reason": "x"}, format="json")
    back = writer.post("/v1/events/unvoid", {"filter": {"customer": "acme"}, "reason": "x"}, format="json").json()
    for record in (back["record"]["id"], 10_000, "x"):
        answer = writer.post("/v1/events/unvoid", {"record": record, "reason": "x"}, format="json")
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/record"]


@pytest.mark.parametrize("path", ["void", "unvoid"])
def test_needs_the_scope_to_write(api: Callable[..., APIClient], path: str) -> None:
    answer = api("ingest", "read").post(f"/v1/events/{path}", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert api("write").get(f"/v1/events/{path}").status_code in (403, 405)


def test_half_of_a_character_in_the_name_of_a_member_is_refused(writer: APIClient, calls: Meter) -> None:
    answer = writer.post("/v1/events/void", rb'{"reason": "x", "\ud800": 1}', content_type="application/json")
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [r"/\ud800"]
