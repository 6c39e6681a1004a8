"""CloudEvents over HTTP: how they map, what tells them apart, what is refused and where."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from meters.cloudevents import BATCH, ONE
from meters.models import Event, RejectedEvent
from tests.factories import make_meter

pytestmark = pytest.mark.django_db


def cloud(**attributes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "jobs",
        "type": "ApiCalls",
        "subject": "acme",
        "time": timezone.now().replace(microsecond=0).isoformat(),
        "data": {"value": 52},
    } | attributes


@pytest.fixture
def post(api):
    make_meter()
    client = api("ingest")

    def send(body: Any, content_type: str = ONE) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.generic("POST", "/v1/events", data, content_type=content_type)

    return send


def test_subject_is_the_customer_and_type_the_meter(post) -> None:
    data = {"value": 0.1, "source": "crm", "retries": 3, "cached": True, "note": None}
    answer = post(cloud(data=data, datacontenttype="application/json", traceparent="00-1"))
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    event = Event.objects.select_related("customer", "meter", "dimension_set").get()
    assert (event.customer.key, event.meter.key, event.value) == ("acme", "ApiCalls", Decimal("0.1"))
    assert event.dimensions == {"source": "crm", "retries": "3", "cached": "true", "note": ""}
    assert event.event_id == "jobs/1"


@pytest.mark.parametrize("data", [{}, None, {"source": "crm"}], ids=str)
def test_without_a_value_it_counts_one(post, data: Any) -> None:
    assert post(cloud(data=data)).json()["accepted"] == 1
    assert Event.objects.get().value == 1


def test_an_event_without_data_counts_one(post) -> None:
    sent = cloud()
    del sent["data"]
    assert post(sent).json()["accepted"] == 1


def test_source_and_id_together_tell_events_apart(post) -> None:
    one, other = cloud(), cloud(source="billing")
    assert post([one, other, one], BATCH).json()["accepted"] == 2
    answer = post([other, cloud(data={"value": 53})], BATCH).json()
    assert (answer["duplicate"], answer["conflict"]) == (1, 1)
    assert Event.objects.count() == 2


def test_numbers_keep_their_digits(post) -> None:
    raw = json.dumps(cloud()).replace('"value": 52', '"value": 123456789012345678.000000000000001').encode()
    assert post(raw).json()["accepted"] == 1
    assert Event.objects.get().value == Decimal("123456789012345678.000000000000001")


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"subject": ""}, "/subject"),
        ({"subject": 5}, "/subject"),
        ({"type": "Nope"}, "/type"),
        ({"time": "yesterday"}, "/time"),
        ({"time": "1999-01-01T00:00:00Z"}, "/time"),
        ({"data": [1]}, "/data"),
        ({"data_base64": "eyJ2YWx1ZSI6IDUwMH0="}, "/data_base64"),
        ({"source": "s" * 199}, "/id"),
        ({"data": {"value": "many"}}, "/data/value"),
        ({"data": {"value": True}}, "/data/value"),
        ({"data": {"value": "1e40"}}, "/data/value"),
        ({"data": {"a/b": {"nested": 1}}}, "/data/a~1b"),
        ({"data": {str(n): "x" for n in range(33)}}, "/data"),
    ],
    ids=str,
)
def test_a_refusal_points_into_what_was_sent(post, attributes: dict[str, Any], pointer: str) -> None:
    answer = post([cloud(id="good"), cloud(**attributes)], BATCH)
    assert answer.status_code == 200
    assert [outcome["pointer"] for outcome in answer.json()["outcomes"]] == [f"/1{pointer}"]
    alone = post(cloud(id="alone", **attributes))
    assert (alone.status_code, alone.json()["outcomes"][0]["pointer"]) == (422, pointer)
    assert Event.objects.count() == 1
    assert sum(RejectedEvent.objects.values_list("count", flat=True)) == 2


@pytest.mark.parametrize("missing", ["id", "source", "subject", "type"])
def test_required_attributes(post, missing: str) -> None:
    sent = cloud()
    del sent[missing]
    assert post(sent).json()["outcomes"][0]["pointer"] == f"/{missing}"


def test_not_a_number_refuses_that_event_alone(post) -> None:
    body = json.dumps([cloud(), cloud(id="2", data={"value": float("nan")})]).encode()
    answer = post(body, BATCH).json()
    assert (answer["accepted"], answer["rejected"]) == (1, 1)


@pytest.mark.parametrize(("body", "kind"), [(b"{", ONE), (b"", ONE), (b"{}", BATCH), (b"[1", BATCH)], ids=str)
def test_what_is_no_json_is_a_problem(post, body: bytes, kind: str) -> None:
    answer = post(body or b" ", kind)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


def test_slashes_make_no_two_events_the_same(post) -> None:
    sent = [cloud(source="a", id="b/c"), cloud(source="a/b", id="c"), cloud(source="a", id="b%2Fc")]
    assert post(sent, BATCH).json()["accepted"] == 3


def test_a_number_beyond_all_limits_harms_no_other(post) -> None:
    bad = json.dumps(cloud(id="bad", data={"a": 0})).replace('"a": 0', '"a": 1e99999999999999999999')
    answer = post(f"[{json.dumps(cloud())},{bad}]".encode(), BATCH)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert answer.json()["outcomes"][0]["pointer"] == "/1/data"


def test_a_key_of_one_customer_sends_no_other_customers_events(post, api) -> None:
    from meters.keys import create_api_key
    from tests.factories import make_customer

    _, text = create_api_key(name="acme's own", scopes=["ingest"], customer=make_customer("acme"))
    client = api("ingest")
    client.credentials(HTTP_X_API_KEY=text)
    body = json.dumps([cloud(), cloud(id="2", subject="globex")])
    answer = client.generic("POST", "/v1/events", body, content_type=BATCH).json()
    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    assert answer["outcomes"][0]["code"] == "forbidden_customer"
    assert answer["outcomes"][0]["pointer"] == "/1/subject"
