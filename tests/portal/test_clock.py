"""The demo's clock: put forward by days, a month ends and its invoices become final."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from invoices.models import Invoice, InvoiceEvent
from meters import clock
from meters.decoding import EventIn
from meters.events import record_events
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A demo whose clock stands on 29 November."""
    settings.DEMO = True
    settings.CLOCK_FILE = tmp_path / "clock"
    with time_machine.travel("2026-11-29T12:00:00Z", tick=False):
        monkeypatch.setattr(timezone, "now", clock.shifted(timezone.now, settings.CLOCK_FILE))
        yield settings.CLOCK_FILE


def advance(**options: int) -> str:
    out = StringIO()
    call_command("advance_clock", stdout=out, **options)
    return out.getvalue()


def test_it_goes_forward_only_and_for_everybody_who_reads_the_file(file: Path) -> None:
    begin = timezone.now()
    assert clock.ahead(file) == timedelta()
    clock.put_forward(file, timedelta(days=2))
    clock.put_forward(file, timedelta(hours=3))
    assert clock.ahead(file) == timedelta(days=2, hours=3)
    assert timezone.now() - begin == timedelta(days=2, hours=3)
    with pytest.raises(ValueError, match="forward"):
        clock.put_forward(file, timedelta(days=-1))
    assert clock.ahead(file) == timedelta(days=2, hours=3)


def test_a_month_ends_in_front_of_ones_eyes(file: Path, client) -> None:
    client.force_login(User.objects.create(username="staff", is_staff=True))
    meter = make_meter()
    customer = make_customer()
    put_on(customer, make_plan("Basic", {meter: STORY_RATE}), date(2026, 11, 1))
    sent = EventIn(id="a", customer=customer.key, meter=meter.key, value=Decimal(12_300), time=timezone.now())
    assert record_events([sent]).accepted == 1
    told = advance(days=4)
    final = Invoice.objects.get(status=Invoice.Status.FINAL)
    assert final.finalized_at == datetime(2026, 12, 2, 12, tzinfo=UTC)
    assert (final.number, final.total) == ("2026-0001", 40)
    assert f"2 Dec 2026  finalized {customer} 2026-0001  $40.00" in told
    assert "1 Dec 2026  opened" in told
    assert told.endswith("It is 3 Dec 2026 now.\n")
    assert Invoice.objects.get(status=Invoice.Status.OPEN).period_start == datetime(2026, 12, 1, tzinfo=UTC)
    assert InvoiceEvent.objects.filter(kind="finalized").count() == 1
    # A month on: each month once, and whoever looks on is still signed in.
    advance(days=30)
    assert list(Invoice.objects.filter(status="final").values_list("number", flat=True).order_by("number")) == [
        "2026-0001",
        "2027-0001",
    ]
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    ("demo", "options", "says"),
    [
        (False, {"days": 1}, "not a demo"),
        (True, {"days": 0}, "--days"),
        (True, {"days": 401}, "--days"),
        (True, {"days": 1, "pause": -1}, "--pause"),
    ],
)
def test_it_is_refused(file: Path, settings, demo: bool, options: dict[str, int], says: str) -> None:
    settings.DEMO = demo
    with pytest.raises(CommandError, match=says):
        advance(**options)
    assert not file.exists()
