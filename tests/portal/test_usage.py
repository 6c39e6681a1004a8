import csv
import html
import re
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


def test_the_months_of_two_years_are_offered_and_others_can_be_asked_for(sign_in: SignIn, calls: Meter) -> None:
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
    for month in ("2024-12", "2025-03", "2026-01", "2026-11"):
        assert f'value="{month}"' in page, month
    for month in ("2024-11", "2026-12"):
        assert f'value="{month}"' not in page, month
    assert ["2026-04-04", "5"] in rows(person, "period=2026-04")
    older = text(person, "/usage/?period=2019-02")
    assert "1–28 Feb 2019 (UTC)" in older
    # The period that is billed now is what is shown first, here a year.
    assert "1 Jan – 31 Dec 2026 (UTC), by month, as for more than 92 days" in text(person, "/usage/")
    assert rows(person, "")[3:5] == [["2026-03", "0"], ["2026-04", "5"]]


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


def test_the_form_names_the_field_that_is_wrong(owner: Client) -> None:
    content = owner.get("/usage/?from=2026-11-05&to=2026-11-04").content.decode()
    field = content[content.index('for="id_to"') :]
    assert field.index("The last day is not before the first.") < field.index("</div>")
    assert 'value="2026-11-05"' in content
    assert owner.get("/usage.csv?from=2026-11-05&to=2026-11-04").content.decode() == (
        "* to\n  * The last day is not before the first."
    )


def test_days_of_ones_own(owner: Client) -> None:
    page = text(owner, "/usage/?from=2026-10-30&to=2026-11-02")
    assert "30 Oct – 2 Nov 2026 (UTC), by day" in page
    assert "30 Oct 0 31 Oct 0 1 Nov 0 2 Nov 5,000 Total 5,000" in page
    assert rows(owner, "period=range&from=2026-10-30&to=2026-11-02")[-1] == ["total", "5000"]


def test_who_chooses_to_name_days_gets_fields_for_them(owner: Client) -> None:
    assert 'name="from"' not in owner.get("/usage/").content.decode()
    content = owner.get("/usage/?period=range").content.decode()
    assert '<input type="date" name="from" value="2026-11-01" id="id_from">' in content
    assert '<input type="date" name="to" value="2026-11-18" id="id_to">' in content


def test_three_days_are_shown_by_hour_and_a_quarter_by_month(owner: Client) -> None:
    hours = text(owner, "/usage/?from=2026-11-16&to=2026-11-18")
    assert "16–18 Nov 2026 (UTC), by hour, as for up to 3 days" in hours
    # Up to the hour that is now.
    assert "18 Nov, 09:00 7,300 18 Nov, 10:00 0" in hours
    assert "18 Nov, 14:00 0 Total 7,300" in hours
    table = rows(owner, "from=2026-11-18&to=2026-11-18")
    assert table[0] == ["hour", "API calls (calls)"]
    assert ["2026-11-18T09:00+00:00", "7300"] in table
    assert "by day" in text(owner, "/usage/?from=2026-08-01&to=2026-10-31")  # 92 days
    months = text(owner, "/usage/?from=2026-08-01&to=2026-11-01")
    assert "1 Aug – 1 Nov 2026 (UTC), by month, as for more than 92 days" in months
    assert "Aug 2026 0 Sep 2026 0 Oct 2026 6,000 Nov 2026 0 Total 6,000" in months


def test_the_last_days_end_with_today(owner: Client) -> None:
    assert "12–18 Nov 2026 (UTC), by day" in text(owner, "/usage/?period=last-7-days")
    assert "20 Oct – 18 Nov 2026" in text(owner, "/usage/?period=last-30-days")
    assert "21 Aug – 18 Nov 2026 (UTC), by day" in text(owner, "/usage/?period=last-90-days")


@pytest.mark.parametrize(
    ("query", "before", "after"),
    [
        ("", "period=2026-10", None),
        ("period=2026-10", "period=2026-09", "period=2026-11"),
        ("period=last-7-days", "period=range&from=2026-11-05&to=2026-11-11", None),
        ("from=2026-11-02&to=2026-11-03", "from=2026-10-31&to=2026-11-01", "from=2026-11-04&to=2026-11-05"),
    ],
)
def test_the_periods_beside_it_are_links(query: str, before: str, after: str | None, owner: Client) -> None:
    content = html.unescape(owner.get(f"/usage/?{query}").content.decode())
    earlier = content[content.index('id="to-before"') - 200 : content.index('id="to-before"')]
    assert before in earlier
    assert ('id="to-after"' in content) == (after is not None)
    if after:
        assert after in content[content.index('id="to-after"') - 200 : content.index('id="to-after"')]


