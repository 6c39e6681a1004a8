"""What docs/plans.md shows, done for real."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from pricing.document_text import read_text, write_text
from pricing.documents import apply_plan, export_plan
from pricing.models import Assignment, Plan
from pricing.plans import activate, draft_version, version_for
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "plans.md").read_text()

pytestmark = pytest.mark.django_db


def test_the_document_is_what_a_plan_of_it_goes_out_as() -> None:
    make_meter("ApiCalls", dimensions=["source", "target"])
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    applied = apply_plan(read_text(text, "yaml"), activate=True)
    assert write_text(export_plan(applied.plan), "yaml") == text
    assert apply_plan(read_text(text, "yaml")).differences == []


def test_versions_count_as_the_table_says() -> None:
    rows = re.findall(r"^\| (v\d is activated.*?) \|(.*)\|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    start = datetime(2026, 1, 1, tzinfo=UTC)
    plan: Plan | None = None
    assignments: list[Assignment] = []
    for number, (what, cells) in enumerate(rows):
        with time_machine.travel(start + timedelta(days=60 * number), tick=False):
            if plan is None:
                plan = make_plan("Basic", {make_meter(): STORY_RATE})
            else:
                draft_version(plan)
                activate(plan, moves_existing="move" in what)
        with time_machine.travel(start + timedelta(days=60 * number + 1), tick=False) as now:
            assignments.append(put_on(make_customer(f"c{number}"), plan, datetime.now(UTC).date()))
            now.shift(timedelta(days=40))
            found = [version_for(assignment, datetime.now(UTC)) for assignment in assignments]
        said = [cell.strip() for cell in cells.split("|")]
        assert [f"v{version.number}" for version in found if version] == [cell for cell in said if cell]
