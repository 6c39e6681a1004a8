"""`/v1/tax-rates` and `/v1/billing-profiles`."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from pricing.models import BillingProfile, TaxRate
from pricing.taxes import tax_rates_of
from tests.factories import make_customer
from tests.pricing.calls import Api, ok, pointers

pytestmark = pytest.mark.django_db

PATH = "/v1/tax-rates"
VAT: dict[str, Any] = {"key": "vat", "name": "VAT", "percent": "19.0", "is_default": True}


@pytest.fixture
def client(api: Api) -> APIClient:
    return api("read", "write")


class TestTaxRates:
    def test_create_read_change_and_list(self, client: APIClient) -> None:
        made = ok(client.post(PATH, VAT, format="json"), 201)
        assert made.pop("created_at")
        assert made == VAT | {"percent": "19", "retired_at": None}
        change = {"name": "Value added tax", "percent": "20"}
        assert ok(client.patch(f"{PATH}/vat", change, format="json"))["percent"] == "20"
        assert ok(client.get(f"{PATH}/vat"))["name"] == "Value added tax"
        assert [row["key"] for row in ok(client.get(PATH))["data"]] == ["vat"]
        assert client.delete(f"{PATH}/vat").status_code == 405

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"key": "taken"}, {"/key"}),
            ({"key": "has space"}, {"/key"}),
            ({"name": ""}, {"/name"}),
            ({"percent": "-1"}, {"/percent"}),
            ({"percent": "1000.1"}, {"/percent"}),
            ({"percent": "NaN"}, {"/percent"}),
            ({"percent": 19.5}, {"/percent"}),
            ({"percent": None}, {"/percent"}),
            ({"is_default": "perhaps"}, {"/is_default"}),
            ({"rate": "19"}, {"/rate"}),
        ],
        ids=str,
    )
    def test_a_fault_is_told_where_it_is(self, client: APIClient, change: dict[str, Any], expected: set[str]) -> None:
        TaxRate.objects.create(key="taken", name="Taken", percent=1)
        assert pointers(client.post(PATH, VAT | change, format="json")) == expected
        assert TaxRate.objects.count() == 1

    def test_one_is_retired_for_good(self, client: APIClient) -> None:
        ok(client.post(PATH, VAT, format="json"), 201)
        ok(client.post(PATH, VAT | {"key": "vat-20", "percent": "20", "is_default": False}, format="json"), 201)
        assert ok(client.post(f"{PATH}/vat/retire"))["retired_at"]
        assert pointers(client.post(f"{PATH}/vat/retire")) == {""}
        assert tax_rates_of(make_customer("acme")) == []
        assert [row["key"] for row in ok(client.get(PATH, {"retired": "false"}))["data"]] == ["vat-20"]
        assert [row["key"] for row in ok(client.get(PATH, {"retired": "true"}))["data"]] == ["vat"]
        assert pointers(client.get(PATH, {"retired": "maybe"})) == {"/retired"}


class TestBillingProfiles:
    EMPTY: dict[str, Any] = {
        "tax_rates": [],
        "tax_exempt": False,
        "tax_note": "",
        "tax_id": "",
        "legal_name": "",
        "address": "",
    }

    @pytest.mark.parametrize("key", ["acme", "acme/eu west", "acme/billing?"])
    def test_an_empty_one_is_read_and_changed(self, client: APIClient, key: str) -> None:
        make_customer(key)
        ok(client.post(PATH, VAT, format="json"), 201)
        path = f"/v1/billing-profiles/{key.replace('?', '%3F')}"
        assert ok(client.get(path)) == {"customer": key} | self.EMPTY
        assert not BillingProfile.objects.exists()
        change = {"tax_rates": ["vat"], "legal_name": "Acme GmbH", "address": "Hauptstr. 1\n10115 Berlin"}
        changed = ok(client.patch(path, change, format="json"))
        assert changed == {"customer": key} | self.EMPTY | change == ok(client.get(path))
        exempt = ok(client.patch(path, {"tax_exempt": True, "tax_note": "Reverse charge"}, format="json"))
        assert (exempt["tax_rates"], exempt["tax_exempt"]) == (["vat"], True)
        assert ok(client.patch(path, exempt | {"tax_rates": []}, format="json"))["tax_rates"] == []

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"tax_rates": ["other"]}, {"/tax_rates"}),
            ({"tax_rates": ["retired"]}, {"/tax_rates"}),
            ({"tax_rates": "vat"}, {"/tax_rates"}),
            ({"tax_rates": None}, {"/tax_rates"}),
            ({"tax_exempt": None}, {"/tax_exempt"}),
            ({"tax_id": "x" * 51}, {"/tax_id"}),
            ({"address": "x" * 501}, {"/address"}),
            ({"vat_id": "DE1"}, {"/vat_id"}),
            ({"customer": "globex"}, {"/customer"}),
        ],
        ids=str,
    )
    def test_a_fault_is_told_where_it_is(self, client: APIClient, body: dict[str, Any], expected: set[str]) -> None:
        make_customer("acme")
        for key in ("vat", "retired"):
            ok(client.post(PATH, VAT | {"key": key}, format="json"), 201)
        ok(client.post(f"{PATH}/retired/retire"))
        assert pointers(client.patch("/v1/billing-profiles/acme", body, format="json")) == expected
        assert not BillingProfile.objects.exists()

    def test_an_unknown_customer_is_404(self, client: APIClient) -> None:
        assert client.get("/v1/billing-profiles/nobody").status_code == 404
        assert client.patch("/v1/billing-profiles/nobody", {}, format="json").status_code == 404
