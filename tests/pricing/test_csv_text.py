"""Tables as spreadsheets save them."""

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.csv_text import CsvFault, CsvRow, read_rows

COLUMNS = ["customer", "plan", "starts_on", "ends_on"]


def read(text: str, most: int = 100) -> list[CsvRow]:
    return read_rows(text, columns=COLUMNS, required=["customer", "plan"], most=most)


def cells(customer: str, plan: str, starts_on: str = "", ends_on: str = "") -> dict[str, str]:
    return {"customer": customer, "plan": plan, "starts_on": starts_on, "ends_on": ends_on}


@pytest.mark.parametrize(
    "text",
    [
        "customer,plan\nacme,Basic\n",
        "\ufeffcustomer,plan\r\nacme,Basic",
        "customer;plan\nacme;Basic\n",
        "customer\tplan\nacme\tBasic\n",
        " Plan , Customer \n Basic , acme \n",
        'customer,plan,,\n"acme","Basic",,\n',
        "customer,plan\racme,Basic\r",
    ],
    ids=["commas", "of Windows", "semicolons", "tabs", "another order", "empty columns behind", "of an old Mac"],
)
def test_a_table_is_read_however_it_was_saved(text: str) -> None:
    assert read(text) == [CsvRow(2, cells("acme", "Basic"))]


def test_lines_are_those_of_the_text() -> None:
    text = '\n\ncustomer,plan\n\nacme,Basic\n"two\nlines",Basic\n,\nglobex,Pro\n'
    assert [(row.line, row.cells["customer"]) for row in read(text)] == [(5, "acme"), (6, "two\nlines"), (9, "globex")]


def test_a_delimiter_inside_of_quotes_is_text() -> None:
    assert read('customer,plan\n"Miller, Smith","say ""Basic"""\n')[0].cells == cells("Miller, Smith", 'say "Basic"')


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "There is nothing in it."),
        ("\n \n", "There is nothing in it."),
        ("customer,plan\n", "There is no row below the heading."),
        ("customer,plan\n,\n", "There is no row below the heading."),
        ("customer\nacme\n", "The column plan is missing."),
        ("customer,plan,price\nacme,Basic,5\n", "'price' is none of customer, plan, starts_on, ends_on"),
        ("acme,Basic\n", "The first line names the columns; 'acme' is none of"),
        ("customer,plan,plan\nacme,Basic,Basic\n", "The column plan is there twice."),
        ("customer,plan\nacme,Basic,2026-12-01\n", "Line 2: it has more cells than there are columns."),
        ('customer,plan\nacme,Basic\n"globex,Basic\n', "Line 3: it cannot be read"),
        ('customer,plan\nac"me,Basic\n"globex"x,Basic\n', "Line 3: it cannot be read"),
        (f"customer,plan\nacme,{'x' * 501}\n", "Line 2, plan: at most 500 characters."),
        ("customer,plan\nac\0me,Basic\n", "It is no text."),
        ("customer,plan\na,B\nc,B\nd,B\n", "Line 4: at most 2 rows at a time."),
    ],
)
def test_what_is_no_such_table_is_refused_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(CsvFault) as refused:
        read(text, most=2)
    assert fault in str(refused.value)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        rows = read("customer,plan\n" + text)
    except CsvFault:
        return
    assert all(set(row.cells) == set(COLUMNS) for row in rows)
    assert [row.line for row in rows] == sorted({row.line for row in rows})


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=10), st.sampled_from(",;\t"))
def test_what_was_written_is_read(written: list[tuple[str, str]], delimiter: str) -> None:
    out = StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("customer", "plan"), *written])
    expected = [(a.strip(), b.strip()) for a, b in written if a.strip() or b.strip()]
    if expected:
        assert [(row.cells["customer"], row.cells["plan"]) for row in read(out.getvalue())] == expected
