"""Alerts: what they watch, when they tell, and that they tell once."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from invoices import services
from invoices.alerting.alerts import change_alert, create_alert, remove_alert
from invoices.models import Alert, AlertFiring, Invoice, InvoiceLine
from invoices.settling.voiding import reissue, void_invoice
from invoices.webhooks.endpoints import create_endpoint
from meters.models import Customer
from pricing.assignments import end
from pricing.models import Assignment, Plan
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, put_on, send
from tests.invoices.alarms import alert, fired, mailed, mails_on, told, work
from tests.invoices.late import at, void, work_at
from tests.invoices.november import MONTH_END, NOW
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.racing import race

FIRST = date(2026, 11, 1)


@pytest.mark.usefixtures("acme")
class TestAmount:
    """The story's price: 5,000 calls are free, then $5.00 for each 1,000 that is begun."""

    def test_is_told_when_it_is_reached_and_once(self) -> None:
        alert(threshold=40)
        send("acme", "ApiCalls", 12000)  # $35.00
        work()
        assert fired() == []
        send("acme", "ApiCalls", 1)
        work()
        assert fired() == [("amount 40", "acme", Decimal(40))]
        send("acme", "ApiCalls", 5000)
        work()
        assert len(fired()) == 1

    def test_is_before_tax_and_after_promotions(self, acme: Customer) -> None:
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "50", "is_default": True})
        promotion = save_promotion(changes={"key": "ten", "name": "Ten", "percent": "10"})
        apply_promotion(customer=acme, promotion=promotion, starts_on=FIRST)
        alert(threshold="36.01")
        alert(threshold=36)
        send("acme", "ApiCalls", 12001)  # $40.00, 10% off, and half as much again of tax: $54.00
        work()
        assert live_invoice(acme).total == 54
        assert fired() == [("amount 36", "acme", Decimal(36))]

    def test_a_bill_that_falls_and_rises_again_is_not_told_twice(self) -> None:
        alert(threshold=40)
        send("acme", "ApiCalls", 12001, id="many")
        work()
        void("many")
        work()
        assert live_invoice(Customer.objects.get()).subtotal == 0
        send("acme", "ApiCalls", 20000)
        work()
        assert len(fired()) == 1

    def test_one_that_is_created_beyond_it(self) -> None:
        alert(threshold=20)
        customer = make_customer("globex")
        plan = plan_with("Dear", {make_meter("Storage"): ONE_EACH}, fee("base", "20"))
        put_on(customer, plan, FIRST)
        assert ("amount 20", "globex", Decimal(20)) in fired()

    def test_each_threshold_by_itself(self) -> None:
        for threshold in (5, 10, 15):
            alert(threshold=threshold)
        send("acme", "ApiCalls", 6001)  # $10.00
        work()
        assert [name for name, _, _ in fired()] == ["amount 5", "amount 10"]

    def test_of_one_customer_is_not_of_others(self, acme: Customer) -> None:
        alert(threshold=5, customer=acme, name="of acme")
        alert(threshold=5, name="of each")
        make_customer("globex")
        for key in ("acme", "globex"):
            send(key, "ApiCalls", 5001)
        work()
        assert sorted(fired()) == [
            ("of acme", "acme", Decimal(5)),
            ("of each", "acme", Decimal(5)),
            ("of each", "globex", Decimal(5)),
        ]

    def test_in_another_currency_it_watches_nothing(self, acme: Customer) -> None:
        alert(threshold=1, currency="EUR")
        alert("budget", 1, budget=1, currency="EUR")
        yen = plan_with("Yen", {make_meter("Storage"): ONE_EACH}, currency="JPY")
        put_on(make_customer("globex"), yen, FIRST)
        alert(threshold=100, currency="JPY", name="yen")
        send("acme", "ApiCalls", 12001)
        send("globex", "Storage", 99)
        work()
        assert fired() == []
        send("globex", "Storage", 1)
        work()
        assert fired() == [("yen", "globex", Decimal(100))]


