"""OpenMeter's own client against a web server of ours; and, without one, what it is told where it cannot have it."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from corehttp.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from django.urls import clear_url_caches, include, path
from openmeter import Client
from openmeter.aio import Client as AsyncClient
from openmeter.models import Event as CloudEvent
from openmeter.models import FilterString, MeterQueryRequest

from config import urls
from meters.events import record_events
from meters.keys import create_api_key
from meters.models import Event, EventKey, RejectedEvent
from tests.conftest import _database_url
from tests.factories import event, make_customer, make_meter
from tests.meters.rollups import assert_rollups_equal_events
from tests.scenarios.live import Live, wait_for

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=2)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def cloud(number: int, value: Any = 1, *, subject: str = "acme", time: datetime = NOW, **data: Any) -> CloudEvent:
    return CloudEvent(
        id=f"job-{number}",
        source="jobs",
        specversion="1.0",
        type="ApiCalls",
        subject=subject,
        time=time,
        data={"value": value, **data},
    )


class Web(Live):
    def client(self, *scopes: str) -> Client:
        _, self.key = create_api_key(name="openmeter", scopes=scopes or ("ingest", "read"))
        return Client(endpoint=f"{self.url}/openmeter", token=self.key, retry_total=0)


@pytest.fixture
def web(transactional_db: None, tmp_path: Path) -> Iterator[Web]:
    running = Web(_database_url(), tmp_path)
    running.environment["OPENMETER_PREFIX"] = "openmeter/"
    running.start("web")
    wait_for(running.is_up, 60)
    yield running
    for name in list(running.processes):
        running.kill(name)


def test_their_client_ingests_and_queries(web: Web) -> None:
    make_meter(dimensions=["region"])
    client = web.client()
    client.events.ingest_event(cloud(1, 5, region="eu"))
    client.events.ingest_events([cloud(2, 7, region="us"), cloud(3, "0.1", subject="a/b"), cloud(2, 7, region="us")])
    client.events.ingest_events_json(cloud(4, 2, time=NOW + HOUR + MINUTE))
    # As it does after an answer that it never saw.
    client.events.ingest_event(cloud(1, 5, region="eu"))

    async def by_asyncio() -> None:
        async with AsyncClient(endpoint=f"{web.url}/openmeter", token=web.key) as other:
            await other.events.ingest_events([cloud(5, 1, time=NOW + HOUR)])
            assert (await other.meters.query_json("ApiCalls")).data[0].value == 15.1

    asyncio.run(by_asyncio())
    assert Event.objects.count() == EventKey.objects.count() == 5
    assert {each.event_id for each in Event.objects.all()} == {f"jobs/job-{number}" for number in range(1, 6)}
    assert_rollups_equal_events()

    span = {"from_parameter": NOW, "to": NOW + 2 * HOUR}
    (total,) = client.meters.query_json("ApiCalls", **span).data
    assert (total.value, total.window_start, total.window_end) == (15.1, NOW, NOW + 2 * HOUR)
    assert (total.subject, total.group_by) == (None, {})

    hours = client.meters.query_json("ApiCalls", window_size="HOUR", subject=["acme", "nobody"], **span)
    assert [(row.window_start, row.value, row.subject) for row in hours.data] == [
        (NOW, 12.0, "acme"),
        (NOW + HOUR, 3.0, "acme"),
    ]
    assert (hours.from_property, hours.to, hours.window_size) == (NOW, NOW + 2 * HOUR, "HOUR")

    minutes = client.meters.query_json("ApiCalls", window_size="MINUTE", **span)
    assert [(row.window_start, row.value) for row in minutes.data] == [
        (NOW, 12.1),
        (NOW + HOUR, 1.0),
        (NOW + HOUR + MINUTE, 2.0),
    ]
    grouped = client.meters.query_json("ApiCalls", group_by=["region", "subject"], **span)
    assert {(row.group_by["region"], row.subject): row.value for row in grouped.data} == {
        (None, "a/b"): 0.1,
        (None, "acme"): 3.0,
        ("eu", "acme"): 5.0,
        ("us", "acme"): 7.0,
    }
    (eu,) = client.meters.query_json("ApiCalls", filter_group_by={"region": "eu"}, **span).data
    assert eu.value == 5.0
    (two,) = client.meters.query_json(
        "ApiCalls", advanced_meter_group_by_filters={"region": {"$in": ["eu", "us"]}}, **span
    ).data
    assert two.value == 12.0
    assert client.meters.query_json("ApiCalls", subject=["nobody"], **span).data == []

    asked = MeterQueryRequest(
        from_property=NOW,
        window_size="DAY",
        window_time_zone="Europe/Berlin",
        group_by=["region"],
        filter_group_by={"region": ["eu", "us"]},
    )
    assert {row.group_by["region"]: row.value for row in client.meters.query("ApiCalls", asked).data} == {
        "eu": 5.0,
        "us": 7.0,
    }
    asked = MeterQueryRequest(advanced_meter_group_by_filters={"region": FilterString(eq="us")})
    assert client.meters.query("ApiCalls", asked).data[0].value == 7.0

    start, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (NOW, NOW + 2 * HOUR))
    table = client.meters.query_csv("ApiCalls", group_by=["region"], subject=["acme"], **span)
    assert table.splitlines() == [
        "window_start,window_end,subject,region,value",
        f"{start},{end},acme,,3",
        f"{start},{end},acme,eu,5",
        f"{start},{end},acme,us,7",
    ]
    assert client.meters.query_csv_post("ApiCalls").splitlines()[1].endswith(",,15.1")

    (meter,) = client.meters.list(page=1, page_size=10)
    assert (meter.slug, meter.aggregation, meter.value_property) == ("ApiCalls", "SUM", "$.value")
    assert client.meters.get("ApiCalls").group_by == {"region": "$.region"}
    with pytest.raises(ResourceNotFoundError):
        client.meters.query_json("Nothing")

    # What is refused is told, and the others land.
    with pytest.raises(HttpResponseError) as told:
        client.events.ingest_events([cloud(6), cloud(7, "many")])
    assert told.value.status_code == 400
    assert told.value.model.detail.startswith("1 of 2 events were refused; the others are stored.")
    assert Event.objects.count() == 6
    with pytest.raises(ClientAuthenticationError):
        Client(endpoint=f"{web.url}/openmeter", token="wrong").meters.list()
    with pytest.raises(HttpResponseError) as told:
        web.client("ingest").meters.list()
    assert told.value.status_code == 403


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    settings.OPENMETER_PREFIX = "openmeter/"
    monkeypatch.setattr(urls, "urlpatterns", [path("openmeter/", include("meters.api.openmeter")), *urls.urlpatterns])
    clear_url_caches()
    yield
    clear_url_caches()


@pytest.fixture
def ask(api: Any, mounted: None) -> Any:
    make_meter(dimensions=["region"])
    make_meter("Seats", aggregation="time_weighted_average", used_for_billing=False)
    client = api("read")

    def query(address: str = "", slug: str = "ApiCalls", body: Any = None) -> tuple[int, Any]:
        where = f"/openmeter/api/v1/meters/{slug}/query?{address}"
        answer = client.get(where) if body is None else client.post(where.rstrip("?"), body, format="json")
        return answer.status_code, answer.json()

    return query


@pytest.fixture
def post(api: Any, mounted: None) -> Any:
    make_meter()
    client = api("ingest")

    def send(body: Any, content_type: str = "application/cloudevents-batch+json") -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.generic("POST", "/openmeter/api/v1/events", data, content_type=content_type)

    return send


def written(number: int = 1, **changes: Any) -> dict[str, Any]:
    attributes = {"id": f"job-{number}", "source": "jobs", "type": "ApiCalls", "subject": "acme"}
    return {"specversion": "1.0", **attributes, "time": NOW.isoformat(), **changes}


def test_without_a_prefix_nothing_is_there(client: Any) -> None:
    assert client.post("/openmeter/api/v1/events").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"subject": ""}, "/1/subject"),
        ({"specversion": "0.3"}, "/1/specversion"),
        ({"data": {"value": "x"}}, "/1/data/value"),
        ({"data": {"nested": {"a": 1}}}, "/1/data/nested"),
        ({"time": "2001-01-01T00:00:00Z"}, "/1/time"),
        ({"subject": "a\0b"}, "/1/subject"),
    ],
)
def test_refused_events_are_pointed_at_and_the_others_land(post: Any, change: Any, pointer: str) -> None:
    answer = post([written(1), written(2, **change), written(3)])
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "events_refused"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert Event.objects.count() == 2
    assert RejectedEvent.objects.get().sender == "test"


@pytest.mark.django_db
def test_an_event_that_no_meter_counts_is_kept_for_staff_and_no_error(post: Any) -> None:
    assert post([written(1), written(2, type="Logins")]).status_code == 204
    assert Event.objects.count() == 1
    kept = RejectedEvent.objects.get()
    assert (kept.code, kept.meter, kept.count) == ("unknown_meter", "Logins", 1)


@pytest.mark.django_db
def test_an_id_that_was_sent_with_other_content_is_no_error_and_the_first_counts(post: Any) -> None:
    assert post(written(1, data={"value": 5}), "application/cloudevents+json").status_code == 204
    assert post(written(1, data={"value": 6}), "application/json").status_code == 204
    assert Event.objects.get().value == Decimal(5)
    assert RejectedEvent.objects.get().code == "conflict"


@pytest.mark.django_db
@pytest.mark.parametrize(("body", "code"), [(b"{", "malformed_json"), (b"[{}", "malformed_json")])
def test_what_is_no_json_stores_nothing(post: Any, body: bytes, code: str) -> None:
    answer = post(body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_large_bodies_are_worked_on_one_at_a_time(post: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    @contextmanager
    def turn() -> Iterator[None]:
        turns.append("begun")
        yield
        turns.append("over")

    monkeypatch.setattr("meters.api.events.LARGE", 10)
    monkeypatch.setattr("meters.api.events._large_ones", turn())
    assert post(written()).status_code == 204
    assert turns == ["begun", "over"]


@pytest.mark.django_db
def test_more_events_than_a_request_may_have(post: Any, settings: Any) -> None:
    settings.INGEST_MAX_EVENTS = 2
    assert post([written(number) for number in range(3)]).status_code == 413
    assert not Event.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "slug", "parameter"),
    [
        ("windowSize=WEEK", "ApiCalls", "windowSize"),
        ("windowSize=DAY", "ApiCalls", "from"),
        ("windowSize=MINUTE&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z", "ApiCalls", "windowSize"),
        ("", "Seats", "from"),
        ("from=yesterday", "ApiCalls", "from"),
        ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "ApiCalls", "to"),
        ("windowTimeZone=Mars/Olympus", "ApiCalls", "windowTimeZone"),
        ("groupBy=model", "ApiCalls", "groupBy"),
        ("groupBy=customer_id", "ApiCalls", "groupBy"),
        ("filterGroupBy[model]=a", "ApiCalls", "filterGroupBy/model"),
        ("filterGroupBy=region", "ApiCalls", "filterGroupBy"),
        ("filterGroupBy=__import__('os')", "ApiCalls", "filterGroupBy"),
        ("filterCustomerId=1", "ApiCalls", "filterCustomerId"),
        ("advancedMeterGroupByFilters={", "ApiCalls", "advancedMeterGroupByFilters"),
        (
            'advancedMeterGroupByFilters={"region":{"$like":"e%25"}}',
            "ApiCalls",
            "advancedMeterGroupByFilters/region",
        ),
        ("window=DAY", "ApiCalls", "window"),
    ],
)
def test_what_cannot_be_asked_names_the_parameter(ask: Any, address: str, slug: str, parameter: str) -> None:
    status, answer = ask(address, slug)
    assert (status, answer["code"]) == (400, "invalid")
    assert [error["parameter"] for error in answer["errors"]] == [parameter]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"window": "DAY"}, "/window"),
        ({"from": 5}, "/from"),
        ({"subject": {"a": 1}}, "/subject"),
        ({"groupBy": ["model"]}, "/groupBy"),
        ({"filterGroupBy": ["eu"]}, "/filterGroupBy"),
        ({"advancedMeterGroupByFilters": {"region": {"$in": 5}}}, "/filterGroupBy/region"),
    ],
)
def test_what_cannot_be_asked_in_a_body_is_pointed_at(ask: Any, body: Any, pointer: str) -> None:
    status, answer = ask(body=body)
    assert (status, [error["pointer"] for error in answer["errors"]]) == (400, [pointer])


@pytest.mark.django_db
def test_the_key_of_a_customer_reads_its_own_usage_alone(api: Any, mounted: None) -> None:
    make_meter()
    acme = make_customer("acme")
    record_events([event("acme", "ApiCalls", 3, time=NOW), event("globex", "ApiCalls", 4, time=NOW)])
    _, text = create_api_key(name="acme", scopes=["read"], customer=acme)
    client = api("read")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    answer = client.get("/openmeter/api/v1/meters/ApiCalls/query")
    assert [row["value"] for row in answer.json()["data"]] == [3]
    answer = client.get("/openmeter/api/v1/meters/ApiCalls/query", {"subject": "globex"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_customer")


@pytest.mark.django_db
def test_numbers_keep_all_their_digits(ask: Any, api: Any) -> None:
    record_events([event("acme", "ApiCalls", "123456789012345678901234.000000000000001", time=NOW)])
    answer = api("read").get("/openmeter/api/v1/meters/ApiCalls/query")
    assert b'"value":123456789012345678901234.000000000000001,' in answer.content
