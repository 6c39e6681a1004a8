"""What is wrong with a file or an option is told in words, and nothing is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import FakeServer

from tollmeter.command import main

HEADER = "customer,meter,time,value\n"
ROW = "acme,ApiCalls,2026-01-01T00:00:00Z,1\n"


@pytest.fixture
def imported(tmp_path: Path) -> tuple[Path, list[str]]:
    file = tmp_path / "usage.csv"
    return file, ["import-csv", str(file), "--dry-run"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("customer,time\n", "There is no column meter"),
        (HEADER + ROW + "acme,ApiCalls\n", "Row 2 has 2 cells; the header has 4"),
        (HEADER + ROW + '"' + "a" * 200_000, "Row 2 cannot be read: field larger"),
        (HEADER + ROW + "acm\udce9,ApiCalls,,\n", "can't decode"),
    ],
)
def test_a_file_that_is_wrong(
    content: str, words: str, imported: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    file, command = imported
    file.write_text(content, encoding="utf-8", errors="surrogateescape")
    assert main(command) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_tabs(imported: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    file, command = imported
    file.write_text((HEADER + ROW).replace(",", "\t"))
    assert main([*command, "--delimiter", "\\t"]) == 0
    assert '"customer": "acme"' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*command, "--delimiter", "::"])
    assert "one character" in capsys.readouterr().err


def test_a_row_far_down_that_was_put_right(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOLLMETER_URL", server.url)
    monkeypatch.setenv("TOLLMETER_API_KEY", "key")
    server.rejects = {"NoSuch"}
    file = tmp_path / "usage.csv"
    wrong = HEADER + ROW + "\n" * 100_000 + ROW.replace("ApiCalls", "NoSuch")
    file.write_text(wrong)
    assert main(["import-csv", str(file)]) == 1
    file.write_text(wrong.replace("NoSuch", "ApiCalls"))
    assert main(["import-csv", str(file)]) == 1
    assert "another file than the one whose import was begun; say --restart" in capsys.readouterr().err
    assert main(["import-csv", str(file), "--restart"]) == 0
    assert len(server.facts) == 2
    # What it has grown by is sent alone.
    with file.open("a") as grown:
        grown.write(ROW)
    assert main(["import-csv", str(file)]) == 0
    assert (len(server.facts), server.batches[-1]) == (3, 1)
