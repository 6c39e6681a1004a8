import csv
import html
import re
from datetime import UTC, datetime
from typing import Any

from django.test import Client
from pytest_django import DjangoAssertNumQueries

from meters.models import Customer, Meter
from tests.factories import make_customer, make_meter, send
from tests.portal.conftest import SignIn
from tests.portal.test_overview import text

HTMX = {"HX-Request": "true"}


def rows(client: Client, query: str) -> list[list[str]]:
    answer = client.get(f"/usage.csv?{query}")
    assert answer.status_code == 200
    return list(csv.reader(answer.content.decode().splitlines()))


def test_by_default_it_shows_this_month_day_by_day(owner: Client) -> None:
    page = text(owner, "/usage/")
    assert "API calls 1–30 Nov 2026 (UTC), by day, as for 4 to 92 days Total so far 12,300 calls" in page
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


WRONG = [
    ("period=1999-13", "“1999-13” is not a period that can be shown."),
    ("period=2031-01", "“2031-01” is not a period that can be shown."),
    ("period=last-8-days", "“last-8-days” is not a period that can be shown."),
    ("period=9999-12", "“9999-12” is not a period that can be shown."),
    ("period=0000-00", "“0000-00” is not a period that can be shown."),
    ("period=0001-01-01..9999-12-31", "“0001-01-01..9999-12-31” is not a period that can be shown."),
    ("period=range&from=&to=soon", "Write the day as 2026-12-31."),
    ("from=20261101&to=2026-11-02", "Write the day as 2026-12-31."),
    ("from=2026-11-05&to=2026-11-04", "The last day is not before the first."),
    ("from=2025-01-01&to=2026-11-04", "At most 400 days, which is about 13 months."),
    ("from=2026-11-19&to=2026-11-20", "That day is still to come."),
    ("from=1066-10-14&to=1066-10-15", "A year from 2000 to 2200."),
    ("view=spiral", "Select a valid choice. spiral is not one of the available choices."),
    ("measure=pounds", "Select a valid choice. pounds is not one of the available choices."),
    ("compare=all", "Select a valid choice. all is not one of the available choices."),
    ("meter=Nobody", "There is no usage of “Nobody” to show."),
    ("meter=Secret", "There is no usage of “Secret” to show."),
    ("meter=<script>", "There is no usage of “<script>” to show."),
]


def test_what_is_wrong_is_said_beside_its_field(owner: Client, globex: Customer) -> None:
    # A meter of the vendor's that only somebody else uses.
    make_meter("Secret", used_for_billing=False)
    send("globex", "Secret", 1)
    for query, message in WRONG:
        for headers in ({}, HTMX):
            answer = owner.get(f"/usage/?{query}", headers=headers)
            assert answer.status_code == 422, query
            assert message in html.unescape(answer.content.decode()), query
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
    with django_assert_max_num_queries(9):
        owner.get("/usage/?group=source&compare=previous")


def test_a_running_total(owner: Client) -> None:
    page = text(owner, "/usage/?view=cumulative&group=source")
    assert "2 Nov 0 5,000 5,000 3 Nov 0 5,000 5,000" in page
    assert "18 Nov 7,300 5,000 12,300 Total 7,300 5,000 12,300" in page
    content = owner.get("/usage/?view=cumulative").content.decode()
    assert '<polyline class="line-1"' in content
    assert rows(owner, "view=cumulative")[-2:] == [["2026-11-18", "12300"], ["total", "12300"]]


REASONS = {
    "min": "the least value of two days is not the sum of theirs",
    "max": "the greatest value of two days is not the sum of theirs",
    "average": "averages of two days do not add up to the average of both",
    "latest": "the latest values of two days do not add up: the later one counts",
    "percentile": "percentiles of two days do not add up",
    "unique_count": "what is there in two days counts in each of them, and once for both",
    "time_weighted_average": "averages of two days do not add up to the average of both",
}


def test_there_is_a_running_total_of_what_adds_up_and_else_the_reason(owner: Client, acme: Customer) -> None:
    more: dict[str, dict[str, Any]] = {
        "percentile": {"percentile": 95},
        "unique_count": {"unique_dimension": "user"},
        "time_weighted_sum": {"time_unit": "day"},
    }
    expected = {
        "sum": ["0", "7", "12", "12", "12"],
        "count": ["0", "1", "2", "2", "2"],
        "time_weighted_sum": ["0", "7", "12", "17", "17"],
    }
    for aggregation in Meter.Aggregation.values:
        make_meter(aggregation, unit="things", aggregation=aggregation, dimensions=[], **more.get(aggregation, {}))
        for day, value in [(3, 7), (4, 5)]:
            send("acme", aggregation, value, user="u1", time=datetime(2026, 11, day, tzinfo=UTC))
        asked = f"meter={aggregation}&from=2026-11-02&to=2026-11-05"
        page = text(owner, f"/usage/?{asked}&view=cumulative")
        figures = rows_of(owner, f"{asked}&view=cumulative")
        if aggregation in REASONS:
            why = f"There is no cumulative view of {aggregation}: {REASONS[aggregation]}. Each day is shown on its own."
            assert why in page
            assert figures == rows_of(owner, asked)
        else:
            assert "no cumulative view" not in page
            assert figures == expected[aggregation]


