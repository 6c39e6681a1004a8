"""Plans and prepaid orders, and beside them an invoice and a link into the portal, asked for by their client."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from metering.customer_portal_session import CustomerPortalSessionApiClient, create_customer_portal_session_payload
from metering.customer_prepaid_order import (
    BillingPeriod,
    BillingPeriodUnit,
    CustomerPrepaidOrderApiClient,
    create_customer_prepaid_order_payload,
)
from metering.customer_product_invoice import (
    CustomerProductInvoiceApiClient,
    create_all_invoices_query,
    create_invoice_query,
    create_latest_invoice_query,
)
from metering.customer_product_plan import CustomerProductPlanApiClient, create_customer_product_plan_payload
from metering.exceptions import ApiError
from metering.session import ApiSession
from rest_framework.test import APIClient

from invoices.models import CreditGrant
from meters.models import Customer
from portal.models import PortalSession
from portal.policy import set_portal_policy
from pricing.models import Assignment, Plan
from tests.amberflo.conftest import day_in_seconds, millis, seconds
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, send
from tests.invoices.plans import plan_with
from tests.invoices.prepaid import prepaid
from tests.kept import kept

Their = Callable[..., APIClient]
PRICING = "/amberflo/payments/pricing/amberflo"
INVOICES = "/amberflo/payments/billing/customer-product-invoice"
DAY = timedelta(days=1)


def days_of(customer: str = "acme") -> list[tuple[str, date, date | None]]:
    """The plans that a customer is on for any day, in their order."""
    some = Assignment.objects.filter(customer__key=customer).order_by("starts_on", "id")
    return [(one.plan.key, one.starts_on, one.ends_on) for one in some if one.ends_on != one.starts_on]


def test_a_customer_gets_a_plan_credit_and_an_invoice(key: str) -> None:
    meter = make_meter()
    make_plan("Basic", {meter: STORY_RATE})
    make_customer("acme")
    today = timezone.now().date()
    first = today.replace(day=1)
    set_portal_policy(changes={"return_origins": ["https://app.example"]})

    plans = CustomerProductPlanApiClient(key)
    assert plans.get("acme") is None
    assert plans.list("acme") == []
    payload = create_customer_product_plan_payload("acme", "Basic", start_time_in_seconds=day_in_seconds(first))
    assignment = plans.add_or_update(payload)
    stored = Assignment.objects.get()
    assert assignment == {
        "relationId": str(stored.pk),
        "customerId": "acme",
        "productPlanId": "Basic",
        "productId": "1",
        "startTimeInSeconds": day_in_seconds(first),
        "endTimeInSeconds": None,
        "createdTimeInSeconds": seconds(stored.created_at),
    }
    assert plans.add_or_update(payload) == plans.get("acme") == plans.list("acme")[0] == assignment

    orders = CustomerPrepaidOrderApiClient(key)
    assert orders.list_active("acme") == []
    order = create_customer_prepaid_order_payload("order-1", "acme", seconds(timezone.now()), 10.1, original_worth=12.5)
    added = orders.add(order)
    assert added == orders.add(order) == orders.list_active("acme")[0]
    grant = CreditGrant.objects.get()
    assert (grant.amount, grant.price_paid, grant.currency) == (Decimal("12.5"), Decimal("10.1"), "USD")
    assert (added["id"], added["prepaidPrice"], added["originalWorth"], added["amountLeft"]) == (
        *("order-1", 10.1, 12.5),
        12.5,
    )
    assert (added["externalPayment"], added["paymentStatus"]) == (False, "requires_action")

    invoices = CustomerProductInvoiceApiClient(key)
    send("acme", "ApiCalls", "12300", now=timezone.now())
    # No worker is here: what is not to be from a cache is worked out at once.
    assert invoices.get(create_latest_invoice_query("acme"))["totalBill"]["itemPrice"] == 0
    latest = invoices.get(create_latest_invoice_query("acme", from_cache=False))
    assert latest["totalBill"]["itemPrice"] == 40
    assert latest["totalBill"]["prepaid"] == 12.5
    assert latest["totalBill"]["totalPrice"] == 27.5
    assert (latest["invoicePriceStatus"], latest["paymentStatus"]) == ("open", "pre_payment")
    assert invoices.get_all(create_all_invoices_query("acme")) == [latest]
    assert invoices.get(create_invoice_query("acme", "Basic", first)) == latest
    assert invoices.get(create_invoice_query("acme", "Basic", first - DAY)) == {}
    assert invoices.get(create_latest_invoice_query("nobody")) == {}

    portal = CustomerPortalSessionApiClient(key)
    soon = timezone.now() + timedelta(minutes=30)
    asked = create_customer_portal_session_payload("acme", millis(soon), "https://app.example/account")
    session = portal.get(asked)
    assert session["url"].endswith(f"/enter/{session['sessionToken']}/")
    made = PortalSession.objects.get()
    assert (made.customer.key, made.return_url) == ("acme", "https://app.example/account")
    assert abs(made.expires_at - soon) < timedelta(seconds=1)

    deleted = ApiSession(key).delete(f"{PRICING.removeprefix('/amberflo')}/customer-prepaid?Id=order-1&CustomerId=acme")
    assert deleted["internalStatus"] == "deleted"
    assert orders.list_active("acme") == []
    for refused, words in (
        (lambda: plans.add_or_update(payload | {"productPlanId": "None"}), "productPlanId: There is no plan"),
        (lambda: orders.add(order), "id: The order with this id was deleted"),
        (lambda: portal.get(asked | {"returnUrl": "https://evil.example"}), "returnUrl: "),
        (lambda: invoices.get({"customerId": "acme"}), "productPlanId: This is needed"),
    ):
        with pytest.raises(ApiError) as error:
            refused()
        assert json.loads(error.value.text)["message"].startswith(words)


@pytest.fixture
@kept()
def plan(db: None) -> Plan:
    """And two others."""
    meter = make_meter()
    return [make_plan(name, {meter: STORY_RATE}) for name in ("Other", "Pro", "Basic")][-1]


class TestPlans:
    @pytest.fixture
    def put(self, plan: Plan, their: Their) -> Callable[..., Any]:
        """Puts acme on a plan, as their client does."""
        client = their()

        def send_it(plan: str, start: date | None = None, end: date | None = None, **more: Any) -> Any:
            times = {"startTimeInSeconds": start, "endTimeInSeconds": end}
            body = {"customerId": "acme", "productPlanId": plan, "productId": "1"}
            body |= {name: day_in_seconds(day) for name, day in times.items() if day} | more
            return client.post(f"{PRICING}/customer-pricing", json.dumps(body), content_type="application/json")

        return send_it

    def test_another_plan_is_a_change_of_plan(self, put: Callable[..., Any]) -> None:
        make_customer("acme")
        today = timezone.now().date()
        put("Basic", today - 3 * DAY)
        assert put("Pro").json()["startTimeInSeconds"] == day_in_seconds(today)
        assert days_of() == [("Basic", today - 3 * DAY, today), ("Pro", today, None)]
        assert put("Other").status_code == 200
        assert days_of() == [("Basic", today - 3 * DAY, today), ("Other", today, None)]

    def test_an_end_that_is_sent_and_one_that_is_not(self, put: Callable[..., Any]) -> None:
        make_customer("acme")
        today = timezone.now().date()
        put("Basic", today, today + 30 * DAY)
        put("Basic")
        assert days_of() == [("Basic", today, today + 30 * DAY)]
        put("Basic", today, today + 40 * DAY)
        assert days_of() == [("Basic", today, today + 40 * DAY)]
        put("Basic", endTimeInSeconds=None)
        assert days_of() == [("Basic", today, None)]
        answer = put("Basic", today, today)
        assert (answer.status_code, answer.json()["message"].partition(":")[0]) == (400, "endTimeInSeconds")

    def test_what_is_planned_stays_and_what_has_begun_gives_way(self, put: Callable[..., Any]) -> None:
        make_customer("acme")
        today = timezone.now().date()
        put("Basic")
        put("Pro", today + 10 * DAY)
        put("Other")
        assert days_of() == [("Other", today, today + 10 * DAY), ("Pro", today + 10 * DAY, None)]
        answer = put("Other", end=today + 20 * DAY)
        assert "is to be on 'Pro'" in answer.json()["message"]
        # As where a customer's default plan has begun when it was made, and its own one is to count for some days more.
        put("Basic", today - 5 * DAY)
        assert days_of() == [("Basic", today - 5 * DAY, today + 10 * DAY), ("Pro", today + 10 * DAY, None)]

    def test_a_moment_counts_as_its_day_where_the_customer_is(self, put: Callable[..., Any]) -> None:
        make_customer("acme", time_zone="America/New_York")
        today = timezone.now().date()
        put("Basic", today - 3 * DAY)
        assert days_of() == [("Basic", today - 4 * DAY, None)]

    def test_several_plans_at_once_are_for_our_own_api(self, put: Callable[..., Any]) -> None:
        acme = make_customer("acme")
        add_on = make_plan("AddOn", {make_meter("Users"): STORY_RATE})
        today = timezone.now().date()
        put("Basic")
        put_on(acme, add_on, today)
        answer = put("Pro")
        assert answer.status_code == 400
        assert "several plans at once (Basic, AddOn)" in answer.json()["message"]
        assert [plan for plan, *_ in days_of()] == ["Basic", "AddOn"]

    def test_the_one_that_runs_is_the_latest(self, put: Callable[..., Any], their: Their) -> None:
        make_customer("acme")
        today = timezone.now().date()
        put("Basic", today - 5 * DAY)
        put("Pro", today + 5 * DAY)
        client = their("read")
        # Their clients write the name of this parameter in two ways.
        for name in ("CustomerId", "customerId"):
            assert client.get(f"{PRICING}/customer-pricing?{name}=acme").json()["productPlanId"] == "Basic"
        listed = client.get(f"{PRICING}/customer-pricing/list/?CustomerId=acme").json()
        assert [one["productPlanId"] for one in listed] == ["Basic", "Pro"]
        assert client.get(f"{PRICING}/customer-pricing").status_code == 400
        assert client.get(f"{PRICING}/customer-pricing?CustomerId=acme&productId=1").status_code == 200
        assert client.get(f"{PRICING}/customer-pricing?CustomerId=acme&productId=2").status_code == 400
        assert client.post(f"{PRICING}/customer-pricing", "{}", content_type="application/json").status_code == 403
        own = their(customer=Customer.objects.get())
        assert own.get(f"{PRICING}/customer-pricing?CustomerId=acme").status_code == 403

    @pytest.mark.parametrize(
        ("members", "name"),
        [
            ({"customerId": "nobody"}, "customerId"),
            ({"productPlanId": None}, "productPlanId"),
            ({"productId": "2"}, "productId"),
            ({"startTimeInSeconds": 5}, "startTimeInSeconds"),
            ({"startTimeInSeconds": -5}, "startTimeInSeconds"),
            ({"startTimeInSeconds": "soon"}, "startTimeInSeconds"),
            ({"endTimeInSeconds": 10**12}, "endTimeInSeconds"),
            ({"planGenerator": {}}, "planGenerator"),
        ],
    )
    def test_faults_name_their_member(self, put: Callable[..., Any], members: dict[str, Any], name: str) -> None:
        make_customer("acme")
        answer = put("Basic", **members)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith(f"{name}: ")
        assert not Assignment.objects.exists()


class TestPrepaid:
    ORDER = {"id": "order-1", "customerId": "acme", "startTimeInSeconds": 1_790_000_000, "prepaidPrice": 8128}

    @pytest.fixture
    def add(self, their: Their) -> Callable[..., Any]:
        client = their()

        def send_it(price: str = "8128", **members: Any) -> Any:
            body = json.dumps(self.ORDER | members).replace(": 8128", f": {price}")
            return client.post(f"{PRICING}/customer-prepaid", body, content_type="application/json")

        return send_it

    def test_amounts_are_what_was_written(self, add: Callable[..., Any]) -> None:
        make_customer("acme")
        answer = add("123456789012345678901.35", externalPayment=True, prepaidPriority="highest_priority", label="Card")
        assert b'"prepaidPrice":123456789012345678901.35' in answer.content
        grant = CreditGrant.objects.get()
        assert (grant.amount, grant.priority, grant.name) == (Decimal("123456789012345678901.35"), 0, "Card")
        assert (grant.reference, grant.source) == ("order-1", CreditGrant.Source.TOP_UP)
        assert answer.json()["paymentStatus"] == "settled"

    def test_it_is_in_the_currency_of_the_plan(self, add: Callable[..., Any]) -> None:
        plan = plan_with("Yen", {make_meter(): STORY_RATE}, currency="JPY")
        put_on(make_customer("acme"), plan, timezone.now().date())
        assert add("100.5").json()["message"].startswith("prepaidPrice: ")
        assert add("100").json()["originalCurrency"] == "JPY"

    @pytest.mark.parametrize(
        ("members", "name"),
        [
            ({"prepaidPrice": 0}, "prepaidPrice"),
            ({"prepaidPrice": -1}, "prepaidPrice"),
            ({"prepaidPrice": "NaN"}, "prepaidPrice"),
            ({"prepaidPrice": 0.001}, "prepaidPrice"),
            ({"originalWorth": 0.001}, "originalWorth"),
            ({"customerId": "nobody"}, "customerId"),
            ({"id": " "}, "id"),
            ({"prepaidOfferVersion": 3}, "prepaidOfferVersion"),
            ({"prepaidPriority": "MIDDLE"}, "prepaidPriority"),
            ({"customPriority": -1}, "customPriority"),
            ({"prepaidConditions": []}, "prepaidConditions"),
            (
                {"recurrenceFrequency": BillingPeriod(1, BillingPeriodUnit.MONTH).payload},
                "recurrenceFrequency",
            ),
        ],
    )
    def test_faults_name_their_member(self, add: Callable[..., Any], members: dict[str, Any], name: str) -> None:
        make_customer("acme")
        answer = add(**members)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith(f"{name}: ")
        assert not CreditGrant.objects.exists()

    def test_the_same_id_with_another_content(self, add: Callable[..., Any]) -> None:
        make_customer("acme")
        add("10")
        assert add("11").json()["message"].startswith("id: It was granted under this reference already")
        assert [grant.amount for grant in CreditGrant.objects.all()] == [10]

    def test_who_may_see_and_delete_them(self, add: Callable[..., Any], their: Their) -> None:
        acme = make_customer("acme")
        add("10")
        address = f"{PRICING}/customer-prepaid?Id=order-1&CustomerId="
        own, stranger = their(customer=acme), their(customer=make_customer("globex"))
        assert own.get(f"{address}acme").json()["amountLeft"] == 10
        assert [one["id"] for one in own.get(f"{PRICING}/customer-prepaid/list?CustomerId=acme").json()] == ["order-1"]
        assert stranger.get(f"{address}acme").status_code == 403
        assert stranger.get(f"{PRICING}/customer-prepaid/list?CustomerId=acme").status_code == 403
        assert stranger.get(f"{INVOICES}/all?customerId=acme").status_code == 403
        assert own.delete(f"{address}acme").status_code == 403
        vendor = their()
        assert vendor.get(f"{address}globex").json() == {}
        assert vendor.delete(f"{address}globex").status_code == 404
        assert vendor.delete(f"{address}acme").json()["amountLeft"] == 0
        assert vendor.delete(f"{address}acme").status_code == 400
        assert CreditGrant.objects.get().voided_at is not None

    def test_a_grant_of_ours_has_an_id_there(self, their: Their) -> None:
        grant = prepaid(make_customer("acme"), 5)
        client = their()
        (listed,) = client.get(f"{PRICING}/customer-prepaid/list?CustomerId=acme").json()
        assert listed["id"] == f"credit-{grant.pk}"
        client.delete(f"{PRICING}/customer-prepaid?CustomerId=acme&Id={listed['id']}")
        assert client.get(f"{PRICING}/customer-prepaid/list?CustomerId=acme").json() == []
