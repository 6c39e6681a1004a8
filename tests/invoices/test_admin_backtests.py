"""The pages of a backtest."""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client

from invoices.backtests.backtest import start_backtest, work_on
from invoices.models import Backtest
from pricing.models import Plan
from pricing.plans import draft_version, set_rate, set_terms
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, send
from tests.kept import kept

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db

PER_CALL = {"model": "per_unit", "unit_price": "0.01"}


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
@kept(at=NOON)
def plan(db: None) -> Plan:
    """acme: $5.00, then $60.00; globex: nothing, then $10.00; initech: $100.00, then $250.00."""
    meter = make_meter()
    plan = make_plan("story", {meter: STORY_RATE})
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=PER_CALL)
    for key, calls in (("acme", 6000), ("globex", 1000), ("=initech", 25_000)):
        put_on(make_customer(key), plan, date(2026, 10, 1))
        send(key, "ApiCalls", calls, time=datetime(2026, 10, 9, tzinfo=UTC))
    put_on(make_customer("newcomer"), plan, date(2026, 11, 1))
    return plan


@pytest.fixture
def done(plan: Plan) -> Backtest:
    started = start_backtest(plan=plan, actor="staff")
    assert not work_on(started.pk, seconds=60)
    started.refresh_from_db()
    return started


def page(backtest: Backtest, name: str = "change") -> str:
    return f"/admin/invoices/backtest/{backtest.pk}/{name}/"


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def start(client: Client, plan: Plan, **fields: Any) -> HttpResponse:
    draft = plan.versions.get(status="draft")
    answer: Any = client.post(
        f"/admin/invoices/backtest/start/{plan.pk}/", {"version": draft.pk, "periods": 3} | fields, follow=True
    )
    return answer  # type: ignore[no-any-return]


def test_it_is_started_on_the_page_of_the_plan(staff: Client, plan: Plan) -> None:
    assert "Start a backtest" in text(staff.get(f"/admin/pricing/plan/{plan.pk}/change/"))
    shown = text(start(staff, plan))
    started = Backtest.objects.get()
    assert (started.version.number, started.periods, started.actor, started.status) == (2, 3, "staff", "waiting")
    assert "0 of 4 customers" in shown
    assert f'hx-get="{page(started, "result")}"' in shown
    assert "0 of 4 customers" in text(staff.get(f"/admin/pricing/plan/{plan.pk}/change/"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"periods": "0"}, "Periods: Ensure this value is greater than or equal to 1."),
        ({"periods": ""}, "Periods: This field is required."),
        ({"version": "0"}, "Version: Select a valid choice."),
    ],
)
def test_what_is_wrong_is_said(staff: Client, plan: Plan, fields: dict[str, str], said: str) -> None:
    assert said in text(start(staff, plan, **fields))
    assert not Backtest.objects.exists()


def test_a_second_one_waits_for_the_first(staff: Client, plan: Plan) -> None:
    start(staff, plan)
    assert "not finished yet" in text(start(staff, plan))
    assert Backtest.objects.count() == 1


def test_the_page_asks_again_until_it_is_over(staff: Client, plan: Plan) -> None:
    started = start_backtest(plan=plan)
    Backtest.objects.update(done=1, status="running")
    shown = text(staff.get(page(started, "result")))
    assert '<progress max="100" value="25">' in shown
    work_on(started.pk, seconds=60)
    response = staff.get(page(started, "result"))
    assert response.status_code == 286  # htmx stops
    assert "Who pays more" in response.content.decode()
    assert "hx-get" not in text(staff.get(page(started)))


def test_what_it_found(staff: Client, done: Backtest) -> None:
    shown = text(staff.get(page(done)))
    for words in (
        "3 customers in USD, then",
        "$105.00",
        "$320.00",
        "+$215.00 (+204.8%)",
        "100% more or higher",
        "No period is over yet of 1 customer (newcomer).",
        "+1100%",
        "$0.00",
    ):
        assert words in shown, words
    names = [row.name for row in staff.get(page(done)).context["result"].customers]
    assert names == ["=initech", "acme", "globex"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("order=less", ["globex", "acme", "=initech"]),
        ("order=percent", ["acme", "=initech", "globex"]),
        ("order=-customer", ["globex", "acme", "=initech"]),
        ("order=nonsense&page=x", ["=initech", "acme", "globex"]),
        ("find=GLO", ["globex"]),
        ("find=nobody%00", []),
    ],
)
def test_customers_are_sorted_and_found(staff: Client, done: Backtest, query: str, names: list[str]) -> None:
    assert [row.name for row in staff.get(f"{page(done)}?{query}").context["result"].customers] == names