@pytest.mark.usefixtures("acme")
class TestOtherKinds:
    def test_units_of_a_product_item(self) -> None:
        alert("quantity", "100.5")
        send("acme", "ApiCalls", 100)
        work()
        assert fired() == []
        send("acme", "ApiCalls", "0.5")
        work()
        assert fired() == [("quantity 100.5", "acme", Decimal("100.5"))]

    def test_units_are_counted_over_the_filters_of_a_price_in_a_trial_and_without_a_price(self) -> None:
        other = make_meter("Storage", dimensions=["region"])
        rates = {other: [({"region": ["eu"]}, ONE_EACH)]}
        plan = plan_with("Filters", rates, trial_days=10)
        put_on(make_customer("globex"), plan, FIRST)
        alert("quantity", 60, product_item=other.product_item)
        send("globex", "Storage", 10, time=at(11, 3), region="eu")
        send("globex", "Storage", 20, time=at(11, 15), region="eu")
        send("globex", "Storage", 29, time=at(11, 15), region="us")
        work()
        kinds = InvoiceLine.objects.filter(invoice__customer__key="globex", product_item=other.product_item)
        assert set(kinds.values_list("kind", flat=True)) == {"usage", "trial", "unpriced"}
        assert fired() == []
        send("globex", "Storage", 1, time=at(11, 15), region="us")
        work()
        assert fired() == [("quantity 60", "globex", Decimal(60))]

    def test_percent_of_the_free_units(self) -> None:
        for percent in (80, 100, 120):
            alert("free_tier", percent)
        send("acme", "ApiCalls", 3999)
        work()
        assert fired() == []
        send("acme", "ApiCalls", 1)
        work()
        assert fired() == [("free_tier 80", "acme", Decimal(80))]
        send("acme", "ApiCalls", 2000)
        work()
        assert [one[0] for one in fired()] == ["free_tier 80", "free_tier 100", "free_tier 120"]

    def test_percent_of_a_third_is_told_exactly_when_it_is_reached(self) -> None:
        """33.4% of 3 is 1.002: no rounding of the percentage lets 1.0019 be enough."""
        meter = make_meter("Storage")
        plan = plan_with("Third", {meter: ONE_EACH | {"included_units": "3"}})
        put_on(make_customer("globex"), plan, FIRST)
        alert("free_tier", "33.333333333333333", product_item=meter.product_item)
        send("globex", "Storage", "0.999999999999999")
        work()
        assert fired() == []
        send("globex", "Storage", "0.000000000000001")
        work()
        assert fired() == [("free_tier 33.333333333333333", "globex", Decimal("33.333333333333333"))]

    def test_percent_of_a_budget(self) -> None:
        alert("budget", 50, budget=20)
        send("acme", "ApiCalls", 5001)
        work()
        assert fired() == []
        send("acme", "ApiCalls", 1000)
        work()
        assert fired() == [("budget 50", "acme", Decimal(50))]

    def test_where_nothing_is_free_there_is_nothing_to_tell(self) -> None:
        meter = make_meter("Storage")
        put_on(make_customer("globex"), plan_with("Priced", {meter: ONE_EACH}), FIRST)
        alert("free_tier", 1, product_item=meter.product_item)
        send("globex", "Storage", 1000)
        work()
        assert fired() == []

    def test_usage_of_a_trial_takes_no_free_units(self) -> None:
        meter = make_meter("Storage")
        plan = plan_with("Trial", {meter: ONE_EACH | {"included_units": "100"}}, trial_days=10)
        put_on(make_customer("globex"), plan, FIRST)
        alert("free_tier", 50, product_item=meter.product_item)
        send("globex", "Storage", 80, time=at(11, 3))
        send("globex", "Storage", 49, time=at(11, 15))
        work()
        assert fired() == []
        send("globex", "Storage", 1, time=at(11, 15))
        work()
        assert fired() == [("free_tier 50", "globex", Decimal(50))]

    def test_of_several_free_tiers_the_one_that_runs_out_first_counts(self) -> None:
        meter = make_meter("Storage", dimensions=["region"])
        rates = [({"region": ["eu"]}, ONE_EACH | {"included_units": "10"}), ({}, ONE_EACH | {"included_units": "1000"})]
        put_on(make_customer("globex"), plan_with("Two", {meter: rates}), FIRST)
        alert("free_tier", 80, product_item=meter.product_item)
        send("globex", "Storage", 700, region="us")
        work()
        assert fired() == []
        send("globex", "Storage", 9, region="eu")
        work()
        assert fired() == [("free_tier 80", "globex", Decimal(90))]

    @pytest.mark.parametrize(
        ("free", "events", "expected"),
        [
            ({"free_amount": "100"}, ["50", "30"], Decimal(80)),
            ({"free_amount": "100", "included_units": "100"}, ["150", "10"], Decimal(80)),
            ({"free_events": "5"}, ["1", "1", "1", "1"], Decimal(80)),
            ({"free_events": "5", "free_amount": "1000"}, ["1", "1", "1", "1"], Decimal(80)),
            ({"free_events": "50", "free_amount": "100"}, ["79"], None),
            ({"free_events": "0"}, ["79"], None),
        ],
    )
    def test_what_a_percentage_leaves_free(self, free: dict[str, str], events: list[str], expected: Any) -> None:
        meter = make_meter("Deals")
        rate = {"model": "percentage", "rate_percent": "1", "fixed_fee_per_event": "0.30"} | free
        put_on(make_customer("globex"), plan_with("Share", {meter: rate}), FIRST)
        alert("free_tier", 80, product_item=meter.product_item)
        for minute, value in enumerate(events):
            send("globex", "Deals", value, time=NOW - timedelta(minutes=9 - minute))
        work()
        assert [value for _, _, value in fired()] == ([] if expected is None else [expected])


