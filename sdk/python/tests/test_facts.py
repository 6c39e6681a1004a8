"""Facts as they go over the wire."""

from __future__ import annotations

import json
import time
import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from tollmeter.facts import encode, id_at, new_id, number_text, time_at


def made(**fields: Any) -> dict[str, Any]:
    given = {"id": "1", "customer": "acme", "meter": "ApiCalls", "value": 1}
    nothing = {"values": None, "time": None, "dimensions": None}
    document = json.loads(encode(**{**nothing, **given, **fields}), parse_float=Decimal)
    assert isinstance(document, dict)
    return document


def test_ids_are_uuids_of_version_7_in_the_order_of_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [new_id() for _ in range(10_000)]
    first, last = uuid.UUID(ids[0]), uuid.UUID(ids[-1])
    assert (first.version, first.variant) == (7, uuid.RFC_4122)
    assert before <= first.int >> 80 <= last.int >> 80 <= time.time_ns() // 1_000_000
    assert len(set(ids)) == len(ids)
    # To a quarter of a microsecond, which is finer than one takes to be made.
    assert [text[:18] for text in ids] == sorted(text[:18] for text in ids)


def test_a_fact_says_who_what_and_when() -> None:
    before = datetime.now(timezone.utc)
    fact = made(value=52, dimensions={"source": 'c"r\\m\n', "ziel": "Köln \U0001f600"})
    assert fact.pop("time") >= before.isoformat()
    labels = {"source": 'c"r\\m\n', "ziel": "Köln \U0001f600"}
    assert fact == {"id": "1", "customer": "acme", "meter": "ApiCalls", "value": 52, "dimensions": labels}


def test_a_fact_for_several_meters() -> None:
    fact = made(meter=None, values={"ApiCalls": 1, "Records": Decimal("0.50")})
    assert fact["values"] == {"ApiCalls": 1, "Records": Decimal("0.50")}
    assert "meter" not in fact
    assert "value" not in fact


@pytest.mark.parametrize("nanoseconds", [0, 1_795_435_199_999_999_999, 1_795_435_200_000_000_000])
def test_the_time_of_now_is_written_like_any_other(nanoseconds: int) -> None:
    expected = datetime.fromtimestamp(nanoseconds // 10**9, timezone.utc)
    expected = expected.replace(microsecond=nanoseconds % 10**9 // 1000)
    assert time_at(nanoseconds) == expected.isoformat(timespec="microseconds")
    assert int(id_at(nanoseconds)[:13].replace("-", ""), 16) == nanoseconds // 10**6


def test_a_time_keeps_its_zone() -> None:
    zone = timezone(timedelta(hours=2))
    assert made(time=datetime(2026, 11, 2, 8, 30, tzinfo=zone))["time"] == "2026-11-02T08:30:00+02:00"
    with pytest.raises(ValueError, match="time zone"):
        made(time=datetime(2026, 11, 2))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (52, "52"),
        (10**23, "1" + "0" * 23),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.000000000000001"), "0.000000000000001"),
        (0.1 + 0.2, "0.3"),
        (1.5, "1.5"),
    ],
)
def test_numbers_keep_their_digits(number: Any, text: str) -> None:
    assert number_text(number) == text


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN"), True, "52", None])
def test_what_is_no_number_is_refused_where_it_is_noted(number: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        made(value=number)


@pytest.mark.parametrize("fields", [{"customer": ""}, {"meter": None}, {"values": {"ApiCalls": 1}}])
def test_what_is_no_fact_is_refused_where_it_is_noted(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fact"):
        made(**fields)
