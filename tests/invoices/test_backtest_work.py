"""Who works on a backtest: one at a time, in chunks, whoever dies; and what promotions and dimensions make of it."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from invoices.backtests import backtest
from invoices.backtests.backtest import start_backtest, unattended, work_on
from invoices.models import Backtest, BacktestRow
from invoices.tasks import backtests as backtest_tasks
from meters.models import Customer, Meter
from pricing.models import Plan, Promotion
from pricing.plans import discard_draft, draft_version, set_rate
from pricing.private_plans import make_private
from pricing.promotions import apply_promotion
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.racing import race

# Two months before this one, whenever that is.
THIS_MONTH = timezone.now().date().replace(day=1)
LAST_MONTH = (THIS_MONTH - timedelta(days=1)).replace(day=1)
START = (LAST_MONTH - timedelta(days=1)).replace(day=1)
DEARER = {"model": "block", "block_size": "1000", "block_price": "10", "included_units": "2000"}


def tenth(month: date) -> datetime:
    return datetime(month.year, month.month, 10, tzinfo=UTC)


def make_draft(parameters: dict[str, str] | None = None) -> Plan:
    meter = make_meter()
    plan = make_plan("story", {meter: STORY_RATE})
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=parameters or DEARER)
    return plan


def customers(plan: Plan, count: int) -> None:
    """Each with 6,000 calls in each of two months."""
    for number in range(count):
        put_on(make_customer(f"customer-{number}"), plan, START)
        for month in (START, LAST_MONTH):
            send(f"customer-{number}", "ApiCalls", 6000, time=tenth(month))
    run_sweep()


@pytest.fixture
def _chunks_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest, "CHUNK", 1)


def rows_once_each(started: Backtest, count: int) -> None:
    started.refresh_from_db()
    assert (started.status, started.done, started.total) == ("done", count, count)
    rows = BacktestRow.objects.filter(backtest=started).values_list("assignment", "period_start", "amount_now")
    assert len({row[:2] for row in rows}) == len(rows) == 2 * count
    assert started.summary["totals"][0]["now"] == str(2 * count * 40)


@pytest.mark.usefixtures("_chunks_of_one")
class TestWorkers:
    @pytest.fixture(autouse=True)
    def _plan(self, transactional_db: None) -> None:
        self.plan = make_draft()
        customers(self.plan, 4)

    def test_that_come_at_once_do_the_work_once(self) -> None:
        started = start_backtest(plan=self.plan)
        assert race(*[lambda: work_on(started.pk, seconds=60)] * 3) == []
        # Whoever found the row locked left; one of them stayed to the end.
        rows_once_each(started, 4)

    def test_that_are_late_leave_what_is_done(self) -> None:
        started = start_backtest(plan=self.plan)
        assert not work_on(started.pk, seconds=60)
        assert not work_on(started.pk, seconds=60)
        rows_once_each(started, 4)

    def test_stop_after_their_share_and_go_on_from_there(self) -> None:
        started = start_backtest(plan=self.plan)
        shares = 1
        while work_on(started.pk, seconds=0):
            shares += 1
        assert shares == 5
        rows_once_each(started, 4)

    def test_leave_one_that_another_is_on(self) -> None:
        started = start_backtest(plan=self.plan)
        left: list[bool] = []
        with transaction.atomic():
            Backtest.objects.select_for_update().get(pk=started.pk)
            assert race(lambda: left.append(work_on(started.pk))) == []
        assert left == [False]
        started.refresh_from_db()
        assert started.done == 0

    def test_that_are_killed_lose_nothing_but_a_chunk(self) -> None:
        started = start_backtest(plan=self.plan)
        command = (
            "import django; django.setup(); from invoices.backtests import backtest; backtest.CHUNK = 1; import time\n"
            f"while backtest.work_on({started.pk}, seconds=0): time.sleep(0.2)"
        )
        parts = connection.settings_dict
        url = "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**parts)
        environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
        root = Path(__file__).resolve().parents[2]
        with subprocess.Popen([sys.executable, "-c", command], cwd=root, env=environment) as worker:
            until = time.monotonic() + 60
            while not BacktestRow.objects.filter(backtest=started).exists() and time.monotonic() < until:
                time.sleep(0.02)
            worker.send_signal(signal.SIGKILL)
        assert BacktestRow.objects.filter(backtest=started).exists()
        assert unattended(timezone.now() + backtest.SILENCE, 10) == [started.pk]
        assert not work_on(started.pk, seconds=60)
        rows_once_each(started, 4)

    def test_and_a_draft_that_is_discarded_meanwhile(self) -> None:
        started = start_backtest(plan=self.plan)
        assert race(lambda: work_on(started.pk, seconds=60), lambda: discard_draft(self.plan)) == []
        assert not Backtest.objects.exists()
        assert not BacktestRow.objects.exists()


@pytest.mark.django_db
class TestWhoLooksAfterIt:
    def test_a_silent_one_is_found_and_one_at_work_is_not(self) -> None:
        started = start_backtest(plan=make_draft())
        now = timezone.now()
        assert unattended(now, 10) == []
        assert unattended(now + backtest.SILENCE, 10) == [started.pk]
        Backtest.objects.update(status="running", seen_at=now)
        assert unattended(now + backtest.SILENCE / 2, 10) == []
        assert unattended(now + backtest.SILENCE, 10) == [started.pk]
        Backtest.objects.update(status="done")
        assert unattended(now + backtest.SILENCE, 10) == []

    def test_one_that_cannot_be_computed_says_so(self) -> None:
        plan = make_draft()
        customers(plan, 1)
        started = start_backtest(plan=plan)
        Backtest.objects.update(prices=started.prices | {"rates": [{**started.prices["rates"][0], "parameters": {}}]})
        assert not work_on(started.pk)
        started.refresh_from_db()
        assert (started.status, started.error) == ("failed", "model: is missing")
        assert not BacktestRow.objects.exists()
        start_backtest(plan=plan)  # and keeps nobody from trying again


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow_with_customers() -> None:
    plan = make_draft()
    counts = []
    for more in (2, 4):
        customers_before = plan.assignments.count()
        for number in range(customers_before, customers_before + more):
            put_on(make_customer(f"customer-{number}"), plan, START)
        started = start_backtest(plan=plan)
        with CaptureQueriesContext(connection) as queries:
            work_on(started.pk, seconds=60)
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.django_db
class TestPromotions:
    @pytest.fixture(autouse=True)
    def _customer(self) -> None:
        """One block a month then; four blocks at twice the price now."""
        self.plan = make_draft()
        customers(self.plan, 1)
        self.customer = self.plan.assignments.get().customer

    def compared(self) -> list[tuple[Decimal, Decimal]]:
        started = start_backtest(plan=self.plan)
        assert not work_on(started.pk, seconds=60)
        rows = BacktestRow.objects.filter(backtest=started, customer=self.customer).order_by("period_start")
        return list(rows.values_list("amount_then", "amount_now"))

    def promote(self, **fields: object) -> None:
        promotion = Promotion.objects.create(key="welcome", name="Welcome", **fields)  # type: ignore[arg-type]
        apply_promotion(customer=self.customer, promotion=promotion, starts_on=START)

    def test_come_off_on_both_sides(self) -> None:
        self.promote(percent=Decimal(50))
        assert self.compared() == [(Decimal("2.5"), 20), (Decimal("2.5"), 20)]

    def test_a_cap_is_used_up_as_it_would_have_been(self) -> None:
        """Of $8, $5 and $3 came off; now all of it does in the first month."""
        self.promote(kind="amount", percent=None, amount=Decimal(100), currency="USD", cap=Decimal(8))
        assert self.compared() == [(0, 32), (2, 40)]

    def test_a_cap_of_invoices_that_have_lines(self) -> None:
        """The same when the invoices themselves had it taken off, before they were final."""
        self.customer = make_customer("other")
        put_on(self.customer, self.plan, START)
        for month in (START, LAST_MONTH):
            send("other", "ApiCalls", 6000, time=tenth(month))
        self.promote(kind="amount", percent=None, amount=Decimal(100), currency="USD", cap=Decimal(8))
        run_sweep()
        run_sweep()
        first = self.customer.invoices.earliest("period_start")
        assert [line.amount for line in first.lines.filter(promotion__isnull=False)] == [-5]
        assert self.compared() == [(0, 32), (2, 40)]


@pytest.mark.django_db
def test_a_private_plan_is_tried_on_its_customer_where_that_is_now() -> None:
    """The draft of a plan that nobody is on yet, against the plan that it is to take the place of."""
    plan = make_plan("story", {make_meter(): STORY_RATE})
    customers(plan, 2)
    private = make_private(plan, customer=Customer.objects.get(key="customer-1"))
    item = private.versions.get().rates.get().product_item
    set_rate(private.versions.get(), product_item=item, parameters=DEARER)
    started = start_backtest(plan=private)
    assert not work_on(started.pk, seconds=60)
    rows = BacktestRow.objects.filter(backtest=started)
    assert [(row.customer.key, row.amount_then, row.amount_now) for row in rows] == [("customer-1", 5, 40)] * 2


@pytest.mark.django_db
def test_a_message_is_a_share_of_work_and_the_beat_takes_up_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest, "CHUNK", 1)
    monkeypatch.setattr(backtest, "SILENCE", timedelta(0))
    plan = make_draft()
    customers(plan, 2)
    started = start_backtest(plan=plan)
    backtest_tasks.work_on_backtest(started.pk)
    started.refresh_from_db()
    assert (started.status, started.done) == ("done", 2)
    waiting = start_backtest(plan=plan)
    assert unattended(timezone.now(), 10) == [waiting.pk]
    backtest_tasks.continue_backtests()  # sends a message, and changes nothing itself
    waiting.refresh_from_db()
    assert waiting.status == "waiting"


@pytest.mark.django_db
def test_rates_by_dimension() -> None:
    meter: Meter = make_meter()
    plan = make_plan("story", {meter: {"model": "per_unit", "unit_price": "1"}})
    draft = draft_version(plan)
    item = meter.product_item
    set_rate(draft, product_item=item, parameters={"model": "per_unit", "unit_price": "3"}, where={"source": ["crm"]})
    put_on(make_customer("acme"), plan, LAST_MONTH)
    send("acme", "ApiCalls", 10, time=tenth(LAST_MONTH), source="crm")
    send("acme", "ApiCalls", 5, time=tenth(LAST_MONTH), source="shop")
    started = start_backtest(plan=plan)
    assert not work_on(started.pk, seconds=60)
    row = BacktestRow.objects.get(backtest=started)
    assert (row.amount_then, row.amount_now) == (15, 35)
