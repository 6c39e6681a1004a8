"""`Idempotency-Key`: done once, answered as often as asked."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from meters import answers
from meters.api import idempotency
from meters.ids import derived_id, is_uuid
from meters.keys import create_api_key, rotate
from meters.models import ApiKey, Customer, IdempotentRequest, Meter
from meters.tasks import forget_old_answers
from pricing.models import ProductItem
from tests.factories import json_event, make_customer, make_meter
from tests.racing import race

KEY = {"HTTP_IDEMPOTENCY_KEY": "one"}


def create(client: APIClient, key: str = "acme", **headers: str) -> Any:
    return client.post("/v1/customers", {"key": key}, format="json", **(KEY | headers))


@pytest.mark.django_db
class TestRepeating:
    def test_a_repeated_call_gets_the_first_answer_and_does_nothing(self, api: Any) -> None:
        client = api("write")
        first, second = create(client), create(client)
        assert first.status_code == second.status_code == 201
        assert "Idempotent-Replayed" not in first
        assert second["Idempotent-Replayed"] == "true"
        assert (second.content, second["Content-Type"]) == (first.content, first["Content-Type"])
        assert Customer.objects.count() == 1

    def test_the_first_answer_is_given_whatever_has_changed_since(self, api: Any) -> None:
        client = api("write")
        make_customer("acme")
        for _ in range(2):
            answer = client.patch("/v1/customers/acme", {"name": "A"}, format="json", **KEY)
            assert answer.json()["name"] == "A"
            Customer.objects.update(name="B")
        assert Customer.objects.get().name == "B"

    def test_without_the_header_each_call_is_one_of_its_own(self, api: Any) -> None:
        client = api("write")
        body = {"key": "acme"}
        assert client.post("/v1/customers", body, format="json").status_code == 201
        assert client.post("/v1/customers", body, format="json").status_code == 400
        assert not IdempotentRequest.objects.exists()

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("post", "/v1/customers", {"key": "globex"}),
            ("post", "/v1/customers", {"key": "acme", "name": "A"}),
            ("post", "/v1/meters", {"key": "acme"}),
            ("post", "/v1/customers?x=1", {"key": "acme"}),
            ("patch", "/v1/customers/acme", {"key": "acme"}),
        ],
        ids=str,
    )
    def test_another_request_under_the_same_key_is_422(self, api: Any, method: str, path: str, body: Any) -> None:
        client = api("write")
        assert create(client).status_code == 201
        answer = getattr(client, method)(path, body, format="json", **KEY)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        assert answer["Content-Type"] == "application/problem+json"
        assert (Customer.objects.count(), Meter.objects.count()) == (1, 0)

    def test_large_bodies_are_told_apart_to_the_last_byte(self, api: Any) -> None:
        client = api("write")
        traits = {f"t{number}": "x" * 400 for number in range(50)}
        for changed, status in (({}, 201), ({}, 201), ({"t49": "x" * 399 + "y"}, 422)):
            body = {"key": "acme", "traits": traits | changed}
            assert client.post("/v1/customers", body, format="json", **KEY).status_code == status

    def test_keys_of_others_are_no_matter(self, api: Any) -> None:
        assert create(api("write")).status_code == 201
        assert create(api("write")).status_code == 400  # the customer exists

    def test_a_body_that_is_too_large_is_refused(self, api: Any) -> None:
        answer = api("write").post("/v1/customers", {"name": "x" * 1024 * 1024}, format="json", **KEY)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    @pytest.mark.parametrize("key", ["", " ", " a", "a ", "a\tb", "ä", "x" * 201], ids=repr)
    def test_what_is_no_key_is_400(self, api: Any, key: str) -> None:
        answer = create(api("write"), HTTP_IDEMPOTENCY_KEY=key)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")
        assert not Customer.objects.exists()

    @pytest.mark.parametrize("key", ["x", "x" * 200, '"quoted"', "a b"], ids=repr)
    def test_what_is_a_key(self, api: Any, key: str) -> None:
        assert create(api("write"), HTTP_IDEMPOTENCY_KEY=key).status_code == 201


@pytest.mark.django_db
class TestWhatIsNotKept:
    def test_a_refused_call_may_be_sent_again_under_its_key(self, api: Any) -> None:
        client = api("write")
        assert create(client, "").status_code == 400
        assert not IdempotentRequest.objects.exists()
        assert create(client, "acme").status_code == 201

    def test_what_an_error_leaves_half_done_is_rolled_back(self, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The meter and its product item are written, and then the view fails: nothing of it stays."""

        def failing(*args: Any, **kwargs: Any) -> None:
            raise OperationalError("gone")

        monkeypatch.setattr("rest_framework.mixins.CreateModelMixin.get_success_headers", failing)
        answer = api("write").post("/v1/meters", {"key": "Calls"}, format="json", **KEY)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert not Meter.objects.exists()
        assert not IdempotentRequest.objects.exists()

    @pytest.mark.parametrize(
        ("scopes", "status"), [(("read",), 403), ((), 401)], ids=["without the scope", "without a key"]
    )
    def test_who_may_not_is_refused_as_ever(self, api: Any, scopes: tuple[str, ...], status: int) -> None:
        client = api(*scopes) if scopes else APIClient()
        assert create(client).status_code == status
        assert not IdempotentRequest.objects.exists()

    def test_a_reading_call_is_none_of_it(self, api: Any) -> None:
        make_customer("acme")
        for _ in range(2):
            assert "Idempotent-Replayed" not in api("read").get("/v1/customers/acme", **KEY)
        assert not IdempotentRequest.objects.exists()

    def test_events_keep_their_own_count(self, api: Any) -> None:
        make_meter()
        client = api("ingest")
        outcomes = [client.post("/v1/events", json_event(id="a"), format="json", **KEY).json() for _ in range(2)]
        assert [(each["accepted"], each["duplicate"]) for each in outcomes] == [(1, 0), (0, 1)]
        assert not IdempotentRequest.objects.exists()

    def test_an_address_that_does_not_exist(self, api: Any) -> None:
        assert api("write").post("/v1/nothing", {}, format="json", **KEY).status_code == 404

    def test_the_new_key_of_a_rotation_is_another_sender(self) -> None:
        old, old_text = create_api_key(name="k", scopes=["write"])
        _, new_text = rotate(old)
        answers_ = [create(APIClient(), HTTP_X_API_KEY=text) for text in (old_text, new_text)]
        assert [answer.status_code for answer in answers_] == [201, 400]


