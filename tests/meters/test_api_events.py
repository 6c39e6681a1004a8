"""`POST /v1/events` over HTTP: every form of body, whatever is wrong with it."""

import gc
import gzip
import io
import json
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory
from django.urls import reverse
from rest_framework.test import APIClient

from config import middleware
from meters.models import Event
from tests.factories import json_event as one
from tests.factories import make_meter

pytestmark = pytest.mark.django_db

DEEP = b"[" * 500 + b"]" * 500


class TestEvents:
    @pytest.fixture(autouse=True)
    def _meter(self) -> None:
        make_meter()

    def post(self, client: APIClient, body: Any, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.generic("POST", "/v1/events", data, **({"content_type": "application/json"} | headers))

    @pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
    @pytest.mark.parametrize("form", ["one", "array", "lines"])
    def test_every_form_of_body(self, api, form: str, packed: bool) -> None:
        events = [one(id=str(i)) for i in range(1 if form == "one" else 3)]
        body = json.dumps(events[0] if form == "one" else events).encode()
        content_type = "application/json"
        if form == "lines":
            body, content_type = b"\n".join(json.dumps(e).encode() for e in events) + b"\n", "application/x-ndjson"
        headers = {"HTTP_CONTENT_ENCODING": "gzip"} if packed else {}
        answer = self.post(api("ingest"), gzip.compress(body) if packed else body, content_type=content_type, **headers)
        assert answer.status_code == 200
        assert answer.json() == {
            "accepted": len(events), "duplicate": 0, "conflict": 0, "rejected": 0, "outcomes": []
        }  # fmt: skip
        assert Event.objects.count() == len(events)

    def test_a_batch_rejects_only_its_bad_events(self, api) -> None:
        good, bad = one(id="1"), [one(value="many"), one(meter=5), one(meter="Nope"), {"meter": "ApiCalls"}, 7]
        unknown_field = one(colour="red")
        answer = self.post(api("ingest"), [good, *bad, unknown_field, one(id="2"), one(id="1")]).json()
        assert (answer["accepted"], answer["duplicate"], answer["rejected"]) == (2, 1, 6)
        assert [(o["index"], o["outcome"], o.get("pointer", "")) for o in answer["outcomes"]] == [
            (1, "rejected", "/1/value"),
            (2, "rejected", "/2/meter"),
            (3, "rejected", "/3/meter"),
            (4, "rejected", "/4/customer"),
            (5, "rejected", "/5"),
            (6, "rejected", "/6/colour"),
            (8, "duplicate", ""),
        ]

    def test_a_bad_line_rejects_that_line(self, api) -> None:
        body = b"\n".join([json.dumps(one()).encode(), b"{oops", b'{"customer": "\xff"}', json.dumps(one()).encode()])
        answer = self.post(api("ingest"), body, content_type="application/x-ndjson").json()
        assert (answer["accepted"], [o["code"] for o in answer["outcomes"]]) == (2, ["malformed", "malformed"])

    def test_all_rejected_is_422_with_the_same_body(self, api) -> None:
        answer = self.post(api("ingest"), one(meter="Nope", id="x"))
        assert answer.status_code == 422
        assert answer.json()["outcomes"] == [
            {
                "index": 0,
                "outcome": "rejected",
                "id": "x",
                "meter": "Nope",
                "code": "unknown_meter",
                "pointer": "/meter",
                "detail": "There is no meter 'Nope'.",
            }
        ]

    def test_lines_and_gzip_are_recognised_without_their_headers(self, api) -> None:
        lines = b"\n".join(json.dumps(one(id=str(i))).encode() for i in range(3))
        assert self.post(api("ingest"), lines).json()["accepted"] == 3
        assert self.post(api("ingest"), gzip.compress(lines)).json()["duplicate"] == 3
        pretty = json.dumps(one(id="pretty"), indent=2).encode()
        assert self.post(api("ingest"), pretty + b"\n").json()["accepted"] == 1

    def test_every_member_of_a_gzip_body_counts(self, api) -> None:
        body = b"".join(gzip.compress(json.dumps(one(id=str(i))).encode() + b"\n") for i in range(3))
        headers = {"content_type": "application/x-ndjson", "HTTP_CONTENT_ENCODING": "gzip"}
        assert self.post(api("ingest"), body, **headers).json()["accepted"] == 3
        assert self.post(api("ingest"), body + b"rest", **headers).json()["code"] == "malformed_gzip"

    @pytest.mark.parametrize(
        ("bad", "code", "pointer"),
        [
            (b'{"customer": "acme", "meter": "ApiCalls", "time": "0001-01-01T00:00:00+01:00"}', "too_old", "/1/time"),
            (
                b'{"customer": "acme", "meter": "ApiCalls", "time": "9999-12-31T23:59:59-01:00"}',
                "too_far_ahead",
                "/1/time",
            ),
            (b'{"customer": "a\\u0000", "meter": "ApiCalls"}', "invalid", "/1/customer"),
            (b'{"customer": "a\\ud800", "meter": "ApiCalls"}', "malformed", "/1"),
            (b'{"customer": "acme", "meter": "ApiCalls", "value": NaN}', "malformed", "/1"),
            (b'{"customer": "acme", "meter": "ApiCalls", "value": ' + DEEP + b"}", "invalid", "/1/value"),
        ],
        ids=["before the calendar", "after the calendar", "NUL", "half a surrogate pair", "NaN", "deep"],
    )  # fmt: skip
    def test_the_worst_event_harms_no_other(self, api, bad: bytes, code: str, pointer: str) -> None:
        good = json.dumps(one()).encode()
        answer = self.post(api("ingest"), b"[" + good + b" , " + bad + b"," + good + b"\n]")
        assert answer.status_code == 200
        assert answer.json()["accepted"] == 2
        assert [(o["index"], o["code"], o["pointer"]) for o in answer.json()["outcomes"]] == [(1, code, pointer)]

    @pytest.mark.parametrize("cut", [b"[NaN", b"[NaN,]", b"[NaN}", b"[NaN] x", b'["\\ud800"', b"[,NaN]"], ids=repr)
    def test_an_array_that_is_none_is_a_problem(self, api, cut: bytes) -> None:
        answer = self.post(api("ingest"), cut)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")

    def test_a_control_character_is_the_fault_of_its_event(self, api) -> None:
        good = json.dumps(one()).encode()
        bad = b'{"customer": "a\x01b", "meter": "ApiCalls", "dimensions": {"source": "],{\\""}}'
        answer = self.post(api("ingest"), b"[" + good + b"," + bad + b"," + good + b"]").json()
        assert (answer["accepted"], [o["index"] for o in answer["outcomes"]]) == (2, [1])

    @pytest.mark.parametrize("text", ["1_000", " 7 ", "１２", "٣", "+5", ".5", "5.", "", "NaN", "0x10"])
    def test_a_text_that_json_would_not_take_for_a_number_is_none(self, api, text: str) -> None:
        client = api("ingest")
        answer = self.post(client, [one(value=text), one(value="7"), one(value="1.50"), one(value="-1E2")]).json()
        assert [(o["index"], o["pointer"]) for o in answer["outcomes"]] == [(0, "/0/value")]
        assert sorted(Event.objects.values_list("value", flat=True)) == [-100, Decimal("1.5"), 7]
        several = {"customer": "acme", "values": {"ApiCalls": text}}
        assert self.post(client, several).json()["outcomes"][0]["pointer"].startswith("/values")

    def test_endless_elements_are_refused_before_they_are_made(self, api) -> None:
        answer = self.post(api("ingest"), gzip.compress(b"[" + b"1," * 2_000_000 + b"1]"))
        assert (answer.status_code, answer.json()["code"]) == (413, "too_many_events")

    def test_numbers_stay_exact(self, api) -> None:
        body = json.dumps(one()).replace("}", ', "value": 0.100000000000005}').encode()
        self.post(api("ingest"), body)
        assert str(Event.objects.get().value) == "0.100000000000005"

    @pytest.mark.parametrize(
        ("body", "headers", "status", "code"),
        [
            (b"", {"CONTENT_LENGTH": "0"}, 400, "malformed_json"),
            (b"", {}, 411, "length_required"),
            (b"\n\n", {"content_type": "application/x-ndjson"}, 400, "malformed_json"),
            (b'[{"customer": 1}, , 7]', {}, 400, "malformed_json"),
            (gzip.compress(b"") * 1001, {"HTTP_CONTENT_ENCODING": "gzip"}, 400, "malformed_gzip"),
            (b"[{", {}, 400, "malformed_json"),
            (b'{"customer": "\xff"}', {}, 400, "malformed_json"),
            (b"[" * 100_000, {}, 400, "malformed_json"),
            (b'[{"customer": 1}, {', {}, 400, "malformed_json"),
            (b"not gzip", {"HTTP_CONTENT_ENCODING": "gzip"}, 400, "malformed_gzip"),
            (gzip.compress(b"[]" * 1000)[:-9], {"HTTP_CONTENT_ENCODING": "gzip"}, 400, "malformed_gzip"),
            (b"{}", {"HTTP_CONTENT_ENCODING": "br"}, 415, "unsupported_encoding"),
        ],
        ids=[
            "empty",
            "no length",
            "no lines",
            "nothing between commas",
            "too many gzip members",
            "cut off",
            "not UTF-8",
            "too deep",
            "cut off after a bad event",
            "not gzip",
            "gzip cut off",
            "unknown encoding",
        ],
    )
    def test_what_cannot_be_read_is_a_problem(self, api, body: bytes, headers: dict, status: int, code: str) -> None:
        answer = self.post(api("ingest"), body, **headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer["Content-Type"] == "application/problem+json"

    def test_too_much_is_413_and_nothing_is_stored(self, api, settings) -> None:
        settings.INGEST_MAX_BYTES = 1000
        settings.INGEST_MAX_EVENTS = 3
        client = api("ingest")
        many = [one(id=str(i)) for i in range(4)]
        large = json.dumps([*many, one(dimensions={"note": "x" * 900})]).encode()
        bomb = gzip.compress(b" " * 1_000_000 + json.dumps(one()).encode())
        lines = b"\n".join(json.dumps(event).encode() for event in many)
        assert self.post(client, b"[0,0,0,0]").json()["code"] == "too_many_events"
        answers = [
            self.post(client, many),
            self.post(client, large),
            self.post(client, bomb, HTTP_CONTENT_ENCODING="gzip"),
            self.post(client, lines, content_type="application/x-ndjson"),
        ]
        assert [answer.status_code for answer in answers] == [413] * 4
        assert [answer.json()["code"] for answer in answers] == [
            "too_many_events", "too_large", "too_large", "too_many_events"
        ]  # fmt: skip
        assert not Event.objects.exists()

    @pytest.mark.django_db(transaction=True)  # what is not committed is not remembered
    def test_a_batch_asks_little_of_the_database(self, api, django_assert_num_queries) -> None:
        client = api("ingest")
        self.post(client, one())
        with django_assert_num_queries(0):  # the key is remembered; the statement is prepared, past Django's log
            assert self.post(client, [one() for _ in range(100)]).json()["accepted"] == 100

    @pytest.mark.django_db(transaction=True)  # the end of a call may close its connection
    def test_a_call_leaves_nothing_to_the_garbage_collector(self, api) -> None:
        """What waits for the collector holds the bodies of its calls meanwhile."""
        key = api("ingest")._credentials["HTTP_AUTHORIZATION"]
        application = get_wsgi_application()
        gc.collect()
        # Held, so that none of their places is taken by another.
        before = {id(thing): thing for thing in gc.get_objects() if type(thing) is WSGIRequest}
        gc.disable()
        try:
            for _ in range(3):
                body = json.dumps([one()]).encode()
                environ = RequestFactory(HTTP_AUTHORIZATION=key)._base_environ(
                    PATH_INFO=middleware.EVENTS, REQUEST_METHOD="POST", CONTENT_TYPE="application/json",
                    CONTENT_LENGTH=str(len(body)), **{"wsgi.input": io.BytesIO(body)},
                )  # fmt: skip
                with closing(application(environ, lambda status, headers: None)) as answer:
                    assert json.loads(b"".join(answer))["accepted"] == 1
            after = {id(thing) for thing in gc.get_objects() if type(thing) is WSGIRequest}
            assert after <= before.keys()
        finally:
            gc.enable()

    def test_the_short_way_answers_as_the_long_one(self, api) -> None:
        """With an Idempotency-Key a call passes all layers; without one it goes straight to the view."""
        assert reverse("events") == middleware.EVENTS
        client = api("ingest")

        def headers(answer: Any) -> dict[str, str]:
            assert answer["X-Request-ID"]
            return {name: value for name, value in answer.headers.items() if name != "X-Request-ID"}

        for body in (b"{", json.dumps(one(id="1")).encode(), json.dumps([one(meter="Nope")]).encode()):
            short, long = self.post(client, body), self.post(client, body, HTTP_IDEMPOTENCY_KEY="1")
            del short["Content-Length"], long["Content-Length"]  # the second time it is a duplicate
            assert (short.status_code, headers(short)) == (long.status_code, headers(long))
        refused = [self.post(APIClient(), one(), **more) for more in ({}, {"HTTP_IDEMPOTENCY_KEY": "2"})]
        assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(401, "not_authenticated")] * 2
        assert headers(refused[0]) == headers(refused[1])
