"""`/v1/usage`: what may be asked, what is refused and how it is named, and that POST asks the same as GET."""

import bz2
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from meters.api.negotiation import preferred
from meters.api.usage_table import MAX_ROWS
from meters.events import record_events
from tests.factories import event, make_customer, make_meter

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FROM, TO = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"


@pytest.fixture(autouse=True)
def _usage():
    with time_machine.travel(NOW, tick=False):
        make_meter(dimensions=["region", "source"])
        for key in ("acme", "globex, inc."):
            make_customer(key)
        facts = [
            event(customer, "ApiCalls", number, time=datetime(2026, 11, number, tzinfo=UTC), region=region)
            for customer in ("acme", "globex, inc.")
            for number, region in enumerate(("eu", "us", "ap,sg"), 1)
        ]
        assert record_events(facts).accepted == 6
        yield


@pytest.fixture
def client(api) -> APIClient:
    return api("read")


def faults(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return {error["pointer"]: error["detail"] for error in answer.json()["errors"]}


class TestBadInput:
    ADDRESSES = [
        ("customer=nobody", "/customer"),
        ("customer=", "/customer"),
        ("customer=acme&customer=nobody", "/customer/1"),
        ("customer=%00", "/customer"),
        ("customer=acme%20", "/customer"),
        ("meter=Nothing", "/meter"),
        ("meter=", "/meter"),
        ("meter=%00", "/meter"),
        ("meter=ApiCalls&meter=ApiCalls", "/meter"),
        ("from=yesterday", "/from"),
        ("from=2026-11-01", "/from"),
        ("from=2026-11-01T00:00:00", "/from"),
        ("from=2026-11-01T00:00:00+01:00", "/from"),
        ("from=2026-13-01T00:00:00Z", "/from"),
        ("from=2026-11-01T24:00:00Z", "/from"),
        ("from=2026-11-01T00:00:00%2B99:00", "/from"),
        ("from=0001-01-01T00:00:00Z", "/from"),
        ("from=0001-01-01T00:00:00%2B14:00", "/from"),
        ("to=9999-12-31T23:59:59-14:00", "/to"),
        ("to=9999-12-31T23:59:59Z", "/to"),
        ("to=%D9%A2026-11-01T00:00:00Z", "/to"),
        (f"from={TO}&to={FROM}", "/to"),
        (f"from={FROM}&to={FROM}", "/to"),
        (f"from={TO}", "/from"),
        ("period=fortnight", "/period"),
        ("period=2026-13", "/period"),
        ("period=2026-02-29", "/period"),
        ("period=2026-11-22T00", "/period"),
        ("period=0001", "/period"),
        ("period=9999-12-31", "/period"),
        ("period=", "/period"),
        (f"period=2026&from={FROM}", "/period"),
        (f"period=2026&to={TO}", "/period"),
        ("window=fortnight", "/window"),
        ("window=", "/window"),
        ("time_zone=Mars/Base", "/time_zone"),
        ("time_zone=localtime", "/time_zone"),
        ("time_zone=../../etc/passwd", "/time_zone"),
        ("time_zone=%00", "/time_zone"),
        ("group_by=colour", "/group_by"),
        ("group_by=region,region", "/group_by"),
        ("group_by=region&group_by=region", "/group_by"),
        ("filter[colour]=red", "/filter/colour"),
        ("filter[customer]=acme", "/filter/customer"),
        ("filter[region]=%00", "/filter/region/0"),
        ("filter=region:eu", "/filter"),
        ("filter[]=eu", "/filter[]"),
        ("group_by=region&top=0", "/top"),
        ("group_by=region&top=101", "/top"),
        ("group_by=region&top=many", "/top"),
        ("group_by=region&top=1.5", "/top"),
        (f"group_by=region&top={'9' * 5000}", "/top"),
        ("top=5", "/top"),
        ("colour=red", "/colour"),
        ("format=csv", "/format"),
        ("where[region]=eu", "/where[region]"),
    ]

    @pytest.mark.parametrize(("query", "pointer"), ADDRESSES, ids=lambda text: text[:60])
    def test_of_an_address_names_the_parameter(self, client: APIClient, query: str, pointer: str) -> None:
        meter = "" if query.startswith("meter=") else "meter=ApiCalls&"
        assert [*faults(client.get(f"/v1/usage?{meter}{query}"))] == [pointer]

    BODIES = [
        ({"meter": None}, "/meter"),
        ({"meter": ["ApiCalls"]}, "/meter"),
        ({"meter": {"key": "ApiCalls"}}, "/meter"),
        ({"customer": []}, "/customer"),
        ({"customer": None}, "/customer"),
        ({"customer": {"key": "acme"}}, "/customer"),
        ({"customer": ["acme", ["acme"]]}, "/customer/1"),
        ({"customer": ["acme", True]}, "/customer/1"),
        ({"customer": ["acme", "nobody"]}, "/customer/1"),
        ({"customer": "\ud800"}, "/customer"),
        ({"customer": [f"c{number}" for number in range(10_000)]}, "/customer"),
        ({"from": 1_700_000_000}, "/from"),
        ({"to": {"year": 2026}}, "/to"),
        ({"period": 2026.5}, "/period"),
        ({"period": ["2026"]}, "/period"),
        ({"time_zone": ["UTC"]}, "/time_zone"),
        ({"window": ["day"]}, "/window"),
        ({"window": None}, "/window"),
        ({"group_by": {"region": 1}}, "/group_by"),
        ({"group_by": [["region"]]}, "/group_by/0"),
        ({"group_by": "region,source"}, "/group_by"),
        ({"filter": "region"}, "/filter"),
        ({"filter": ["region"]}, "/filter"),
        ({"filter": {"region": []}}, "/filter/region"),
        ({"filter": {"region": None}}, "/filter/region"),
        ({"filter": {"region": {"eu": True}}}, "/filter/region"),
        ({"filter": {"region": ["eu", "\ud800"]}}, "/filter/region/1"),
        ({"filter": {"region": ["eu", "\x00"]}}, "/filter/region/1"),
        ({"filter": {"a/b~c": "eu"}}, "/filter/a~1b~0c"),
        ({"filter": {"\ud800": "eu"}}, "/filter/\\ud800"),
        ({"filter": {"region": ["x"] * 1001}}, "/filter"),
        ({"group_by": "region", "top": True}, "/top"),
        ({"group_by": "region", "top": [3]}, "/top"),
        ({"\ud800": 1}, "/\\ud800"),
        ({"\x00": 1}, "/\x00"),
        ({"filter[region]": "eu"}, "/filter[region]"),
    ]

    @pytest.mark.parametrize(("change", "pointer"), BODIES, ids=lambda value: repr(value)[:60])
    def test_of_a_body_points_to_the_member(self, client: APIClient, change: dict, pointer: str) -> None:
        body = json.dumps({"meter": "ApiCalls"} | change)
        answer = client.generic("POST", "/v1/usage", body, content_type="application/json")
        assert [*faults(answer)] == [pointer]

    @pytest.mark.parametrize("body", ["", "[]", "7", "null", '"meter"', "{", "[" * 100_000, '{"top": NaN}'], ids=repr)
    def test_a_body_that_is_no_query(self, client: APIClient, body: str) -> None:
        answer = client.generic("POST", "/v1/usage", body[:200_000], content_type="application/json")
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")

    def test_all_faults_come_at_once(self, client: APIClient) -> None:
        answer = client.get("/v1/usage?meter=No&customer=nobody&window=eon&top=0&from=now")
        assert {*faults(answer)} == {"/meter", "/customer", "/window", "/top", "/from"}

    def test_without_a_meter(self, client: APIClient) -> None:
        assert [*faults(client.get("/v1/usage"))] == ["/meter"]

    def test_a_form_is_no_body(self, client: APIClient) -> None:
        form = "application/x-www-form-urlencoded"
        answer = client.generic("POST", "/v1/usage", "meter=ApiCalls", content_type=form)
        assert (answer.status_code, answer["Content-Type"]) == (415, "application/problem+json")

    @pytest.mark.parametrize("charset", ["bz2", "zlib", "hex", "utf-16", "nonsense"])
    def test_a_body_is_utf_8_whatever_it_says(self, client: APIClient, charset: str) -> None:
        body = json.dumps({"meter": "ApiCalls"})
        packed = bz2.compress(body.encode())
        said = f"application/json; charset={charset}"
        assert client.generic("POST", "/v1/usage", body, content_type=said).status_code == 200
        assert client.generic("POST", "/v1/usage", packed, content_type=said).status_code == 400

    def test_a_post_with_a_query_in_its_address_is_refused(self, client: APIClient) -> None:
        answer = client.post("/v1/usage?customer=acme", {"meter": "ApiCalls"}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")

    def test_more_parameters_than_anybody_reads(self, client: APIClient) -> None:
        answer = client.get("/v1/usage?meter=ApiCalls" + "&customer=acme" * 1001)
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")

    def test_head_is_get_without_a_body(self, client: APIClient) -> None:
        answer = client.head("/v1/usage?meter=ApiCalls", HTTP_ACCEPT="text/csv")
        assert (answer.status_code, answer.content, answer["Usage-Total"]) == (200, b"", "12")

    @pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
    def test_other_methods_are_refused(self, api, method: str) -> None:
        assert getattr(api("read", "write", "ingest"), method)("/v1/usage", {}, format="json").status_code == 405


class TestBounds:
    def test_of_windows(self, client: APIClient) -> None:
        query = {"meter": "ApiCalls", "window": "hour", "from": "1970-01-01T00:00:00Z", "to": "2200-12-31T00:00:00Z"}
        answer = client.get("/v1/usage", query)
        assert (answer.json()["code"], [*faults(answer)]) == ("too_many_windows", ["/window"])
        thousand = {"meter": "ApiCalls", "window": "hour", "from": FROM, "to": "2026-12-12T16:00:00Z"}
        assert len(client.get("/v1/usage", thousand).json()["data"]) == 1000
        assert client.get("/v1/usage", thousand | {"to": "2026-12-12T16:00:01Z"}).status_code == 400

    def test_of_rows(self, client: APIClient) -> None:
        facts = [event("acme", "ApiCalls", 1, time=NOW, source=str(number)) for number in range(101)]
        assert record_events(facts).accepted == 101
        query = {
            "meter": "ApiCalls",
            "window": "hour",
            "from": FROM,
            "to": "2026-12-12T16:00:00Z",
            "group_by": "source",
        }
        answer = client.get("/v1/usage", query)
        assert (answer.json()["code"], [*faults(answer)]) == ("too_many_rows", ["/group_by"])
        assert "102,000" in answer.json()["detail"]
        # The events of the fixture have no source, and are not of this day.
        day = query | {"from": "2026-11-22T00:00:00Z", "to": "2026-11-23T00:00:00Z"}
        assert len(client.get("/v1/usage", day).json()["data"]) == 101 * 24 < MAX_ROWS
        top = client.get("/v1/usage", query | {"top": 99}).json()["data"]
        assert len(top) == MAX_ROWS

    def test_a_thousand_customers_are_not_too_many(self, client: APIClient) -> None:
        named = [make_customer(f"c{number}").key for number in range(1000)]
        answer = client.post("/v1/usage", {"meter": "ApiCalls", "customer": named}, format="json")
        assert (answer.status_code, answer.json()["total"]["value"]) == (200, "0")


class TestPostAsksTheSame:
    QUERIES = [
        ("", {}),
        ("customer=acme", {"customer": "acme"}),
        ("customer=acme", {"customer": ["acme"]}),
        ("customer=globex,%20inc.&customer=acme", {"customer": ["globex, inc.", "acme"]}),
        ("group_by=customer,region&window=day", {"group_by": ["customer", "region"], "window": "day"}),
        ("group_by=customer&group_by=region", {"group_by": ["customer", "region"]}),
        ("group_by=region", {"group_by": "region"}),
        ("group_by=", {"group_by": []}),
        ("filter[region]=eu&filter[region]=ap,sg", {"filter": {"region": ["eu", "ap,sg"]}}),
        ("filter%5Bregion%5D=eu", {"filter": {"region": "eu"}}),
        ("filter[region]=us&filter[source]=", {"filter": {"region": ["us"], "source": [""]}}),
        ("group_by=region&top=1", {"group_by": ["region"], "top": 1}),
        ("period=2026-11-02&time_zone=UTC", {"period": "2026-11-02", "time_zone": "UTC"}),
        ("from=2026-11-02T00:00:00%2B01:00&to=2026-11-03t00:00:00z",
         {"from": "2026-11-02T00:00:00+01:00", "to": "2026-11-03T00:00:00.000000Z"}),
    ]  # fmt: skip

    @pytest.mark.parametrize(("address", "body"), QUERIES, ids=lambda value: repr(value)[:60])
    def test_and_is_answered_the_same(self, client: APIClient, address: str, body: dict) -> None:
        asked = client.get(f"/v1/usage?meter=ApiCalls&{address}")
        posted = client.post("/v1/usage", {"meter": "ApiCalls"} | body, format="json")
        assert asked.status_code == posted.status_code == 200
        assert asked.json() == posted.json()
        assert asked.json()["data"]

    def test_some_of_the_answers(self, client: APIClient) -> None:
        def total(address: str) -> str:
            return client.get(f"/v1/usage?meter=ApiCalls&{address}").json()["total"]["value"]

        totals = ("12", "6", "8", "0")
        addresses = ("", "customer=acme", "filter[region]=eu&filter[region]=ap,sg", "filter[source]=x")
        assert tuple(map(total, addresses)) == totals
        assert total("from=2026-11-02T00:00:00%2B01:00&to=2026-11-03T00:00:00Z") == "4"


class TestWhatIsAccepted:
    @pytest.mark.parametrize(
        ("accept", "media_type"),
        [
            ("", "application/json"),
            ("*/*", "application/json"),
            ("application/json", "application/json"),
            ("text/csv", "text/csv"),
            ("TEXT/CSV; charset=utf-8; header=present", "text/csv"),
            ("text/*", "text/csv"),
            ("application/json;q=0.5, text/csv", "text/csv"),
            ("text/csv;q=0.5, application/json", "application/json"),
            ("text/csv, application/json", "text/csv"),
            ("application/json, text/csv", "application/json"),
            ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
            ("application/json;q=0, */*", "text/csv"),
            ("text/csv;q=0, text/*", None),
            ("application/xml", None),
            ("text/csv;q=0", None),
            ("text/csv;q=nan", "text/csv"),
            ("text/csv;q=7", "text/csv"),
            ("text/csv; a*=nonsense''x", "text/csv"),
            (";", "application/json"),
            ("/", None),
            (",,,", "application/json"),
            ("text/csv;" * 2000, "text/csv"),
            ("x" * 20_000, None),
            ("text/csv\x00", None),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_decides_the_type(self, client: APIClient, accept: str, media_type: str | None) -> None:
        assert preferred(accept, ["application/json", "text/csv"]) == media_type
        for answer in (
            client.get("/v1/usage?meter=ApiCalls", HTTP_ACCEPT=accept),
            client.post("/v1/usage", {"meter": "ApiCalls"}, format="json", HTTP_ACCEPT=accept),
        ):
            if media_type is None:
                assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
                assert answer["Content-Type"] == "application/problem+json"
            else:
                assert answer.status_code == 200
                assert answer["Content-Type"].startswith(media_type)
            assert "Accept" in answer["Vary"]

    def test_an_error_is_a_problem_document_whatever_is_accepted(self, client: APIClient) -> None:
        answer = client.get("/v1/usage?meter=Nothing", HTTP_ACCEPT="text/csv")
        assert [*faults(answer)] == ["/meter"]
        assert APIClient().get("/v1/usage", HTTP_ACCEPT="text/csv").json()["code"] == "not_authenticated"