def test_the_periods_of_invoices_are_offered_and_follow_each_other(sign_in: SignIn, calls: Meter) -> None:
    customer = make_customer("weekly")
    plan = Plan.objects.create(key="Weekly")
    version = draft_version(plan)
    set_rate(version, product_item=calls.product_item, parameters=STORY_RATE)
    set_terms(version, interval="week")
    activate(plan)
    put_on(customer, plan, date(2026, 11, 4))
    run_sweep()
    run_sweep()
    person = sign_in("wes", customer)
    content = html.unescape(person.get("/usage/").content.decode())
    assert "Now: 16–22 Nov 2026" in content
    assert "16–22 Nov 2026 (UTC), by day" in text(person, "/usage/")
    assert "period=2026-11-09..2026-11-15" in content[: content.index('id="to-before"')]
    # The first one began with the plan, on a Wednesday.
    content = html.unescape(person.get("/usage/?period=2026-11-09..2026-11-15").content.decode())
    assert "period=2026-11-04..2026-11-08" in content[: content.index('id="to-before"')]
    assert "period=2026-11-16..2026-11-22" in content[: content.index('id="to-after"')]


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


@pytest.mark.parametrize("aggregation", Meter.Aggregation.values)
def test_there_is_a_running_total_of_what_adds_up_and_else_the_reason(
    aggregation: str, owner: Client, acme: Customer
) -> None:
    more = {
        "percentile": {"percentile": 95},
        "unique_count": {"unique_dimension": "user"},
        "time_weighted_sum": {"time_unit": "day"},
    }
    make_meter("M", unit="things", aggregation=aggregation, dimensions=[], **more.get(aggregation, {}))
    for day, value in [(3, 7), (4, 5)]:
        send("acme", "M", value, user="u1", time=datetime(2026, 11, day, tzinfo=UTC))
    page = text(owner, "/usage/?meter=M&view=cumulative&to=2026-11-05&from=2026-11-02")
    table = rows(owner, "meter=M&view=cumulative&to=2026-11-05&from=2026-11-02")
    figures = [row[1] for row in table[1:]]
    if aggregation in REASONS:
        assert f"There is no cumulative view of M: {REASONS[aggregation]}. Each day is shown on its own." in page
        assert figures[:-1] == rows_of(owner, "meter=M&to=2026-11-05&from=2026-11-02")[:-1]
    else:
        assert "no cumulative view" not in page
        expected = {
            "sum": ["0", "7", "12", "12", "12"],
            "count": ["0", "1", "2", "2", "2"],
            "time_weighted_sum": ["0", "7", "12", "17", "17"],
        }
        assert figures == expected[aggregation]


def rows_of(client: Client, query: str) -> list[str]:
    return [row[1] for row in rows(client, query)[1:]]


def test_a_meter_that_rounds_says_why_it_has_no_running_total(owner: Client, acme: Customer) -> None:
    make_meter("R", unit="blocks", multiplier="0.01", rounding="up", dimensions=[])
    send("acme", "R", 5, time=datetime(2026, 11, 3, tzinfo=UTC))
    assert (
        "There is no cumulative view of R: each day is rounded by itself, and the whole once, so they do not add up"
    ) in text(owner, "/usage/?meter=R&view=cumulative")


def test_compared_with_as_many_days_before(owner: Client, acme: Customer) -> None:
    """On the 18th at 14:02: what there was by then of the 30 days before, and in all of them."""
    send("acme", "ApiCalls", 500, time=datetime(2026, 10, 31, tzinfo=UTC))
    page = text(owner, "/usage/?compare=previous")
    assert "Total so far 12,300 calls 30 days before 6,000 calls" in page
    assert "2–31 Oct 2026, until 19 Oct 2026, 14:02 UTC; in all 6,500 calls" in page
    assert "Difference 6,300 calls more (+105%)" in page
    # Days to come are there for the sake of what they are compared with.
    assert "2 Nov 5,000 6,000 3 Nov 0 0" in page
    assert "19 Nov – 0" in page
    assert "30 Nov – 500 Total 12,300 6,500" in page
    assert rows(owner, "compare=previous")[0] == ["day", "API calls (calls)", "30 days before"]
    assert rows(owner, "compare=previous")[-2:] == [["2026-11-30", "", "500"], ["total", "12300", "6500"]]
    assert '<rect class="before"' in owner.get("/usage/?compare=previous").content.decode()


