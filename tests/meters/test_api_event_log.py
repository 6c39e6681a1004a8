"""Reading events over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from meters import event_log
from meters.keys import create_api_key
from meters.models import ApiKey, Customer, Meter, VoidRecord
from meters.voiding import EventRef, select_events, void_events
from tests.factories import make_customer, make_meter, send

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(api: Callable[..., APIClient]) -> APIClient:
    return api("read")


@pytest.fixture
def calls(db: None) -> Meter:
    make_customer("acme")
    return make_meter()


def of_one_customer(key: str, *scopes: str) -> APIClient:
    made, text = create_api_key(name=key, scopes=scopes)
    ApiKey.objects.filter(pk=made.pk).update(customer=Customer.objects.get(key=key))
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=text)
    return client


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [event["id"] for event in answer.json()["data"]]


class TestReading:
    def test_an_event_is_shown_as_it_was_sent(self, reader: APIClient, calls: Meter) -> None:
        time = NOW - timedelta(microseconds=1)
        send("acme", "ApiCalls", "0.000000000000001", id="job", time=time, now=NOW, source="crm", ref="x")
        answer = reader.get("/v1/events", {"customer": "acme"})
        assert answer.json() == {
            "data": [
                {
                    "id": "job",
                    "customer": "acme",
                    "meter": "ApiCalls",
                    "time": "2026-11-22T14:29:59.999999Z",
                    "received_at": "2026-11-22T14:30:00Z",
                    "value": "0.000000000000001",
                    "dimensions": {"source": "crm", "ref": "x"},
                    "counts": True,
                    "not_counted_because": None,
                    "void": None,
                }
            ],
            "next": None,
            "previous": None,
        }

    def test_says_why_an_event_does_not_count(self, reader: APIClient) -> None:
        make_customer("acme")
        make_meter("Eu", dimensions=["region"], where={"region": ["eu", ""]})
        for region in ("eu", "us"):
            send("acme", "Eu", 1000, id=f"of {region}", time=NOW, now=NOW, region=region)
        send("acme", "Eu", 1, id="of none", time=NOW, now=NOW)
        done = void_events(select_events(refs=[EventRef("acme", "of eu")]), reason="test", actor="anna")
        assert done.record is not None
        shown = {event["id"]: event for event in reader.get("/v1/events?customer=acme").json()["data"]}
        assert (shown["of none"]["counts"], shown["of none"]["not_counted_because"]) == (True, None)
        assert (shown["of us"]["counts"], shown["of us"]["not_counted_because"]) == (False, "outside_of_filter")
        assert (shown["of eu"]["value"], shown["of eu"]["not_counted_because"]) == ("1000", "voided")
        void = shown["of eu"]["void"]
        assert (void["record"], void["reason"], void["actor"]) == (done.record.id, "test", "anna")
        assert ids(reader.get("/v1/events?customer=acme&state=counted")) == ["of none"]
        assert ids(reader.get("/v1/events?customer=acme&state=voided")) == ["of eu"]

    def test_by_every_filter(self, reader: APIClient, calls: Meter) -> None:
        make_meter("Other")
        send("acme", "ApiCalls", 1, id="a", time=NOW - timedelta(days=3), now=NOW, source="crm", plan="gold")
        send("acme", "Other", 1, id="b", time=NOW - timedelta(hours=2), now=NOW)
        send("globex", "ApiCalls", 1, id="a", time=NOW - timedelta(hours=1), now=NOW, source="shop")
        for query, expected in [
            ({}, ["a", "b", "a"]),
            ({"customer": "acme"}, ["b", "a"]),
            ({"customer": "acme", "meter": "ApiCalls"}, ["a"]),
            ({"customer": "acme", "id": "b"}, ["b"]),
            ({"customer": "acme", "id": "c"}, []),
            ({"customer": "acme", "from": "2026-11-22T00:00:00Z"}, ["b"]),
            ({"customer": "acme", "to": "2026-11-22T13:30:00+01:00"}, ["a"]),
            ({"customer": "acme", "filter[source]": "crm"}, ["a"]),
            ({"customer": "acme", "filter[plan]": "gold"}, ["a"]),
            ({"customer": "acme", "filter[source]": ""}, ["b"]),
            ({"meter": "ApiCalls", "filter[source]": "shop"}, ["a"]),
            ({"from": "2026-11-22T13:00:00Z", "to": "2026-11-22T14:00:00Z"}, ["a"]),
            ({"meter": "Other", "from": "2026-11-22T12:00:00Z", "to": "2026-11-23T12:00:00Z"}, ["b"]),
        ]:
            assert ids(reader.get("/v1/events", query)) == expected, query

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ("customer=nobody", "/customer"),
            ("meter=Nothing", "/meter"),
            ("id=a", "/customer"),
            ("from=2026-11-22T00:00:00Z", "/to"),
            ("to=2026-11-22T00:00:00Z", "/from"),
            ("from=2026-11-20T00:00:00Z&to=2026-11-22T00:00:00Z", "/to"),
            ("customer=acme&from=2026-11-22T00:00:00Z&to=2026-11-22T00:00:00Z", "/to"),
            ("customer=acme&from=yesterday", "/from"),
            ("customer=acme&from=0001-01-01T00:00:00Z", "/from"),
            ("state=gone", "/state"),
            ("limit=0", "/limit"),
            ("limit=1001", "/limit"),
            ("cursor=nonsense", "/cursor"),
            ("cursor=YWZ0ZXIgMjAyNiAx", "/cursor"),
            # The ends of the calendar, which their offsets lead out of.
            ("cursor=YWZ0ZXIgOTk5OS0xMi0zMVQyMzo1OTo1OS0xNDowMCA1", "/cursor"),
            ("customer=acme&cursor=YmVmb3JlIDAwMDEtMDEtMDFUMDA6MDA6MDArMTQ6MDAgNQ", "/cursor"),
            ("customer=acme&customer=globex", "/customer"),
            ("filter=crm", "/filter"),
            ("source=crm", "/source"),
        ],
    )
    def test_what_makes_no_sense_is_refused_by_name(
        self, reader: APIClient, calls: Meter, query: str, pointer: str
    ) -> None:
        answer = reader.get(f"/v1/events?{query}")
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]

    @pytest.mark.parametrize("query", ["customer=acme", "", "customer=acme&state=counted", "customer=acme&meter=Other"])
    def test_pages_go_there_and_back_and_miss_nothing(self, reader: APIClient, calls: Meter, query: str) -> None:
        make_meter("Other")
        for number in range(11):
            # Several at one moment, and of another month.
            time = NOW - timedelta(days=9 * (number // 3))
            send("acme", ("ApiCalls", "Other")[number % 2], 1, id=f"job-{number:02}", time=time, now=NOW)
        whole = ids(reader.get(f"/v1/events?{query}&limit=100"))
        assert len(whole) == (5 if "Other" in query else 11)
        pages, url = [], f"/v1/events?{query}&limit=3"
        while url:
            answer = reader.get(url)
            pages.append(ids(answer))
            url = answer.json()["next"]
        assert [event_id for page in pages for event_id in page] == whole
        assert all(len(page) == 3 for page in pages[:-1])
        back, url = [pages[-1]], answer.json()["previous"]
        while url:
            answer = reader.get(url)
            back.append(ids(answer))
            url = answer.json()["previous"]
        assert back[::-1] == pages
        assert answer.json()["next"]

    def test_events_that_come_in_move_no_page(self, reader: APIClient, calls: Meter) -> None:
        for number in range(4):
            send("acme", "ApiCalls", 1, id=f"job-{number}", time=NOW - timedelta(hours=number), now=NOW)
        first = reader.get("/v1/events?customer=acme&limit=2")
        send("acme", "ApiCalls", 1, id="late", time=NOW - timedelta(minutes=30), now=NOW)
        assert ids(reader.get(first.json()["next"])) == ["job-2", "job-3"]

    def test_a_search_that_reads_far_goes_on_where_it_stopped(
        self, reader: APIClient, calls: Meter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_log, "EXAMINED", 5)
        for number in range(24):
            source = "crm" if number in (1, 17, 23) else "shop"
            send("acme", "ApiCalls", 1, id=f"job-{number}", time=NOW - timedelta(hours=number), now=NOW, source=source)
        found, url, pages = [], "/v1/events?customer=acme&filter[source]=crm&limit=2", 0
        while url:
            answer = reader.get(url)
            found += ids(answer)
            url, pages = answer.json()["next"], pages + 1
        assert found == ["job-1", "job-17", "job-23"]
        assert pages > 2
        url, back = answer.json()["previous"], ids(answer)
        while url:
            answer = reader.get(url)
            back = ids(answer) + back
            url = answer.json()["previous"]
        assert back == found

    def test_asks_the_database_the_same_for_one_event_and_for_many(
        self, reader: APIClient, calls: Meter, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(30):
            send("acme", "ApiCalls", 1, id=f"job-{number}", source=str(number))
        with django_assert_max_num_queries(9) as queries:
            assert len(ids(reader.get("/v1/events?customer=acme&limit=100"))) == 30
        assert not [query["sql"] for query in queries.captured_queries if "COUNT(" in query["sql"].upper()]


class TestOneEvent:
    def test_of_every_meter_that_it_fed(self, reader: APIClient, calls: Meter) -> None:
        make_meter("Other")
        for meter in ("Other", "ApiCalls"):
            send("acme", meter, 5, id="job", time=NOW, now=NOW)
        data = reader.get("/v1/events/acme/job").json()["data"]
        assert [(event["meter"], event["value"]) for event in data] == [("ApiCalls", "5"), ("Other", "5")]

    @pytest.mark.parametrize(
        ("customer", "event_id"),
        [("acme", "a/b"), ("a/c", "job"), ("a/c", "x/y//z"), ("ü ö", "ä?#"), ("void", "unvoid"), ("a", "b/")],
    )
    @pytest.mark.parametrize("safe", ["", "/"], ids=["encoded", "plain"])
    def test_slashes_in_keys_and_ids(self, reader: APIClient, customer: str, event_id: str, safe: str) -> None:
        make_meter()
        send(customer, "ApiCalls", 1, id=event_id, time=NOW, now=NOW)
        send("acme", "ApiCalls", 1, id="other", time=NOW, now=NOW)
        answer = reader.get(f"/v1/events/{quote(customer, safe=safe)}/{quote(event_id, safe=safe)}")
        assert answer.status_code == 200, answer.content
        assert [(event["customer"], event["id"]) for event in answer.json()["data"]] == [(customer, event_id)]

    def test_a_path_of_two_meanings_is_refused(self, reader: APIClient, calls: Meter) -> None:
        send("a", "ApiCalls", 1, id="b/c", now=NOW)
        send("a/b", "ApiCalls", 1, id="c", now=NOW)
        answer = reader.get("/v1/events/a/b/c")
        assert (answer.status_code, answer.json()["code"]) == (409, "ambiguous_path")
        assert ids(reader.get("/v1/events", {"customer": "a", "id": "b/c"})) == ["b/c"]

    @pytest.mark.parametrize("path", ["acme/none", "nobody/job", "acme", "acme/", "/job", "job"])
    def test_what_is_not_there_is_404(self, reader: APIClient, calls: Meter, path: str) -> None:
        send("acme", "ApiCalls", 1, id="job", now=NOW)
        answer = reader.get(f"/v1/events/{path}")
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


class TestKeysOfOneCustomer:
    def test_see_their_own_and_nothing_else(self, calls: Meter) -> None:
        for customer in ("acme", "globex"):
            send(customer, "ApiCalls", 1, id=f"of {customer}", time=NOW, now=NOW)
        client = of_one_customer("acme", "read")
        assert ids(client.get("/v1/events")) == ["of acme"]
        assert ids(client.get("/v1/events?customer=acme")) == ["of acme"]
        assert client.get("/v1/events?customer=globex").status_code == 403
        assert client.get("/v1/events?customer=nobody").status_code == 403
        assert ids(client.get("/v1/events/acme/of acme")) == ["of acme"]
        assert client.get("/v1/events/globex/of globex").status_code == 404

    def test_are_not_told_who_voided_and_why(self, reader: APIClient, calls: Meter) -> None:
        send("acme", "ApiCalls", 1, id="job", time=NOW, now=NOW)
        done = void_events(select_events(refs=[EventRef("acme", "job")]), reason="They never pay", actor="anna")
        assert done.record is not None
        at = done.record.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        client = of_one_customer("acme", "read")
        for path in ("/v1/events", "/v1/events?customer=acme&state=voided", "/v1/events/acme/job"):
            shown = client.get(path).json()["data"]
            assert [(event["not_counted_because"], event["void"]) for event in shown] == [
                ("voided", {"record": done.record.id, "at": at})
            ]
            whole = reader.get(path).json()["data"]
            assert whole[0]["void"] == {"record": done.record.id, "reason": "They never pay", "actor": "anna", "at": at}

    def test_void_nothing(self, calls: Meter) -> None:
        send("acme", "ApiCalls", 1, id="job", now=NOW)
        client = of_one_customer("acme", "ingest", "read", "write")
        body = {"events": [{"customer": "acme", "id": "job"}], "reason": "x"}
        assert client.post("/v1/events/void", body, format="json").status_code == 403
        assert not VoidRecord.objects.exists()


def test_reading_needs_the_scope_to_read(api: Callable[..., APIClient]) -> None:
    for path in ("/v1/events", "/v1/events/acme/job"):
        assert api("ingest", "write").get(path).json()["code"] == "missing_scope"
        assert APIClient().get(path).status_code == 401


def test_the_document_of_the_api_has_these_calls(reader: APIClient) -> None:
    paths = reader.get("/v1/schema?format=json").json()["paths"]
    assert {"get", "post"} <= paths["/v1/events"].keys()
    assert "get" in paths["/v1/events/{path}"]
    for path in ("void", "unvoid"):
        content = paths[f"/v1/events/{path}"]["post"]["requestBody"]["content"]["application/json"]
        assert content["examples"]