@pytest.mark.usefixtures("acme")
class TestPeriods:
    def test_the_next_period_is_told_again(self, november: time_machine.Traveller) -> None:
        alert(threshold=5)
        send("acme", "ApiCalls", 5001)
        work_at(november, NOW)
        send("acme", "ApiCalls", 5001, time=at(12, 2), now=at(12, 2))
        work_at(november, at(12, 3))
        firings = AlertFiring.objects.order_by("id")
        assert [one.invoice.period_start for one in firings] == [at(11, 22, 0), at(12, 1, 0)]
        assert [one.at for one in firings] == [NOW, at(12, 3)]

    def test_reached_in_grace(self, november: time_machine.Traveller) -> None:
        alert(threshold=5)
        work_at(november, at(12, 1, 6))
        assert Invoice.objects.get(period_end=MONTH_END).status == "grace"
        send("acme", "ApiCalls", 5001, time=NOW, now=at(12, 1, 6))
        work_at(november, at(12, 1, 7))
        assert [(one.invoice.status, one.value) for one in AlertFiring.objects.all()] == [("grace", 5)]

    def test_reached_by_what_the_last_computation_finds(self, acme: Customer) -> None:
        alert(threshold=5)
        send("acme", "ApiCalls", 5001)
        closed = services.close(live_invoice(acme).pk, now=at(12, 2))
        assert closed.status == "final"
        assert [(one.invoice_id, one.at) for one in AlertFiring.objects.all()] == [(closed.pk, at(12, 2))]

    def test_a_final_invoice_is_told_of_no_more_but_the_bill_that_corrects_it_is(
        self, november: time_machine.Traveller, acme: Customer
    ) -> None:
        alert(threshold=5)
        alert("quantity", 5001)
        work_at(november, at(12, 3))
        send("acme", "ApiCalls", 5001, time=NOW, now=at(12, 3))
        work_at(november, at(12, 3, 13))
        live = live_invoice(acme)
        assert (live.period_start, live.subtotal) == (MONTH_END, 5)
        # Units that came late are no units of this period.
        assert [(one.alert.name, one.invoice) for one in AlertFiring.objects.all()] == [("amount 5", live)]

    def test_a_reissued_invoice_is_of_the_same_period(self, november: time_machine.Traveller, acme: Customer) -> None:
        alert(threshold=5)
        alert(threshold=10)
        send("acme", "ApiCalls", 5001)
        work_at(november, at(12, 3))
        first = Invoice.objects.get(status="final")
        assert [name for name, _, _ in fired()] == ["amount 5"]
        send("acme", "ApiCalls", 1000, time=NOW, now=at(12, 3))
        new = reissue(first.pk, reason="Again", now=at(12, 3, 14))
        assert new.subtotal == 10
        assert [(one.alert.name, one.invoice_id) for one in AlertFiring.objects.order_by("id")] == [
            ("amount 5", first.pk),
            ("amount 10", new.pk),
        ]
        work_at(november, at(12, 3, 15))
        reissue(new.pk, reason="And again", now=at(12, 3, 16))
        assert AlertFiring.objects.count() == 2

    def test_a_void_one_is_told_of_no_more(self, november: time_machine.Traveller, acme: Customer) -> None:
        send("acme", "ApiCalls", 5001)
        work_at(november, at(12, 3))
        void_invoice(Invoice.objects.get(status="final").pk, reason="Wrong", now=at(12, 3))
        alert(threshold=5)
        work_at(november, at(12, 3, 14))
        assert fired() == []

    def test_a_period_that_is_opened_again_is_not_told_twice(self, acme: Customer) -> None:
        """Its assignment ended before it, and then not after all."""
        alert(threshold=5)
        send("acme", "ApiCalls", 5001)
        work()
        assignment = acme.assignments.get()
        first = live_invoice(acme)
        end(assignment, ends_on=assignment.starts_on)
        assert Invoice.objects.get(pk=first.pk).status == "void"
        end(Assignment.objects.get(pk=assignment.pk), ends_on=None)
        work()
        assert live_invoice(acme).pk != first.pk
        assert live_invoice(acme).subtotal == 5
        assert len(fired()) == 1

    def test_two_bills_of_one_customer_are_told_of_each(self, acme: Customer) -> None:
        put_on(acme, plan_with("Beside", {make_meter("Storage"): ONE_EACH}), FIRST)
        alert(threshold=5)
        send("acme", "ApiCalls", 5001)
        send("acme", "Storage", 7)
        work()
        assert sorted(value for _, _, value in fired()) == [5, 7]


