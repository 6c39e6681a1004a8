"""`/v1/usage` as CSV: the rows of the JSON answer, safe to open."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from meters.events import record_events
from meters.spreadsheet import cell
from tests.factories import event, make_customer, make_meter

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TEXTS = ["eu", "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'quoted", ' "x", y', "line\r\nbreak", "Ünïcode 語", ""]


@pytest.fixture(autouse=True)
def _usage():
    with time_machine.travel(NOW, tick=False):
        make_meter("Data", unit="GB", dimensions=["region", "=plan"])
        make_customer("acme", time_zone="Europe/Berlin")
        make_customer("=cmd|' /C calc'!A0")
        facts = [
            event("acme", "Data", "-0.5" if text == "eu" else "1234567890.000000000000001", time=NOW, region=text)
            for text in TEXTS
        ]
        facts.append(event("=cmd|' /C calc'!A0", "Data", "1e3", time=NOW, region="eu"))
        assert record_events(facts).accepted == len(TEXTS) + 1
        yield


def lines(answer: Any) -> list[list[str]]:
    assert answer.status_code == 200, answer.content
    return list(csv.reader(io.StringIO(answer.content.decode(), newline="")))


QUERIES = [
    {},
    {"customer": "acme", "window": "day", "period": "2026-11"},
    {"group_by": "region"},
    {"group_by": ["region", "customer"], "window": "week", "period": "2026-11"},
    {"group_by": "=plan,region", "filter[region]": ["eu", ""]},
    {"group_by": "region", "top": 3, "window": "month", "period": "2026"},
]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_has_the_rows_of_the_json(api, query: dict) -> None:
    client, query = api("read"), {"meter": "Data"} | query
    document = client.get("/v1/usage", query).json()
    answer = client.get("/v1/usage", query, HTTP_ACCEPT="text/csv")
    _, *found = lines(answer)
    others = [] if document["top"] is None else ["other"]
    assert found == [
        [
            row["from"],
            row["to"],
            *(cell(row["group"].get(name, "")) for name in document["group_by"]),
            *(str(row[name]).lower() for name in others),
            row["value"],
            str(row["events"]),
        ]
        for row in document["data"]
    ]
    assert found
    assert answer["Usage-Version"] == str(document["usage_version"])
    assert answer["Usage-Total"] == document["total"]["value"]


def test_the_header_names_the_columns_and_the_unit(api) -> None:
    client = api("read")
    query = {"meter": "Data", "group_by": "customer,=plan,region", "top": 1}
    answer = client.get("/v1/usage", query, HTTP_ACCEPT="text/csv")
    assert lines(answer)[0] == ["from", "to", "customer", "'=plan", "region", "other", "value (GB)", "events"]
    make_meter("Bare", unit="")
    assert lines(client.get("/v1/usage?meter=Bare", HTTP_ACCEPT="text/csv"))[0] == ["from", "to", "value", "events"]


def test_is_a_file_of_its_own_name(api) -> None:
    query = {"meter": "Data", "customer": "acme", "period": "2026-11"}
    answer = api("read").post("/v1/usage", query, format="json", HTTP_ACCEPT="text/csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer["Content-Disposition"] == 'attachment; filename="usage-Data-2026-11-01-to-2026-12-01.csv"'
    assert "no-store" in answer["Cache-Control"]


def test_lines_end_as_the_rfc_says(api) -> None:
    content = api("read").get("/v1/usage?meter=Data", HTTP_ACCEPT="text/csv").content
    assert content.endswith(b"\r\n")
    assert content.count(b"\r\n") == content.count(b"\n") == 2


def test_no_text_is_a_formula_and_none_is_lost(api) -> None:
    answer = api("read").get("/v1/usage?meter=Data&group_by=region,customer", HTTP_ACCEPT="text/csv")
    _, *rows = lines(answer)
    for _, _, region, customer, value, _ in rows:
        assert not region.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert not customer.startswith("=")
        Decimal(value)
    assert {region.removeprefix("'") for _, _, region, *_ in rows} == set(TEXTS)
    assert "-0.5" in {value for *_, value, _ in rows}


@pytest.mark.parametrize("first", "=+-@\t\r\n ;'＝")
def test_a_cell_is_told_apart_from_every_other(first: str) -> None:
    assert cell(f"{first}x") == f"'{first}x"
    assert cell(f"x{first}") == f"x{first}"
    assert cell("") == ""