def test_customers_come_in_pages(staff: Client, done: Backtest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("invoices.admin.backtest_page.PAGE_SIZE", 2)
    result = staff.get(f"{page(done)}?order=now").context["result"]
    assert [row.name for row in result.customers] == ["=initech", "acme"]
    ((words, query),) = result.pages
    following = staff.get(f"{page(done)}?{query}").context["result"]
    assert (words, [row.name for row in following.customers]) == ("Next", ["globex"])


def test_the_file(staff: Client, done: Backtest) -> None:
    response = staff.get(page(done, "csv"))
    assert response.headers["Content-Disposition"] == f'attachment; filename="backtest-story-{done.pk}.csv"'
    rows = list(csv.DictReader(b"".join(response.streaming_content).decode().splitlines()))  # type: ignore[attr-defined]
    names = ("customer", "amount_then", "amount_now", "change", "change_percent")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("acme", "5.00", "60.00", "55.00", "1100"),
        ("globex", "0.00", "10.00", "10.00", ""),
        ("'=initech", "100.00", "250.00", "150.00", "150"),
    ]  # fmt: skip
    assert (rows[0]["from"], rows[0]["to"]) == ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")


def test_there_is_no_file_of_half_a_backtest(staff: Client, done: Backtest) -> None:
    for status in ("waiting", "running", "failed"):
        Backtest.objects.update(status=status)
        response = staff.get(page(done, "csv"), follow=True)
        assert response.redirect_chain == [(page(done), 302)]
        assert "There is a CSV when the backtest is done." in text(response)


def test_periods_that_cannot_be_compared_are_said_so(staff: Client, plan: Plan) -> None:
    set_terms(draft_version(plan), interval="year")
    started = start_backtest(plan=plan)
    work_on(started.pk, seconds=60)
    shown = text(staff.get(page(started)))
    assert "3 periods of 3 customers (acme, globex, =initech) cannot be compared: v2 bills every year" in shown
    assert "none of the customers has a period that can be compared" in shown


def test_one_that_failed_says_why(staff: Client, plan: Plan) -> None:
    started = start_backtest(plan=plan)
    Backtest.objects.update(status="failed", error="model: is missing")
    assert "It could not be computed: model: is missing" in text(staff.get(page(started)))
    assert "model: is missing" in text(staff.get(f"/admin/pricing/plan/{plan.pk}/change/"))


def test_other_currencies(staff: Client, plan: Plan) -> None:
    set_terms(draft_version(plan), currency="JPY")
    started = start_backtest(plan=plan)
    work_on(started.pk, seconds=60)
    result = staff.get(page(started)).context["result"]
    (total,) = result.totals
    assert (total.currencies, total.then, total.now, total.change) == ("USD then, JPY now", "$105.00", "¥320", "")
    assert {row.change for row in result.customers} == {"other currency"}


def test_what_the_free_tier_takes(staff: Client, plan: Plan) -> None:
    item = plan.versions.get(status="draft").rates.get().product_item
    set_rate(draft_version(plan), product_item=item, parameters=PER_CALL | {"included_units": "2000"})
    started = start_backtest(plan=plan)
    work_on(started.pk, seconds=60)
    (row,) = staff.get(page(started)).context["result"].free
    # 5,000, 1,000 and 5,000 of 32,000 calls; then 2,000, 1,000 and 2,000 at a cent.
    assert (row.used, row.then, row.share_then, row.now, row.share_now, row.worth) == (
        "32,000", "11,000", "34.4%", "5,000", "15.6%", "$50.00",
    )  # fmt: skip


def test_who_may(client: Client, plan: Plan, done: Backtest) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_plan"))
    client.force_login(viewer)
    shown = text(client.get(f"/admin/pricing/plan/{plan.pk}/change/"))
    assert "Try it" in shown
    assert "Backtest" not in shown
    for name in ("change", "result", "csv"):
        assert client.get(page(done, name)).status_code == 403
    viewer.user_permissions.add(Permission.objects.get(codename="view_backtest"))
    shown = text(client.get(f"/admin/pricing/plan/{plan.pk}/change/"))
    assert "$105.00 then, $320.00 now" in shown
    assert "Start a backtest" not in shown
    assert text(client.get(page(done)))
    assert start(client, plan).status_code == 403
    assert Decimal(done.summary["totals"][0]["now"]) == 320


def test_it_is_started_by_posting(staff: Client, plan: Plan) -> None:
    assert staff.get(f"/admin/invoices/backtest/start/{plan.pk}/").status_code == 405
    assert staff.post("/admin/invoices/backtest/start/0/").status_code == 404


def test_the_list(staff: Client, done: Backtest) -> None:
    shown = text(staff.get("/admin/invoices/backtest/"))
    assert "$105.00 then, $320.00 now" in shown
    assert "story v2" in shown
