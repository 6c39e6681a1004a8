"""`/v1/assignments` and their log: who is on which plan, from which day, and who did that."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from meters import keys
from meters.models import Customer
from pricing.models import Assignment, AssignmentLog, Plan
from pricing.plans import activate, draft_version, set_fee, set_rate
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep
from tests.kept import kept
from tests.pricing.calls import Api, ok, pointers

pytestmark = pytest.mark.django_db

PATH = "/v1/assignments"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def client(api: Api, _noon: None) -> APIClient:
    return api("read", "write")


@pytest.fixture(autouse=True)
@kept(at=NOON)
def _plans(_noon: None, db: None) -> Customer:
    calls = make_meter()
    basic = Plan.objects.create(key="Basic")
    set_rate(draft_version(basic), product_item=calls.product_item, parameters=STORY_RATE)
    set_fee(draft_version(basic), key="seats", name="Seats", amount="10", unit="seats")
    activate(basic)
    make_plan("Pro", {calls: STORY_RATE})
    make_plan("Traffic", {make_meter("Traffic"): STORY_RATE})
    return make_customer("acme", time_zone="Asia/Tokyo")


def on(customer: str = "acme", plan: str = "Basic", **fields: Any) -> dict[str, Any]:
    return {"customer": customer, "plan": plan} | fields


class TestAssign:
    def test_it_starts_today_where_the_customer_is(self, client: APIClient) -> None:
        with time_machine.travel("2026-11-22T16:00:00Z", tick=False):  # past midnight in Tokyo
            made = ok(client.post(PATH, on(), format="json"), 201)
        assert made == ok(client.get(f"{PATH}/{made['id']}"))
        assert {name: made[name] for name in ("customer", "plan", "starts_on", "ends_on", "anchor_on")} == {
            "customer": "acme",
            "plan": "Basic",
            "starts_on": "2026-11-23",
            "ends_on": None,
            "anchor_on": None,
        }
        assert (made["time_zone"], made["source"], made["rule"]) == ("Asia/Tokyo", "api", None)

    def test_days_in_the_past_and_in_the_future(self, client: APIClient) -> None:
        days = {"starts_on": "2026-01-31", "ends_on": "2027-03-01", "anchor_on": "2026-02-28"}
        made = ok(client.post(PATH, on(**days), format="json"), 201)
        assert {name: made[name] for name in days} == days

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({}, {"/customer", "/plan"}),
            (on("nobody"), {"/customer"}),
            (on(plan="Nothing"), {"/plan"}),
            (on(plan="Draft"), {"/plan"}),
            (on(plan="Private"), {"/plan"}),
            (on(starts_on="22.11.2026"), {"/starts_on"}),
            (on(starts_on="2026-02-30"), {"/starts_on"}),
            (on(starts_on="1926-01-01"), {"/starts_on"}),
            (on(starts_on=None), {"/starts_on"}),
            (on(starts_on="2026-11-01", ends_on="2026-11-01"), {"/ends_on"}),
            (on(ends_on="9999-12-31"), {"/ends_on"}),
            (on(anchor_on="0001-01-01"), {"/anchor_on"}),
            (on(end_on="2027-01-01"), {"/end_on"}),
            (
                on(starts_on="2026-W44-1", ends_on="2026-W49", anchor_on="20261101"),
                {"/starts_on", "/ends_on", "/anchor_on"},
            ),
            (on(quantities=[], source="staff"), {"/quantities", "/source"}),
        ],
    )
    def test_a_fault_is_told_where_it_is(self, client: APIClient, body: dict[str, Any], expected: set[str]) -> None:
        Plan.objects.create(key="Draft")
        other = make_customer("globex")
        private = Plan.objects.create(key="Private", base=Plan.objects.get(key="Basic"), customer=other)
        activate(_with_fee(private))
        assert pointers(client.post(PATH, body, format="json")) == expected
        assert not Assignment.objects.exists()

    def test_one_product_item_has_one_price_at_a_time(self, client: APIClient) -> None:
        ok(client.post(PATH, on(starts_on="2026-11-01", ends_on="2026-12-01"), format="json"), 201)
        beside = on(plan="Pro", starts_on="2026-11-30")
        assert pointers(client.post(PATH, beside, format="json")) == {"/plan"}
        ok(client.post(PATH, on(plan="Traffic", starts_on="2026-11-01"), format="json"), 201)
        ok(client.post(PATH, beside | {"starts_on": "2026-12-01"}, format="json"), 201)


class TestLists:
    def test_by_customer_plan_and_day_newest_first(self, client: APIClient) -> None:
        acme, globex = _customer("acme"), make_customer("globex")
        put_on(acme, _plan("Basic"), date(2026, 1, 1), date(2026, 6, 1))
        put_on(acme, _plan("Pro"), date(2026, 6, 1))
        put_on(globex, _plan("Basic"), date(2026, 3, 1))

        def found(**query: str) -> list[tuple[str, str]]:
            return [(row["customer"], row["plan"]) for row in ok(client.get(PATH, query))["data"]]

        assert found() == [("globex", "Basic"), ("acme", "Pro"), ("acme", "Basic")]
        assert found(customer="acme") == [("acme", "Pro"), ("acme", "Basic")]
        assert found(plan="Basic", customer="acme") == [("acme", "Basic")]
        assert found(customer="acme", on="2026-05-31") == [("acme", "Basic")]
        assert found(customer="acme", on="2026-06-01") == [("acme", "Pro")]
        assert found(on="2025-12-31") == []

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ({"customer": "nobody"}, "/customer"),
            ({"plan": "Nothing"}, "/plan"),
            ({"on": "today"}, "/on"),
            ({"on": "2026-W44-1"}, "/on"),
            ({"until": "2026-01-01"}, "/until"),
        ],
        ids=str,
    )
    def test_faults(self, client: APIClient, query: dict[str, str], pointer: str) -> None:
        assert pointers(client.get(PATH, query)) == {pointer}
        assert pointers(client.get(f"{PATH}?plan=Basic&plan=Pro")) == {"/plan"}

    def test_a_list_asks_the_same_of_the_database_however_long_it_is(
        self, client: APIClient, django_assert_num_queries: Any
    ) -> None:
        for number in range(12):
            put_on(make_customer(f"c{number}"), _plan("Basic"), date(2026, 11, 1))
        client.get(PATH)
        keys.forget()
        with django_assert_num_queries(3):  # key, assignments, quantities
            assert len(ok(client.get(PATH))["data"]) == 12


class TestEnd:
    def test_an_end_is_set_moved_and_taken_back(self, client: APIClient) -> None:
        made = put_on(_customer("acme"), _plan("Basic"), date(2026, 11, 1))
        path = f"{PATH}/{made.pk}/end"
        assert ok(client.post(path, {"ends_on": "2026-12-01"}, format="json"))["ends_on"] == "2026-12-01"
        assert ok(client.post(path, {"ends_on": "2026-11-10"}, format="json"))["ends_on"] == "2026-11-10"
        assert ok(client.post(path, {"ends_on": None}, format="json"))["ends_on"] is None
        # With the day that it starts on it is taken back altogether.
        assert ok(client.post(path, {"ends_on": "2026-11-01"}, format="json"))["ends_on"] == "2026-11-01"
        assert ok(client.get(PATH, {"on": "2026-11-01", "customer": "acme"}))["data"] == []
        assert ok(client.post(path, {"ends_on": None}, format="json"))["ends_on"] is None
        logged = [(entry.kind, entry.source, entry.actor) for entry in AssignmentLog.objects.order_by("id")]
        assert logged[-5:] == [
            ("ended", "api", "test"),
            ("ended", "api", "test"),
            ("reopened", "api", "test"),
            ("ended", "api", "test"),
            ("reopened", "api", "test"),
        ]

    @pytest.mark.parametrize(
        "body",
        [{}, {"ends_on": "2026-10-31"}, {"ends_on": "soon"}, {"ends_on": "2026-W49-1"}, {"ends_on": "9999-01-01"}],
    )
    def test_faults(self, client: APIClient, body: dict[str, Any]) -> None:
        made = put_on(_customer("acme"), _plan("Basic"), date(2026, 11, 1))
        assert pointers(client.post(f"{PATH}/{made.pk}/end", body, format="json")) == {"/ends_on"}
        assert client.post(f"{PATH}/999999/end", {"ends_on": None}, format="json").status_code == 404

    def test_it_does_not_move_into_another_one(self, client: APIClient) -> None:
        first = put_on(_customer("acme"), _plan("Basic"), date(2026, 10, 1), date(2026, 11, 1))
        put_on(_customer("acme"), _plan("Pro"), date(2026, 11, 1))
        path = f"{PATH}/{first.pk}/end"
        assert pointers(client.post(path, {"ends_on": None}, format="json")) == {"/ends_on"}


class TestChangeOfPlan:
    @pytest.mark.parametrize(
        ("when", "day"),
        [({}, "2026-12-01"), ({"when": "period_end"}, "2026-12-01"), ({"when": "now"}, "2026-11-22")],
        ids=str,
    )
    def test_now_and_at_the_end_of_the_period(self, client: APIClient, when: dict[str, str], day: str) -> None:
        before = put_on(_customer("acme"), _plan("Basic"), date(2026, 11, 1))
        after = ok(client.post(f"{PATH}/{before.pk}/change-plan", {"plan": "Pro"} | when, format="json"), 201)
        assert (after["plan"], after["starts_on"], after["source"]) == ("Pro", day, "api")
        assert ok(client.get(f"{PATH}/{before.pk}"))["ends_on"] == day

    def test_on_a_day(self, client: APIClient) -> None:
        before = put_on(_customer("acme"), _plan("Basic"), date(2026, 11, 1))
        body = {"plan": "Pro", "when": "2027-01-15"}
        assert ok(client.post(f"{PATH}/{before.pk}/change-plan", body, format="json"), 201)["starts_on"] == "2027-01-15"

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({}, {"/plan"}),
            ({"plan": "Basic"}, {"/plan"}),
            ({"plan": "Pro", "when": "later"}, {"/when"}),
            ({"plan": "Pro", "when": "2026-10-01"}, {"/when"}),
            ({"plan": "Pro", "when": "2026-W49-1"}, {"/when"}),
            ({"plan": "Pro", "when": "20261201"}, {"/when"}),
            ({"plan": "Pro", "when": None}, {"/when"}),
            ({"plan": "Pro", "when": 5}, {"/when"}),
            ({"plan": "Pro", "on": "2026-12-01"}, {"/on"}),
        ],
    )
    def test_faults(self, client: APIClient, body: dict[str, Any], expected: set[str]) -> None:
        before = put_on(_customer("acme"), _plan("Basic"), date(2026, 11, 1))
        assert pointers(client.post(f"{PATH}/{before.pk}/change-plan", body, format="json")) == expected
        assert Assignment.objects.get().ends_on is None


class TestQuantities:
    def test_from_a_day_on(self, client: APIClient) -> None:
        made = put_on(_customer("acme"), _plan("Basic"), date(2026, 11, 1))
        path = f"{PATH}/{made.pk}/quantities"
        first = {"fee_key": "seats", "starts_on": "2026-11-10", "quantity": "5"}
        second = {"fee_key": "seats", "starts_on": "2026-11-05", "quantity": "2.5"}
        assert ok(client.post(path, first, format="json"))["quantities"] == [first]
        assert ok(client.post(path, second, format="json"))["quantities"] == [second, first]
        assert ok(client.post(path, first | {"quantity": "6"}, format="json"))["quantities"][1]["quantity"] == "6"
        (row,) = ok(client.get(PATH, {"customer": "acme"}))["data"]
        assert [one["quantity"] for one in row["quantities"]] == ["2.5", "6"]

    def test_not_from_a_day_in_a_final_invoice(self, client: APIClient) -> None:
        made = put_on(_customer("acme"), _plan("Basic"), date(2026, 10, 1))
        run_sweep()
        path = f"{PATH}/{made.pk}/quantities"
        body = {"fee_key": "seats", "starts_on": "2026-10-31", "quantity": "5"}
        assert pointers(client.post(path, body, format="json")) == {"/starts_on"}
        ok(client.post(path, body | {"starts_on": "2026-11-01"}, format="json"))

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"fee_key": "places"}, {"/fee_key"}),
            ({"fee_key": ""}, {"/fee_key"}),
            ({"quantity": "-1"}, {"/quantity"}),
            ({"quantity": "many"}, {"/quantity"}),
            ({"quantity": None}, {"/quantity"}),
            ({"starts_on": "2026-10-31"}, {"/starts_on"}),
            ({"starts_on": None}, {"/starts_on"}),
            ({"starts_on": "2026-W46-2"}, {"/starts_on"}),
            ({"count": 3}, {"/count"}),
        ],
        ids=str,
    )
    def test_faults(self, client: APIClient, change: dict[str, Any], expected: set[str]) -> None:
        made = put_on(_customer("acme"), _plan("Basic"), date(2026, 11, 1))
        body = {"fee_key": "seats", "starts_on": "2026-11-10", "quantity": "5"} | change
        assert pointers(client.post(f"{PATH}/{made.pk}/quantities", body, format="json")) == expected


class TestLog:
    def test_it_says_what_was_done_and_by_whom(self, client: APIClient) -> None:
        made = ok(client.post(PATH, on(starts_on="2026-11-01"), format="json"), 201)
        ok(client.post(f"{PATH}/{made['id']}/end", {"ends_on": "2026-12-01"}, format="json"))
        make_customer("globex")
        rows = ok(client.get("/v1/assignment-log", {"customer": "acme"}))["data"]
        assert [(row["kind"], row["assignment"], row["actor"]) for row in rows][:2] == [
            ("ended", made["id"], "test"),
            ("assigned", made["id"], "test"),
        ]
        assert "Basic" in rows[1]["detail"]
        assert [row["plan"] for row in rows][:2] == ["Basic", "Basic"]
        globex = ok(client.get("/v1/assignment-log", {"customer": "globex"}))["data"]
        assert [(row["kind"], row["plan"], row["rule_words"]) for row in globex] == [("unmatched", None, "")]
        assert {row["customer"] for row in ok(client.get("/v1/assignment-log"))["data"]} == {"acme", "globex"}
        assert pointers(client.get("/v1/assignment-log", {"customer": "nobody"})) == {"/customer"}
        assert client.post("/v1/assignment-log", {}, format="json").status_code == 405


def _customer(key: str) -> Customer:
    return Customer.objects.get(key=key)


def _plan(key: str) -> Plan:
    return Plan.objects.get(key=key)


def _with_fee(plan: Plan) -> Plan:
    set_fee(draft_version(plan), key="base", name="Base", amount="1")
    return plan
