"""Many invoices computed at once: the same as one by one, in as many statements as for one, whoever else is at it."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invoices import due, services
from invoices.models import Invoice, InvoiceLine
from invoices.recalculating import CONTENT
from invoices.tasks import bills
from meters.models import Customer, Meter
from pricing.assignments import set_quantity
from pricing.models import Plan
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate, set_billing_profile
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.invoices.november import NOW
from tests.invoices.plans import FREE, ONE_EACH, fee, plan_with
from tests.racing import race

FIRST = date(2026, 11, 1)


def bill(invoice: Invoice) -> tuple[Any, ...]:
    """All that computing it writes, but for when."""
    invoice.refresh_from_db()
    lines = tuple(map(str, invoice.lines.values_list(*CONTENT)))
    about = (invoice.subtotal, invoice.total, invoice.usage_version, invoice.usage_at, invoice.follows_clock)
    return (*about, lines)


def forget(*invoices: Invoice) -> None:
    """As if they had never been computed."""
    InvoiceLine.objects.filter(invoice__in=invoices).delete()
    Invoice.objects.filter(pk__in=[one.pk for one in invoices]).update(
        subtotal=0, total=0, usage_version=0, usage_at=None, is_stale=True, follows_clock=False
    )


class World:
    """Plans of every kind, and what else there is to put on a bill."""

    def __init__(self) -> None:
        self.calls, self.storage = make_meter(), make_meter("Storage", unit="GB")
        self.users = make_meter("Users", aggregation="unique_count", unique_dimension="user", dimensions=["user"])
        self.seats = make_meter("Level", aggregation="time_weighted_sum", time_unit="hour", dimensions=[])
        self.deals = make_meter("Deals")
        per_event = {"model": "percentage", "rate_percent": "1", "fixed_fee_per_event": "0.30"}
        filtered = [({"source": ["crm"]}, {"model": "per_unit", "unit_price": "3"}), ({}, ONE_EACH)]
        tiers = [{"up_to": "50", "unit_price": "1"}, {"up_to": None, "unit_price": "0.333"}]
        graduated = {"model": "graduated", "tiers": tiers}
        setup, support = fee("setup", "9", kind="one_time"), fee("support", kind="percent", percent="10")
        self.plans = [
            plan_with("Story", {self.calls: STORY_RATE}),
            plan_with("Filters", {self.calls: filtered, self.users: ONE_EACH}, fee("base", "20")),
            plan_with("Trial", {self.calls: ONE_EACH, self.seats: FREE}, setup, trial_days=10),
            plan_with("Minimum", {self.calls: graduated}, fee("seats", "5"), support, minimum=Decimal(500)),
            plan_with("Commitment", {self.calls: ONE_EACH}, commitment=Decimal(10), overage_factor=Decimal("1.5")),
            plan_with("Weekly", {self.calls: ONE_EACH, self.deals: per_event}, interval="week", currency="EUR"),
            plan_with("Anniversary", {self.storage: ONE_EACH}, interval="quarter", alignment="anniversary"),
        ]  # fmt: skip
        self.promotions = [
            save_promotion(changes={"key": "half", "name": "Half", "percent": "50"}),
            save_promotion(changes={"key": "two", "name": "Two", "percent": "10", "periods": 2}),
            save_promotion(changes={"key": "cap", "name": "Cap", "percent": "30", "cap": "8", "currency": "USD"}),
            save_promotion(changes={"key": "five", "name": "Five", "kind": "amount", "amount": "5", "currency": "USD"}),
        ]
        self.vat = save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
        self.other = save_tax_rate(changes={"key": "gst", "name": "GST", "percent": "7.5"})


customers = st.lists(
    st.fixed_dictionaries(
        {
            "plan": st.integers(0, 6),
            "beside": st.booleans(),
            "day": st.integers(1, 22),
            "zone": st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
            "promotions": st.sets(st.integers(0, 3)),
            "tax": st.sampled_from(["default", "own", "exempt"]),
            "quantity": st.integers(0, 4),
            "events": st.lists(
                st.tuples(
                    st.sampled_from(["ApiCalls", "Storage", "Users", "Level", "Deals"]),
                    st.integers(0, 300),
                    st.integers(1, 22),
                    st.sampled_from(["crm", "shop"]),
                ),
                max_size=6,
            ),
        }
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.django_db
class TestManyAreAsOneByOne:
    @pytest.fixture
    def world(self) -> World:
        with time_machine.travel(NOW, tick=False):
            return World()

    def make(self, world: World, number: int, wanted: dict[str, Any]) -> None:
        customer = make_customer(f"c{number}-{Customer.objects.count()}", time_zone=wanted["zone"])
        assignment = put_on(customer, world.plans[wanted["plan"]], FIRST.replace(day=wanted["day"]))
        if wanted["beside"] and wanted["plan"] != 6:
            put_on(customer, world.plans[6], FIRST)
        if wanted["plan"] == 3:
            set_quantity(assignment, fee_key="seats", quantity=wanted["quantity"], starts_on=assignment.starts_on)
        for index in sorted(wanted["promotions"]):
            apply_promotion(customer=customer, promotion=world.promotions[index], starts_on=FIRST)
        if wanted["tax"] != "default":
            set_billing_profile(
                customer,
                tax_exempt=wanted["tax"] == "exempt",
                tax_rates=[world.other] if wanted["tax"] == "own" else [],
            )
        for meter, value, day, source in wanted["events"]:
            time = datetime(2026, 11, day, 6, 30, tzinfo=UTC)
            dimensions = {"user": f"u{value % 3}"} if meter == "Users" else {"source": source}
            send(customer.key, meter, value, time=time, **({} if meter == "Level" else dimensions))

    @settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(customers=customers)
    def test_for_every_kind_of_line(self, world: World, customers: list[dict[str, Any]]) -> None:
        with time_machine.travel(NOW, tick=False):
            known = set(Customer.objects.values_list("pk", flat=True))
            for number, wanted in enumerate(customers):
                self.make(world, number, wanted)
            invoices = list(Invoice.objects.exclude(customer__in=known).order_by("pk"))
            forget(*invoices)
            for invoice in invoices:
                services.recalculate(invoice.pk)
            one_by_one = [bill(invoice) for invoice in invoices]
            flags = list(Invoice.objects.filter(is_stale=True).order_by("pk").values_list("pk", flat=True))
            forget(*invoices)
            with_lines = {invoice.pk for invoice, one in zip(invoices, one_by_one, strict=True) if one[-1]}
            assert services.recalculate_many([invoice.pk for invoice in invoices]) == with_lines
            assert [bill(invoice) for invoice in invoices] == one_by_one
            assert list(Invoice.objects.filter(is_stale=True).order_by("pk").values_list("pk", flat=True)) == flags

    def test_with_all_of_it(self, world: World) -> None:
        """The kinds that there are, so that the test above is known to try them."""
        everything = {
            "beside": True, "day": 1, "zone": "UTC", "promotions": {0, 1, 2, 3}, "tax": "own", "quantity": 3,
            "events": [("ApiCalls", 60, 20, "crm"), ("ApiCalls", 7, 3, "shop"), ("Users", 5, 4, ""),
                       ("Level", 3, 5, ""), ("Deals", 100, 18, "crm"), ("Storage", 9, 9, "crm")],
        }  # fmt: skip
        with time_machine.travel(NOW, tick=False):
            for number in range(7):
                self.make(world, number, everything | {"plan": number})
            run_sweep()
        kinds = set(InvoiceLine.objects.values_list("kind", flat=True))
        assert kinds == {"usage", "trial", "unpriced", "fee", "promotion", "true_up", "overage", "tax"}


@pytest.mark.django_db
@pytest.mark.usefixtures("november")
class TestMany:
    @pytest.fixture
    def plan(self) -> Plan:
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
        half = save_promotion(
            changes={"key": "half", "name": "Half", "percent": "50", "cap": "1000", "currency": "USD"}
        )
        self.promotion = save_promotion(half, changes={"periods": 3})
        rates = {make_meter(): [({"source": ["crm"]}, STORY_RATE), ({}, ONE_EACH)], make_meter("Storage"): ONE_EACH}
        return plan_with("Basic", rates, fee("seats", "5"))

    def add(self, plan: Plan, count: int) -> list[Invoice]:
        added = []
        for number in range(Customer.objects.count(), Customer.objects.count() + count):
            customer = make_customer(f"c{number}")
            put_on(customer, plan, FIRST)
            apply_promotion(customer=customer, promotion=self.promotion, starts_on=FIRST)
            set_billing_profile(customer, legal_name="Company")
            send(customer.key, "ApiCalls", 12300 + number, source="crm")
            send(customer.key, "Storage", number)
            added.append(customer.invoices.get())
        return added

    def statements(self, call: Callable[[], Any]) -> int:
        with CaptureQueriesContext(connection) as queries:
            call()
        return len(queries)

    def test_take_as_many_statements_as_two(self, plan: Plan) -> None:
        """Usage is read for all of them together, and so is everything else."""
        counts = []
        for more in (2, 4, 14):
            ids = [invoice.pk for invoice in self.add(plan, more)]
            services.recalculate_many(ids)
            forget(*Invoice.objects.filter(pk__in=ids))
            counts.append(self.statements(lambda ids=ids: services.recalculate_many(ids)))
        assert counts[0] == counts[1] == counts[2] <= 25

    def test_that_are_unchanged_are_not_written_again(self, plan: Plan) -> None:
        invoices = self.add(plan, 4)
        ids = [invoice.pk for invoice in invoices]
        assert services.recalculate_many(ids) == set(ids)
        before = set(InvoiceLine.objects.values_list("pk", flat=True))
        assert services.recalculate_many(ids) == set()
        assert set(InvoiceLine.objects.values_list("pk", flat=True)) == before
        send(invoices[2].customer.key, "Storage", 1)
        assert services.recalculate_many(ids) == {ids[2]}
        assert set(InvoiceLine.objects.exclude(invoice=ids[2]).values_list("pk", flat=True)) < before

    def test_touch_no_other_customer(self, plan: Plan) -> None:
        invoices = self.add(plan, 3)
        services.recalculate_many([invoice.pk for invoice in invoices])
        send("c1", "Storage", 1)

        others = [invoices[0].customer_id, invoices[2].customer_id]

        def rows() -> list[Any]:
            """With the transaction that wrote each row: an update that changes nothing would show."""
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT i.*, i.xmin::text, l.*, l.xmin::text, c.xmin::text FROM invoices_invoice AS i"
                    " JOIN invoices_invoiceline AS l ON l.invoice_id = i.id"
                    " JOIN meters_customer AS c ON c.id = i.customer_id WHERE c.id = ANY (%s) ORDER BY i.id, l.id",
                    [others],
                )
                return cursor.fetchall()

        before = rows()
        bills.sweep()
        assert due.stale_invoices(10) == []
        assert rows() == before
        assert before

    def test_leave_what_is_final_or_gone(self, plan: Plan) -> None:
        invoices = self.add(plan, 2)
        services.close(invoices[0].pk, now=invoices[0].closes_at)
        before = bill(invoices[0])
        send("c0", "Storage", 1)
        assert services.recalculate_many([invoices[0].pk, invoices[1].pk, 0]) == {invoices[1].pk}
        assert bill(invoices[0]) == before
        assert services.recalculate_many([]) == set()

    def test_leave_what_somebody_else_has_brought_up_to_date(self, plan: Plan) -> None:
        invoices = self.add(plan, 2)
        ids = due.stale_invoices(10)
        services.recalculate(ids[0], now=NOW)
        assert services.recalculate_stale(ids, now=NOW + timedelta(seconds=1)) == []
        computed = [Invoice.objects.get(pk=pk).computed_at for pk in ids]
        assert computed == [NOW, NOW + timedelta(seconds=1)]
        assert len(invoices) == 2

    def test_those_that_waited_longest_come_first(self, plan: Plan) -> None:
        ids = [invoice.pk for invoice in self.add(plan, 3)]
        for minutes, pk in enumerate((ids[2], ids[0], ids[1])):
            services.recalculate(pk, now=NOW + timedelta(minutes=minutes))
        Invoice.objects.update(is_stale=True)
        assert due.stale_invoices(10) == [ids[2], ids[0], ids[1]]
        assert due.stale_invoices(1) == [ids[2]]


@pytest.mark.django_db(transaction=True)
class TestRaces:
    @pytest.fixture
    def meter(self) -> Meter:
        return make_meter()

    @pytest.fixture
    def ids(self, meter: Meter) -> list[int]:
        make_plan("Basic", {meter: STORY_RATE}, is_default=True)
        for number in range(12):
            send(make_customer(f"c{number}").key, "ApiCalls", 12300)
        return list(Invoice.objects.order_by("pk").values_list("pk", flat=True))

    def test_workers_on_overlapping_chunks_in_whatever_order(self, ids: list[int]) -> None:
        chunks = [ids[:8], ids[4:][::-1], ids[2:10], ids[::-1]]

        def work(chunk: list[int]) -> None:
            for _ in range(5):
                services.recalculate_stale(chunk)
                services.recalculate_stale(chunk, wait=False)
                services.recalculate_many(chunk)
                bills.bring_up_to_date(chunk)

        def send_some() -> None:
            for number in range(12):
                send(f"c{number}", "ApiCalls", 1000)

        assert race(*[lambda chunk=chunk: work(chunk) for chunk in chunks], send_some, bills.sweep) == []
        bills.sweep()
        assert due.stale_invoices(100) == []
        assert set(Invoice.objects.values_list("total", flat=True)) == {45}
        assert InvoiceLine.objects.count() == 12

    def test_what_somebody_holds_is_left_to_the_end(self, ids: list[int]) -> None:
        """A worker goes on with the others meanwhile, and misses none."""
        held, done = threading.Event(), threading.Event()
        left: list[int] = []

        def hold() -> None:
            with transaction.atomic():
                Customer.objects.select_for_update(no_key=True).get(invoices=ids[3])
                held.set()
                done.wait(20)

        def work() -> None:
            held.wait(20)
            left.extend(services.recalculate_stale(ids, wait=False))
            done.set()
            bills.bring_up_to_date(ids)

        assert race(hold, work) == []
        assert left == [ids[3]]
        assert due.stale_invoices(100) == []

    def test_chunks_and_closing_at_once(self, ids: list[int]) -> None:
        later = datetime.now(UTC) + timedelta(days=70)
        closing = [lambda pk=pk: services.close(pk, now=later) for pk in ids[:6]]
        assert (
            race(*closing, lambda: services.recalculate_many(ids), lambda: services.recalculate_many(ids[::-1])) == []
        )
        finals = Invoice.objects.filter(status="final")
        assert sorted(int(one.number[-4:]) for one in finals) == list(range(1, 7))
        assert {(one.total, one.lines.count()) for one in Invoice.objects.all()} == {(40, 1)}
