"""`/v1/meters`: every option of a meter in JSON, and errors that point at it."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from meters.models import Meter
from tests.factories import make_customer, make_meter, send

Api = Callable[..., APIClient]

FULL: dict[str, Any] = {
    "key": "Traffic",
    "name": "Traffic at peak",
    "aggregation": "percentile",
    "unit": "GB",
    "dimensions": ["region", "plan"],
    "where": {"region": ["eu", "us"], "plan": [""]},
    "unique_dimension": "",
    "percentile": "99.9",
    "time_unit": "",
    "value_dimension": "bytes",
    "multiplier": "0.000000001",
    "rounding": "half",
    "rounding_places": 3,
    "used_for_billing": False,
}


def post(api: Api, body: dict[str, Any]) -> Any:
    return api("read", "write").post("/v1/meters", body, format="json")


def pointers(answer: Any) -> set[str]:
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return {error["pointer"] for error in answer.json()["errors"]}


def test_every_option_comes_back_as_it_was_sent(api: Api) -> None:
    assert post(api, FULL).status_code == 201
    answer = api("read").get("/v1/meters/Traffic").json()
    assert answer.pop("created_at")
    assert answer == FULL


def test_options_have_defaults(api: Api) -> None:
    answer = post(api, {"key": "ApiCalls"}).json()
    assert {name: answer[name] for name in ("aggregation", "where", "percentile", "multiplier", "rounding")} == {
        "aggregation": "sum",
        "where": {},
        "percentile": None,
        "multiplier": "1",
        "rounding": "none",
    }


@pytest.mark.parametrize(
    ("sent", "answered"),
    [("1000", "1000"), ("1E+3", "1000"), (1000, "1000"), ("0.50", "0.5"), ("1e-30", f"0.{'0' * 29}1")],
    ids=str,
)
def test_numbers_are_exact_and_plain(api: Api, sent: object, answered: str) -> None:
    assert post(api, FULL | {"multiplier": sent}).json()["multiplier"] == answered
    assert api("read").get("/v1/meters/Traffic").json()["multiplier"] == answered


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"multiplier": "0"}, {"/multiplier"}),
        ({"multiplier": "-1"}, {"/multiplier"}),
        ({"multiplier": "NaN"}, {"/multiplier"}),
        ({"multiplier": "1e24"}, {"/multiplier"}),
        ({"multiplier": "1e-31"}, {"/multiplier"}),
        ({"multiplier": 0.1}, {"/multiplier"}),
        ({"multiplier": True}, {"/multiplier"}),
        ({"multiplier": None}, {"/multiplier"}),
        ({"percentile": "101"}, {"/percentile"}),
        ({"percentile": "-0.1"}, {"/percentile"}),
        ({"percentile": "p95"}, {"/percentile"}),
        ({"percentile": "Infinity"}, {"/percentile"}),
        ({"percentile": None}, {"/percentile"}),
        ({"aggregation": "sum"}, {"/percentile"}),
        ({"aggregation": "median"}, {"/aggregation"}),
        ({"aggregation": "count", "percentile": None}, {"/value_dimension"}),
        ({"aggregation": "unique_count"}, {"/unique_dimension", "/percentile", "/value_dimension"}),
        ({"aggregation": "time_weighted_sum", "percentile": None}, {"/time_unit"}),
        ({"time_unit": "hour"}, {"/time_unit"}),
        ({"time_unit": "week"}, {"/time_unit"}),
        ({"rounding": "bankers"}, {"/rounding"}),
        ({"rounding_places": 16}, {"/rounding_places"}),
        ({"rounding_places": -1}, {"/rounding_places"}),
        ({"where": "region=eu"}, {"/where"}),
        ({"where": {"source": ["crm"]}}, {"/where"}),
        ({"where": {"region": []}}, {"/where/region"}),
        ({"where": {"region": "eu"}}, {"/where/region"}),
        ({"where": {"region": ["eu", None]}}, {"/where/region/1"}),
        ({"where": {"region": ["a\0"]}}, {"/where/region/0"}),
        ({"dimensions": ["region", "customer", "plan"]}, {"/dimensions"}),
        ({"dimensions": [f"d{number}" for number in range(9)], "where": {}}, {"/dimensions"}),
    ],
)
def test_a_fault_is_told_where_it_is(api: Api, change: dict[str, Any], expected: set[str]) -> None:
    assert pointers(post(api, FULL | change)) == expected
    assert not Meter.objects.exists()


def test_usage_settles_what_a_meter_means(api: Api) -> None:
    make_meter(where={"source": ["crm"]})
    make_customer("acme")
    client = api("write")
    path = "/v1/meters/ApiCalls"
    assert client.patch(path, {"rounding": "up"}, format="json").status_code == 200
    send("acme", "ApiCalls", 1, source="erp")  # outside of the filter, and usage all the same

    changes = {"key": "Calls", "aggregation": "max", "where": {}, "multiplier": "2", "rounding": "none"}
    refused = client.patch(path, changes | {"name": "Calls"}, format="json")
    assert pointers(refused) == {f"/{name}" for name in changes}
    assert "Make a new meter" in refused.json()["errors"][0]["detail"]
    assert Meter.objects.get().name == ""  # nothing of a refused change is made

    allowed = {"name": "Calls", "unit": "requests", "dimensions": ["source", "target", "region"], "rounding": "up"}
    answer = client.patch(path, allowed, format="json")
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in allowed} == allowed
    assert pointers(client.patch(path, {"dimensions": ["source"]}, format="json")) == {"/dimensions"}


def test_the_schema_knows_every_option(api: Api) -> None:
    properties = (
        api("read")
        .get("/v1/schema", HTTP_ACCEPT="application/json")
        .json()["components"]["schemas"]["Meter"]["properties"]
    )
    assert set(FULL) <= set(properties)
    assert properties["multiplier"]["type"] == "string"