class TestMakingAndChanging:
    @pytest.fixture(autouse=True)
    def _beyond(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 6001)  # $10.00
        work()

    def test_one_made_after_it_was_reached_tells_at_once(self) -> None:
        create_alert(name="Ten", kind="amount", currency="USD", threshold=10)
        assert Invoice.objects.get().is_stale
        work()
        assert fired() == [("Ten", "acme", Decimal(10))]

    def test_but_not_of_a_period_that_was_over(self, november: time_machine.Traveller) -> None:
        work_at(november, at(12, 1, 6))
        create_alert(name="Ten", kind="amount", currency="USD", threshold=10)
        work_at(november, at(12, 1, 7))
        assert Invoice.objects.filter(status="grace").exists()
        assert fired() == []

    def test_only_the_bills_that_it_is_about_are_computed(self) -> None:
        other = make_customer("globex")
        work()
        alert(threshold=10, customer=other)
        assert [one.customer for one in Invoice.objects.filter(is_stale=True)] == [other]

    def test_a_threshold_that_is_moved_is_another_one(self) -> None:
        one = alert(threshold=5)
        work()
        change_alert(one, changes={"threshold": Decimal(8)})
        work()
        change_alert(one, changes={"threshold": Decimal(50)})
        work()
        # Back at one that was told of.
        change_alert(one, changes={"threshold": Decimal("5.00")})
        work()
        assert [firing.threshold for firing in AlertFiring.objects.order_by("id")] == [5, 8]

    def test_a_budget_that_is_moved_too(self) -> None:
        one = alert("budget", 50, budget=20)
        work()
        change_alert(one, changes={"budget": 100})
        work()
        assert len(fired()) == 1
        change_alert(one, changes={"budget": 10})
        work()
        assert [(f.threshold, f.budget, f.value) for f in AlertFiring.objects.order_by("id")] == [
            (50, 20, 50),
            (50, 10, 100),
        ]

    def test_one_that_is_switched_off_tells_nothing_until_it_is_on(self) -> None:
        one = alert(threshold=5, enabled=False)
        work()
        assert fired() == []
        assert not Invoice.objects.get().is_stale
        change_alert(one, changes={"enabled": True})
        work()
        assert len(fired()) == 1

    def test_another_name_computes_nothing_anew(self) -> None:
        one = alert(threshold=5)
        work()
        change_alert(one, changes={"name": "Five", "recipients": ["a@example.com"]})
        assert not Invoice.objects.filter(is_stale=True).exists()
        assert fired() == [("Five", "acme", Decimal(10))]

    def test_removing_one_removes_what_it_told(self) -> None:
        one = alert(threshold=5)
        work()
        remove_alert(one)
        assert not Alert.objects.exists()
        assert not AlertFiring.objects.exists()
        work()


