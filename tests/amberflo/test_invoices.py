"""Invoices, and links into the portal."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from rest_framework.test import APIClient

from invoices.models import Invoice
from portal.models import PortalSession
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.amberflo.conftest import day_in_seconds, millis
from tests.factories import STORY_RATE, make_customer, make_meter, put_on, send
from tests.invoices.plans import fee, plan_with
from tests.invoices.prepaid import finalized

Their = Callable[..., APIClient]
INVOICES = "/amberflo/payments/billing/customer-product-invoice"


def test_an_invoice_with_all_that_one_can_have(their: Their) -> None:
    meter = make_meter()
    with time_machine.travel(datetime(2026, 11, 1, 8, tzinfo=UTC), tick=False) as clock:
        rates = {meter: [({}, STORY_RATE), ({"source": ["crm"]}, {"model": "per_unit", "unit_price": "0.01"})]}
        plan = plan_with(
            "Basic",
            rates,
            fee("seats", "29.95"),
            fee("support", kind="percent", percent="10"),
            minimum="200",
        )
        acme = make_customer("acme")
        put_on(acme, plan, date(2026, 11, 1))
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "20", "is_default": True})
        promotion = save_promotion(
            changes={"key": "start", "name": "Start", "kind": "amount", "amount": "5", "currency": "USD"}
        )
        apply_promotion(customer=acme, promotion=promotion, starts_on=date(2026, 11, 1))
        clock.move_to(datetime(2026, 11, 5, tzinfo=UTC))
        send("acme", "ApiCalls", "12300", now=timezone.now())
        send("acme", "ApiCalls", "250", now=timezone.now(), source="crm")
        client = their("read")
        # In Python's and in the others' way to write it.
        clock.move_to(datetime(2026, 11, 6, tzinfo=UTC))
        for false in ("False", "false"):
            answer = client.get(f"{INVOICES}?customerId=acme&productId=1&latest=true&fromCache={false}")
        bill = json.loads(answer.content, parse_float=Decimal)["totalBill"]
        stored = Invoice.objects.get()
        assert bill["totalPriceBeforePrepaid"] == bill["totalPrice"] == stored.total
        assert bill["itemPrice"] == Decimal("42.50")
        assert bill["fixPrice"] == Decimal("29.95")
        assert bill["totalPriceBeforeDiscount"] == Decimal("72.45")
        assert bill["invoiceBasedFees"] == Decimal("7.25")
        assert bill["totalDiscount"] == 5
        assert bill["commitmentsFees"] == Decimal("120.30") + 5
        others = bill["invoiceBasedFees"] + bill["commitmentsFees"] + bill["taxes"]
        assert bill["totalPriceBeforeDiscount"] - bill["totalDiscount"] + others == stored.total
        finalized(acme, datetime(2026, 12, 2, tzinfo=UTC))
        clock.move_to(datetime(2026, 12, 3, tzinfo=UTC))
        query = "customerId=acme&productPlanId=Basic&year=2026&month=11&day=1"
        found = json.loads(client.get(f"{INVOICES}?{query}").content, parse_float=Decimal)
        assert client.get(f"{INVOICES}?{query.replace('day=1', 'day=31')}").status_code == 400
        assert client.get(f"{INVOICES}?{query.replace('year=2026', 'year=9999')}").status_code == 400
    assert found["invoiceUri"] == (
        "payments/invoices/account_id=1/customer_id=acme/product_id=1/product_plan_id=Basic/year=2026/month=11/day=01"
    )
    assert (found["invoicePriceStatus"], found["paymentStatus"]) == ("price_locked", "pending")
    assert found["planBillingPeriod"] == {"interval": "month", "intervalsCount": 1}
    assert found["invoiceStartTimeInSeconds"] == day_in_seconds(date(2026, 11, 1))
    assert found["invoiceEndTimeInSeconds"] == day_in_seconds(date(2026, 12, 1))
    (item,) = found["productItemInvoices"]
    assert item["totalBill"] == {"meterUnits": 12550, "price": Decimal("42.50")}
    assert sorted(
        (one["itemDimensions"].get("source"), one["totalBill"]["meterUnits"])
        for one in item["productItemVariants"]
        if one["itemDimensions"]
    ) == [("crm", 250)]
    assert [one["cost"] for one in found["productPlanFees"]] == [Decimal("29.95")]
    assert [one["feeAmount"] for one in found["appliedInvoiceBasedFees"]] == [Decimal("7.25")]
    assert [(one["promotionId"], one["discount"]) for one in found["appliedPromotions"]] == [("start", 5)]


class TestLinks:
    @pytest.fixture
    def ask(self, their: Their) -> Callable[..., Any]:
        make_customer("acme")
        client = their("write")

        def send_it(**members: Any) -> Any:
            body = json.dumps({"customerId": "acme"} | members)
            return client.post("/amberflo/session", body, content_type="application/json")

        return send_it

    @pytest.mark.parametrize("hours", [None, 24])
    def test_it_lasts_as_long_as_ours_may(self, ask: Callable[..., Any], hours: int | None) -> None:
        """Theirs last a day."""
        asked = (
            {} if hours is None else {"expirationEpochMilliSeconds": millis(timezone.now() + timedelta(hours=hours))}
        )
        assert ask(**asked).status_code == 200
        session = PortalSession.objects.get()
        assert session.expires_at - session.created_at == timedelta(hours=12)

    @pytest.mark.parametrize(
        ("members", "name"),
        [
            ({"customerId": "nobody"}, "customerId"),
            ({"expirationEpochMilliSeconds": 1_700_000_000_000}, "expirationEpochMilliSeconds"),
            ({"expirationEpochMilliSeconds": 0}, "expirationEpochMilliSeconds"),
            ({"returnUrl": "javascript:alert(1)"}, "returnUrl"),
            ({"role": "owner"}, "role"),
        ],
    )
    def test_faults_name_their_member(self, ask: Callable[..., Any], members: dict[str, Any], name: str) -> None:
        answer = ask(**members)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith(f"{name}: ")
        assert not PortalSession.objects.exists()
