"""Which time the usage page shows, how it is cut, and what it is compared with."""

import html
import re
from datetime import UTC, date, datetime

from django.test import Client

from meters.models import Customer, Meter
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_rate, set_terms
from tests.factories import STORY_RATE, make_customer, put_on, run_sweep, send
from tests.portal.conftest import SignIn
from tests.portal.test_overview import text
from tests.portal.test_usage import rows


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


def test_the_periods_beside_it_are_links(owner: Client) -> None:
    for query, before, after in (
        ("", "period=2026-10", None),
        ("period=2026-10", "period=2026-09", "period=2026-11"),
        ("period=last-7-days", "period=range&from=2026-11-05&to=2026-11-11", None),
        ("from=2026-11-02&to=2026-11-03", "from=2026-10-31&to=2026-11-01", "from=2026-11-04&to=2026-11-05"),
    ):
        content = html.unescape(owner.get(f"/usage/?{query}").content.decode())
        links = dict(re.findall(r'href="([^"]*)" id="to-(?:before|after)"[^>]*rel="(prev|next)"', content))
        found = {rel: address for address, rel in links.items()}
        assert before in found["prev"], query
        assert (after in found["next"]) if after else "next" not in found, query


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
