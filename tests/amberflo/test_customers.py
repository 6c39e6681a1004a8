"""Customers and usage, asked for by their client."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from metering.customer import CustomerApiClient, create_customer_payload
from metering.exceptions import ApiError
from metering.session import ApiSession
from metering.usage import (
    AggregationType,
    Take,
    TimeGroupingInterval,
    TimeRange,
    UsageApiClient,
    create_all_usage_query,
    create_usage_query,
)
from rest_framework.test import APIClient

from config import amberflo_urls
from meters.api.auth import needed_permissions
from meters.models import Customer
from tests.amberflo.conftest import seconds
from tests.factories import make_customer, make_meter, send

Their = Callable[..., APIClient]
AT = "/amberflo"


def test_customers(key: str) -> None:
    client = CustomerApiClient(key)
    assert client.list() == []
    # One that there is not is an object without members, which their client looks for one of.
    assert client.get("acme") == {}
    added = client.add_or_update(
        create_customer_payload("acme", "ACME", "billing@acme.example", True, {"tier": "gold"})
    )
    assert added == client.get("acme")
    assert added["id"] == added["customerId"] == "acme"
    assert (added["customerName"], added["customerEmail"], added["enabled"]) == ("ACME", "billing@acme.example", True)
    acme = Customer.objects.get()
    assert (acme.key, acme.source, acme.traits) == ("acme", Customer.Source.API, {"tier": "gold"})
    assert added["createTime"] == acme.created_at.timestamp() * 1000 // 1

    Customer.objects.update(time_zone="Asia/Tokyo")
    # What is left out is taken away; the zone is ours alone.
    changed = client.add_or_update(create_customer_payload("acme", "ACME Inc."))
    assert (changed["customerName"], changed["customerEmail"], changed["traits"]) == ("ACME Inc.", None, {})
    assert Customer.objects.get().time_zone == "Asia/Tokyo"
    # What was read can be sent back.
    assert client.update(changed | {"customerName": "ACME"})["customerName"] == "ACME"
    assert client.add(create_customer_payload("a/b", "Slash"))["customerId"] == "a/b"
    assert [one["customerId"] for one in client.list()] == ["acme", "a/b"]

    for refused, words in (
        (lambda: client.add(create_customer_payload("acme", "Again")), "customerId: "),
        (
            lambda: client.update(create_customer_payload("nobody", "Nobody")),
            "customerId: There is no customer 'nobody'",
        ),
        (lambda: client.add(create_customer_payload("c", "C", enabled=False)), "enabled: "),
        (lambda: client.add(create_customer_payload("c", "C", "no address")), "customerEmail: "),
        (lambda: client.add(create_customer_payload("c", "C"), create_in_stripe=True), "autoCreateCustomerInStripe: "),
        # Their session reads JSON also where something is deleted, and of what there is not here.
        (lambda: ApiSession(key).delete("/customers/acme"), "not deleted"),
        (lambda: ApiSession(key).get("/meters"), "GET /meters is none of them"),
    ):
        with pytest.raises(ApiError) as error:
            refused()
        assert words in json.loads(error.value.text)["message"]
    assert Customer.objects.count() == 2


def test_usage(key: str) -> None:
    """In the client's own words: the series of two customers, day by day."""
    make_meter()
    make_meter("Users", aggregation="unique_count", unique_dimension="user", dimensions=[])
    yesterday = timezone.now().replace(hour=12, minute=30, second=0, microsecond=0) - timedelta(days=1)
    send("acme", "ApiCalls", "10", time=yesterday, source="crm")
    send("acme", "ApiCalls", "2.5", time=yesterday - timedelta(days=1), source="erp")
    send("globex", "ApiCalls", "4", time=yesterday)
    send("globex", "Users", time=yesterday, user="jane")
    start = yesterday - timedelta(days=2)
    midnight = start.replace(hour=0, minute=0)
    client = UsageApiClient(key)
    span = TimeRange(seconds(start), seconds(yesterday) + 1)
    query = create_usage_query(AggregationType.SUM, "ApiCalls", TimeGroupingInterval.DAY, span, group_by=["customerId"])
    report = client.get(query)
    assert report["metadata"] == query
    days = [seconds(midnight + timedelta(days=day)) for day in range(3)]
    assert report["secondsSinceEpochIntervals"] == days
    assert report["clientMeters"][0] == {
        "group": {"groupInfo": {"customerId": "acme"}},
        "groupValue": 12.5,
        "values": [
            {"value": 0, "secondsSinceEpochUtc": days[0], "percentageFromPrevious": 0},
            {"value": 2.5, "secondsSinceEpochUtc": days[1], "percentageFromPrevious": 0},
            {"value": 10, "secondsSinceEpochUtc": days[2], "percentageFromPrevious": 300},
        ],
    }
    assert [one["groupValue"] for one in report["clientMeters"]] == [12.5, 4]
    greatest = query | {"take": Take(1).payload}
    least = query | {"take": Take(1, is_ascending=True).payload}
    reports = client.get([greatest, least, query | {"filter": {"customerId": ["acme"], "source": ["erp"]}}])
    assert [[one["groupValue"] for one in each["clientMeters"]] for each in reports] == [[12.5], [4], [2.5]]

    # Without an end it goes up to now.
    open_end = create_usage_query(
        AggregationType.COUNT, "ApiCalls", TimeGroupingInterval.WEEK, TimeRange(seconds(start))
    )
    counted = client.get(open_end)
    assert (counted["metadata"], counted["clientMeters"][0]["groupValue"]) == (open_end, 3)

    everything = client.get_all(create_all_usage_query(TimeGroupingInterval.MONTH, TimeRange(seconds(start))))
    assert [(one["metadata"]["meterApiName"], one["clientMeters"][0]["groupValue"]) for one in everything] == [
        ("ApiCalls", 16.5),
        ("Users", 1),
    ]
    of_acme = create_all_usage_query(TimeGroupingInterval.DAY, span, "acme", group_by_customer_id=True)
    assert [len(one["clientMeters"]) for one in client.get_all(of_acme)] == [1, 0]


