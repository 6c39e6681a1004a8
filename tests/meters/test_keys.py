"""API keys: what they are limited to, how one takes another's place, and what a process remembers of them."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from meters import keys
from meters.keys import change_api_key, create_api_key, find, revoke, rotate, touch
from meters.models import ApiKey
from tests.factories import make_customer, make_meter, send
from tests.racing import race

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as travelled:
        yield travelled


class TestCreating:
    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"scopes": []}, "scopes"),
            ({"scopes": ["admin"]}, "scopes"),
            ({"name": ""}, "name"),
            ({"expires_at": NOW}, "expires_at"),
            ({"rate_limit": 0}, "rate_limit"),
            ({"rate_limit": 100_001}, "rate_limit"),
        ],
        ids=str,
    )
    def test_bad_input_names_the_field(self, clock: Any, fields: dict[str, Any], field: str) -> None:
        with pytest.raises(ValidationError) as raised:
            create_api_key(**{"name": "k", "scopes": ["read"]} | fields)
        assert set(raised.value.message_dict) == {field}
        assert not ApiKey.objects.exists()

    def test_a_key_of_one_customer_changes_nothing(self) -> None:
        customer = make_customer()
        with pytest.raises(ValidationError) as raised:
            create_api_key(name="k", scopes=["read", "write"], customer=customer)
        assert set(raised.value.message_dict) == {"scopes"}
        key, _ = create_api_key(name="k", scopes=["read", "ingest"], customer=customer)
        assert key.customer == customer


class TestChanging:
    def test_name_limit_and_expiry_change(self, clock: Any) -> None:
        key, text = create_api_key(name="k", scopes=["read"])
        assert find(text) is not None
        change_api_key(key, changes={"name": "gateway", "rate_limit": 5, "expires_at": NOW + DAY})
        found = find(text)
        assert found is not None
        assert (found.name, found.rate_limit, found.expires_at) == ("gateway", 5, NOW + DAY)

    @pytest.mark.parametrize("changes", [{"scopes": ["write"]}, {"customer": None}, {"digest": b""}], ids=str)
    def test_what_it_opens_never_changes(self, changes: dict[str, Any]) -> None:
        key, _ = create_api_key(name="k", scopes=["read"])
        with pytest.raises(ValidationError, match="never changes"):
            change_api_key(key, changes=changes)
        assert ApiKey.objects.get().scopes == ["read"]

    def test_what_opens_nothing_is_not_opened_again(self, clock: time_machine.Traveller) -> None:
        key, _ = create_api_key(name="k", scopes=["read"], expires_at=NOW + HOUR)
        clock.shift(HOUR)
        with pytest.raises(ValidationError, match="nothing any more"):
            change_api_key(key, changes={"expires_at": NOW + DAY})
        change_api_key(key, changes={"name": "the old one"})
        assert ApiKey.objects.get().name == "the old one"

    def test_a_replaced_key_can_only_end_earlier(self, clock: Any) -> None:
        key, _ = create_api_key(name="k", scopes=["read"])
        rotate(key)
        for expires_at in (None, NOW + 2 * DAY):
            with pytest.raises(ValidationError, match="takes the place"):
                change_api_key(key, changes={"expires_at": expires_at})
        change_api_key(key, changes={"expires_at": NOW + HOUR})
        assert ApiKey.objects.get(pk=key.pk).expires_at == NOW + HOUR


class TestRotation:
    def test_the_new_key_is_as_the_old_one_which_works_for_the_overlap(self, clock: time_machine.Traveller) -> None:
        customer = make_customer()
        old, old_text = create_api_key(name="k", scopes=["ingest", "read"], customer=customer, rate_limit=7)
        new, new_text = rotate(old)
        assert (new.name, new.scopes, new.customer, new.rate_limit) == ("k", ["ingest", "read"], customer, 7)
        assert (new.expires_at, new.rotated_from) == (None, old)
        assert list(old.rotated_to.all()) == [new]
        clock.shift(timedelta(hours=24) - timedelta(seconds=1))
        assert (find(old_text), find(new_text)) == (old, new)
        clock.shift(timedelta(seconds=1))
        assert (find(old_text), find(new_text)) == (None, new)

    def test_the_old_one_never_works_longer_than_it_would_have(self, clock: Any) -> None:
        old, _ = create_api_key(name="k", scopes=["read"], expires_at=NOW + HOUR)
        rotate(old, overlap=DAY)
        assert ApiKey.objects.get(pk=old.pk).expires_at == NOW + HOUR

    def test_a_key_that_expires_is_followed_by_one_of_the_same_life(self, clock: time_machine.Traveller) -> None:
        old, _ = create_api_key(name="k", scopes=["read"], expires_at=NOW + 90 * DAY)
        clock.shift(80 * DAY)
        new, _ = rotate(old)
        assert new.expires_at == NOW + 170 * DAY

    def test_no_overlap_ends_the_old_one_at_once(self, clock: Any) -> None:
        old, text = create_api_key(name="k", scopes=["read"])
        assert find(text) == old
        rotate(old, overlap=timedelta(0))
        assert find(text) is None

    @pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=91)], ids=str)
    def test_an_overlap_has_bounds(self, overlap: timedelta) -> None:
        old, _ = create_api_key(name="k", scopes=["read"])
        with pytest.raises(ValidationError) as raised:
            rotate(old, overlap=overlap)
        assert set(raised.value.message_dict) == {"overlap"}

    def test_what_opens_nothing_or_is_replaced_is_not_rotated(self, clock: time_machine.Traveller) -> None:
        replaced, _ = create_api_key(name="replaced", scopes=["read"])
        rotate(replaced)
        revoked, _ = create_api_key(name="revoked", scopes=["read"])
        revoke(revoked)
        expired, _ = create_api_key(name="expired", scopes=["read"], expires_at=NOW + HOUR)
        clock.shift(HOUR)
        for key in (replaced, revoked, expired):
            with pytest.raises(ValidationError):
                rotate(key)
        assert ApiKey.objects.count() == 4

    @pytest.mark.django_db(transaction=True)
    def test_two_that_rotate_at_once_make_one_new_key(self) -> None:
        old, _ = create_api_key(name="k", scopes=["read"])
        raised = race(*[lambda: rotate(old)] * 4)
        assert [type(error) for error in raised] == [ValidationError] * 3
        assert ApiKey.objects.count() == 2


class TestFinding:
    def test_a_hit_costs_no_query_and_brings_the_customer(self, django_assert_num_queries: Any) -> None:
        _, text = create_api_key(name="k", scopes=["read"], customer=make_customer("acme"))
        with django_assert_num_queries(1):
            for _ in range(3):
                found = find(text)
                assert found is not None
                assert found.customer is not None
                assert found.customer.key == "acme"

    def test_expiry_is_looked_at_on_every_hit(self, clock: time_machine.Traveller) -> None:
        _, text = create_api_key(name="k", scopes=["read"], expires_at=NOW + timedelta(milliseconds=500))
        assert find(text) is not None
        clock.shift(timedelta(milliseconds=500))
        assert find(text) is None

    def test_what_is_no_key_is_not_remembered(self) -> None:
        for number in range(50):
            assert find(f"tm_{number}") is None
        assert not keys._held

    def test_what_is_remembered_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keys, "_MAX_HELD", 3)
        texts = [create_api_key(name="k", scopes=["read"])[1] for _ in range(8)]
        for text in texts:
            assert find(text) is not None
            assert len(keys._held) <= 3

    def test_a_row_is_believed_for_a_second_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        key, text = create_api_key(name="k", scopes=["read"])
        assert find(text) is not None
        ApiKey.objects.update(revoked_at=timezone.now())  # as another process does
        assert find(text) == key
        monkeypatch.setattr(keys.time, "monotonic_ns", lambda real=keys.time.monotonic_ns: real() + 1_000_000_000)
        assert find(text) is None

    @pytest.mark.django_db(transaction=True)
    def test_who_reads_while_it_is_revoked_remembers_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The reader has the row in hand, the revocation is done, and only then the reader would keep the row."""
        key, text = create_api_key(name="k", scopes=["read"])
        has_read, revoked = threading.Event(), threading.Event()

        class Lock:
            def __enter__(self) -> None:
                if threading.current_thread() is reader:
                    has_read.set()
                    assert revoked.wait(10)

            def __exit__(self, *_: object) -> None:
                pass

        def read() -> None:
            find(text)
            connection.close()

        reader = threading.Thread(target=read)
        monkeypatch.setattr(keys, "_lock", Lock())
        reader.start()
        assert has_read.wait(10)
        revoke(key)
        revoked.set()
        reader.join()
        assert find(text) is None

    @pytest.mark.django_db(transaction=True)
    def test_many_at_once_find_the_same(self) -> None:
        key, text = create_api_key(name="k", scopes=["read"])
        found: list[ApiKey | None] = []
        assert race(*[lambda: found.append(find(text))] * 8) == []
        assert found == [key] * 8


