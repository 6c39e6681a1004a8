"""The pictures of README and docs are those that `make screenshots` takes, and light."""

import re
from pathlib import Path

import pytest

from tests.screenshots.pictures import FOLDER, LARGEST, wanted

BASE_DIR = FOLDER.parent.parent
PAGES = [BASE_DIR / "README.md", *sorted((BASE_DIR / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_is_there(page: Path) -> None:
    for link in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text()):
        assert (page.parent / link).resolve().is_file(), link


def test_each_is_taken_by_the_command_and_shown_somewhere() -> None:
    shown = "".join(page.read_text() for page in PAGES)
    names = {f"{picture.name}.png" for picture in wanted()}
    assert names == {file.name for file in FOLDER.iterdir()}
    assert [name for name in names if f"images/{name}" not in shown] == []


def test_each_is_light() -> None:
    assert [file.name for file in FOLDER.iterdir() if file.stat().st_size > LARGEST] == []