@pytest.fixture
def asked(their: Their) -> Callable[..., Any]:
    """Asks for usage of the last month, with some members in place of these; as text, so that no digit is lost."""
    client = their("read")

    def ask(client: APIClient = client, **members: Any) -> Any:
        start = seconds(timezone.now() - timedelta(days=30))
        query = {"meterApiName": "ApiCalls", "timeGroupingInterval": "MONTH"}
        query |= {"timeRange": {"startTimeInSeconds": start}} | members
        return client.post(f"{AT}/usage/", json.dumps(query), content_type="application/json")

    return ask


def values(answer: Any) -> list[Decimal]:
    assert answer.status_code == 200, answer.content
    return [one["groupValue"] for one in json.loads(answer.content, parse_float=Decimal)["clientMeters"]]


def test_figures_are_exact_and_names_of_either_case(asked: Callable[..., Any]) -> None:
    make_meter(multiplier=Decimal("0.5"))
    for value in ("0.1", "0.2", "123456789012345678901.000000000000003"):
        send("acme", "ApiCalls", value)
    exact = Decimal("61728394506172839450.6500000000000015")
    assert values(asked(aggregation="SUM")) == values(asked(aggregation="sum", timeGroupingInterval="month")) == [exact]
    assert values(asked()) == [exact]
    assert values(asked(aggregation="Count")) == [3]
    assert values(asked(aggregation="MIN")) == [Decimal("0.05")]
    assert values(asked(aggregation="MAX")) == [Decimal("61728394506172839450.5000000000000015")]


def test_what_a_meter_counts_by_itself(asked: Callable[..., Any]) -> None:
    make_meter("ApiCalls", aggregation="unique_count", unique_dimension="user", dimensions=[])
    for user in ("jane", "joe", "jane"):
        send("acme", "ApiCalls", user=user)
    assert values(asked()) == values(asked(aggregation="SUM")) == [2]
    assert values(asked(aggregation="COUNT")) == [3]
    assert asked(aggregation="MAX").status_code == 400


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"meterApiName": "Unknown"}, "meterApiName"),
        ({"aggregation": "AVG"}, "aggregation"),
        ({"timeGroupingInterval": "YEAR"}, "timeGroupingInterval"),
        ({"timeGroupingInterval": "HOUR", "timeRange": {"startTimeInSeconds": 1}}, "timeGroupingInterval"),
        ({"timeRange": {"startTimeInSeconds": 10**11}}, "timeRange/startTimeInSeconds"),
        ({"timeRange": {"startTimeInSeconds": 20, "endTimeInSeconds": 10}}, "timeRange/startTimeInSeconds"),
        ({"timeRange": {}}, "timeRange/startTimeInSeconds"),
        *(
            (
                {
                    "timeGroupingInterval": interval,
                    "timeRange": {"startTimeInSeconds": 253_402_300_000, "endTimeInSeconds": 253_402_300_799},
                },
                "timeRange/endTimeInSeconds",
            )
            for interval in ("WEEK", "MONTH")
        ),
        ({"groupBy": ["colour"]}, "groupBy"),
        ({"groupBy": ["source", "source"]}, "groupBy"),
        ({"filter": {"colour": ["red"]}}, "filter"),
        ({"take": {"limit": 0}}, "take/limit"),
        ({"rescaleFunction": {"function": "multiply"}}, "rescaleFunction"),
    ],
)
def test_faults_of_a_query_name_its_member(asked: Callable[..., Any], members: dict[str, Any], name: str) -> None:
    make_meter()
    answer = asked(**members)
    assert answer.status_code == 400
    assert json.loads(answer.content)["message"].startswith(f"{name}: ")


