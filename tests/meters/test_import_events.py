"""`manage.py import_events`: every form of a file, what becomes of bad rows, and imports that are killed."""

import csv
import gzip
import io
import json
import os
import sys
import threading
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from tollmeter.command.import_csv import Rows as SdkRows

from meters.importing.batches import Place
from meters.importing.csv_rows import Columns
from meters.importing.files import Input, OpenFile
from meters.importing.run import Settings, import_events
from meters.models import Customer, DimensionSet, Event, EventKey, Meter, RejectedEvent, UsageBucket
from tests.factories import make_meter, send
from tests.meters.rollups import assert_rollups_equal_events

DAY = (datetime.now(UTC) - timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
T = f"{DAY:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def meter(db: None) -> Meter:
    return make_meter(dimensions=["region"])


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str | bytes, name: str = "usage.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def run(file: Path | str, *options: str) -> tuple[int, str, str]:
    """What it ends with, and says."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        call_command("import_events", str(file), "--writers", "1", *options, stdout=out, stderr=err)
    except SystemExit as error:
        status = int(error.code or 0)
    except CommandError as error:
        status = error.returncode
        err.write(str(error))
    return status, out.getvalue(), err.getvalue()


def stored() -> list[tuple[str, str, str, Any]]:
    assert_rollups_equal_events()
    assert Event.objects.count() == EventKey.objects.count()
    return [
        (event.event_id, event.customer.key, str(event.value), event.dimensions)
        for event in Event.objects.select_related("customer", "dimension_set").order_by("sequence")
    ]


TWO = [("a", "acme", "5", {"region": "eu"}), ("b", "globex", "0.1", {})]
AS_JSON = [
    {"id": "a", "customer": "acme", "meter": "ApiCalls", "time": T, "value": 5, "dimensions": {"region": "eu"}},
    {"id": "b", "customer": "globex", "meter": "ApiCalls", "time": T, "value": "0.1"},
]
AS_CSV = f"id,customer,meter,time,value,region\na,acme,ApiCalls,{T},5,eu\nb,globex,ApiCalls,{T},0.1,\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("usage.csv", AS_CSV),
        ("bom.csv", b"\xef\xbb\xbf" + AS_CSV.encode()),
        ("semicolons.csv", AS_CSV.replace(",", ";")),
        ("tabs.tsv", AS_CSV.replace(",", "\t")),
        ("windows.csv", AS_CSV.replace("\n", "\r\n").replace("5,eu", '"5","eu"')),
        ("blank.csv", AS_CSV.replace("\nb", "\n\n\nb").rstrip("\n")),
        ("usage.csv.gz", gzip.compress(AS_CSV.encode())),
        ("unnamed", AS_CSV),
        ("usage.ndjson", "\n".join(json.dumps(event) for event in AS_JSON)),
        ("usage.jsonl", "\r\n\r\n".join(json.dumps(event) for event in AS_JSON) + "\n"),
        ("usage.json", json.dumps(AS_JSON)),
        ("pretty.json", json.dumps(AS_JSON, indent=2)),
        ("bom.json", b"\xef\xbb\xbf" + json.dumps(AS_JSON).encode()),
        ("dump.json", json.dumps({"count": 2, "of": {"events": [1]}, "events": AS_JSON, "next": None}, indent=1)),
        ("dump.json.gz", gzip.compress(json.dumps({"events": AS_JSON}).encode())),
        ("no-ending", json.dumps(AS_JSON)),
        ("lines", "\n".join(json.dumps(event) for event in AS_JSON)),
        ("object", json.dumps({"events": AS_JSON}, indent=1)),
    ],
)
def test_every_form_of_a_file(meter: Meter, put: Any, name: str, text: str | bytes) -> None:
    assert run(put(text, name)) == (0, "2 rows: 2 accepted, 0 duplicates, 0 conflicts, 0 rejected.\n", "")
    assert stored() == TWO


@pytest.mark.parametrize("text", [AS_CSV, json.dumps(AS_JSON)])
def test_the_standard_input(meter: Meter, monkeypatch: pytest.MonkeyPatch, text: str, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert run("-")[0] == 0
    assert stored() == TWO
    assert list(tmp_path.iterdir()) == []


def test_columns_are_mapped_set_and_left_out(meter: Meter, put: Any) -> None:
    file = put(
        'account,called_at,records,note,region\nacme,"2026-11-01 10:00:00",7,secret,eu\n'.replace("2026-11-01", T[:10])
    )
    options = ("--set", "meter=ApiCalls", "--map", "customer=account", "--map", "time=called_at")
    status, said, _ = run(file, *options, "--map", "value=records", "--ignore", "note", "--utc")
    assert (status, said[:19]) == (0, "1 rows: 1 accepted,")
    ((_, customer, value, dimensions),) = stored()
    assert (customer, value, dimensions) == ("acme", "7", {"region": "eu"})
    assert Event.objects.get().occurred_at == DAY + timedelta(hours=10)


def test_dimensions_may_be_a_column_of_json(meter: Meter, put: Any) -> None:
    head = "id,customer,meter,time,dimensions\n"
    rows = (f'a,acme,ApiCalls,{T},"{{""region"":""eu"",""x y"":""1""}}"', f"b,acme,ApiCalls,{T},eu")
    file = put(head + "\n".join((*rows, f"c,acme,ApiCalls,{T},{{}}\n")))
    status, _, err = run(file)
    assert (status, err) == (1, "Line 3, column dimensions: A JSON object of texts. (invalid)\n")
    assert [row[3] for row in stored()] == [{"region": "eu", "x y": "1"}, {}]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", (), "The file is empty."),
        ("﻿".encode("utf-16"), (), "the file is UTF-16"),
        ("id,customer\n".encode("utf-16-be"), (), "the file is UTF-16"),
        ("id,kunde,größe\n".encode("latin-1"), (), "Line 1 is not UTF-8: byte 0xf6."),
        (
            "id,account,meter,time\n",
            (),
            "There is no column customer: say --map customer=COLUMN or --set customer=TEXT.",
        ),
        ("id,id,customer,meter,time\n", (), "Line 1 names id twice."),
        (AS_CSV, ("--map", "customer=account"), "--map customer=account: the members are"),
        (AS_CSV, ("--map", "color=id"), "--map color=id: the members are"),
        (AS_CSV, ("--set", "color=red"), "--set color: the members are"),
        (AS_CSV, ("--ignore", "color"), "--ignore color: the columns are"),
        ('{"events": 5}', ("--format", "json"), "The file is no JSON array of events"),
        (json.dumps(AS_JSON), ("--format", "json", "--utc"), "are about the columns of a CSV file"),
        (b"\x1f\x8b", (), "is not whole gzip"),
    ],
)
def test_what_cannot_be_begun(meter: Meter, put: Any, text: Any, options: Any, said: str) -> None:
    status, out, err = run(put(text), *options)
    assert (status, out) == (2, "")
    assert said in err
    assert stored() == []


def test_a_file_that_is_not_there(meter: Meter, tmp_path: Path) -> None:
    assert run(tmp_path / "none.csv") == (2, "", f"{tmp_path / 'none.csv'}: No such file or directory")


@pytest.mark.parametrize("text", ["id,customer,meter,time\n", "[]", " [ ] ", '{"events": []}'])
def test_a_file_without_rows(meter: Meter, put: Any, text: str) -> None:
    name = "usage.csv" if text.startswith("id") else "usage.json"
    assert run(put(text, name))[:2] == (0, "0 rows: 0 accepted, 0 duplicates, 0 conflicts, 0 rejected.\n")


BAD = [
    (f"x,acme,ApiCalls,{T},many,eu", "column value: A number", "invalid", "/value"),
    (f"x,acme,ApiCalls,{T},1_000,eu", "column value: A number", "invalid", "/value"),
    (f"x,acme,ApiCalls,{T},1e999999,eu", "column value: A number has at most", "invalid", "/value"),
    ("x,acme,ApiCalls,2026-11-01,5,eu", "column time: Invalid RFC3339", "invalid", "/time"),
    ("x,acme,ApiCalls,1999-11-01T00:00:00Z,5,eu", "column time: The time is before", "too_old", "/time"),
    ("x,acme,ApiCalls,,5,eu", "column time: An event of the past says when it was.", "missing_time", "/time"),
    (f"x,,ApiCalls,{T},5,eu", "column customer: Object missing", "invalid", "/customer"),
    (f"x,acme,Nothing,{T},5,eu", "column meter: There is no meter 'Nothing'.", "unknown_meter", "/meter"),
    (f"x,acme,ApiCalls,{T},5", "The row has 5 cells; the first line names 6 columns.", "malformed", ""),
    (f'x,acme,ApiCalls,{T},5,"e"u', "Line 3 is not valid CSV", "malformed", ""),
    (f"x,acme,ApiCalls,{T},5,\udce9", "Byte 0xe9 in the column region is not UTF-8.", "malformed", ""),
    (
        f"x,acme,ApiCalls,{T},5,{'e' * 501}",
        "column region: A text of at most 500 characters.",
        "invalid",
        "/dimensions/region",
    ),
]


@pytest.mark.parametrize(("row", "said", "code", "pointer"), BAD, ids=[bad[1] for bad in BAD])
def test_a_bad_row_in_the_middle(meter: Meter, put: Any, row: str, said: str, code: str, pointer: str) -> None:
    lines = AS_CSV.splitlines()
    text = "\n".join([*lines[:2], row, lines[2]]) + "\n"
    file = put(text.encode(errors="surrogateescape"))
    outcomes = file.with_name("outcomes.csv")
    status, out, err = run(file, "--outcomes", str(outcomes))
    assert (status, out) == (1, "3 rows: 2 accepted, 0 duplicates, 0 conflicts, 1 rejected.\n")
    assert err.startswith("Line 3")
    assert said in err
    assert stored() == TWO
    refused = RejectedEvent.objects.get()
    assert (refused.code, refused.pointer, refused.sender) == (code, pointer, "import of usage.csv")
    with outcomes.open(newline="") as written:
        told = list(csv.DictReader(written))
    assert [(row["row"], row["line"], row["outcome"]) for row in told] == [
        ("1", "2", "accepted"),
        ("2", "3", "rejected"),
        ("3", "4", "accepted"),
    ]
    assert (told[1]["code"], told[1]["pointer"]) == (code, pointer)


BAD_JSON = ['{"id": "x"}', "5", '{"id": }', '[{"a": [1]}]', '{"customer": {"a": {"b": {}}}}', '"}"', "{{}", "null"]


@pytest.mark.parametrize("bad", BAD_JSON)
@pytest.mark.parametrize("as_lines", [True, False], ids=["lines", "array"])
def test_a_bad_element_in_the_middle(meter: Meter, put: Any, bad: str, as_lines: bool) -> None:
    first, last = (json.dumps(event) for event in AS_JSON)
    if bad == "{{}" and not as_lines:
        pytest.skip("the brackets of an array tell where its elements end")
    joined = [first, bad, last]
    file = put(
        "\n".join(joined) if as_lines else "[" + ",\n".join(joined) + "]", "usage.ndjson" if as_lines else "a.json"
    )
    status, out, err = run(file)
    assert (status, out) == (1, "3 rows: 2 accepted, 0 duplicates, 0 conflicts, 1 rejected.\n")
    assert err.startswith("Line 2")
    assert stored() == TWO


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{}, {}", "Line 1: the file ends before the array does. 0 rows are done."),
        (json.dumps(AS_JSON)[:-10], "the file ends before the array does."),
        ("[{{}, {}]", "Line 1: the file ends before the array does."),
        ("[{},, {}]", "Line 1: an element of the array is missing."),
        ("[}]", "Line 1: a bracket is closed that was not opened."),
    ],
)
def test_an_array_that_cannot_be_cut(meter: Meter, put: Any, text: str, said: str) -> None:
    status, _, err = run(put(text, "a.json"))
    assert status == 2
    assert said in err


def test_a_quotation_mark_that_does_not_end(meter: Meter, put: Any) -> None:
    status, _, err = run(put(AS_CSV + f'c,acme,ApiCalls,{T},5,"eu\n' + f"d,acme,ApiCalls,{T},5,us\n" * 5))
    assert status == 2
    assert "Line 4: a quotation mark opens a cell that does not end." in err


def test_the_end_of_a_line_that_is_too_long_is_no_row(meter: Meter, put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIECE", "MAX_EVENT"):
        monkeypatch.setattr(f"meters.importing.lines.{name}", 100)
    first = AS_CSV.splitlines(keepends=True)[1]
    status, _, err = run(put(AS_CSV + "x" * (200 - 2 * len(first)) + "x" * 100 + first))
    assert status == 2
    assert "Line 4 is longer than 100 bytes." in err
    assert stored() == []


def test_elements_across_the_pieces_that_are_read(meter: Meter, put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = {"id": 'q"\\', "customer": "{[,]}", "meter": "ApiCalls", "time": T, "dimensions": {"x": '}"],{', "ü": "é"}}
    file = put(json.dumps([AS_JSON[0], odd, 7, AS_JSON[1]], indent=1), "a.json")
    for size in (1, 2, 3, 7, 50):
        monkeypatch.setattr("meters.importing.json_rows.CHUNK", size)
        monkeypatch.setattr("meters.importing.json_rows.JsonArray._open", _open_whole)
        status, out, _ = run(file, "--restart")
        assert (status, out[:7]) == (1, "4 rows:")
    assert [row[:2] for row in stored()] == [("a", "acme"), ('q"\\', "{[,]}"), ("b", "globex")]


def _open_whole(rows: Any) -> None:
    rows._more()
    rows._pass_to(1)


def test_repeats_in_a_file_count_once_and_the_first_wins(meter: Meter, put: Any) -> None:
    send("acme", "ApiCalls", 9, id="z", time=DAY)
    lines = [("a", 5), ("a", 5), ("a", 6), ("b", 1), ("z", 9), ("z", 1)]
    text = "id,customer,meter,time,value\n" + "".join(f"{each},acme,ApiCalls,{T},{value}\n" for each, value in lines)
    file = put(text)
    for dry, would in ((("--dry-run",), "would be "), ((), "")):
        told = file.with_name(f"outcomes{len(dry)}.ndjson")
        status, out, err = run(file, *dry, "--outcomes", str(told))
        assert (status, out) == (
            1,
            f"6 rows: 2 {would}accepted, 2 {would}duplicates, 2 {would}conflicts, 0 {would}rejected.\n",
        )
        assert err.splitlines() == [
            f"Line {line}: Another event was sent under this id before; that one counts. (conflict)" for line in (4, 7)
        ]
        assert [json.loads(line)["outcome"] for line in told.read_text().splitlines()] == [
            *("accepted", "duplicate", "conflict", "accepted", "duplicate", "conflict")
        ]
    assert [row[2] for row in stored()] == ["9", "5", "1"]


def test_a_dry_run_leaves_nothing(meter: Meter, put: Any) -> None:
    file = put(AS_CSV + f"c,acme,Nothing,{T},5,\na,acme,ApiCalls,{T},5,eu\n")
    status, out, _ = run(file, "--dry-run")
    assert (status, out.splitlines()) == (
        1,
        [
            "4 rows: 2 would be accepted, 1 would be duplicates, 0 would be conflicts, 1 would be rejected.",
            "2 customers would be created: acme, globex.",
        ],
    )
    for model in (Event, EventKey, UsageBucket, Customer, DimensionSet, RejectedEvent):
        assert not model._default_manager.exists()  # type: ignore[attr-defined]
    assert [path.name for path in file.parent.iterdir()] == ["usage.csv"]
    assert run(file, "--dry-run")[1] == out


def test_a_dry_run_says_whom_it_would_refuse(meter: Meter, put: Any, settings: Any) -> None:
    settings.INGEST_CREATES_CUSTOMERS = False
    status, out, err = run(put(AS_CSV), "--dry-run")
    assert (status, out) == (
        1,
        "2 rows: 0 would be accepted, 0 would be duplicates, 0 would be conflicts, 2 would be rejected.\n",
    )
    assert "Line 2, column customer: There is no customer 'acme'. (unknown_customer)" in err


def test_one_fact_for_several_meters(meter: Meter, put: Any) -> None:
    make_meter("Records", used_for_billing=False)
    event = {"id": "a", "customer": "acme", "time": T, "values": {"ApiCalls": 1, "Records": 5, "Nothing": 2}}
    file = put(json.dumps(event), "a.ndjson")
    told = file.with_name("told.ndjson")
    status, out, _ = run(file, "--outcomes", str(told))
    assert (status, out) == (1, "1 rows: 2 accepted, 0 duplicates, 0 conflicts, 1 rejected.\n")
    assert [json.loads(line)["outcome"] for line in told.read_text().splitlines()] == ["rejected", "accepted"]
    assert_rollups_equal_events()


WITHOUT_IDS = "customer,meter,time,value\n" + f"acme,ApiCalls,{T},5\n" * 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("usage.csv", WITHOUT_IDS),
        ("usage.ndjson", f'{{"customer":"acme","meter":"ApiCalls","time":"{T}","value":5}}\n' * 3),
        ("usage.json", json.dumps([{"customer": "acme", "meter": "ApiCalls", "time": T, "value": 5}] * 3)),
    ],
)
def test_rows_without_an_id_have_one_of_their_own(meter: Meter, put: Any, name: str, text: str) -> None:
    file = put(text, name)
    assert run(file)[1] == "3 rows: 3 accepted, 0 duplicates, 0 conflicts, 0 rejected.\n"
    # By the notes beside the file, and without them.
    assert run(file)[1].splitlines() == [
        "3 rows were done before.",
        "3 rows: 3 accepted, 0 duplicates, 0 conflicts, 0 rejected.",
    ]
    assert run(file, "--restart")[1] == "3 rows: 0 accepted, 3 duplicates, 0 conflicts, 0 rejected.\n"
    assert run(put(text, f"other-{name}"))[1] == "3 rows: 3 accepted, 0 duplicates, 0 conflicts, 0 rejected.\n"
    assert run(put(text, f"third-{name}"), "--name", name)[1].startswith("3 rows: 0 accepted, 3 duplicates")
    assert Event.objects.count() == 6


def test_the_standard_input_needs_ids_or_a_name(meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WITHOUT_IDS.encode())))
    status, _, err = run("-")
    assert (status, err[:35]) == (2, "Line 2: the event has no id, and th")
    assert not Event.objects.exists()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WITHOUT_IDS.encode())))
    assert run("-", "--name", "may")[0] == 0
    assert Event.objects.count() == 3


def test_the_sdk_makes_the_same_ids(meter: Meter, put: Any) -> None:
    file = put("customer,meter,time,value,region\n\nacme,ApiCalls,2026-11-01T10:00:00.123+01:00,5,é\n")
    given = Namespace(delimiter=",", utc=False, name=None, file=file, set=[], map=[], ignore=[])
    with file.open("rb") as opened:
        ((theirs, _),) = SdkRows(opened, given)
    with OpenFile(Input(file, columns=Columns(), name="usage.csv")) as opened_here:
        (cut,) = opened_here.rows.cuts(Place(), 10)
    assert opened_here.rows.read(cut).ids == {0: theirs}


class Dies:
    """Watches an import, and has it fail behind so many batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def show(self, read: int, state: Any) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def refuse(self, refused: Any) -> None:
        pass


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["csv", "ndjson", "json"])
def test_it_goes_on_where_it_was(meter: Meter, put: Any, kind: str, packed: bool) -> None:
    events = [{"customer": "acme", "meter": "ApiCalls", "time": T, "value": number} for number in range(7)]
    texts = {
        "csv": "customer,meter,time,value\n" + "".join(f"acme,ApiCalls,{T},{number}\n" for number in range(7)),
        "ndjson": "".join(json.dumps(event) + "\n" for event in events),
        "json": json.dumps({"events": events}, indent=1),
    }
    text = b"\xef\xbb\xbf" + texts[kind].encode()
    name = f"usage.{kind}" + (".gz" if packed else "")
    file = put(gzip.compress(text) if packed else text, name)
    told, notes = file.with_name("told.csv"), file.with_name(f"{name}.import.json")
    settings = Settings(Input(file, name=f"usage.{kind}"), DAY + timedelta(days=3), notes, told, writers=1, batch=2)
    with pytest.raises(KeyboardInterrupt):
        import_events(settings, Dies(2))
    assert Event.objects.count() == 4
    with told.open("a") as file_of_outcomes:
        file_of_outcomes.write("of a batch that was not noted\n")
    status, out, _ = run(file, "--outcomes", str(told))
    assert (status, out.splitlines()) == (
        0,
        ["4 rows were done before.", "7 rows: 7 accepted, 0 duplicates, 0 conflicts, 0 rejected."],
    )
    assert [int(row[2]) for row in stored()] == list(range(7))
    with told.open(newline="") as written:
        assert [row["row"] for row in csv.DictReader(written)] == [str(number) for number in range(1, 8)]


