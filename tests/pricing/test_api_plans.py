"""`/v1/product-items`, `/v1/plans` and their versions: from an empty draft to what customers get."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from meters import keys
from pricing.models import Plan, PlanVersion
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan
from tests.pricing.calls import DRAFT, Api, ok, pointers

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(api: Api) -> APIClient:
    return api("read", "write")


def post(client: APIClient, path: str, body: Any = None, status: int = 200) -> Any:
    return ok(client.post(path, body or {}, format="json"), status)


class TestProductItems:
    def test_they_are_read_and_renamed_by_the_key_of_their_meter(self, client: APIClient) -> None:
        make_meter("ApiCalls")
        make_meter("Traffic", unit="GB")
        rows = ok(client.get("/v1/product-items"))["data"]
        assert [(row["meter"], row["name"], row["unit"]) for row in rows] == [
            ("ApiCalls", "ApiCalls", "calls"),
            ("Traffic", "Traffic", "GB"),
        ]
        renamed = client.patch("/v1/product-items/ApiCalls", {"name": "API calls"}, format="json")
        assert ok(renamed)["name"] == "API calls"
        assert ok(client.get("/v1/product-items/ApiCalls"))["name"] == "API calls"

    def test_they_come_with_meters_and_are_not_made(self, client: APIClient) -> None:
        make_meter("Free", used_for_billing=False)
        assert client.post("/v1/product-items", {"name": "New"}, format="json").status_code == 405
        assert client.get("/v1/product-items/Free").status_code == 404

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [({"name": ""}, "/name"), ({"name": "x" * 201}, "/name"), ({"nam": "x"}, "/nam")],
        ids=str,
    )
    def test_faults_are_told_where_they_are(self, client: APIClient, body: dict[str, str], pointer: str) -> None:
        make_meter()
        assert pointers(client.patch("/v1/product-items/ApiCalls", body, format="json")) == {pointer}


class TestPlans:
    def test_the_story_over_the_api(self, client: APIClient) -> None:
        make_meter()
        made = post(client, "/v1/plans", {"key": "Basic", "name": "Basic plan"}, 201)
        assert (made["status"], made["draft_version"], made["active_version"]) == ("draft", 1, None)
        post(client, f"{DRAFT}/rates", {"product_item": "ApiCalls", "parameters": STORY_RATE}, 201)
        version = post(client, "/v1/plans/Basic/activate")
        assert (version["number"], version["status"], version["moves_existing"]) == (1, "active", True)
        assert [rate["parameters"] for rate in version["rates"]] == [STORY_RATE]
        assert version["activated_by"] == "API key test"
        ok(client.patch("/v1/plans/Basic", {"is_default": True}, format="json"))
        plan = ok(client.get("/v1/plans/Basic"))
        assert (plan["status"], plan["draft_version"], plan["active_version"]) == ("active", None, 1)
        customer = make_customer("acme")
        assert customer.assignments.get().plan.key == "Basic"

    def test_create_change_and_list(self, client: APIClient) -> None:
        post(client, "/v1/plans", {"key": "Basic"}, 201)
        post(client, "/v1/plans", {"key": "Pro", "description": "For many calls."}, 201)
        change = {"name": "Basic plan", "description": "For a few."}
        assert {**ok(client.patch("/v1/plans/Basic", change, format="json")), **change} == ok(
            client.get("/v1/plans/Basic")
        )
        assert [row["key"] for row in ok(client.get("/v1/plans"))["data"]] == ["Basic", "Pro"]
        assert client.delete("/v1/plans/Basic").status_code == 405

    def test_only_private_plans_follow(self, client: APIClient) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})
        assert ok(client.get("/v1/plans/Basic"))["follows_base"] is None
        assert ok(client.patch("/v1/plans/Basic", {"follows_base": None}, format="json"))["follows_base"] is None
        make_customer("acme")
        assert post(client, "/v1/plans/Basic/private-plans", {"customer": "acme"}, 201)["follows_base"] is True
        path = "/v1/plans/Basic.acme"
        assert pointers(client.patch(path, {"follows_base": None}, format="json")) == {"/follows_base"}
        assert ok(client.patch(path, {"follows_base": False}, format="json"))["follows_base"] is False

    def test_what_is_taken_and_unknown_is_told_in_plain_words(self, client: APIClient) -> None:
        Plan.objects.create(key="Taken")
        (fault,) = client.post("/v1/plans", {"key": "Taken"}, format="json").json()["errors"]
        assert fault["detail"] == "Another plan has this key."
        (fault,) = client.get("/v1/plans", {"colour": "red"}).json()["errors"]
        assert fault["detail"] == "There is no such parameter."

    @pytest.mark.parametrize("number", [12.5, "12.5", 12])
    def test_decimals_are_text_in_every_call(self, client: APIClient, number: Any) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})
        parameters = {"model": "per_unit", "unit_price": number}
        calls: list[tuple[str, str, dict[str, Any], str]] = [
            (
                "post",
                f"{DRAFT}/rates",
                {"product_item": "ApiCalls", "parameters": parameters},
                "/parameters/unit_price",
            ),
            ("post", f"{DRAFT}/fees", {"key": "a", "name": "A", "amount": number}, "/amount"),
            ("patch", DRAFT, {"minimum": number}, "/minimum"),
            ("post", "/v1/promotions", {"key": "p", "name": "P", "percent": number}, "/percent"),
            ("post", "/v1/tax-rates", {"key": "t", "name": "T", "percent": number}, "/percent"),
            ("post", "/v1/plans/Basic/document", {"minimum": number}, "/minimum"),
        ]
        for method, path, body, pointer in calls:
            answer = getattr(client, method)(path, body, format="json")
            if isinstance(number, float):
                assert pointers(answer) == {pointer}, path
                assert "as text" in answer.json()["errors"][0]["detail"]
            else:
                assert answer.status_code in (200, 201), answer.content

    def test_only_an_active_plan_becomes_the_default(self, client: APIClient) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
        assert pointers(client.post("/v1/plans", {"key": "Pro", "is_default": True}, format="json")) == {"/is_default"}
        assert not Plan.objects.filter(key="Pro").exists()
        post(client, "/v1/plans", {"key": "Pro"}, 201)
        assert pointers(client.patch("/v1/plans/Pro", {"is_default": True}, format="json")) == {"/is_default"}
        assert ok(client.get("/v1/plans/Basic"))["is_default"]
        post(client, "/v1/plans/Pro/versions/draft/rates", {"product_item": "ApiCalls", "parameters": STORY_RATE}, 201)
        post(client, "/v1/plans/Pro/activate")
        assert ok(client.patch("/v1/plans/Pro", {"is_default": True}, format="json"))["is_default"]
        assert not ok(client.get("/v1/plans/Basic"))["is_default"]

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/key"),
            ({"key": "has space"}, "/key"),
            ({"key": "Taken"}, "/key"),
            ({"key": "A", "is_default": "perhaps"}, "/is_default"),
            ({"key": "A", "follows_base": False}, "/follows_base"),
            ({"key": "A", "status": "active"}, "/status"),
            ({"key": "A", "currency": "EUR"}, "/currency"),
        ],
        ids=str,
    )
    def test_faults_are_told_where_they_are(self, client: APIClient, body: dict[str, Any], pointer: str) -> None:
        Plan.objects.create(key="Taken")
        assert pointers(client.post("/v1/plans", body, format="json")) == {pointer}
        assert Plan.objects.count() == 1

    def test_what_is_only_told_is_sent_back_as_it_is_or_refused(self, client: APIClient) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})
        for path in ("/v1/plans/Basic", "/v1/product-items/ApiCalls"):
            answer = ok(client.get(path))
            assert ok(client.patch(path, answer | {"name": "New"}, format="json")) == answer | {"name": "New"}
        draft = post(client, "/v1/plans/Basic/versions", status=201)
        assert ok(client.patch(DRAFT, draft | {"trial_days": 3}, format="json")) == draft | {"trial_days": 3}
        assert pointers(client.patch(DRAFT, {"rates": [], "trial_days": 5}, format="json")) == {"/rates"}
        assert pointers(client.patch("/v1/plans/Basic", {"status": "retired"}, format="json")) == {"/status"}
        assert ok(client.get(DRAFT))["trial_days"] == 3

    def test_the_key_never_changes(self, client: APIClient) -> None:
        Plan.objects.create(key="Basic")
        assert pointers(client.patch("/v1/plans/Basic", {"key": "Other"}, format="json")) == {"/key"}

    def test_activating_nothing_and_retiring_a_draft_are_refused(self, client: APIClient) -> None:
        post(client, "/v1/plans", {"key": "Basic"}, 201)
        assert pointers(client.post("/v1/plans/Basic/activate", {}, format="json")) == {""}
        assert pointers(client.post("/v1/plans/Basic/retire", {}, format="json")) == {""}
        assert pointers(client.post("/v1/plans/Basic/activate", {"move": True}, format="json")) == {"/move"}
        assert client.post("/v1/plans/Nothing/activate", {}, format="json").status_code == 404

    def test_a_retired_plan_is_no_longer_given(self, client: APIClient) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
        retired = post(client, "/v1/plans/Basic/retire")
        assert (retired["status"], retired["is_default"]) == ("retired", False)
        assert [row["key"] for row in ok(client.get("/v1/plans", {"status": "retired"}))["data"]] == ["Basic"]
        assert ok(client.get("/v1/plans", {"status": "active"}))["data"] == []
        assert post(client, "/v1/plans/Basic/activate")["number"] == 1
        assert ok(client.get("/v1/plans/Basic"))["status"] == "active"

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [({"status": "gone"}, "/status"), ({"base": "Nothing"}, "/base"), ({"colour": "red"}, "/colour")],
        ids=str,
    )
    def test_a_list_refuses_what_it_does_not_know(self, client: APIClient, query: dict[str, str], pointer: str) -> None:
        assert pointers(client.get("/v1/plans", query)) == {pointer}

    def test_lists_ask_the_same_of_the_database_however_long_they_are(
        self, client: APIClient, django_assert_num_queries: Any
    ) -> None:
        calls, traffic = make_meter(), make_meter("Traffic")
        for number in range(12):
            make_plan(f"Plan{number}", {calls: STORY_RATE, traffic: STORY_RATE})
        for path, queries in (("/v1/plans", 2), ("/v1/product-items", 2)):
            client.get(path)
            keys.forget()
            with django_assert_num_queries(queries):  # key, rows
                client.get(path)


class TestVersions:
    @pytest.fixture(autouse=True)
    def _plan(self) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})

    def test_a_new_version_is_begun_changed_compared_and_activated(self, client: APIClient) -> None:
        draft = post(client, "/v1/plans/Basic/versions", status=201)
        assert (draft["number"], draft["status"], draft["moves_existing"]) == (2, "draft", True)
        assert [rate["parameters"] for rate in draft["rates"]] == [STORY_RATE]
        assert post(client, "/v1/plans/Basic/versions")["number"] == 2  # there is one
        dearer = STORY_RATE | {"block_price": "6"}
        post(client, f"{DRAFT}/rates", {"product_item": "ApiCalls", "parameters": dearer})
        told = ok(client.get(f"{DRAFT}/differences"))
        assert (told["from"], told["to"]) == (1, 2)
        (one,) = told["differences"]
        assert one["kind"] == "changed"
        assert ("$5.00" in " ".join(one["before"]), "$6.00" in " ".join(one["after"])) == (True, True)
        assert post(client, "/v1/plans/Basic/activate", {"moves_existing": False})["moves_existing"] is False
        assert [row["number"] for row in ok(client.get("/v1/plans/Basic/versions"))["data"]] == [2, 1]
        assert ok(client.get("/v1/plans/Basic/versions/1"))["status"] == "superseded"
        assert ok(client.get("/v1/plans/Basic/versions/active"))["number"] == 2
        back = ok(client.get("/v1/plans/Basic/versions/1/differences", {"against": "active"}))
        assert (back["from"], back["to"]) == (2, 1)

    def test_the_first_version_is_all_new(self, client: APIClient) -> None:
        told = ok(client.get("/v1/plans/Basic/versions/1/differences"))
        assert (told["from"], told["to"]) == (None, 1)
        assert "added" in {one["kind"] for one in told["differences"]}

    def test_terms_begin_a_draft_and_others_stay(self, client: APIClient) -> None:
        terms = {
            "currency": "EUR",
            "interval": "quarter",
            "interval_count": 2,
            "alignment": "anniversary",
            "trial_days": 14,
            "commitment": "1000.50",
            "overage_factor": "1.25",
        }
        answer = ok(client.patch(DRAFT, terms, format="json"))
        assert {name: answer[name] for name in terms} == terms | {"commitment": "1000.5"}
        assert (answer["number"], answer["minimum"]) == (2, "0")
        assert ok(client.patch(DRAFT, {"trial_days": 0}, format="json"))["interval"] == "quarter"

    @pytest.mark.parametrize(
        ("terms", "expected"),
        [
            ({"currency": "usd"}, {"/currency"}),
            ({"currency": "XXX"}, {"/currency"}),
            ({"currency": None}, {"/currency"}),
            ({"interval": "fortnight"}, {"/interval"}),
            ({"interval_count": 0}, {"/interval_count"}),
            ({"interval_count": 367}, {"/interval_count"}),
            ({"trial_days": -1}, {"/trial_days"}),
            ({"minimum": "-1"}, {"/minimum"}),
            ({"minimum": 0.5}, {"/minimum"}),
            ({"minimum": None}, {"/minimum"}),
            ({"minimum": "1", "commitment": "2"}, {"/commitment"}),
            ({"commitment": "0"}, {"/commitment"}),
            ({"overage_factor": "NaN"}, {"/overage_factor"}),
            ({"intervall": "day"}, {"/intervall"}),
        ],
        ids=str,
    )
    def test_faulty_terms_change_nothing(self, client: APIClient, terms: dict[str, Any], expected: set[str]) -> None:
        assert pointers(client.patch(DRAFT, terms, format="json")) == expected
        assert not PlanVersion.objects.filter(status="draft").exists()

    def test_a_frozen_version_refuses_every_change(self, client: APIClient) -> None:
        rate = ok(client.get("/v1/plans/Basic/versions/1/rates"))["data"][0]
        for name in ("1", "active"):
            path = f"/v1/plans/Basic/versions/{name}"
            body = {"product_item": "ApiCalls", "parameters": STORY_RATE}
            for answer in (
                client.patch(path, {"trial_days": 3}, format="json"),
                client.delete(path),
                client.post(f"{path}/rates", body, format="json"),
                client.patch(f"{path}/rates/{rate['id']}", {"prorated": True}, format="json"),
                client.delete(f"{path}/rates/{rate['id']}"),
                client.post(f"{path}/fees", {"key": "base", "name": "Base", "amount": "5"}, format="json"),
                client.post(f"{path}/drop-terms", {}, format="json"),
            ):
                assert (answer.status_code, answer.json()["code"]) == (409, "version_frozen")
        assert [row["number"] for row in ok(client.get("/v1/plans/Basic/versions"))["data"]] == [1]

    def test_a_draft_is_thrown_away(self, client: APIClient) -> None:
        assert client.delete(DRAFT).status_code == 404
        post(client, "/v1/plans/Basic/versions", status=201)
        assert client.delete(DRAFT).status_code == 204
        assert ok(client.get("/v1/plans/Basic"))["draft_version"] is None

    def test_the_only_draft_stays(self, client: APIClient) -> None:
        post(client, "/v1/plans", {"key": "New"}, 201)
        assert pointers(client.delete("/v1/plans/New/versions/draft")) == {""}

    @pytest.mark.parametrize("name", ["2", "0", "draft", "newest", "-1", "1.0", "١", "9" * 30])
    def test_a_version_that_there_is_not_is_404(self, client: APIClient, name: str) -> None:
        assert client.get(f"/v1/plans/Basic/versions/{name}").status_code == 404
        assert client.get("/v1/plans/Nothing/versions").status_code == 404
        assert client.get(f"/v1/plans/Basic/versions/1/differences?against={name}").status_code in (400, 404)

    def test_versions_ask_the_same_of_the_database_however_many_they_are(
        self, client: APIClient, django_assert_num_queries: Any
    ) -> None:
        for _ in range(5):
            post(client, "/v1/plans/Basic/versions", status=201)
            post(client, "/v1/plans/Basic/activate")
        client.get("/v1/plans/Basic/versions")
        keys.forget()
        with django_assert_num_queries(5):  # key, plan, versions, rates, fees
            assert len(ok(client.get("/v1/plans/Basic/versions"))["data"]) == 6


class TestPrivatePlans:
    @pytest.fixture(autouse=True)
    def _plan(self) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})
        make_customer("acme")

    def test_it_keeps_the_customers_own_prices_when_the_base_changes(self, client: APIClient) -> None:
        private = post(client, "/v1/plans/Basic/private-plans", {"customer": "acme"}, 201)
        assert (private["base"], private["customer"], private["follows_base"]) == ("Basic", "acme", True)
        path = f"/v1/plans/{private['key']}"
        own = {"key": "support", "name": "Support", "amount": "50"}
        assert post(client, f"{path}/versions/draft/fees", own, 201)["is_override"]
        ok(client.patch(f"{path}/versions/draft", {"minimum": "100"}, format="json"))
        version = post(client, f"{path}/activate")
        assert {"minimum", "commitment"} <= set(version["overridden_terms"])
        dearer = STORY_RATE | {"block_price": "6"}
        post(client, f"{DRAFT}/rates", {"product_item": "ApiCalls", "parameters": dearer})
        post(client, "/v1/plans/Basic/activate")
        now = ok(client.get(f"{path}/versions/active"))
        assert (now["number"], now["minimum"], [fee["key"] for fee in now["fees"]]) == (2, "100", ["support"])
        assert [(rate["parameters"], rate["is_override"]) for rate in now["rates"]] == [(dearer, False)]

    def test_own_prices_and_terms_are_given_up(self, client: APIClient) -> None:
        key = post(client, "/v1/plans/Basic/private-plans", {"customer": "acme"}, 201)["key"]
        draft = f"/v1/plans/{key}/versions/draft"
        cheaper = STORY_RATE | {"block_price": "4"}
        rate = post(client, f"{draft}/rates", {"product_item": "ApiCalls", "parameters": cheaper})
        assert rate["is_override"]
        fee = {"key": "support", "name": "Support", "amount": "50"}
        post(client, f"{draft}/fees", fee, 201)
        ok(client.patch(draft, {"minimum": "100", "trial_days": 3}, format="json"))
        after = post(client, f"{draft}/rates/{rate['id']}/drop-override")
        assert [(row["parameters"], row["is_override"]) for row in after["rates"]] == [(STORY_RATE, False)]
        assert post(client, f"{draft}/fees/support/drop-override")["fees"] == []
        assert post(client, f"{draft}/drop-terms", {"terms": ["minimum"]})["overridden_terms"] == ["trial_days"]
        assert post(client, f"{draft}/drop-terms")["trial_days"] == 0
        (inherited,) = after["rates"]
        assert pointers(client.post(f"{draft}/rates/{inherited['id']}/drop-override", {}, format="json")) == {""}

    def test_it_is_pinned_and_let_go(self, client: APIClient) -> None:
        body = {"customer": "acme", "follows_base": False, "key": "AcmeBasic"}
        assert post(client, "/v1/plans/Basic/private-plans", body, 201)["key"] == "AcmeBasic"
        post(client, "/v1/plans/AcmeBasic/activate")
        post(client, f"{DRAFT}/rates", {"product_item": "ApiCalls", "parameters": STORY_RATE | {"block_price": "6"}})
        post(client, "/v1/plans/Basic/activate")
        assert ok(client.get("/v1/plans/AcmeBasic"))["active_version"] == 1
        change = client.patch("/v1/plans/AcmeBasic", {"follows_base": True, "name": "Ours"}, format="json")
        assert (ok(change)["follows_base"], ok(change)["active_version"], ok(change)["name"]) == (True, 2, "Ours")

    def test_refusals(self, client: APIClient) -> None:
        path = "/v1/plans/Basic/private-plans"
        assert pointers(client.post(path, {}, format="json")) == {"/customer"}
        assert pointers(client.post(path, {"customer": "nobody"}, format="json")) == {"/customer"}
        assert pointers(client.post(path, {"customer": "acme", "key": "Basic"}, format="json")) == {"/key"}
        post(client, path, {"customer": "acme", "key": "Own"}, 201)
        assert pointers(client.post(path, {"customer": "acme"}, format="json")) == {"/customer"}
        make_customer("globex")
        twice = client.post("/v1/plans/Own/private-plans", {"customer": "globex"}, format="json")
        assert pointers(twice) == {""}
        assert pointers(client.patch("/v1/plans/Own", {"is_default": True}, format="json")) == {"/is_default"}
        assert not Plan.objects.get(key="Own").is_default

    def test_they_are_found_by_base_and_by_customer(self, client: APIClient) -> None:
        make_customer("globex")
        for customer in ("acme", "globex"):
            post(client, "/v1/plans/Basic/private-plans", {"customer": customer}, 201)
        assert len(ok(client.get("/v1/plans", {"base": "Basic"}))["data"]) == 2
        (own,) = ok(client.get("/v1/plans", {"customer": "globex"}))["data"]
        assert own["customer"] == "globex"
