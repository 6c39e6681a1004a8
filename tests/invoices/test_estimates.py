"""Looking at an invoice by day, and ahead to its end."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from invoices.estimates import daily_costs, projection
from meters.models import Customer
from tests.factories import (
    live_invoice,
    run_sweep,
    send,
)
from tests.invoices.november import NOW

pytestmark = pytest.mark.usefixtures("november")


class TestEstimates:
    def test_daily_costs_add_up_to_the_line(self, acme: Customer) -> None:
        with time_machine.travel(datetime(2026, 11, 25, 12, tzinfo=UTC), tick=False):
            for day, calls in ((22, 5000), (23, 1), (25, 7299)):
                send("acme", "ApiCalls", calls, time=datetime(2026, 11, day, 11, tzinfo=UTC))
            run_sweep()
            costs = daily_costs(live_invoice(acme), now=datetime(2026, 11, 25, 12, tzinfo=UTC))
        assert costs.totals == (0, 5, 0, 35)
        assert sum(costs.totals) == live_invoice(acme).total

    def test_projection_prices_the_projected_quantity(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 3000, time=NOW)
        run_sweep()
        invoice = live_invoice(acme)
        assert projection(invoice, now=invoice.period_start + timedelta(hours=23)) is None
        # A third of nine days is over: 9,000 calls, 4,000 of them billed, 4 blocks.
        projected = projection(invoice, now=invoice.period_start + timedelta(days=3))
        assert projected is not None
        assert (projected.lines[0].quantity, projected.total) == (9000, 20)
        assert projection(invoice, now=invoice.period_end) is None
