"""`/v1/assignment-rules`: their order, their conditions, and a try without effect."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from meters import keys
from pricing.models import Assignment, AssignmentLog, AssignmentRule, Plan
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan
from tests.pricing.calls import Api, ok, pointers

pytestmark = pytest.mark.django_db

PATH = "/v1/assignment-rules"


@pytest.fixture
def client(api: Api) -> APIClient:
    return api("read", "write")


@pytest.fixture(autouse=True)
def _plans() -> None:
    calls = make_meter()
    make_plan("Basic", {calls: STORY_RATE}, is_default=True)
    make_plan("Gold", {calls: STORY_RATE})


def rule(client: APIClient, plan: str = "Gold", **fields: Any) -> Any:
    return ok(client.post(PATH, {"plan": plan} | fields, format="json"), 201)


def test_a_rule_gives_new_customers_their_plan(client: APIClient) -> None:
    made = rule(client, conditions={"tier": "gold", "region": "eu"})
    assert made == {
        "id": made["id"],
        "position": 10,
        "plan": "Gold",
        "customer_source": "",
        "conditions": {"region": "eu", "tier": "gold"},
        "enabled": True,
    }
    assert ok(client.get(f"{PATH}/{made['id']}")) == made
    gold = make_customer("acme", traits={"tier": "gold", "region": "eu"}).assignments.get()
    assert (gold.plan.key, gold.rule_id, gold.source) == ("Gold", made["id"], "rule")
    assert make_customer("globex", traits={"tier": "gold"}).assignments.get().plan.key == "Basic"


def test_they_are_listed_in_the_order_in_which_they_are_tried(client: APIClient) -> None:
    last = rule(client, conditions={"tier": "gold"})
    first = rule(client, position=5, customer_source="api")
    assert [row["id"] for row in ok(client.get(PATH))["data"]] == [first["id"], last["id"]]
    ok(client.patch(f"{PATH}/{first['id']}", {"position": 20}, format="json"))
    assert [row["id"] for row in ok(client.get(PATH))["data"]] == [last["id"], first["id"]]


def test_conditions_are_replaced_as_a_whole_and_the_rest_stays(client: APIClient) -> None:
    made = rule(client, conditions={"tier": "gold", "region": "eu"})
    path = f"{PATH}/{made['id']}"
    changed = ok(client.patch(path, {"conditions": {"tier": "silver"}}, format="json"))
    assert changed == made | {"conditions": {"tier": "silver"}} == ok(client.get(path))
    assert ok(client.patch(path, {"enabled": False}, format="json"))["conditions"] == {"tier": "silver"}


def test_what_a_deleted_rule_assigned_stays(client: APIClient) -> None:
    made = rule(client)
    make_customer("acme")
    assert client.delete(f"{PATH}/{made['id']}").status_code == 204
    assert client.get(f"{PATH}/{made['id']}").status_code == 404
    assert Assignment.objects.get().plan.key == "Gold"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"/plan"}),
        ({"plan": "Nothing"}, {"/plan"}),
        ({"plan": "Private"}, {"/plan"}),
        ({"plan": "Gold", "position": 10}, {"/position"}),
        ({"plan": "Gold", "position": -1}, {"/position"}),
        ({"plan": "Gold", "position": 10**12}, {"/position"}),
        ({"plan": "Gold", "customer_source": "fax"}, {"/customer_source"}),
        ({"plan": "Gold", "conditions": ["tier"]}, {"/conditions"}),
        ({"plan": "Gold", "conditions": {"tier": ["gold"]}}, {"/conditions/tier"}),
        ({"plan": "Gold", "conditions": {"tier": "x" * 201}}, {"/conditions"}),
        ({"plan": "Gold", "conditions": {"": "gold"}}, {"/conditions"}),
        ({"plan": "Gold", "enabled": "perhaps"}, {"/enabled"}),
        ({"plan": "Gold", "trait": "tier"}, {"/trait"}),
    ],
    ids=str,
)
def test_a_fault_is_told_where_it_is(client: APIClient, body: dict[str, Any], expected: set[str]) -> None:
    rule(client)
    customer = make_customer("acme")
    Plan.objects.create(key="Private", base=Plan.objects.get(key="Gold"), customer=customer, status="active")
    assert pointers(client.post(PATH, body, format="json")) == expected
    assert AssignmentRule.objects.count() == 1


class TestTry:
    def test_it_says_what_each_customer_would_get_and_does_nothing(self, client: APIClient) -> None:
        make_customer("acme", traits={"tier": "gold"})
        make_customer("globex")
        made = rule(client, conditions={"tier": "gold"})
        before = (Assignment.objects.count(), AssignmentLog.objects.count())
        assert ok(client.get(f"{PATH}/try"))["data"] == [
            {"customer": "acme", "rule": made["id"], "plan": "Gold", "current": ["Basic"]},
            {"customer": "globex", "rule": None, "plan": "Basic", "current": ["Basic"]},
        ]
        assert (Assignment.objects.count(), AssignmentLog.objects.count()) == before

    def test_on_some_customers_a_page_at_a_time(self, client: APIClient) -> None:
        for number in range(5):
            make_customer(f"c{number}")
        some = ok(client.get(f"{PATH}/try?customer=c1&customer=c3"))["data"]
        assert [row["customer"] for row in some] == ["c1", "c3"]
        first = ok(client.get(f"{PATH}/try", {"limit": 3}))
        second = ok(client.get(first["next"]))
        assert [row["customer"] for row in first["data"] + second["data"]] == [f"c{number}" for number in range(5)]
        assert second["next"] is None

    def test_faults(self, client: APIClient) -> None:
        make_customer("acme")
        assert pointers(client.get(f"{PATH}/try?customer=acme&customer=nobody")) == {"/customer"}
        assert pointers(client.get(f"{PATH}/try?tier=gold")) == {"/tier"}
        many = "&".join(f"customer=c{number}" for number in range(101))
        assert pointers(client.get(f"{PATH}/try?{many}")) == {"/customer"}

    def test_nobody_fits_where_there_is_no_default(self, client: APIClient) -> None:
        ok(client.patch("/v1/plans/Basic", {"is_default": False}, format="json"))
        make_customer("acme")
        (row,) = ok(client.get(f"{PATH}/try"))["data"]
        assert row == {"customer": "acme", "rule": None, "plan": None, "current": []}

    def test_it_asks_the_same_of_the_database_for_many(self, client: APIClient, django_assert_num_queries: Any) -> None:
        for number in range(20):
            make_customer(f"c{number}", traits={"tier": "gold"})
        rule(client, conditions={"tier": "gold"})
        client.get(f"{PATH}/try")
        keys.forget()
        with django_assert_num_queries(6):  # key, customers, rules, conditions, default plan, assignments
            assert len(ok(client.get(f"{PATH}/try"))["data"]) == 20
