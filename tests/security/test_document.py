"""docs/security.md names the test of each guard."""

import re

from tests.scenarios.live import BASE_DIR


def test_the_tests_that_it_names_are_there_and_each_threat_names_one() -> None:
    text = (BASE_DIR / "docs" / "security.md").read_text()
    threats = text.partition("## Threats")[2].partition("\n## ")[0]
    rows = [line for line in threats.splitlines() if line.startswith("| ") and not line.startswith("| threat")]
    assert len(rows) > 15
    for row in rows:
        *_, shown, _ = row.split("|")
        named = re.findall(r"`(tests/[\w/]+\.py)`", shown)
        assert named, row
        for name in named:
            assert "def test_" in (BASE_DIR / name).read_text(), name
    assert "**What is not guarded.**" in threats
