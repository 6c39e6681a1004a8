import csv
import html
from datetime import UTC, date, datetime

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from meters.models import Customer, Meter
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_rate, set_terms
from tests.factories import STORY_RATE, make_customer, make_meter, put_on, run_sweep, send
from tests.portal.conftest import SignIn
from tests.portal.test_overview import text

HTMX = {"HX-Request": "true"}


def rows(client: Client, query: str) -> list[list[str]]:
    answer = client.get(f"/usage.csv?{query}")
    assert answer.status_code == 200
    return list(csv.reader(answer.content.decode().splitlines()))


def test_by_default_it_shows_this_month_day_by_day(owner: Client) -> None:
    page = text(owner, "/usage/")
    assert "API calls 1–30 Nov 2026 (UTC), by day 12,300 calls" in page
    assert "1 Nov 0 2 Nov 5,000 3 Nov 0" in page
    assert "17 Nov 0 18 Nov 7,300 Total 12,300" in page
    assert "19 Nov 0" not in page


def test_a_month_before(owner: Client) -> None:
    page = text(owner, "/usage/?period=2026-10&meter=ApiCalls")
    assert "1–31 Oct 2026" in page
    assert "3 Oct 6,000" in page
    assert "31 Oct 0 Total 6,000" in page


def test_grouped_by_a_dimension(owner: Client) -> None:
    page = text(owner, "/usage/?group=source")
    assert "Day hubspot sap Calls" in page
    assert "2 Nov 0 5,000 5,000" in page
    assert "Total 7,300 5,000 12,300" in page
    assert "18 Nov: 7,300 calls hubspot: 7,300 calls" in page


def test_usage_without_the_dimension_is_a_group(owner: Client) -> None:
    assert "Day not set Calls" in text(owner, "/usage/?group=target")


def test_more_than_six_groups_are_six_and_the_others_and_all_in_the_file(owner: Client, acme: Customer) -> None:
    for number in range(9):
        send("acme", "ApiCalls", 10 ** (number % 3), source=f"s{number}", time=datetime(2026, 9, 4, tzinfo=UTC))
    page = text(owner, "/usage/?period=2026-09&group=source")
    assert "Day s2 s5 s8 s1 s4 s7 3 others Calls" in page
    assert "Total 100 100 100 10 10 10 3 333" in page
    table = rows(owner, "period=2026-09&group=source")
    assert table[0] == ["day", "s2", "s5", "s8", "s1", "s4", "s7", "s0", "s3", "s6", "API calls (calls)"]
    assert table[4] == ["2026-09-04", "100", "100", "100", "10", "10", "10", "1", "1", "1", "333"]
    assert table[-1] == ["total", "100", "100", "100", "10", "10", "10", "1", "1", "1", "333"]
    assert len(table) == 32


def test_a_seventh_group_is_shown_as_itself(owner: Client, acme: Customer) -> None:
    for number in range(7):
        send("acme", "ApiCalls", 10, source=f"s{number}", time=datetime(2026, 9, 4, tzinfo=UTC))
    assert "Day s0 s1 s2 s3 s4 s5 s6 Calls" in text(owner, "/usage/?period=2026-09&group=source")


def test_different_values_are_not_added_up(owner: Client, acme: Customer) -> None:
    make_meter(
        "Users", unit="users", aggregation="unique_count", unique_dimension="user", dimensions=["team"], name="Users"
    )
    for day, team in [(3, "a"), (4, "b"), (4, "a")]:
        send("acme", "Users", user="u1", team=team, time=datetime(2026, 11, day, tzinfo=UTC))
    for number in range(7):
        send("acme", "Users", user="u1", team=f"t{number}", time=datetime(2026, 11, 5, tzinfo=UTC))
    page = text(owner, "/usage/?meter=Users")
    assert "3 Nov 1 4 Nov 1 5 Nov 1" in page
    assert "Different in all 1" in page
    grouped = text(owner, "/usage/?meter=Users&group=team")
    assert "The groups do not add up to the total, which the chart shows." in grouped
    assert "Day a b t0 t1 t2 t3 3 others Users" in grouped
    assert "Different in all 1 1 1 1 1 1 1 1" in grouped  # of the others, too, there is one user


def test_a_greatest_value(owner: Client, acme: Customer) -> None:
    make_meter("Peak", unit="connections", aggregation="max", dimensions=[])
    send("acme", "Peak", 7, time=datetime(2026, 11, 3, tzinfo=UTC))
    send("acme", "Peak", 5, time=datetime(2026, 11, 4, tzinfo=UTC))
    assert rows(owner, "meter=Peak")[-1] == ["total", "7"]
    assert "Greatest 7" in text(owner, "/usage/?meter=Peak")


