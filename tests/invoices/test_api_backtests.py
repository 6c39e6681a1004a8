"""`/v1/plans/{key}/backtests`."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from invoices.backtests.backtest import work_on
from invoices.backtests.reports import csv_rows
from invoices.models import Backtest
from pricing.models import Plan
from pricing.plans import draft_version, set_rate
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, send

pytestmark = pytest.mark.django_db

URL = "/v1/plans/story/backtests"
PER_CALL = {"model": "per_unit", "unit_price": "0.01"}


@pytest.fixture(autouse=True)
def _clock() -> Any:
    with time_machine.travel(datetime(2026, 11, 22, 12, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def plan() -> Plan:
    """Two customers with a month each: $5.00 and nothing; $60.00 and $10.00 by the draft."""
    meter = make_meter()
    plan = make_plan("story", {meter: STORY_RATE})
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=PER_CALL)
    for key, calls in (("acme", 6000), ("globex", 1000)):
        put_on(make_customer(key), plan, date(2026, 10, 1))
        send(key, "ApiCalls", calls, time=datetime(2026, 10, 9, tzinfo=UTC))
    return plan


def test_from_asking_to_its_rows(api: Callable[..., APIClient], plan: Plan) -> None:
    client = api("read", "write")
    answer = client.post(URL, {"periods": 2}, format="json")
    assert answer.status_code == 201
    started = answer.json()
    assert {name: started[name] for name in ("plan", "version", "status", "periods", "total", "done", "actor")} == {
        "plan": "story", "version": 2, "status": "waiting", "periods": 2, "total": 2, "done": 0, "actor": "test",
    }  # fmt: skip
    assert (started["totals"], started["free_tier"]) == ([], [])
    work_on(started["id"])

    done = client.get(f"{URL}/{started['id']}").json()
    assert (done["status"], done["done"]) == ("done", 2)
    (total,) = done["totals"]
    assert (total["then"], total["now"], total["more"], total["less"], total["same"]) == ("5.00", "70.00", 2, 0, 0)
    assert {one["change"]: one["customers"] for one in total["distribution"] if one["customers"]} == {
        "100% more or higher": 1, "paid nothing before": 1,
    }  # fmt: skip
    (tier,) = done["free_tier"]
    assert (tier["meter"], tier["free_then"], tier["free_now"], tier["share_now"]) == ("ApiCalls", "6000", "0", "0")

    rows = client.get(f"{URL}/{started['id']}/rows?limit=1").json()
    assert rows["data"] == [
        {
            "customer": "acme",
            "assignment": plan.assignments.get(customer__key="acme").pk,
            "period_start": "2026-10-01T00:00:00Z",
            "period_end": "2026-11-01T00:00:00Z",
            "currency_then": "USD",
            "amount_then": "5.00",
            "currency_now": "USD",
            "amount_now": "60.00",
            "change": "55.00",
            "change_percent": "1100",
        }
    ]
    following = client.get(rows["next"]).json()
    assert [(row["customer"], row["change_percent"]) for row in following["data"]] == [("globex", None)]
    of_one = client.get(f"{URL}/{started['id']}/rows?customer=globex").json()
    assert [row["customer"] for row in of_one["data"]] == ["globex"]
    assert [one["id"] for one in client.get(URL).json()["data"]] == [started["id"]]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"periods": 0}, "/periods"),
        ({"periods": 37}, "/periods"),
        ({"version": "7"}, "/version"),
        ({"version": "latest"}, "/version"),
        ({"month": 1}, "/month"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(api: Callable[..., APIClient], plan: Plan, body: dict[str, Any], pointer: str) -> None:
    answer = api().post(URL, body, format="json")
    assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (400, [pointer])


def test_one_at_a_time(api: Callable[..., APIClient], plan: Plan) -> None:
    client = api()
    assert client.post(URL, {}, format="json").status_code == 201
    refused = client.post(URL, {}, format="json")
    assert refused.status_code == 400
    assert "not finished" in refused.json()["errors"][0]["detail"]


def test_sent_again_it_is_started_once(api: Callable[..., APIClient], plan: Plan) -> None:
    client = api()
    first, again = (client.post(URL, {}, format="json", headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert first.json() == again.json()
    assert Backtest.objects.count() == 1


def test_there_are_no_rows_of_half_a_backtest(api: Callable[..., APIClient], plan: Plan) -> None:
    started = api().post(URL, {}, format="json").json()["id"]
    refused = api("read").get(f"{URL}/{started}/rows")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_done")


def test_rows_of_a_price_that_is_a_mistake(api: Callable[..., APIClient], plan: Plan) -> None:
    item = draft_version(plan).rates.get().product_item
    set_rate(draft_version(plan), product_item=item, parameters=PER_CALL | {"unit_price": "1" + "0" * 24})
    started = api().post(URL, {}, format="json").json()["id"]
    work_on(started)
    first, second = api("read").get(f"{URL}/{started}/rows").json()["data"]
    assert first["change_percent"] == str(12 * 10**28 - 100)
    assert second["change_percent"] is None
    backtest = Backtest.objects.get()
    assert [row[-1] for row in csv_rows(backtest)][1:] == [first["change_percent"], ""]


def test_who_may(api: Callable[..., APIClient], plan: Plan) -> None:
    assert api("read").post(URL, {}, format="json").status_code == 403
    assert api("ingest").get(URL).status_code == 403
    assert api().get("/v1/plans/nothing/backtests").status_code == 404
    make_plan("other", {make_meter("Exports"): STORY_RATE})
    started = api().post(URL, {}, format="json").json()["id"]
    assert api().get(f"/v1/plans/other/backtests/{started}").status_code == 404
    assert api().get(f"/v1/plans/other/backtests/{started}/rows").status_code == 404
