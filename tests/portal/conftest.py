"""Three people in front of one customer's bill: its owner, a colleague, and a stranger of another customer."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from invoices.models import Invoice
from meters.models import Customer, Meter
from portal.models import Membership
from pricing.models import Plan
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.kept import kept

NOW = datetime(2026, 11, 18, 14, 2, tzinfo=UTC)

SignIn = Callable[..., Client]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
@kept(at=NOW)
def calls(db: None, clock: object) -> Meter:
    return make_meter("ApiCalls", name="API calls")


@pytest.fixture
@kept(at=NOW)
def growth(calls: Meter) -> Plan:
    return make_plan("Growth", {calls: STORY_RATE})


@pytest.fixture
@kept(at=NOW)
def acme(growth: Plan) -> Customer:
    """12,300 calls in November, 6,000 in October."""
    customer = make_customer("acme", name="Acme Corp")
    put_on(customer, growth, date(2026, 10, 1))
    send("acme", "ApiCalls", 6000, time=datetime(2026, 10, 3, 9, tzinfo=UTC), source="sap")
    send("acme", "ApiCalls", 5000, time=datetime(2026, 11, 2, 9, tzinfo=UTC), source="sap")
    send("acme", "ApiCalls", 7300, time=datetime(2026, 11, 18, 9, tzinfo=UTC), source="hubspot")
    run_sweep()
    run_sweep()
    return customer


@pytest.fixture
@kept(at=NOW)
def globex(growth: Plan) -> Customer:
    customer = make_customer("globex", name="Globex")
    put_on(customer, growth, date(2026, 11, 1))
    run_sweep()
    return customer


@pytest.fixture
def november(acme: Customer) -> Invoice:
    return Invoice.objects.get(customer=acme, status=Invoice.Status.OPEN)


@pytest.fixture
def october(acme: Customer) -> Invoice:
    return Invoice.objects.get(customer=acme, status=Invoice.Status.FINAL)


@pytest.fixture
def sign_in(db: None) -> SignIn:
    """Signs a new person in who may see these customers."""

    def sign_in(name: str, *customers: Customer, **fields: Any) -> Client:
        user = User.objects.create_user(name, f"{name}@example.com", **fields)
        for customer in customers:
            Membership.objects.create(user=user, customer=customer)
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def owner(acme: Customer, sign_in: SignIn) -> Client:
    return sign_in("alice", acme)


@pytest.fixture
def colleague(acme: Customer, sign_in: SignIn) -> Client:
    return sign_in("bob", acme)


@pytest.fixture
def stranger(globex: Customer, sign_in: SignIn) -> Client:
    return sign_in("charlie", globex)