def test_every_month_that_an_invoice_is_about_is_offered(sign_in: SignIn, calls: Meter) -> None:
    customer = make_customer("yearly")
    plan = Plan.objects.create(key="Yearly")
    version = draft_version(plan)
    set_rate(version, product_item=calls.product_item, parameters=STORY_RATE)
    set_terms(version, interval="year")
    activate(plan)
    put_on(customer, plan, date(2025, 3, 1))
    send("yearly", "ApiCalls", 5, time=datetime(2026, 4, 4, tzinfo=UTC))
    run_sweep()
    person = sign_in("yve", customer)
    page = person.get("/usage/").content.decode()
    for month in ("2025-03", "2025-05", "2025-12", "2026-01", "2026-11"):
        assert f'value="{month}"' in page, month
    for month in ("2025-02", "2026-12"):
        assert f'value="{month}"' not in page, month
    assert ["2026-04-04", "5"] in rows(person, "period=2026-04")


def test_a_month_without_usage_is_zeros(owner: Client) -> None:
    page = text(owner, "/usage/?period=2026-07")
    assert "No usage in this period." in page
    assert "31 Jul 0 Total 0" in page


def test_the_days_are_the_customers(sign_in: SignIn, calls: Meter) -> None:
    customer = make_customer("tokyo", time_zone="Asia/Tokyo")
    send("tokyo", "ApiCalls", 5, time=datetime(2026, 11, 4, 15, tzinfo=UTC))
    table = rows(sign_in("taro", customer), "")
    assert ["2026-11-05", "5"] in table
    assert ["2026-11-04", "0"] in table


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("period=1999-13", "“1999-13” is not a month that can be shown."),
        ("period=2031-01", "“2031-01” is not a month that can be shown."),
        ("meter=Nobody", "There is no usage of “Nobody” to show."),
        ("meter=Secret", "There is no usage of “Secret” to show."),
        ("meter=<script>", "There is no usage of “<script>” to show."),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
def test_what_is_wrong_is_said_beside_its_field(
    query: str, message: str, headers: dict[str, str], owner: Client, globex: Customer
) -> None:
    # A meter of the vendor's that only somebody else uses.
    make_meter("Secret", used_for_billing=False)
    send("globex", "Secret", 1)
    answer = owner.get(f"/usage/?{query}", headers=headers)
    assert answer.status_code == 422
    assert message in html.unescape(answer.content.decode())
    assert "Total" not in answer.content.decode()
    assert owner.get(f"/usage.csv?{query}").status_code == 422


def test_a_dimension_left_over_from_another_meter_is_no_mistake(owner: Client) -> None:
    page = text(owner, "/usage/?group=region")
    assert "API calls is not split by “region”, so the total is shown." in page
    assert "Total 12,300" in page


def test_the_fragment_is_the_part_that_the_page_has(owner: Client) -> None:
    url = "/usage/?group=source"
    fragment = owner.get(url, headers=HTMX).content.decode().strip()
    assert "<form" in fragment
    assert "<html" not in fragment
    assert fragment in owner.get(url).content.decode()


def test_the_file_has_the_same_query_as_the_page(owner: Client) -> None:
    content = owner.get("/usage/?period=2026-10&group=source").content.decode()
    assert 'href="/usage.csv?period=2026-10&amp;meter=ApiCalls&amp;group=source"' in content
    answer = owner.get("/usage.csv?period=2026-10&meter=ApiCalls&group=source")
    assert answer["Content-Disposition"] == 'attachment; filename="usage-ApiCalls-2026-10.csv"'


def test_a_spreadsheet_takes_no_group_for_a_formula(owner: Client, acme: Customer) -> None:
    send("acme", "ApiCalls", 1, source='=HYPERLINK("https://evil.example")')
    assert '\'=HYPERLINK("https://evil.example")' in rows(owner, "group=source")[0]


def test_a_group_is_only_text(owner: Client, acme: Customer) -> None:
    send("acme", "ApiCalls", 1, source="<script>alert(1)</script>")
    assert "<script>alert" not in owner.get("/usage/?group=source").content.decode()


def test_without_any_meter_there_is_a_friendly_page(sign_in: SignIn, calls: Meter) -> None:
    person = sign_in("lou", make_customer("lonely"))
    assert "No usage yet" in text(person, "/usage/")
    assert person.get("/usage.csv").status_code == 422


def test_it_takes_a_fixed_number_of_queries(
    owner: Client, acme: Customer, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(8):
        send("acme", "ApiCalls", 1, source=f"s{number}")
    owner.get("/usage/")
    with django_assert_max_num_queries(8):
        owner.get("/usage/?group=source")