def rows_of(client: Client, query: str) -> list[str]:
    return [row[1] for row in rows(client, query)[1:]]


def test_a_meter_that_rounds_says_why_it_has_no_running_total(owner: Client, acme: Customer) -> None:
    make_meter("R", unit="blocks", multiplier="0.01", rounding="up", dimensions=[])
    send("acme", "R", 5, time=datetime(2026, 11, 3, tzinfo=UTC))
    assert (
        "There is no cumulative view of R: each day is rounded by itself, and the whole once, so they do not add up"
    ) in text(owner, "/usage/?meter=R&view=cumulative")


def test_a_group_is_clicked_to_see_only_that(owner: Client) -> None:
    content = html.unescape(owner.get("/usage/?group=source&view=cumulative").content.decode())
    link = "/usage/?period=2026-11&meter=ApiCalls&view=cumulative&filter%5Bsource%5D=sap"
    assert f'href="{link}"' in content
    page = text(owner, link)
    assert "source: sap" in page
    assert "Total so far 5,000 calls" in page
    # Its end is a link, too, and the choice stays with the form and the file.
    content = html.unescape(owner.get(link).content.decode())
    assert 'href="/usage/?period=2026-11&meter=ApiCalls&view=cumulative"' in content
    assert '<input type="hidden" name="filter[source]" value="sap">' in content
    assert rows(owner, link.partition("?")[2])[-1] == ["total", "5000"]
    assert (
        "/usage/events/?meter=ApiCalls&from=2026-11-01T00%3A00&to=2026-12-01T00%3A00&filter%5Bsource%5D=sap" in content
    )


def test_of_one_group_another_dimension(owner: Client, acme: Customer) -> None:
    send("acme", "ApiCalls", 3, source="sap", target="dwh", time=datetime(2026, 11, 2, 10, tzinfo=UTC))
    page = text(owner, "/usage/?filter[source]=sap&group=target")
    assert "Day not set dwh Calls" in page
    assert "Total 5,000 3 5,003" in page
    assert "Total so far 5,000 calls" in text(owner, "/usage/?filter[source]=sap&filter[target]=")


def test_a_filter_left_over_from_another_meter_is_left_out(owner: Client) -> None:
    page = text(owner, "/usage/?filter[region]=eu")
    assert "API calls is not split by “region”, so that filter is left out." in page
    assert "12,300 calls" in page
    assert owner.get("/usage/?filter[source]=%00").status_code == 200


def test_what_is_chosen_is_in_the_address_that_htmx_shows(owner: Client) -> None:
    answer = owner.get("/usage/?period=2026-10&meter=ApiCalls&group=&view=daily&measure=units&compare=", headers=HTMX)
    assert answer["HX-Push-Url"] == "/usage/?period=2026-10&meter=ApiCalls"
    assert "HX-Push-Url" not in owner.get("/usage/")


def test_a_running_period_follows_by_itself_and_nothing_else_is_swapped(owner: Client) -> None:
    content = owner.get("/usage/").content.decode()
    assert content.count("data-live") == 1
    poll = owner.get("/usage/", headers=HTMX | {"HX-Target": "usage-figures"})
    fragment = poll.content.decode().strip()
    assert "<form" not in fragment
    assert fragment in content
    assert "HX-Push-Url" not in poll
    assert "data-live" not in owner.get("/usage/?period=2026-10").content.decode()
    # One that was left open when the period ended has its last figures, and asks no more.
    assert owner.get("/usage/?period=2026-10", headers=HTMX | {"HX-Target": "usage-figures"}).status_code == 286
    assert poll.status_code == 200


def test_who_goes_on_by_a_link_goes_on_from_the_heading(owner: Client) -> None:
    assert "autofocus" in owner.get("/usage/", headers=HTMX | {"HX-Trigger": "to-before"}).content.decode()
    assert "autofocus" not in owner.get("/usage/", headers=HTMX | {"HX-Trigger": "usage-filters"}).content.decode()
    assert "autofocus" not in owner.get("/usage/").content.decode()


def test_the_file_is_the_table_to_the_digit(owner: Client) -> None:
    for query in (
        "",
        "group=source",
        "group=source&view=cumulative&compare=previous",
        "measure=cost",
        "measure=cost&view=cumulative",
        "from=2026-11-17&to=2026-11-18",
        "from=2025-11-17&to=2026-11-18",
    ):
        content = owner.get(f"/usage/?{query}").content.decode()
        table = content[content.index("<tbody>") : content.index("</tfoot>")]
        cells = [re.sub("[$,]", "", cell).replace("–", "") for cell in re.findall(r"<td[^>]*>([^<]*)</td>", table)]
        assert cells == [cell for row in rows(owner, query)[1:] for cell in row[1:]], query
        assert any(cells)


def test_a_page_is_small(owner: Client, acme: Customer) -> None:
    for number in range(9):
        send("acme", "ApiCalls", 10, source=f"s{number}", time=datetime(2026, 9, 4, tzinfo=UTC))
    content = owner.get("/usage/?period=last-90-days&group=source&compare=previous").content
    assert len(content) < 150_000
