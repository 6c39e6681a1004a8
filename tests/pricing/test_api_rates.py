"""Rates and fees over the API: what a draft takes, and refusals that point into the parameters."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rest_framework.test import APIClient

from meters.models import Meter
from pricing.api.rate_schema import MODEL_SCHEMAS
from pricing.models import Fee, Plan, Rate
from pricing.rate_models import MODELS
from pricing.rates import parse_rate
from tests.factories import STORY_RATE, make_meter
from tests.pricing.calls import DRAFT, Api, ok, pointers

pytestmark = pytest.mark.django_db

RATES, FEES = f"{DRAFT}/rates", f"{DRAFT}/fees"
PER_UNIT = {"model": "per_unit", "unit_price": "0.01"}
TIERS = {"model": "graduated", "tiers": [{"up_to": "10", "unit_price": "2"}, {"up_to": None, "unit_price": "1"}]}
BLOCK_TIERS = [
    {"up_to": "10", "block_size": "5", "block_price": "2"},
    {"up_to": None, "block_size": "10", "block_price": "1", "flat_fee": "3"},
]
# Of each model, with what it takes.
EVERY_MODEL: dict[str, dict[str, Any]] = {
    "per_unit": PER_UNIT | {"included_units": "5", "minimum": "1", "maximum": "100"},
    "block": STORY_RATE | {"partial_block": "prorate"},
    "graduated": TIERS,
    "volume": TIERS | {"model": "volume"},
    "graduated_block": {"model": "graduated_block", "tiers": BLOCK_TIERS},
    "volume_block": {"model": "volume_block", "tiers": BLOCK_TIERS},
    "percentage": {
        "model": "percentage",
        "rate_percent": "2.9",
        "fixed_fee_per_event": "0.3",
        "free_events": "10",
        "free_amount": "500",
        "per_event_min": "0.5",
        "per_event_max": "20",
    },
    "graduated_percentage": {
        "model": "graduated_percentage",
        "tiers": [{"up_to": "1000", "rate_percent": "3"}, {"up_to": None, "rate_percent": "2", "flat_fee": "1"}],
    },
    "stairstep": {
        "model": "stairstep",
        "tiers": [{"up_to": "10", "flat_price": "5"}, {"up_to": None, "flat_price": "9"}],
    },
}


@pytest.fixture
def client(api: Api) -> APIClient:
    return api("read", "write")


@pytest.fixture(autouse=True)
def _plan() -> None:
    Plan.objects.create(key="Basic")
    make_meter()


def rate(parameters: Any = None, **fields: Any) -> dict[str, Any]:
    return {"product_item": "ApiCalls", "parameters": PER_UNIT if parameters is None else parameters} | fields


class TestRates:
    @pytest.mark.parametrize("model", EVERY_MODEL)
    def test_every_model_comes_back_as_it_was_sent(self, client: APIClient, model: str) -> None:
        sent = EVERY_MODEL[model]
        made = ok(client.post(RATES, rate(sent), format="json"), 201)
        assert made["parameters"] == parse_rate(sent).parameters()
        assert made["in_words"]
        assert ok(client.get(f"{RATES}/{made['id']}")) == made
        assert ok(client.get(RATES))["data"] == [made]
        assert ok(client.get(DRAFT))["rates"] == [made]

    def test_the_schema_knows_every_model_and_what_it_takes(self) -> None:
        assert set(MODEL_SCHEMAS) == set(MODELS) == set(EVERY_MODEL)
        for model, parameters in EVERY_MODEL.items():
            # `nullable` is OpenAPI's; JSON schema has types.
            schema = _without_nullable(MODEL_SCHEMAS[model])
            Draft202012Validator(schema).validate(parameters)
            Draft202012Validator(schema).validate(parse_rate(parameters).parameters())
            assert list(Draft202012Validator(schema).iter_errors(parameters | {"unit": "x"}))

    def test_one_with_the_same_filter_takes_the_place(self, client: APIClient) -> None:
        first = ok(client.post(RATES, rate(), format="json"), 201)
        filtered = rate(TIERS, where={"source": ["shop", "crm", "crm"]})
        assert ok(client.post(RATES, filtered, format="json"), 201)["where"] == {"source": ["crm", "shop"]}
        again = ok(client.post(RATES, rate(STORY_RATE, prorated=True), format="json"))
        assert (again["prorated"], again["parameters"]) == (True, STORY_RATE)
        assert Rate.objects.count() == 2
        reordered = rate(PER_UNIT, where={"source": ["crm", "shop"]})
        ok(client.post(RATES, reordered, format="json"), 200)
        assert first["where"] == {}

    def test_a_part_is_changed_and_the_rest_stays(self, client: APIClient) -> None:
        made = ok(client.post(RATES, rate(where={"source": ["crm"]}), format="json"), 201)
        path = f"{RATES}/{made['id']}"
        assert ok(client.patch(path, {"prorated": True}, format="json")) == made | {"prorated": True}
        changed = ok(client.patch(path, {"parameters": TIERS}, format="json"))
        assert (changed["parameters"], changed["prorated"], changed["where"]) == (TIERS, True, {"source": ["crm"]})
        same = {"product_item": "ApiCalls", "where": {"source": ["crm"]}}
        assert ok(client.patch(path, same, format="json"))["parameters"] == TIERS
        assert pointers(client.patch(path, {"where": {}}, format="json")) == {"/where"}
        make_meter("Other")
        assert pointers(client.patch(path, {"product_item": "Other"}, format="json")) == {"/product_item"}

    def test_one_is_taken_out(self, client: APIClient) -> None:
        made = ok(client.post(RATES, rate(), format="json"), 201)
        assert client.delete(f"{RATES}/{made['id']}").status_code == 204
        assert client.delete(f"{RATES}/{made['id']}").status_code == 404
        assert ok(client.get(RATES))["data"] == []

    def test_one_of_another_version_is_not_found(self, client: APIClient) -> None:
        made = ok(client.post(RATES, rate(), format="json"), 201)
        ok(client.post("/v1/plans/Basic/activate", {}, format="json"))
        ok(client.post("/v1/plans/Basic/versions", {}, format="json"), 201)
        assert client.get(f"/v1/plans/Basic/versions/1/rates/{made['id']}").status_code == 200
        for method in (client.get, client.patch, client.delete):
            assert method(f"{RATES}/{made['id']}").status_code == 404

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({}, {"/parameters/model"}),
            ({"model": "cheap"}, {"/parameters/model"}),
            ({"model": ["per_unit"]}, {"/parameters/model"}),
            ({"model": "per_unit"}, {"/parameters/unit_price"}),
            (PER_UNIT | {"unit_price": "-1"}, {"/parameters/unit_price"}),
            (PER_UNIT | {"unit_price": 0.01}, {"/parameters/unit_price"}),
            (PER_UNIT | {"unit_price": "1" * 101}, {"/parameters/unit_price"}),
            (PER_UNIT | {"included_units": "many"}, {"/parameters/included_units"}),
            (PER_UNIT | {"minimum": "2", "maximum": "1"}, {"/parameters/maximum"}),
            (PER_UNIT | {"unit_prise": "1"}, {"/parameters/unit_prise"}),
            (PER_UNIT | {"a/b": "1"}, {"/parameters"}),
            ({"model": "volume", "tiers": []}, {"/parameters/tiers"}),
            ({"model": "volume", "tiers": ["cheap"]}, {"/parameters/tiers/0"}),
            ({"model": "graduated", "tiers": [{"unit_price": "1"}]}, {"/parameters/tiers/0/up_to"}),
            (
                {"model": "graduated", "tiers": [*TIERS["tiers"][:1] * 2, TIERS["tiers"][1]]},
                {"/parameters/tiers/1/up_to"},
            ),
            (
                {"model": "graduated", "tiers": [TIERS["tiers"][0], {"up_to": None, "flat_fee": "1"}]},
                {"/parameters/tiers/1/unit_price"},
            ),
            ("per_unit", {"/parameters"}),
            (["per_unit"], {"/parameters"}),
            (None, {"/parameters"}),
        ],
        ids=str,
    )
    def test_a_fault_is_told_where_it_is(self, client: APIClient, parameters: Any, expected: set[str]) -> None:
        body = {"product_item": "ApiCalls", "parameters": parameters}
        assert pointers(client.post(RATES, body, format="json")) == expected
        assert not Rate.objects.exists()

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"product_item": "Nothing"}, {"/product_item"}),
            ({"product_item": None}, {"/product_item"}),
            ({"product_item": ["ApiCalls"]}, {"/product_item"}),
            ({"where": {"colour": ["red"]}}, {"/where"}),
            ({"where": {"source": []}}, {"/where/source"}),
            ({"where": {"source": "crm"}}, {"/where/source"}),
            ({"where": ["source"]}, {"/where"}),
            ({"prorated": "a bit"}, {"/prorated"}),
            ({"price": "5"}, {"/price"}),
        ],
        ids=str,
    )
    def test_so_is_one_beside_them(self, client: APIClient, fields: dict[str, Any], expected: set[str]) -> None:
        assert pointers(client.post(RATES, rate(**fields), format="json")) == expected
        assert not Rate.objects.exists()

    def test_the_words_of_a_fault_say_what_is_wrong(self, client: APIClient) -> None:
        tiers = [{"up_to": "10", "unit_price": "2"}, {"up_to": "5", "unit_price": "1"}, TIERS["tiers"][1]]
        answer = client.post(RATES, rate({"model": "volume", "tiers": tiers}), format="json").json()
        assert answer["errors"] == [
            {
                "pointer": "/parameters/tiers/1/up_to",
                "detail": "tiers[1].up_to must be greater than the up_to of the tier before.",
            }
        ]

    def test_a_meter_that_cannot_give_single_events_is_refused(self, client: APIClient) -> None:
        make_meter("Users", aggregation=Meter.Aggregation.UNIQUE_COUNT, unique_dimension="source")
        body = {"product_item": "Users", "parameters": EVERY_MODEL["percentage"]}
        assert pointers(client.post(RATES, body, format="json")) == {"/parameters/model"}
        simple = {"product_item": "Users", "parameters": {"model": "percentage", "rate_percent": "2"}}
        ok(client.post(RATES, simple, format="json"), 201)

    def test_a_retired_item_gets_no_price(self, client: APIClient) -> None:
        meter = Meter.objects.get()
        meter.used_for_billing = False
        meter.save()
        assert pointers(client.post(RATES, rate(), format="json")) == {"/product_item"}


class TestFees:
    SEATS = {"key": "seats", "name": "Seats", "amount": "9.50", "quantity": "3", "unit": "seats"}

    def test_each_kind(self, client: APIClient) -> None:
        seats = ok(client.post(FEES, self.SEATS, format="json"), 201)
        assert seats == {
            "key": "seats",
            "name": "Seats",
            "kind": "recurring",
            "amount": "9.5",
            "percent": None,
            "quantity": "3",
            "unit": "seats",
            "prorated": True,
            "is_override": False,
        }
        setup = {"key": "setup", "name": "Setup", "kind": "one_time", "amount": "100"}
        support = {"key": "support", "name": "Support", "kind": "percent", "percent": "10"}
        for body in (setup, support):
            made = ok(client.post(FEES, body, format="json"), 201)
            assert made | body == made
        assert [fee["key"] for fee in ok(client.get(FEES))["data"]] == ["seats", "setup", "support"]
        assert [fee["key"] for fee in ok(client.get(DRAFT))["fees"]] == ["seats", "setup", "support"]
        assert ok(client.get(f"{FEES}/support"))["percent"] == "10"

    def test_one_with_the_same_key_takes_the_place(self, client: APIClient) -> None:
        ok(client.post(FEES, self.SEATS, format="json"), 201)
        again = {"key": "seats", "name": "Places", "amount": "8"}
        assert ok(client.post(FEES, again, format="json"))["quantity"] == "1"
        assert Fee.objects.get().name == "Places"

    def test_a_part_is_changed_and_the_rest_stays(self, client: APIClient) -> None:
        made = ok(client.post(FEES, self.SEATS, format="json"), 201)
        path = f"{FEES}/seats"
        assert ok(client.patch(path, {"amount": "8"}, format="json")) == made | {"amount": "8"}
        to_percent = ok(client.patch(path, {"kind": "percent", "percent": "5"}, format="json"))
        assert (to_percent["amount"], to_percent["percent"], to_percent["quantity"]) == (None, "5", "1")
        assert pointers(client.patch(path, {"kind": "recurring"}, format="json")) == {"/amount"}
        assert pointers(client.patch(path, {"key": "other"}, format="json")) == {"/key"}
        assert client.patch(f"{FEES}/other", {"amount": "1"}, format="json").status_code == 404

    def test_one_is_taken_out(self, client: APIClient) -> None:
        ok(client.post(FEES, self.SEATS, format="json"), 201)
        assert client.delete(f"{FEES}/seats").status_code == 204
        assert client.delete(f"{FEES}/seats").status_code == 404

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"key": "has space"}, {"/key"}),
            ({"key": None}, {"/key"}),
            ({"name": ""}, {"/name"}),
            ({"kind": "yearly"}, {"/kind"}),
            ({"amount": None}, {"/amount"}),
            ({"amount": "-1"}, {"/amount"}),
            ({"amount": 9.5}, {"/amount"}),
            ({"amount": "1e25"}, {"/amount"}),
            ({"amount": "0.0000000000000001"}, {"/amount"}),
            ({"percent": "5"}, {"/percent"}),
            ({"kind": "percent"}, {"/percent"}),
            ({"kind": "percent", "amount": None, "percent": "0"}, {"/percent"}),
            ({"quantity": "-1"}, {"/quantity"}),
            ({"quantity": None}, {"/quantity"}),
            ({"quantity": "NaN"}, {"/quantity"}),
            ({"unit": "x" * 41}, {"/unit"}),
            ({"prorated": None}, {"/prorated"}),
            ({"price": "5"}, {"/price"}),
        ],
        ids=str,
    )
    def test_a_fault_is_told_where_it_is(self, client: APIClient, change: dict[str, Any], expected: set[str]) -> None:
        assert pointers(client.post(FEES, self.SEATS | change, format="json")) == expected
        assert not Fee.objects.exists()


def _without_nullable(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_nullable(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _without_nullable(inner) for name, inner in schema.items() if name != "nullable"}
    if schema.get("nullable"):
        plain["type"] = [plain["type"], "null"]
    return plain