def test_a_key_of_one_customer(their: Their, asked: Callable[..., Any]) -> None:
    make_meter()
    acme = make_customer("acme")
    send("acme", "ApiCalls", 1)
    send("globex", "ApiCalls", 2)
    own = their("read", customer=acme)
    assert values(asked(own)) == [1]
    assert asked(own, filter={"customerId": ["globex"]}).status_code == 403
    assert own.get(f"{AT}/customers/").status_code == 403
    # Whether there is another one is not theirs to know.
    assert own.get(f"{AT}/customers/?customerId=globex").json() == {}
    assert own.get(f"{AT}/customers/globex").json() == {}
    assert own.get(f"{AT}/customers/?CustomerId=acme").json()["customerId"] == "acme"
    all_meters = f"{AT}/usage/all?startTimeInSeconds=1700000000&timeGroupingInterval=Month"
    assert own.get(f"{all_meters}&customerId=globex").status_code == 403
    assert own.get(all_meters).json()[0]["clientMeters"][0]["groupValue"] == 1


@pytest.mark.parametrize("scopes", [("ingest",), ("write",)])
def test_a_key_without_the_scope(their: Their, scopes: tuple[str, ...]) -> None:
    answer = their(*scopes).get(f"{AT}/customers/")
    assert answer.status_code == 403
    assert "lacks the scope 'read'" in answer.json()["message"]


def test_a_body_that_is_no_json_and_parameters_that_there_are_not(their: Their) -> None:
    client = their()
    answer = client.post(f"{AT}/customers/", b"{no json", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")
    answer = client.get(f"{AT}/customers/?customer=acme")
    assert (answer.status_code, answer.json()["message"]) == (400, "customer: There is no such parameter here.")
    answer = client.post(f"{AT}/customers/?autoCreateCustomerInStripe=maybe", "{}", content_type="application/json")
    assert answer.json()["message"] == "autoCreateCustomerInStripe: This is true or false."
    body = json.dumps({"customerId": "c", "customerName": "C", "colour": "red"})
    answer = client.post(f"{AT}/customers/", body, content_type="application/json")
    assert "colour" in answer.json()["message"]
    assert not Customer.objects.exists()


def test_answers_are_in_nobodys_cache(their: Their) -> None:
    assert their().get(f"{AT}/customers/")["Cache-Control"] == "no-store, private"


def test_a_role_bounds_a_key(their: Their) -> None:
    make_meter()
    client = their(role="read-only")
    assert client.get(f"{AT}/customers/").status_code == 200
    body = json.dumps({"customerId": "c", "customerName": "C"})
    answer = client.post(f"{AT}/customers/", body, content_type="application/json")
    assert answer.status_code == 403
    assert "lacks the permission" in answer.json()["message"]
    assert not Customer.objects.exists()


def test_every_call_names_what_a_role_needs_and_is_not_in_our_document() -> None:
    for route in amberflo_urls.urlpatterns:
        view = route.callback.cls
        assert view.schema is None
        for method in ("GET", "POST", "PUT", "DELETE"):
            assert needed_permissions(method, view()) is not None, (route, method)


def test_without_the_setting_there_is_nothing(client: Client, db: None) -> None:
    assert client.get(f"{AT}/customers/").status_code == 404
    assert client.post(f"{AT}/ingest/", "[]", content_type="application/json").status_code == 404
