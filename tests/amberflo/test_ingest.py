"""Records that their client sends, counted in the database."""

import atexit
import gzip
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from metering.exceptions import ApiError
from metering.ingest import IngestApiClient, create_ingest_client, create_ingest_payload
from metering.session import IngestSession
from rest_framework.test import APIClient

from meters.models import Event, EventKey, RejectedEvent
from tests.amberflo.conftest import millis
from tests.factories import make_customer, make_meter
from tests.meters.rollups import assert_rollups_equal_events
from tests.scenarios.live import wait_for
from tests.sdk.proxy import Proxy

Their = Callable[..., APIClient]
INGEST = "/amberflo/ingest/"


def record(**fields: Any) -> dict[str, Any]:
    return {
        "uniqueId": "r-1",
        "meterApiName": "ApiCalls",
        "meterValue": 5,
        "customerId": "acme",
        "meterTimeInMillis": millis(),
    } | fields


def post(client: APIClient, body: Any, path: str = INGEST, **headers: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.generic("POST", path, data, "application/json", **headers)


@contextmanager
def threads(key: str, **options: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Their producer, and what it told of failures. At the end all is sent, and nothing of it stays behind."""
    failures: list[Any] = []
    threaded = create_ingest_client(
        api_key=key, send_interval_in_secs=0.05, on_error=lambda *told: failures.append(told), **options
    )
    yield threaded, failures
    threaded.shutdown()
    atexit.unregister(threaded.join)
    for consumer in threaded.consumers:
        consumer.backend.client.session.close()


def test_every_way_to_send(key: str) -> None:
    make_meter()
    now = millis()

    # Two threads, batches of ten, the same record twice.
    with threads(key, batch_size=10) as (threaded, failures):
        for number in range(45):
            assert threaded.meter("ApiCalls", number, now, "acme", {"source": "crm"}, f"t-{number}")
        assert threaded.meter("ApiCalls", 0, now, "acme", {"source": "crm"}, "t-0")
        assert threaded.send_custom(create_ingest_payload("ApiCalls", 0.1, now, "acme", unique_id="custom-1"))
    assert failures == []

    client = IngestApiClient(key)
    one = create_ingest_payload("ApiCalls", 7, now, "acme", unique_id="one")
    # A slash at the end of the address, gzip, and the answer is text.
    assert client.send(one) == "1 records were ingested"
    assert client.send([one]) == "1 records were ingested"
    assert client.send([one, create_ingest_payload("ApiCalls", 0.2, now, "globex")]) == "2 records were ingested"
    ours = {"customer": "acme", "meter": "ApiCalls", "id": "ours", "value": "1.5", "dimensions": {"source": "erp"}}
    assert client.send_custom([ours]) == "1 records were ingested"
    assert client.send([]) == "0 records were ingested"

    values = {event.sent_id or "": event.value for event in Event.objects.all()}
    assert values.pop("custom-1") == Decimal("0.1")
    assert values.pop("one") == 7
    assert values.pop("ours") == Decimal("1.5")
    # Their client makes a UUID where there is no id.
    assert values.pop("") == Decimal("0.2")
    assert values == {f"t-{number}": number for number in range(45)}
    assert EventKey.objects.count() == 49
    assert_rollups_equal_events()


def soon(*_: Any, **__: Any) -> Iterator[float | None]:
    yield None
    while True:
        yield 0.05


def test_each_record_counts_once_whatever_the_network_does(
    key: str, live_server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    make_meter()
    now, sent = millis(), 0
    with Proxy(live_server.thread.port) as proxy:
        monkeypatch.setattr(IngestSession, "root_url", f"{proxy.url}/amberflo")
        with threads(key, batch_size=5, retries=200, backoff_delay=soon) as (threaded, failures):
            for mode in ("error", "cut answer", "refuse", "cut request"):
                proxy.mode = mode
                for _ in range(15):
                    threaded.meter("ApiCalls", 1, now, "acme", unique_id=f"r-{sent}")
                    sent += 1
                wait_for(lambda mode=mode: proxy.seen[mode] >= 3, 10)
            proxy.mode = "pass"
    assert failures == []
    assert sorted(Event.objects.values_list("sent_id", flat=True)) == sorted(f"r-{number}" for number in range(sent))
    assert_rollups_equal_events()


def test_what_their_client_makes_of_a_refusal(key: str, caplog: pytest.LogCaptureFixture) -> None:
    """A batch of which nothing is of use is dropped at once, and its sender told; it is not sent again."""
    caplog.set_level(logging.CRITICAL)
    make_meter()
    with threads(key) as (threaded, told):
        threaded.meter("Unknown", 1, millis(), "acme")
    ((error, batch),) = told
    assert error.status_code == 400
    assert "There is no meter 'Unknown'" in error.text
    assert len(batch) == 1
    with pytest.raises(ApiError) as refused:
        IngestApiClient("tm_nobody").send(record())
    assert refused.value.status_code == 401
    assert not Event.objects.exists()


def test_good_records_land_whatever_the_bad_ones_do(their: Their) -> None:
    make_meter()
    send = [
        record(),
        record(uniqueId="r-2", meterApiName="Unknown"),
        record(uniqueId="r-3", meterValue="many"),
        record(uniqueId="r-4", meterTimeInMillis=None),
        record(uniqueId="r-5", dimensions={"aflo.cancel_previous_resource_event": "true"}),
        record(uniqueId="r-6", meterTimeInMillis=millis(timezone.now() + timedelta(days=2))),
        "no record",
        record(uniqueId="r-7"),
    ]
    answered = post(their(), send)
    assert answered.status_code == 200
    assert answered["Content-Type"].startswith("text/plain")
    first, *refused = answered.content.decode().splitlines()
    assert first == "2 records were ingested"
    assert [line.partition(": ")[0] for line in refused] == [
        "/1/meterApiName",
        "/2/meterValue",
        "/3/meterTimeInMillis",
        "/4/dimensions/aflo.cancel_previous_resource_event",
        "/5/meterTimeInMillis",
        "/6",
    ]
    assert set(Event.objects.values_list("sent_id", flat=True)) == {"r-1", "r-7"}
    # Staff see each of them, with its example.
    assert sum(RejectedEvent.objects.values_list("count", flat=True)) == 6
    assert RejectedEvent.objects.get(code="unknown_meter").sender == "test"


def test_duplicates_count_once_and_another_content_is_told(their: Their) -> None:
    make_meter()
    client, sent = their(), record()
    assert post(client, [sent, sent]).content == b"2 records were ingested"
    assert post(client, sent).content == b"1 records were ingested"
    answered = post(client, [sent | {"meterValue": 6}])
    assert answered.status_code == 200
    assert answered.content.decode() == (
        "0 records were ingested\n/0/uniqueId: Another event was sent under this id before; that one counts."
    )
    assert [event.value for event in Event.objects.all()] == [5]


def test_without_an_id_every_send_counts(their: Their) -> None:
    make_meter()
    sent = record()
    del sent["uniqueId"]
    for _ in range(2):
        assert post(their(), sent).content == b"1 records were ingested"
    assert Event.objects.count() == 2


def test_numbers_are_what_was_written(their: Their) -> None:
    """Not what a binary number makes of them."""
    make_meter()
    raw = json.dumps([record(uniqueId=str(index), meterValue=8128 + index) for index in range(3)])
    for number, written in ((8128, "0.100000000000001"), (8129, "123456789012345678901.25"), (8130, "1.5e3")):
        raw = raw.replace(f": {number}", f": {written}")
    assert post(their(), raw.encode()).content == b"3 records were ingested"
    values = [event.value for event in Event.objects.order_by("sent_id")]
    assert values == [Decimal("0.100000000000001"), Decimal("123456789012345678901.25"), 1500]
    for written in ("NaN", "1e999999999", "1_000", '"1_000"', "null", "true"):
        body = json.dumps(record(uniqueId="bad", meterValue=8128)).replace(": 8128", f": {written}")
        assert post(their(), f"[{body}]".encode()).status_code == 400, written
    assert Event.objects.count() == 3


def test_one_record_for_several_meters_and_lines_of_records(their: Their) -> None:
    make_meter()
    make_meter("Records")
    several = record(values={"ApiCalls": 1, "Records": 52.5})
    del several["meterApiName"], several["meterValue"]
    assert post(their(), several).content == b"1 records were ingested"
    lines = "\n".join(json.dumps(record(uniqueId=f"line-{number}")) for number in range(3))
    assert post(their(), lines.encode(), "/amberflo/ingest").content == b"3 records were ingested"
    assert sorted(event.value for event in Event.objects.all()) == [1, 5, 5, 5, Decimal("52.5")]


def test_a_body_that_is_none_and_a_bomb(their: Their, settings: Any) -> None:
    make_meter()
    client = their()
    for body, status in (
        (b"{no json", 400),
        (b"", 411),
        (b'[{"customerId": "acme"}', 400),
        (b"\x1f\x8b" + b"no gzip", 400),
        # A few kilobytes that unpack to more than is taken.
        (gzip.compress(b" " * (settings.INGEST_MAX_BYTES + 1)), 413),
        (gzip.compress(json.dumps([1] * (settings.INGEST_MAX_EVENTS + 1)).encode()), 413),
    ):
        answered = post(client, body)
        assert answered.status_code == status, body[:20]
        assert answered["Content-Type"].startswith("text/plain")
        assert answered.content
    assert post(client, record(), f"{INGEST}?ingestSchemaId=5").status_code == 400
    assert post(client, record(), f"{INGEST}?schemaDetection=NONE").status_code == 400
    assert not EventKey.objects.exists()


def test_keys_open_what_ours_open(their: Their) -> None:
    make_meter()
    acme = make_customer("acme")
    assert post(their("read", "write"), record()).status_code == 403
    own = their("ingest", customer=acme)
    answered = post(own, [record(), record(customerId="globex")])
    assert answered.status_code == 200
    assert answered.content.decode().startswith("1 records were ingested\n/1/customerId: ")
    assert post(own, record(customerId="globex")).status_code == 400
    assert EventKey.objects.count() == 1
    limited = their("ingest", rate_limit=1)
    answers = [post(limited, record(uniqueId=f"limit-{number}")) for number in range(12)]
    # Their client waits and sends such a batch again.
    assert answers[-1].status_code == 429
    assert answers[-1]["Retry-After"]
