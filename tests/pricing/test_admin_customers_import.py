"""The CSV import of assignments: every row is shown with what becomes of it before anything is stored."""

from datetime import date
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from invoices.models import Invoice
from meters.models import Customer
from pricing.models import Assignment, AssignmentLog, Plan
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep
from tests.pricing.pages import faults, text, words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("november")]

IMPORT = "/admin/pricing/assignment/import/"
GOOD = "customer,plan,starts_on,ends_on\nacme,Basic,2026-11-01,\nglobex,Basic,2026-12-01,2027-12-01\n"


@pytest.fixture
def november() -> Any:
    with time_machine.travel("2026-11-18T12:00:00Z", tick=False):
        yield


@pytest.fixture
def plan(november: Any) -> Plan:
    make_customer("acme")
    make_customer("globex")
    return make_plan("Basic", {make_meter(): STORY_RATE})


def preview(staff: Client, content: str) -> Any:
    return staff.post(IMPORT, {"text": content, "preview": "1"})


def apply(staff: Client, shown: Any, content: str) -> Any:
    return staff.post(IMPORT, {"text": content, "checked": shown.context["checked"], "apply": "1"}, follow=True)


def errors_of(response: Any) -> dict[int, dict[str, list[str]]]:
    """By line and column; what is about the whole row under ""."""
    found: dict[int, dict[str, list[str]]] = {}
    for row in response.context["rows"]:
        errors = {column: errors for column, _, errors in row.cells if errors}
        if errors or row.errors:
            found[row.line] = errors | ({"": row.errors} if row.errors else {})
    return found


def test_rows_are_shown_first_and_then_stored(staff: Client, plan: Plan) -> None:
    asked = text(staff.get(IMPORT))
    assert "The first line names the columns" in asked
    assert "Please correct" not in asked
    shown = preview(staff, GOOD)
    assert "2 rows can be imported" in words(shown)
    assert "Nothing is stored yet." in words(shown)
    assert [(row.line, row.outcome) for row in shown.context["rows"]] == [
        (2, "On Basic from 1 Nov 2026"),
        (3, "On Basic from 1 Dec 2026"),
    ]
    assert not Assignment.objects.exists()
    assert not AssignmentLog.objects.filter(source="import").exists()
    assert not Invoice.objects.exists()

    done = apply(staff, shown, GOOD)
    assert done.redirect_chain == [("/admin/pricing/assignment/", 302)]
    assert "2 assignments imported." in text(done)
    assert list(
        Assignment.objects.order_by("pk").values_list("customer__key", "plan", "starts_on", "ends_on", "source")
    ) == [
        ("acme", plan.pk, date(2026, 11, 1), None, "import"),
        ("globex", plan.pk, date(2026, 12, 1), date(2027, 12, 1), "import"),
    ]
    assert set(AssignmentLog.objects.filter(source="import").values_list("actor", flat=True)) == {"staff"}
    # A worker opens what has begun.
    assert not Invoice.objects.exists()
    run_sweep()
    assert Invoice.objects.get().customer.key == "acme"


def test_what_browsers_do_to_line_ends_changes_nothing(staff: Client, plan: Plan) -> None:
    shown = preview(staff, GOOD)
    assert "2 assignments imported." in text(apply(staff, shown, GOOD.replace("\n", "\r\n")))


def test_a_file_is_read_and_comes_back_as_text(staff: Client, plan: Plan) -> None:
    file = SimpleUploadedFile("a.csv", b"\xef\xbb\xbf" + GOOD.replace(",", ";").replace("\n", "\r\n").encode())
    shown = staff.post(IMPORT, {"file": file, "text": "customer\nignored", "preview": "1"})
    assert len(shown.context["rows"]) == 2
    assert "2 assignments imported." in text(apply(staff, shown, shown.context["form"]["text"].value()))


def test_a_text_that_was_edited_since_is_shown_anew(staff: Client, plan: Plan) -> None:
    shown = preview(staff, GOOD)
    again = apply(staff, shown, GOOD.replace("2026-11-01", "2026-11-02"))
    assert "from 2 Nov 2026" in words(again)
    assert not Assignment.objects.exists()
    forged = staff.post(IMPORT, {"text": GOOD, "apply": "1"})
    assert len(forged.context["rows"]) == 2
    assert not Assignment.objects.exists()


