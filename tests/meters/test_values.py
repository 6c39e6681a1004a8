"""Where a value comes from: the event's own, one of several meters', or a dimension."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from meters.decoding import EventIn
from meters.events import record_events
from meters.models import Event
from meters.periods import Period
from meters.usage import read_usage
from tests.factories import event, make_customer, make_meter, send

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
DAY = Period(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))


class TestSeveralMeters:
    def test_one_fact_feeds_each_with_an_outcome_of_its_own(self) -> None:
        calls, records, acme = make_meter("api_calls"), make_meter("records"), make_customer("acme")
        fact = EventIn(id="job-1", customer="acme", time=NOW, values={"api_calls": Decimal(1), "records": Decimal(52)})
        assert record_events([fact], now=NOW).accepted == 2
        usage = read_usage(acme, [calls, records], [DAY])
        assert (usage.quantity(calls), usage.quantity(records)) == (1, 52)

        grown = EventIn(
            id="job-1",
            customer="acme",
            time=NOW,
            values={"api_calls": Decimal(1), "records": Decimal(53), "nope/x": Decimal(1), "seats": Decimal("1e30")},
        )
        make_meter("seats")
        recorded = record_events([grown], now=NOW)
        assert {(o.outcome, o.meter, o.pointer) for o in recorded.outcomes} == {
            ("duplicate", "api_calls", ""),
            ("conflict", "records", ""),
            ("rejected", "nope/x", "/values/nope~1x"),
            ("rejected", "seats", "/values/seats"),
        }

    def test_both_forms_at_once_are_refused(self) -> None:
        make_meter("api_calls")
        fact = EventIn(customer="acme", meter="api_calls", values={"api_calls": Decimal(1)})
        assert record_events([fact], now=NOW).outcomes[0].pointer == "/values"


class TestFromADimension:
    @pytest.mark.parametrize(
        ("text", "value"),
        [("12", "12"), ("-0.50", "-0.5"), ("1e3", "1000"), ("007", "7"), ("0.000000000000001", "0.000000000000001")],
    )
    def test_the_number_that_the_text_is(self, text: str, value: str) -> None:
        meter, acme = make_meter("gigabytes", value_dimension="size"), make_customer("acme")
        assert send("acme", "gigabytes", 99, time=NOW, now=NOW, size=text).accepted == 1
        assert read_usage(acme, [meter], [DAY]).quantity(meter) == Decimal(value)
        assert Event.objects.get().dimensions == {"size": text}

    @pytest.mark.parametrize(
        "text", ["", "many", "NaN", "Infinity", "1_000", " 1", "٣", "1,5", "1e30", "0.0000000000000001", "9" * 99]
    )
    def test_a_text_that_is_none_is_refused_and_named(self, text: str) -> None:
        make_meter("gigabytes", value_dimension="size")
        recorded = send("acme", "gigabytes", time=NOW, now=NOW, size=text)
        assert [(o.code, o.pointer) for o in recorded.outcomes] == [("invalid", "/dimensions/size")]
        assert Event.objects.count() == 0

    def test_an_event_without_it_is_refused(self) -> None:
        make_meter("gigabytes", value_dimension="size")
        recorded = send("acme", "gigabytes", time=NOW, now=NOW)
        assert [(o.code, o.pointer) for o in recorded.outcomes] == [("missing_dimension", "/dimensions/size")]

    def test_another_number_under_the_same_id_is_a_conflict(self) -> None:
        make_meter("gigabytes", value_dimension="size")
        sent = [event("acme", "gigabytes", time=NOW, id="1", size=size) for size in ("1", "1", "1.0", "2")]
        recorded = record_events(sent, now=NOW)
        # "1.0" is another text, and so another content.
        assert (recorded.accepted, recorded.duplicate, recorded.conflict) == (1, 1, 2)


class TestWithoutAnId:
    def test_a_repeated_request_counts_once_by_its_key(self, api) -> None:
        import json

        make_meter()
        client = api("ingest")
        body = json.dumps([{"customer": "acme", "meter": "ApiCalls", "value": n} for n in (1, 2, 2)])

        def post(key: str, as_client=client) -> tuple[int, int, int]:
            answer = as_client.generic(
                "POST", "/v1/events", body, content_type="application/json", HTTP_IDEMPOTENCY_KEY=key
            ).json()
            return answer["accepted"], answer["duplicate"], answer["conflict"]

        assert post("a") == (3, 0, 0)
        assert post("a") == (0, 3, 0)
        assert post("b") == (3, 0, 0)
        # The key is the sender's own: another sender's request under the same one is another.
        assert post("a", api("ingest")) == (3, 0, 0)
        assert Event.objects.count() == 9
