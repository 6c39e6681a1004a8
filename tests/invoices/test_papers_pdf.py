"""How a paper becomes a PDF file: pages, columns, letters. No database."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from invoices.papers.fonts import MISSING, REGULAR, printable, width_of, wrapped
from invoices.papers.paper import Column, Line, Paper, Party, Step, Sum, Table
from invoices.papers.pdf import RIGHT, pdf_of
from tests.invoices.papers import reader, right_edge, rows, text, texts, words

COLUMNS = (Column("Item"), Column("Quantity", is_figure=True), Column("Amount", is_figure=True))
CALLS = Line(
    ("API calls", "12,300 calls", "$40.00"),
    part="region: eu or us",
    price=["5,000 calls free, then $5.00 per 1,000 calls"],
    steps=[
        Step("Free tier", "5,000 of 5,000 free", "$0.00"),
        Step("Blocks of 1,000", "7,300 calls = 8 blocks x $5.00", "$40.00"),
    ],
    notes=["A started block counts in full."],
)


def paper(*lines: Line, **fields: Any) -> Paper:
    made: dict[str, Any] = {
        "title": "Invoice 2026-0042",
        "made_at": datetime(2026, 12, 3, 1, 2, 3, tzinfo=UTC),
        "seller": Party("Sellers GmbH", ["Hauptstr. 1", "Tax ID DE1"]),
        "buyer": Party("Acme", ["1 Market Street"], "Billed to"),
        "facts": [("Issued", "3 Dec 2026")],
        "headline": "$40.00 due by 17 Dec 2026",
        "tables": [Table(COLUMNS, lines)],
        "sums": [Sum("Subtotal", "$40.00"), Sum("Total", "$47.60", is_strong=True)],
    }
    return Paper(**(made | fields))


class TestAPage:
    def test_says_everything(self) -> None:
        whole = paper(CALLS, stamp="Void", notes=["Reverse charge."], footer=["IBAN DE02", "Court of Berlin"],
                      opening=["Reason: why not"])  # fmt: skip
        assert rows(pdf_of(whole)) == [
            "Sellers GmbH", "Invoice 2026-0042", "Hauptstr. 1", "Tax ID DE1", "Void",
            "Billed to", "Issued | 3 Dec 2026", "Acme", "1 Market Street",
            "$40.00 due by 17 Dec 2026",
            "Reason: why not",
            "Item | Quantity | Amount",
            "API calls | 12,300 calls | $40.00",
            "region: eu or us",
            "5,000 calls free, then $5.00 per 1,000 calls",
            "Free tier | 5,000 of 5,000 free | $0.00",
            "Blocks of 1,000 | 7,300 calls = 8 blocks x $5.00 | $40.00",
            "A started block counts in full.",
            "Subtotal | $40.00",
            "Total | $47.60",
            "Reverse charge.",
            "IBAN DE02", "Court of Berlin",
            "Sellers GmbH · Invoice 2026-0042 | Page 1 of 1",
        ]  # fmt: skip

    def test_says_what_it_is_in_the_file(self) -> None:
        found = reader(pdf_of(paper(CALLS)))
        assert found.metadata is not None
        assert found.metadata.title == "Invoice 2026-0042 · Sellers GmbH"
        assert (found.metadata.author, found.metadata.creator) == ("Sellers GmbH", "Tollmeter")
        assert found.metadata.creation_date == datetime(2026, 12, 3, 1, 2, 3, tzinfo=UTC)
        assert found.root_object["/Lang"] == "en"
        assert found.root_object["/ViewerPreferences"]["/DisplayDocTitle"]  # type: ignore[index]

    def test_says_where_there_is_nothing(self) -> None:
        empty = paper(tables=[Table(COLUMNS, [], empty="Nothing was used.")])
        assert "Nothing was used." in text(pdf_of(empty))
        assert "Quantity" not in text(pdf_of(empty))

    def test_has_its_figures_below_each_other_at_the_right(self) -> None:
        lines = [Line(("One", "1 call", "$1.00")), Line(("Two", "1,000,000 calls", "-$1,234,567.89")),
                 Line(("Three", "3 calls", "¥3"))]  # fmt: skip
        (page,) = words(pdf_of(paper(*lines, sums=[Sum("Total", "-$1,234,563.89")])))
        amounts = [word for word in page if word.text in ("$1.00", "-$1,234,567.89", "¥3", "-$1,234,563.89")]
        assert [round(right_edge(word)) for word in amounts] == [RIGHT] * 4
        quantities = [word for word in page if "call" in word.text]
        assert len({round(right_edge(word), 1) for word in quantities}) == 1

    def test_wraps_what_is_long_and_loses_nothing(self) -> None:
        name = " ".join(f"word{number}" for number in range(40))
        unbroken = "x" * 300
        figure = "9" * 120
        shown = pdf_of(paper(Line((name, "", "$1.00")), Line((unbroken, figure, "$2.00"))))
        assert text(shown).replace("\n", " ").count("word") == 40
        assert all(f"word{number}" in text(shown) for number in range(40))
        assert text(shown).count("x") == 300 + text(pdf_of(paper())).count("x")
        assert text(shown).count("9") == 120 + text(pdf_of(paper(Line((name, "", ""))))).count("9")
        (page,) = words(shown)
        assert all(word.x >= 56 and right_edge(word) < RIGHT + 1 for word in page)


class TestPages:
    def test_count_and_repeat_the_heading(self) -> None:
        lines = [replace(CALLS, cells=(f"Item {number}", "1 call", "$1.00")) for number in range(30)]
        pages = texts(pdf_of(paper(*lines)))
        assert len(pages) > 3
        for number, page in enumerate(pages, start=1):
            assert f"Page {number} of {len(pages)}" in page
            assert ("Quantity" in page) == ("Item " in page)
            assert page.count("Quantity") <= 1
        whole = "\n".join(pages)
        assert [whole.count(f"Item {number}\n") for number in range(30)] == [1] * 30

    def test_a_line_and_its_steps_stay_together(self) -> None:
        lines = [replace(CALLS, cells=(f"Item {number}", "1 call", "$1.00")) for number in range(30)]
        for page in texts(pdf_of(paper(*lines))):
            parts = ("Item ", "region: eu", "then $5.00", "Free tier", "Blocks of", "A started block")
            assert len({page.count(part) for part in parts}) == 1
        assert "(continued)" not in text(pdf_of(paper(*lines)))

    def test_a_line_that_is_longer_than_a_page_goes_on_and_says_so(self) -> None:
        steps = [Step(f"Tier {number}", f"{number} calls", "$1.00") for number in range(150)]
        pages = texts(pdf_of(paper(Line(("Many tiers", "1", "$150.00"), steps=steps))))
        assert [sum(f"Tier {number}\n" in page for page in pages) for number in range(150)] == [1] * 150
        _, *others = [page for page in pages if "Tier" in page]
        assert [page.count("Many tiers (continued)") for page in others] == [1, 1]

    @pytest.mark.parametrize("count", range(1, 60))
    def test_nothing_is_printed_over_the_foot_or_lost_wherever_the_page_breaks(self, count: int) -> None:
        lines = [Line((f"Item {number}.", "", "$1.00"), notes=["One more"] * (number % 3)) for number in range(count)]
        pages = words(pdf_of(paper(*lines, footer=["IBAN DE02"])))
        found = [word.text for page in pages for word in page]
        assert [found.count(f"Item {number}.") for number in range(count)] == [1] * count
        assert found.count("Total") == 1
        last = next(page for page in pages if "Total" in [word.text for word in page])
        assert f"Item {count - 1}." in [word.text for word in last], "the sums do not stand alone"
        assert "Quantity" in [word.text for word in last]
        for page in pages:
            foot = next(word.y for word in page if word.text == "IBAN DE02")
            assert all(word.y > foot for word in page if word.text != "IBAN DE02" and word.size > 7)
            assert all(word.y > 0 for word in page)

    @pytest.mark.parametrize("count", range(30, 45))
    def test_one_line_with_many_sums(self, count: int) -> None:
        many = [Sum(f"Paid {number}.", "-$1.00") for number in range(count)]
        pages = words(pdf_of(paper(Line(("Item.", "", "$1.00")), sums=many)))
        found = [word.text for page in pages for word in page]
        assert [found.count(f"Paid {number}.") for number in range(count)] == [1] * count
        assert found.count("Quantity") == found.count("Item.") == 1

    def test_addresses_and_feet_of_very_many_lines(self) -> None:
        lines = [f"L{number}." for number in range(150)]
        whole = paper(CALLS, seller=Party("S", lines), buyer=Party("B", lines), footer=lines)
        pages = words(pdf_of(whole))
        assert all(0 < word.y < 800 for page in pages for word in page)
        assert text(pdf_of(whole)).count("L149.") == 2 + len(pages)

    def test_a_thousand_lines(self) -> None:
        lines = [Line((f"Item {number}.", f"{number} calls", f"${number}.00")) for number in range(1000)]
        whole = text(pdf_of(paper(*lines)))
        assert all(f"Item {number}." in whole and f"${number}.00" in whole for number in (0, 500, 999))
        assert whole.count("calls") == 1000


class TestTheSameFile:
    def test_byte_for_byte(self) -> None:
        assert pdf_of(paper(CALLS)) == pdf_of(paper(CALLS))

    def test_also_after_others_with_other_letters(self) -> None:
        before = pdf_of(paper(CALLS))
        pdf_of(paper(Line(("Ωμέγα 東京", "", "$1.00"))))
        assert pdf_of(paper(CALLS)) == before

    def test_also_beside_others(self) -> None:
        lines = [Line((f"Ωμέγα 東京 {number}", "", "$1.00")) for number in range(8)]
        alone = [pdf_of(paper(line)) for line in lines]
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(lambda line: pdf_of(paper(line)), lines)) == alone

    def test_other_words_and_other_moments_are_other_files(self) -> None:
        moment = datetime(2026, 12, 3, 1, 2, 4, tzinfo=UTC)
        assert pdf_of(paper(CALLS, made_at=moment)) != pdf_of(paper(CALLS)) != pdf_of(paper(CALLS, stamp="Void"))


class TestLetters:
    @pytest.mark.parametrize(
        "name",
        ["Ελληνικά Ωμέγα", "Кириллица Ёж Ґ Ђ", "株式会社東京データ", "漢字かなカナ", "한국어 회사", "繁體中文公司",
         "Łódź Žižka Ñandú Ångström ß", "Tiếng Việt", "€ £ ¥ ₹ – „“ …"],
    )  # fmt: skip
    def test_that_are_printed(self, name: str) -> None:
        shown = pdf_of(paper(Line((name, "", "$1.00")), buyer=Party(name)))
        assert name.replace(" ", "") in text(shown).replace(" ", "").replace("\n", "")
        assert MISSING not in text(shown)

    def test_only_letters_that_are_used_are_in_the_file(self) -> None:
        assert len(pdf_of(paper(CALLS))) < 40_000
        assert len(pdf_of(paper(Line(("株式会社東京データ", "", "$1.00"))))) < 40_000

    @pytest.mark.parametrize(
        ("name", "shown", "code"),
        [("שלום עולם", "[?] [?]", "U+05DC"), ("مرحبا", "[?]", "U+0645"), ("Acme 🚀 Inc", "Acme [?] Inc", "U+1F680"),
         ("ไทย", "[?]", "U+0E17"), ("हिन्दी", "[?]", "U+0939")],
    )  # fmt: skip
    def test_that_no_font_has_are_marked_and_told(self, name: str, shown: str, code: str) -> None:
        file = pdf_of(paper(Line((name, "", "$1.00"))))
        assert f"{shown} | $1.00" in rows(file)
        assert f"{MISSING} stands for letters that this file has no font for" in text(file)
        assert code in text(file)

    def test_no_more_than_some_are_named(self) -> None:
        file = pdf_of(paper(Line(("אבגדהוזחטיכל", "", "$1.00"))))
        assert "U+05D7 and 4 more)" in text(file).replace("\n", " ")

    def test_signs_that_are_never_seen_are_left_out(self) -> None:
        assert printable("A\u200bc\u202eme\u00ad\ufeff\tInc\x00.") == ("Acme Inc .", set())
        assert printable("one\ntwo") == ("one two", set())
        assert printable("e\u0301") == ("é", set())


class TestWrapping:
    def test_at_blanks(self) -> None:
        width = width_of("one two", REGULAR, 9)
        assert wrapped("one two three", REGULAR, 9, width) == ["one two", "three"]

    def test_between_east_asian_letters(self) -> None:
        width = width_of("東京都", REGULAR, 9)
        assert wrapped("東京都港区", REGULAR, 9, width) == ["東京都", "港区"]

    def test_inside_a_word_that_is_too_long(self) -> None:
        lines = wrapped("a" * 50, REGULAR, 9, width_of("a" * 20, REGULAR, 9))
        assert [len(line) for line in lines] == [20, 20, 10]

    def test_of_next_to_nothing(self) -> None:
        assert wrapped("", REGULAR, 9, 500) == [""]
        assert wrapped("W", REGULAR, 9, 1) == ["W"]
