"""`manage.py import_assignments`."""

import io
from pathlib import Path

import pytest
import time_machine
from django.core.management import call_command
from django.core.management.base import CommandError

from pricing.models import Assignment, AssignmentLog
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan

pytestmark = pytest.mark.django_db

HEADING = "customer,plan,starts_on\n"


@pytest.fixture(autouse=True)
def _customers() -> None:
    make_customer("acme")
    make_customer("globex")
    make_plan("Basic", {make_meter(): STORY_RATE})


def run(content: str, tmp_path: Path, *arguments: str) -> str:
    file = tmp_path / "customers.csv"
    file.write_text(content, encoding="utf-8")
    out = io.StringIO()
    with time_machine.travel("2026-11-18T12:00:00Z", tick=False):
        call_command("import_assignments", str(file), *arguments, stdout=out)
    return out.getvalue()


def test_a_file_is_tried_and_then_stored(tmp_path: Path) -> None:
    content = HEADING + "acme,Basic,2026-11-01\nglobex,Basic,2026-11-02\n"
    assert run(content, tmp_path, "--dry-run").splitlines() == [
        "Line 2: acme: On Basic from 1 Nov 2026.",
        "Line 3: globex: On Basic from 2 Nov 2026.",
        "2 assignments to import; nothing is stored.",
    ]
    assert not Assignment.objects.exists()
    assert run(content, tmp_path) == "2 assignments imported.\n"
    assert set(Assignment.objects.values_list("source", flat=True)) == {"import"}
    assert AssignmentLog.objects.filter(actor="import_assignments").count() == 2
    assert run(content, tmp_path) == "0 assignments imported, 2 there already.\n"


def test_faults_are_told_by_line_and_column_and_nothing_is_stored(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        run(HEADING + "acme,Basic,2026-11-01\n\nnobody,Gold,soon\n", tmp_path)
    assert str(refused.value).splitlines() == [
        "Line 4, customer: There is no customer with this key.",
        "Line 4, plan: There is no plan with this key.",
        "Line 4, starts_on: This is a day, written 2026-12-31.",
        "1 of 2 rows are wrong. Nothing is stored.",
    ]
    assert not Assignment.objects.exists()


def test_what_is_no_such_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="The column plan is missing"):
        run("customer\nacme\n", tmp_path)
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_assignments", str(tmp_path / "other.csv"))
    latin = tmp_path / "latin.csv"
    latin.write_bytes("customer,plan,starts_on\nMüller,Basic,2026-11-01".encode("latin-1"))
    with pytest.raises(CommandError, match="it is no text in UTF-8"):
        call_command("import_assignments", str(latin))
