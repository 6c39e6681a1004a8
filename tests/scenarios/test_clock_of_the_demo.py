"""`manage.py advance_clock`: months end in front of one's eyes in a demo, and nowhere else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from meters import clock
from tests.invoices.prepaid import check_ledger
from tests.scenarios.account import Account, fee, per_unit
from tests.scenarios.live import BASE_DIR


@pytest.fixture
def demo(account: Account, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """A demo: a dollar a call and thirty a month; on 27 February of a leap year at ten in the morning."""
    account.at("2028-01-31T10:00Z")
    account.meter("Calls", "calls")
    account.plan("Basic", {"Calls": per_unit("1")}, fee("base", "30"))
    for customer, zone in (("york", "America/New_York"), ("pune", "Asia/Kolkata")):
        account.customer(customer, zone)
        account.assign(customer, "Basic", "2028-02-01")
    account.at("2028-02-27T10:00Z")
    settings.DEMO = True
    settings.CLOCK_FILE = tmp_path / "clock"
    # From here on the real clock stands still, and the file says how far the demo is ahead of it.
    monkeypatch.setattr(timezone, "now", clock.shifted(timezone.now, settings.CLOCK_FILE))
    yield account
    # The fixtures beneath have the clock of before.
    monkeypatch.undo()
    account.clock.shift(clock.ahead(settings.CLOCK_FILE))


def advance(days: int) -> list[str]:
    out = StringIO()
    call_command("advance_clock", days=days, stdout=out)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_two_months_end(demo: Account) -> None:
    grant = {"name": "Starter", "currency": "USD", "amount": "100", "expires_at": "2028-03-20T00:00:00Z"}
    demo.post("credits", {"customer": "pune", **grant})
    assert advance(1) == ["It is 28 Feb 2028 now."]
    demo.send("york", "Calls", 12, "2028-02-28T05:00-05:00")
    assert advance(1) == ["It is 29 Feb 2028 now."]
    demo.send("york", "Calls", 7, "2028-02-29T05:00-05:00")
    # Days pass at ten in the morning of UTC: March has begun in both zones, then 24 hours of grace are over in both.
    assert advance(3) == [
        "1 Mar 2028 opened york",
        "1 Mar 2028 opened pune",
        "1 Mar 2028 grace pune $30.00",
        "1 Mar 2028 grace york $49.00",
        "2 Mar 2028 finalized pune 2028-0001 $30.00",
        "2 Mar 2028 finalized york 2028-0002 $49.00",
        "It is 3 Mar 2028 now.",
    ]
    assert demo.documents("york")[0] == ("2028-0002", "final", "49.00", "2028-03-16", "49.00")
    # What is left of the credit is gone by the day that it expires, without waiting for the worker.
    advance(17)
    assert [(one["kind"], one["amount"], one["at"][:10]) for one in demo.get("credit-entries")["data"]] == [
        ("expired", "-70.00", "2028-03-20"),
        ("drawn", "-30.00", "2028-03-02"),
        ("granted", "100.00", "2028-02-27"),
    ]
    check_ledger()
    advance(13)
    assert [one[:3] for one in demo.documents("york")] == [
        ("2028-0002", "final", "49.00"),
        ("2028-0004", "final", "30.00"),
        ("", "open", "30.00"),
    ]
    # Overdue are those of February that nobody has paid.
    assert demo.overdue() == ["2028-0002"]


# Says what time it is, then puts the clock forward.
PUT_FORWARD = """
import django
django.setup()
from django.core.management import execute_from_command_line
from django.utils import timezone
print(timezone.now().isoformat(), flush=True)
execute_from_command_line(["manage.py", "advance_clock", "--days", "3"])
"""


def test_it_is_refused_outside_a_demo(tmp_path: Path) -> None:
    """Not even a file that lies there, from when it was one, moves the clock of an installation that is none."""
    ahead = tmp_path / "clock"
    clock.put_forward(ahead, timedelta(days=40))
    environment = {name: value for name, value in os.environ.items() if name != "DEMO"}
    answer = subprocess.run(
        [sys.executable, "-c", PUT_FORWARD],
        cwd=BASE_DIR,
        env=environment | {"TOLLMETER_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1
    assert "This is not a demo installation" in answer.stderr
    assert abs(datetime.fromisoformat(answer.stdout.strip()) - timezone.now()) < timedelta(minutes=5)
    assert clock.ahead(ahead) == timedelta(days=40)