@pytest.mark.django_db
class TestTime:
    def test_after_24_hours_the_key_is_free_again(self, api: Any) -> None:
        client = api("write")
        create(client)
        IdempotentRequest.objects.update(created_at=timezone.now() - answers.KEPT + timedelta(minutes=1))
        assert create(client)["Idempotent-Replayed"] == "true"
        IdempotentRequest.objects.update(created_at=timezone.now() - answers.KEPT - timedelta(seconds=1))
        assert create(client, "globex").status_code == 201
        assert create(client, "globex")["Idempotent-Replayed"] == "true"

    def test_the_task_cleans_what_is_old_and_nothing_else(self, api: Any) -> None:
        client = api("write")
        create(client)
        create(client, "globex", HTTP_IDEMPOTENCY_KEY="two")
        IdempotentRequest.objects.filter(key="one").update(created_at=timezone.now() - timedelta(hours=25))
        forget_old_answers()
        assert [row.key for row in IdempotentRequest.objects.all()] == ["two"]


@pytest.mark.django_db
class TestLimits:
    def test_repeated_calls_count_against_the_limit_and_each_call_counts_once(self) -> None:
        _, text = create_api_key(name="k", scopes=["write"], rate_limit=1)
        client = APIClient()
        client.credentials(HTTP_X_API_KEY=text)
        assert [create(client).status_code for _ in range(2)] == [201, 201]
        answer = create(client)
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (429, "rate_limited", "1")

    def test_last_use_is_noted_outside_of_the_transaction(self, api: Any) -> None:
        client = api("write")
        create(client, "")
        assert ApiKey.objects.get().last_used_at is not None


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def test_of_many_at_once_one_does_it_and_all_get_its_answer(self, api: Any) -> None:
        clients = [api("write")] * 8
        got: list[Any] = []
        assert race(*[lambda client=client: got.append(create(client)) for client in clients]) == []
        assert {answer.status_code for answer in got} == {201}
        assert len({answer.content for answer in got}) == 1
        assert [answer.get("Idempotent-Replayed") for answer in got].count(None) == 1
        assert Customer.objects.count() == 1

    def test_the_second_waits_for_a_first_that_fails_and_does_it_itself(
        self, api: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = api("write")
        working, waiting = threading.Event(), threading.Event()
        real = idempotency.answers.claim
        statuses: dict[str, int] = {}

        def claim(**fields: Any) -> Any:
            if threading.current_thread().name == "second":
                waiting.set()
            row, new = real(**fields)
            if threading.current_thread().name == "first":
                working.set()
                assert waiting.wait(10)
                raise OperationalError("gone")
            return row, new

        def run() -> None:
            statuses[threading.current_thread().name] = create(client).status_code
            connection.close()

        monkeypatch.setattr(idempotency.answers, "claim", claim)
        first, second = threading.Thread(target=run, name="first"), threading.Thread(target=run, name="second")
        first.start()
        assert working.wait(10)
        second.start()
        first.join()
        second.join()
        assert statuses == {"first": 503, "second": 201}

    def test_hooks_run_after_the_real_commit(self, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is told after a commit sees the row from another connection, and is not told of what is rolled back."""
        seen: list[int] = []

        def count_from_outside() -> None:
            def look() -> None:
                seen.append(Customer.objects.count())
                connection.close()

            thread = threading.Thread(target=look)
            thread.start()
            thread.join()

        real = Customer.save

        def save(self: Customer, *args: Any, **kwargs: Any) -> None:
            real(self, *args, **kwargs)
            transaction.on_commit(count_from_outside)

        monkeypatch.setattr(Customer, "save", save)
        client = api("write")
        assert create(client).status_code == 201
        told = len(seen)
        assert set(seen) == {1}
        assert create(client)["Idempotent-Replayed"] == "true"
        assert create(client, "", HTTP_IDEMPOTENCY_KEY="two").status_code == 400
        assert len(seen) == told

    def test_a_billed_meter_and_its_product_item_come_together(self, api: Any) -> None:
        client = api("write")
        body = {"key": "Calls", "used_for_billing": True}
        assert [client.post("/v1/meters", body, format="json", **KEY).status_code for _ in range(2)] == [201, 201]
        assert ProductItem.objects.count() == 1


class TestDerivedIds:
    @given(st.integers(1, 2**31), st.text(min_size=1, max_size=200), st.integers(0, 10_000))
    def test_the_same_of_the_same_call_and_a_uuid(self, api_key: int, key: str, position: int) -> None:
        event_id = derived_id(api_key, key, position)
        assert is_uuid(event_id)
        assert event_id == derived_id(api_key, key, position)
        others = {
            derived_id(api_key + 1, key, position),
            derived_id(api_key, key + "x", position),
            derived_id(api_key, key, position + 1),
        }
        assert event_id not in others
        assert len(others) == 3

    def test_it_stays_what_it_is_in_later_versions(self) -> None:
        assert derived_id(1, "one", 0) == "479ba0c3-b613-8923-9e8d-e5f4cd0ad665"

    def test_digits_of_one_part_are_not_those_of_another(self) -> None:
        assert len({derived_id(1, "1 1", 1), derived_id(1, "1", 11), derived_id(11, "1", 1)}) == 3
