"""The demo that `make run` fills."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db.models import Count, F, Sum
from django.db.models.functions import TruncDate

from invoices import due
from invoices.alerting.budgets import budgets_of
from invoices.branding import brand_of
from invoices.models import BrandVersion, Invoice
from meters.models import Customer, Event, UsageBucket
from portal import demo
from portal.models import Membership
from pricing.models import Assignment, AssignmentLog
from tests.factories import make_customer


@pytest.mark.django_db
def test_it_has_customers_usage_and_months_of_final_invoices() -> None:
    now = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
    with time_machine.travel(now, tick=False):
        assert not demo.is_filled()
        demo.fill(now)
        assert demo.is_filled()
        assert due.stale_invoices(100) == []
        assert due.due_invoices(now, 100) == []

    look = brand_of(BrandVersion.objects.get(), "")
    assert (look.accent, look.has_logo, look.support_url) == ("#4346d6", True, "https://example.com/help")
    assert Customer.objects.count() == len(demo.CUSTOMERS)
    roles = Membership.objects.order_by("pk").values_list("customer__key", "role")
    owners = [(customer.key, "owner") for customer in demo.CUSTOMERS]
    assert list(roles) == [*owners, ("acme", "billing"), ("acme", "read_only")]
    by_plan = Assignment.objects.values_list("plan__key").annotate(Count("pk")).order_by("plan__key")
    assert list(by_plan) == [
        ("AwesomeIntegrationApi", 3),
        ("AwesomeIntegrationApiScale", 1),
        ("AwesomeIntegrationApiWeekly", 1),
    ]
    for customer in Customer.objects.all():
        statuses = list(customer.invoices.order_by("period_start").values_list("status", flat=True))
        assert statuses == ["final"] * (1 if customer.key == "hooli" else demo.MONTHS) + ["open"]
    numbers = sorted(Invoice.objects.filter(status="final").values_list("number", flat=True))
    assert numbers == [f"2026-{number:04}" for number in range(1, 14)]
    assert Invoice.objects.filter(customer__key="acme", total__gt=0).exists()
    kinds = {
        key: set(Invoice.objects.filter(customer__key=key).values_list("lines__kind", flat=True))
        for key in ("acme", "globex", "initech", "hooli")
    }
    assert kinds == {
        "acme": {"usage"},
        "globex": {"usage", "tax"},
        "initech": {"usage", "fee", "promotion", "true_up", "tax"},
        "hooli": {"trial"},
    }
    assert [one.amount for one in budgets_of(Customer.objects.get(key="acme"))] == [demo.BUDGET]
    owed = Invoice.objects.filter(status="final", payment_status__in=["unpaid", "partly"])
    assert [(one.customer.key, one.paid) for one in owed.filter(due_on__lt=now.date())] == [("initech", demo.PART_PAID)]
    assert not Event.objects.filter(occurred_at__gt=now).exists()
    # They came on their day, so no invoice says that they came late.
    assert not Event.objects.filter(received_at__lt=F("occurred_at")).exists()
    assert not Event.objects.filter(received_at__gt=F("occurred_at") + timedelta(days=1)).exists()
    acme = Event.objects.filter(customer__key="acme")
    assert not acme.exclude(received_at__date=TruncDate("occurred_at")).exists()
    assert not AssignmentLog.objects.filter(kind=AssignmentLog.Kind.UNMATCHED).exists()
    assert UsageBucket.objects.aggregate(n=Sum("count"), total=Sum("sum")) == Event.objects.aggregate(
        n=Count("sequence"), total=Sum("value")
    )


@pytest.mark.django_db
def test_a_database_of_another_stays_as_it_is(settings: Any) -> None:
    """`make run` with the DATABASE_URL of a production neither fills it nor sends it the demo's usage."""
    settings.DEMO = True
    make_customer("somebody")
    with pytest.raises(CommandError, match="not the demo's: it stays as it is"):
        call_command("demo")
    assert not demo.is_filled()
