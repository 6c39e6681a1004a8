"""How files are cut up and read: the quick ways come to the same as the careful ones. Pure."""

import csv
import io
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meters.decoding import EventIn, Rejection
from meters.importing import json_rows
from meters.importing.batches import Batch, Cut, Place
from meters.importing.csv_rows import Columns, CsvRows
from meters.importing.json_rows import JsonArray, JsonLines

HEAD = "id,customer,meter,time,value,region,plan\n"
GOOD = ["a", "acme", "ApiCalls", "2026-11-01T10:00:00Z", "5", "eu", "x"]


def contents(batch: Batch) -> Any:
    return list(batch.rows), list(batch.lines), list(batch.events), batch.ids


def told_of(batch: Batch) -> list[Any]:
    return list(zip(batch.rows, batch.lines, batch.events, strict=True))


def csv_rows(text: str, columns: Columns | None = None, head: str = HEAD) -> CsvRows:
    return CsvRows(io.BytesIO(head.encode() + text.encode(errors="surrogateescape")), columns or Columns(), "usage")


ODD = st.sampled_from(
    [
        *("", " ", "x" * 200, "x" * 201, "x" * 501, "\\", "\\u0041", "a\rb", "\0", "é", "\udce9"),
        *(
            "0",
            "-0.50",
            "1e3",
            "07",
            "1_0",
            "+1",
            ".5",
            "1.",
            "1e999999",
            "1e99999999999999999999",
            "NaN",
            "٣",
            "1" * 30,
        ),
        *("2026-11-01", "2026-11-01T10:00:00", "2026-11-01 10:00:00+01:00", "2026-11-01t10:00:00.123456789z"),
        *("2026-11-01T24:00:00Z", "2026-11-01T10:00:00-00:00", "2016-12-31T23:59:60Z", "1" * 30),
        *('"a,b"', '"a""b"', 'a"b', '"a\nb"'),
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Rows that are good but for a cell here and there."""
    lines = []
    for number in range(draw(st.integers(1, 4))):
        cells = [f"a{number}", *GOOD[1:]]
        for _ in range(draw(st.integers(0, 1))):
            cells[draw(st.integers(0, len(cells) - 1))] = draw(ODD)
        if draw(st.integers(0, 20)) == 7:
            cells = cells[: draw(st.integers(0, 6))] or [*cells, "more"]
        lines.append(",".join(cells) + draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n"])))
    return "".join(lines)


COLUMNS = [
    Columns(),
    Columns(utc=True),
    Columns(mapped={"value": "plan"}),
    Columns(same={"value": "7", "meter": "Other"}),
    Columns(ignored=("id", "region", "plan", "value")),
]


@given(tables(), st.sampled_from(COLUMNS))
@example("a,acme,ApiCalls,2026-11-01T10:00:00Z,5,,\nb,acme,ApiCalls,2026-11-01T10:00:00Z,5,,\n", Columns())
def test_columns_come_to_the_same_as_rows(text: str, columns: Columns) -> None:
    rows = csv_rows(text, columns)
    for cut in rows.cuts(Place(), 1000):
        quick = rows._at_once(cut)
        assert quick is None or contents(quick) == contents(rows._row_by_row(cut))


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("quoted", [False, True])
def test_what_is_usual_is_read_at_once(columns: Columns, end: str, quoted: bool) -> None:
    cells = [GOOD, ["b", "globex", "Records", "2026-11-01T10:00:00.5+01:00", "-0.25e2", "", "12"]]
    if "plan" in columns.mapped.values():
        cells[0] = [*GOOD[:-1], "3"]
    lines = [",".join(f'"{cell}"' if quoted else cell for cell in row) for row in cells]
    rows = csv_rows(end.join(lines), columns)
    (cut,) = rows.cuts(Place(), 1000)
    batch = rows._at_once(cut)
    assert batch is not None
    assert all(isinstance(event, EventIn) for event in batch.events)
    assert contents(batch) == contents(rows._row_by_row(cut))


@given(tables(), st.integers(1, 3), st.sampled_from([1, 7, 40]))
def test_however_a_table_is_cut_its_rows_are_the_same(text: str, size: int, piece: int) -> None:
    whole = csv_rows(text)
    expected = [told for cut in whole.cuts(Place(), 1000) for told in told_of(whole.read(cut))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("meters.importing.lines.PIECE", piece)
        rows = csv_rows(text)
        assert [told for cut in rows.cuts(Place(), size) for told in told_of(rows.read(cut))] == expected


CELLS = st.lists(st.text('ab",\n', max_size=4), min_size=2, max_size=2)


@given(st.lists(CELLS, min_size=1, max_size=6), st.integers(1, 3), st.sampled_from([1, 7, 1 << 20]))
def test_cells_with_ends_of_lines_are_cut_where_rows_end(table: list[list[str]], size: int, piece: int) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    content = b"customer,note\n" + text.getvalue().encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("meters.importing.lines.PIECE", piece)
        columns = Columns(same={"meter": "ApiCalls", "time": "2026-11-01T10:00:00Z"})
        rows = CsvRows(io.BytesIO(content), columns, "usage")
        cuts = list(rows.cuts(Place(), size))
        batches = [rows.read(cut) for cut in cuts]
    assert all(1 <= cut.end.row - cut.start.row <= size for cut in cuts)
    assert (cuts[-1].end.offset, cuts[-1].end.row) == (len(content), len(table))
    for before, after in pairwise(cuts):
        assert before.end == after.start
    read = [told[1:] for batch in batches for told in told_of(batch)]
    begins = 2
    for (line, event), (customer, note) in zip(read, table, strict=True):
        assert line == begins
        begins += 1 + customer.count("\n") + note.count("\n")
        if customer:
            assert isinstance(event, EventIn)
            assert (event.customer, event.dimensions) == (customer, {"note": note} if note else {})
        else:
            assert isinstance(event, Rejection)


EVENT = '{"customer":"a","time":"2026-11-01T10:00:00Z"}'
LINES = st.sampled_from(
    [
        *(EVENT, f"{EVENT}\r", f"{EVENT},{EVENT}", '{"id":"x","customer":"{,}","time":"2026-11-01T10:00:00Z"}', ""),
        *("5", " ", "{}", "{", "}", "],[", "[{}", '{"customer":"a"', '"b":2}', '{"customer":"a}', "{}]}"),
        *('{"customer":"a","dimensions":{"x":"y"}', '{"customer":"a","dimensions":[{}'),
        '{"value":"1_0","customer":"a","time":"2026-11-01T10:00:00Z"}',
    ]
)


@given(st.lists(LINES, min_size=1, max_size=5), st.integers(1, 5))
def test_lines_read_at_once_are_as_each_by_itself(lines: list[str], size: int) -> None:
    rows = JsonLines(io.BytesIO("\n".join(lines).encode()), "usage")
    cuts = list(rows.cuts(Place(), size))
    together = [told for cut in cuts for told in told_of(rows.read(cut))]
    each = JsonLines(io.BytesIO("\n".join(lines).encode()), "usage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "_read_at_once", lambda text, count: None)
        one_by_one = [told for cut in each.cuts(Place(), 1) for told in told_of(each.read(cut))]
    assert together == one_by_one
    assert [line for _, line, _ in together] == [number for number, line in enumerate(lines, 1) if line.strip()]


ELEMENTS = st.sampled_from([EVENT, "5", "null", '{"a": [1, {}]}', '{"a":{"b":{}}}', '"]},"', '{"\\"":"["}'])


@given(st.lists(st.tuples(ELEMENTS, st.sampled_from(["", "\n", " \n\n"])), max_size=8), st.integers(1, 4))
@pytest.mark.parametrize("chunk", [3, 1 << 20])
def test_however_an_array_is_cut_its_elements_are_the_same(
    chunk: int, elements: list[tuple[str, str]], size: int
) -> None:
    text = "[" + ",".join(space + element + space for element, space in elements) + " ]"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "CHUNK", chunk)
        patch.setattr(json_rows, "MANY", 2)
        rows = JsonArray(io.BytesIO(text.encode()), "usage")
        cuts = list(rows.cuts(Place(), size))
        batches = [rows.read(cut) for cut in cuts]
    read = [told for batch in batches for told in told_of(batch)]
    assert [row for row, _, _ in read] == list(range(1, len(elements) + 1))
    line = 1
    for (_, begins, event), (element, space) in zip(read, elements, strict=True):
        assert begins == line + space.count("\n")
        line += 2 * space.count("\n")
        assert isinstance(event, EventIn) == ("time" in element)
    assert len(json.loads(text)) == len(read)
    if cuts:
        assert Cut(cuts[-1].start, Place(len(read), text.count("\n"), len(text)), cuts[-1].text) == cuts[-1]