class TestLastUse:
    def test_it_is_written_once_a_minute(self, clock: time_machine.Traveller, django_assert_num_queries: Any) -> None:
        _, text = create_api_key(name="k", scopes=["read"])
        found = find(text)
        assert found is not None
        with django_assert_num_queries(1):
            touch(found, now=NOW)
            touch(found, now=NOW + timedelta(seconds=60))
        touch(found, now=NOW + timedelta(seconds=61))
        assert ApiKey.objects.get().last_used_at == NOW + timedelta(seconds=61)

    def test_a_clock_set_back_does_not_stop_it(self, clock: Any) -> None:
        key, _ = create_api_key(name="k", scopes=["read"])
        touch(key, now=NOW + DAY)
        touch(key, now=NOW)
        assert ApiKey.objects.get().last_used_at == NOW

    def test_of_two_processes_one_writes(self, clock: Any) -> None:
        key, _ = create_api_key(name="k", scopes=["read"])
        other = ApiKey.objects.get()
        touch(key, now=NOW)
        touch(other, now=NOW + timedelta(seconds=1))
        assert ApiKey.objects.get().last_used_at == NOW


class TestOneCustomersKey:
    @pytest.fixture
    def acme(self) -> APIClient:
        make_meter()
        make_customer("other")
        customer = make_customer("acme")
        send("acme", "ApiCalls", 3)
        send("other", "ApiCalls", 4)
        _, text = create_api_key(name="k", scopes=["ingest", "read"], customer=customer)
        client = APIClient()
        client.credentials(HTTP_X_API_KEY=text)
        return client

    @pytest.mark.parametrize("path", ["customers/acme", "meters", "meters/ApiCalls", "invoices"], ids=str)
    def test_its_own_is_open(self, acme: APIClient, path: str) -> None:
        assert acme.get(f"/v1/{path}").status_code == 200
        assert acme.head(f"/v1/{path}").status_code == 200

    @pytest.mark.parametrize(
        ("method", "path", "code"),
        [
            ("get", "customers", "restricted_api_key"),
            ("options", "customers/acme", "restricted_api_key"),
            ("post", "customers", "missing_scope"),
            ("patch", "customers/acme", "missing_scope"),
            ("post", "meters", "missing_scope"),
            ("get", "invoices?customer=other", "forbidden_customer"),
            ("get", "invoices?customer=nobody", "forbidden_customer"),
        ],
        ids=str,
    )
    def test_everything_else_is_403(self, acme: APIClient, method: str, path: str, code: str) -> None:
        answer = getattr(acme, method)(f"/v1/{path}", {}, format="json") if method != "get" else acme.get(f"/v1/{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, code)

    @pytest.mark.parametrize("path", ["customers/other", "customers/nobody"], ids=str)
    def test_of_others_it_learns_nothing(self, acme: APIClient, path: str) -> None:
        answer = acme.get(f"/v1/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