def test_errors_stand_in_their_line_and_column_and_nothing_is_stored(staff: Client, plan: Plan) -> None:
    content = (
        "customer,plan,starts_on,ends_on\n"
        "acme,Basic,2026-11-01,\n"
        "\n"
        "nobody,Basic,2026-11-01,\n"
        "globex,Gold,2026-11-01,\n"
        "globex,Basic,soon,\n"
        "globex,Basic,2026-11-10,2026-11-01\n"
        "acme,Basic,2026-11-05,\n"
        ",,,2026-11-05\n"
        "globex,Basic,2026-11-03,\n"
    )
    shown = preview(staff, content)
    errors = errors_of(shown)
    assert {line: set(columns) for line, columns in errors.items()} == {
        4: {"customer"},
        5: {"plan"},
        6: {"starts_on"},
        7: {"ends_on"},
        8: {"plan"},
        9: {"customer", "plan", "starts_on"},
    }
    assert "already priced by Basic" in errors[8]["plan"][0]
    assert "6 of 8 rows cannot be imported" in words(shown)
    assert 'name="apply"' not in text(shown)
    assert shown.context["form"]["text"].value() == content
    assert not Assignment.objects.exists()
    # Nor by whoever sends the form all the same.
    assert "6 of 8 rows cannot be imported" in words(apply(staff, shown, content))
    assert not Assignment.objects.exists()


def test_what_became_wrong_since_it_was_shown_is_shown_anew(staff: Client, plan: Plan) -> None:
    shown = preview(staff, GOOD)
    put_on(Customer.objects.get(key="acme"), plan, date(2026, 11, 9))
    again = apply(staff, shown, GOOD)
    assert set(errors_of(again)) == {2}
    assert not Assignment.objects.filter(source="import").exists()


def test_rows_that_are_there_already_are_left(staff: Client, plan: Plan) -> None:
    apply(staff, preview(staff, GOOD), GOOD)
    more = GOOD + "globex,Basic,2027-12-01,\n"
    shown = preview(staff, more)
    assert "Is on Basic from 1 Nov 2026 already" in words(shown)
    assert "Import 1 assignment" in words(shown)
    assert "1 assignment imported. 2 were there already." in text(apply(staff, shown, more))
    nothing = preview(staff, GOOD)
    assert 'value="Import 0 assignments" disabled' in words(nothing)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "There is nothing in it."),
        ("customer,plan\nacme,Basic\n", "The column starts_on is missing."),
        ("customer,plan,starts_on,price\nacme,Basic,2026-11-01,5\n", "'price' is none of"),
        ("customer,plan,starts_on\nacme,Basic,2026-11-01,5\n", "Line 2: it has more cells"),
        ('customer,plan,starts_on\n"acme,Basic,2026-11-01\n', "Line 2: it cannot be read"),
        ("customer,plan,starts_on\n" + "acme,Basic,2026-11-01\n" * 501, "Line 502: at most 500 rows at a time."),
        ("customer,plan,starts_on\nac\0me,Basic,2026-11-01\n", "Null characters are not allowed."),
    ],
    ids=["nothing", "no column", "a strange column", "too many cells", "open quotes", "too many rows", "NUL"],
)
def test_a_text_that_is_no_such_table_is_refused(staff: Client, content: str, fault: str) -> None:
    response = preview(staff, content)
    assert fault in faults(response)["text"][0]
    assert response.context["rows"] == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("customer,plan,starts_on\nM\u00fcller,Basic,2026-11-01".encode("latin-1"), "It is no text in UTF-8."),
        (b"\x00\x01\x02\xff\xfe", "It is no text in UTF-8."),
        (b"customer;plan\nac\x00me;Basic", "It is no text."),
        (b"a" * 1_000_001, "At most 1 MB."),
        (b"a,b\n1,2", "'a' is none of"),
        (b"", "The submitted file is empty."),
    ],
    ids=["Latin 1", "binary", "NUL", "large", "another table", "empty"],
)
def test_a_file_that_is_no_such_table_is_refused(staff: Client, content: bytes, fault: str) -> None:
    response = staff.post(IMPORT, {"file": SimpleUploadedFile("a.csv", content), "preview": "1"})
    assert fault in faults(response)["file"][0]


def test_cells_are_shown_as_text(staff: Client, plan: Plan) -> None:
    shown = text(preview(staff, "customer,plan,starts_on\n<script>alert(1)</script>,Basic,2026-11-01\n"))
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
