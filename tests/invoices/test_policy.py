"""The account's billing policy and that of plans: what counts, from when on, and what is refused."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from rest_framework.test import APIClient

from invoices.api.policy_examples import PLAN_POLICY, POLICY
from invoices.models import BillingPolicy, Invoice, NumberSeries, PlanPolicy
from invoices.policy import billing_policy
from invoices.policy_changes import set_billing_policy, set_plan_policy
from invoices.services import close
from meters.models import Customer
from pricing.models import Plan
from tests.factories import live_invoice, run_sweep
from tests.invoices.november import MONTH_END, NOW

pytestmark = pytest.mark.usefixtures("november", "db")


def change(**changes: Any) -> BillingPolicy:
    return set_billing_policy(changes=changes, now=NOW)


def refused(**changes: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as error:
        change(**changes)
    assert not BillingPolicy.objects.exists()
    return error.value.message_dict


class TestWhatCounts:
    def test_grace_is_of_invoices_opened_from_now_on(self, acme: Customer) -> None:
        before = live_invoice(acme)
        change(grace_hours=72)
        before.refresh_from_db()
        assert before.closes_at == MONTH_END + timedelta(hours=24)
        with time_machine.travel(MONTH_END, tick=False):
            run_sweep()
        after = acme.invoices.get(period_start=MONTH_END)
        assert after.closes_at == after.period_end + timedelta(hours=72)

    def test_a_plan_has_its_own_and_what_it_has_not_is_the_accounts(self, acme: Customer) -> None:
        change(grace_hours=72, payment_days=7)
        set_plan_policy(Plan.objects.get(), changes={"grace_hours": 0})
        with time_machine.travel(MONTH_END, tick=False):
            run_sweep()
        invoice = acme.invoices.get(period_start=MONTH_END)
        assert invoice.closes_at == invoice.period_end
        final = close(invoice.pk, now=invoice.period_end)
        assert (final.status, final.due_on) == ("final", date(2027, 1, 8))

    def test_no_grace_is_none_and_not_the_installations(self, acme: Customer) -> None:
        change(grace_hours=0)
        with time_machine.travel(MONTH_END, tick=False):
            run_sweep()
        invoice = acme.invoices.get(period_start=MONTH_END)
        assert invoice.closes_at == invoice.period_end

    def test_days_of_payment_are_counted_in_the_invoices_own_zone(self, acme: Customer) -> None:
        Invoice.objects.update(time_zone="Pacific/Auckland")
        change(payment_days=0)
        # The evening of the 2nd, which is the 3rd there.
        assert close(live_invoice(acme).pk, now=datetime(2026, 12, 2, 20, tzinfo=UTC)).due_on == date(2026, 12, 3)

    def test_numbers_go_on_where_they_are(self, acme: Customer) -> None:
        NumberSeries.objects.create(series="invoice", year=2026, last=41)
        change(invoice_numbers="INV-{year}/{number:06}")
        assert close(live_invoice(acme).pk, now=MONTH_END + timedelta(days=2)).number == "INV-2026/000042"


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        "pattern",
        ["{number}", "{year}", "{year}{number}", "{year}-{number}-{number}", "{year}-{number:x}", "{year}-{number!r}",
         "{year}-{number", "{0}-{year}-{number}", "{year}-{number:04}\n", "№{year}-{number}",
         "{year}" + "-" * 30 + "{number}", "{year.real}-{number}", "{year}-{number:099}", " {year}-{number}"],
    )  # fmt: skip
    def test_numbers_that_are_none(self, pattern: str) -> None:
        assert set(refused(invoice_numbers=pattern)) == {"invoice_numbers"}
        assert set(refused(credit_note_numbers=pattern)) == {"credit_note_numbers"}

    def test_one_pattern_for_both(self) -> None:
        assert set(refused(credit_note_numbers="{year}-{number:04}")) == {"credit_note_numbers"}

    def test_a_number_that_they_would_come_to_later(self, acme: Customer) -> None:
        change(invoice_numbers="R1{number}-{year}")
        close(live_invoice(acme).pk, now=MONTH_END + timedelta(days=2))
        # The eleventh invoice, and none after it, could have had a number.
        with pytest.raises(ValidationError, match="R11-2026 already"):
            change(invoice_numbers="R{number}-{year}")
        change(invoice_numbers="R{number:03}-{year}")
        change(invoice_numbers="R1{number:02}-{year}")

    def test_a_number_that_there_is(self, acme: Customer) -> None:
        close(live_invoice(acme).pk, now=MONTH_END + timedelta(days=2))
        NumberSeries.objects.update(last=0)
        change(invoice_numbers="X{year}-{number}")
        with pytest.raises(ValidationError, match="2026-0001 already"):
            change(invoice_numbers="{year}-{number:04}")

    @pytest.mark.parametrize(
        ("field", "value"),
        [("grace_hours", -1), ("grace_hours", 24 * 90 + 1), ("payment_days", -1), ("payment_days", None),
         ("payment_days", 3651), ("late_usage", "never"), ("late_ignored_below", "-1"), ("late_ignored_below", "x"),
         ("needs_approval", None), ("id", 2)],
    )  # fmt: skip
    def test_values_out_of_bounds(self, field: str, value: Any) -> None:
        assert set(refused(**{field: value})) == {field}

    def test_of_a_plan(self, acme: Customer) -> None:
        for field, value in (("grace_hours", -1), ("payment_days", 3651), ("invoice_numbers", "x")):
            with pytest.raises(ValidationError) as error:
                set_plan_policy(Plan.objects.get(), changes={field: value})
            assert set(error.value.message_dict) == {field}
        assert not PlanPolicy.objects.exists()


def test_it_is_one_row_and_as_it_comes_without_one() -> None:
    assert (billing_policy().payment_days, billing_policy().pk) == (14, 1)
    change(payment_days=30)
    change(late_ignored_below="0.50")
    assert BillingPolicy.objects.get().late_ignored_below == Decimal("0.50")
    assert billing_policy().payment_days == 30


class TestTheApi:
    @pytest.fixture
    def client(self, api: Any) -> APIClient:
        made: APIClient = api("read", "write")
        return made

    def test_of_the_account(self, client: APIClient) -> None:
        seller = {name: POLICY[name] for name in ("seller_name", "seller_address", "seller_tax_id", "paper_footer")}
        assert client.get("/v1/billing-policy").json() == POLICY | dict.fromkeys(seller, "")
        changed = client.patch("/v1/billing-policy", seller | {"payment_days": 30}, format="json")
        assert (changed.status_code, changed.json()) == (200, POLICY | {"payment_days": 30})
        nobody = client.patch("/v1/billing-policy", {"seller_name": "", "seller_address": "x" * 501}, format="json")
        assert [error["pointer"] for error in nobody.json()["errors"]] == ["/seller_address"]

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [({"invoice_numbers": "{year}"}, "/invoice_numbers"), ({"payment_days": -1}, "/payment_days"),
         ({"next_invoice_number": "1"}, "/next_invoice_number"), ({"more": 1}, "/more")],
    )  # fmt: skip
    def test_refusals_name_the_field(self, client: APIClient, body: dict[str, Any], pointer: str) -> None:
        answer = client.patch("/v1/billing-policy", body, format="json")
        assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (400, [pointer])

    def test_of_a_plan(self, client: APIClient, acme: Customer) -> None:
        path = f"/v1/plans/{Plan.objects.get().key}/billing"
        nothing = dict.fromkeys(PLAN_POLICY)
        assert client.get(path).json() == nothing
        body = {"grace_hours": 72, "payment_days": 30}
        assert client.patch(path, body, format="json").json() == PLAN_POLICY
        assert client.patch(path, {"grace_hours": None}, format="json").json() == PLAN_POLICY | {"grace_hours": None}
        assert client.patch(path, {"grace_hours": "x"}, format="json").status_code == 400
        assert client.get("/v1/plans/unknown/billing").status_code == 404

    def test_keys_that_only_read(self, api: Any) -> None:
        assert api("read").patch("/v1/billing-policy", {}, format="json").status_code == 403