def test_notes_of_another_file_or_of_other_options(meter: Meter, put: Any) -> None:
    file = put(AS_CSV)
    assert run(file)[0] == 0
    status, _, err = run(file, "--map", "value=region")
    assert (status, err[:44]) == (2, "The import was begun with another map. Say t")
    file.write_text(AS_CSV.replace("acme", "emca"))
    status, _, err = run(file)
    assert (status, err[-43:]) == (2, " one whose import was begun. Say --restart.")
    file.with_name("usage.csv.import.json").write_text("{")
    assert run(file)[2].endswith("does not say how far the import was. Say --restart.")
    # The same ids with other content: the first counts.
    assert run(file, "--restart")[:2] == (0, "2 rows: 1 accepted, 1 duplicates, 0 conflicts, 0 rejected.\n")
    # What a file has grown by is imported alone.
    file.write_text(file.read_text() + f"c,acme,ApiCalls,{T},1,\n")
    assert run(file)[1].splitlines()[0] == "2 rows were done before."
    assert Event.objects.count() == 4


def test_a_row_far_down_that_was_put_right(meter: Meter, put: Any) -> None:
    wrong = AS_CSV.replace("\nb", "\n" * 100_000 + "b").replace("0.1", "O.1")
    file = put(wrong)
    assert run(file)[:2] == (1, "2 rows: 1 accepted, 0 duplicates, 0 conflicts, 1 rejected.\n")
    file.write_text(wrong.replace("O.1", "0.1"))
    status, out, err = run(file)
    assert (status, out, err[-43:]) == (2, "", " one whose import was begun. Say --restart.")
    assert run(file, "--restart")[:2] == (0, "2 rows: 1 accepted, 1 duplicates, 0 conflicts, 0 rejected.\n")
    assert stored() == TWO


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--outcomes", "usage.csv"), "FILE and --outcomes are the same file: usage.csv."),
        (("--progress", "./usage.csv"), "FILE and --progress are the same file: usage.csv."),
        (("--outcomes", "usage.csv.import.json"), "--outcomes and --progress are the same file:"),
    ],
)
def test_no_file_is_written_over(
    meter: Meter, put: Any, monkeypatch: pytest.MonkeyPatch, options: tuple[str, str], said: str
) -> None:
    file = put(AS_CSV)
    monkeypatch.chdir(file.parent)
    status, _, err = run("usage.csv", *options)
    assert status == 2
    assert said in err
    assert file.read_text() == AS_CSV
    assert stored() == []


def test_a_pipe_is_read_once(meter: Meter, tmp_path: Path) -> None:
    pipe = tmp_path / "usage.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(AS_CSV,))
    writer.start()
    assert run(pipe)[0] == 0
    writer.join(30)
    assert stored() == TWO
    assert list(tmp_path.iterdir()) == [pipe]


def test_two_imports_of_a_file_at_once(meter: Meter, put: Any) -> None:
    file = put(AS_CSV)
    with OpenFile(Input(file, name="x")):
        assert run(file) == (2, "", f"Another import of {file} is running.")
