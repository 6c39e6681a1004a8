"""What a page asks of the database does not grow with what the customer has; and no page asks for much."""

from datetime import UTC, date, datetime, timedelta

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from meters.models import Customer
from portal.models import Membership
from portal.roles import Role
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_terms
from tests.factories import STORY_RATE, make_customer, make_plan, put_on, run_sweep, send
from tests.portal.conftest import SignIn
from tests.portal_pages import plain_pages

MOST = 40


def test_queries_do_not_grow_with_invoices_and_usage(sign_in: SignIn, growth: Plan) -> None:
    """Both are billed by the day: one has nine invoices, the other fifty, and many times the events."""
    few, many = make_customer("few"), make_customer("many")
    meter = growth.versions.get().rates.get().product_item.meter
    by_day = make_plan("ByDay", {meter: STORY_RATE})
    set_terms(draft_version(by_day), interval="day")
    activate(by_day)
    first = date(2026, 10, 1)
    for customer, start, step in ((few, 40, 4), (many, 0, 1)):
        put_on(customer, by_day, first + timedelta(days=start))
        for day in range(start, 49, step):
            moment = datetime(2026, 10, 1, 9, tzinfo=UTC) + timedelta(days=day)
            send(customer.key, "ApiCalls", 1000, time=moment, source=f"s{day}")
    for _ in range(4):
        run_sweep()
    assert few.invoices.count() == 9
    assert many.invoices.count() == 49
    little, much = (_counted(sign_in, customer) for customer in (few, many))
    assert {name: (little[name], much[name]) for name in much if much[name] > little[name] or much[name] > MOST} == {}


def _counted(sign_in: SignIn, customer: Customer) -> dict[str, int]:
    client: Client = sign_in(f"of {customer.key}", customer)
    Membership.objects.filter(customer=customer).update(role=Role.OWNER)
    found = {}
    for name, path in plain_pages().items():
        # The first call may fill what a process keeps.
        if client.get(path).status_code == 200:
            with CaptureQueriesContext(connection) as queries:
                client.get(path)
            found[name] = len(queries)
    return found