def test_compared_with_days_that_are_over(owner: Client) -> None:
    page = text(owner, "/usage/?from=2026-11-02&to=2026-11-05&compare=previous&view=cumulative")
    assert "Total 5,000 calls 4 days before 0 calls 29 Oct – 1 Nov 2026 Difference 5,000 calls more" in page
    assert "in all" not in page
    assert "2 Nov 5,000 0 3 Nov 5,000 0" in page
    page = text(owner, "/usage/?from=2026-11-06&to=2026-11-09&compare=previous")
    assert "Difference 5,000 calls less (-100%)" in page
    page = text(owner, "/usage/?from=2026-09-06&to=2026-09-09&compare=previous")
    assert "Difference No difference" in page


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


def test_the_hours_of_a_day_on_which_the_clock_changes(sign_in: SignIn, calls: Meter) -> None:
    customer = make_customer("berlin", time_zone="Europe/Berlin")
    for hour in (0, 1):  # 02:00 twice: in summer time, and an hour later in winter time
        send("berlin", "ApiCalls", 10 + hour, time=datetime(2026, 10, 25, hour, 30, tzinfo=UTC))
    send("berlin", "ApiCalls", 4, time=datetime(2026, 3, 29, 1, 30, tzinfo=UTC))
    person = sign_in("bea", customer)
    table = rows(person, "from=2026-10-25&to=2026-10-25")
    assert len(table) == 1 + 25 + 1
    assert ["2026-10-25T02:00+02:00", "10"] in table
    assert ["2026-10-25T02:00+01:00", "11"] in table
    page = text(person, "/usage/?from=2026-10-25&to=2026-10-25")
    assert "01:00 CEST 0 02:00 CEST 10 02:00 CET 11 03:00 CET 0" in page
    spring = rows(person, "from=2026-03-29&to=2026-03-29")
    assert len(spring) == 1 + 23 + 1
    assert ["2026-03-29T03:00+02:00", "4"] in spring
    # Beside the day before each, hour by hour by the clock: the second 02:00 has none, and nothing is lost.
    send("berlin", "ApiCalls", 7, time=datetime(2026, 10, 24, 0, 30, tzinfo=UTC))
    compared = rows(person, "from=2026-10-25&to=2026-10-25&compare=previous")
    assert ["2026-10-25T02:00+02:00", "10", ""] in compared
    assert ["2026-10-25T02:00+01:00", "11", "7"] in compared
    assert compared[-1] == ["total", "21", "7"]


def test_days_and_hours_of_a_half_hour_zone(sign_in: SignIn, calls: Meter) -> None:
    customer = make_customer("pune", time_zone="Asia/Kolkata")
    send("pune", "ApiCalls", 5, time=datetime(2026, 11, 4, 18, 29, tzinfo=UTC))
    send("pune", "ApiCalls", 6, time=datetime(2026, 11, 4, 18, 31, tzinfo=UTC))
    person = sign_in("pia", customer)
    table = rows(person, "period=2026-11")
    assert ["2026-11-04", "5"] in table
    assert ["2026-11-05", "6"] in table
    hours = rows(person, "from=2026-11-05&to=2026-11-05")
    assert hours[1] == ["2026-11-05T00:00+05:30", "6"]
    assert len(hours) == 1 + 24 + 1


@pytest.mark.parametrize(
    "query",
    [
        "",
        "group=source",
        "group=source&view=cumulative&compare=previous",
        "measure=cost",
        "measure=cost&view=cumulative",
        "from=2026-11-17&to=2026-11-18",
        "from=2025-11-17&to=2026-11-18",
    ],
)
def test_the_file_is_the_table_to_the_digit(query: str, owner: Client) -> None:
    content = owner.get(f"/usage/?{query}").content.decode()
    table = content[content.index("<tbody>") : content.index("</tfoot>")]
    cells = [re.sub("[$,]", "", cell).replace("–", "") for cell in re.findall(r"<td[^>]*>([^<]*)</td>", table)]
    assert cells == [cell for row in rows(owner, query)[1:] for cell in row[1:]]
    assert any(cells)


def test_a_page_is_small(owner: Client, acme: Customer) -> None:
    for number in range(9):
        send("acme", "ApiCalls", 10, source=f"s{number}", time=datetime(2026, 9, 4, tzinfo=UTC))
    content = owner.get("/usage/?period=last-90-days&group=source&compare=previous").content
    assert len(content) < 150_000