class TestManyAtOnce:
    def bills(self, plan: Plan, count: int) -> list[int]:
        made = []
        for number in range(Customer.objects.count(), Customer.objects.count() + count):
            customer = make_customer(f"c{number}")
            put_on(customer, plan, FIRST)
            send(customer.key, "ApiCalls", 100)
            made.append(customer.invoices.get().pk)
        return made

    def statements(self, ids: list[int]) -> int:
        Invoice.objects.filter(pk__in=ids).update(is_stale=True)
        with CaptureQueriesContext(connection) as queries:
            services.recalculate_many(ids, now=NOW)
        return len(queries)

    @pytest.mark.django_db
    @pytest.mark.usefixtures("november")
    def test_cost_one_statement_where_nothing_is_reached_and_few_where_it_is(self) -> None:
        plan = plan_with("Basic", {make_meter(): ONE_EACH})
        few, many = self.bills(plan, 2), self.bills(plan, 9)
        services.recalculate_many([*few, *many], now=NOW)
        with CaptureQueriesContext(connection) as queries:
            services.recalculate_many(many, now=NOW)
        assert len([one for one in queries if "invoices_alert" in one["sql"]]) == 1
        without = self.statements(many)
        high = alert(threshold=101)
        alert("free_tier", 50)
        services.recalculate_many([*few, *many], now=NOW)
        assert self.statements(few) == self.statements(many) == without
        remove_alert(high)
        alert(threshold=100, recipients=["ops@example.com"])
        create_endpoint(url="https://example.com/", types=["alert.triggered"])
        mails_on()
        # What they say is read of the customers and of what is told already.
        assert self.statements(few) == self.statements(many) <= without + 6
        assert len(fired()) == 11
        assert len(mailed()) == len(told()) == 11
        assert self.statements(few) == self.statements(many) == without + 1


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_workers_on_the_same_bills_tell_once(self) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
        mails_on()
        create_endpoint(url="https://example.com/", types=["alert.triggered"])
        alert(threshold=5, recipients=["ops@example.com"])
        for number in range(6):
            send(make_customer(f"c{number}").key, "ApiCalls", 5001)
        ids = list(Invoice.objects.order_by("pk").values_list("pk", flat=True))
        jobs: list[Any] = [lambda: services.recalculate_many(ids), lambda: services.recalculate_many(ids[::-1])]
        jobs += [lambda: services.close(ids[0], now=timezone.now() + timedelta(days=70))]
        assert race(*jobs, *jobs) == []
        assert sorted(key for _, key, _ in fired()) == [f"c{number}" for number in range(6)]
        assert len(mailed()) == len(told()) == 6

    def test_one_that_is_removed_or_changed_while_it_tells(self) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
        alerts = [alert(threshold=threshold) for threshold in (1, 2, 3, 4)]
        for number in range(6):
            send(make_customer(f"c{number}").key, "ApiCalls", 5001)
        ids = list(Invoice.objects.order_by("pk").values_list("pk", flat=True))

        def change() -> None:
            for one in alerts[2:]:
                change_alert(one, changes={"threshold": one.threshold + 1, "enabled": True})

        def remove() -> None:
            for one in alerts[:2]:
                remove_alert(one)

        work_on = [lambda part=part: services.recalculate_many(part) for part in (ids[:4], ids[2:], ids[::-1])]
        assert race(*work_on, change, remove) == []
        assert set(AlertFiring.objects.values_list("alert", flat=True)) <= {one.pk for one in alerts[2:]}
        services.recalculate_many(ids)
        told_of = AlertFiring.objects.filter(alert=alerts[3], threshold=5)
        assert told_of.count() == 6
