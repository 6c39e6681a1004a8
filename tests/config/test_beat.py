"""The beat goes on when its clock is put back or forward."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings

from config.beat import LONGEST, SteadyScheduler
from config.celery import app

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TICKS = "invoices.tasks.bills.sweep"


class Beat(SteadyScheduler):
    """Says what it would have sent, at seconds that the test counts."""

    sent: list[str]
    _signs_at = float("inf")

    def apply_entry(self, entry, producer=None):  # type: ignore[no-untyped-def]
        self.sent.append(entry.task)

    @property
    def producer(self):  # type: ignore[no-untyped-def]
        return None


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    passed = [1000.0]
    monkeypatch.setattr("config.beat.time.monotonic", lambda: passed[0])
    return passed


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def beat(tmp_path: Path) -> Beat:
    made = Beat(app, schedule_filename=str(tmp_path / "schedule"))
    made.sent = []
    return made


def go_on(made: Beat, clock: time_machine.Traveller, seconds: list[float], for_seconds: float) -> list[str]:
    """What it sends in so many seconds, while both clocks go on."""
    made.sent.clear()
    end = seconds[0] + for_seconds
    while seconds[0] < end:
        # Work takes time, too.
        wait = max(made.tick(), 0.01)
        seconds[0] += wait
        clock.shift(timedelta(seconds=wait))
    return list(made.sent)


@pytest.mark.parametrize("jump", [timedelta(hours=-3), timedelta(days=-400), timedelta(0), timedelta(hours=5)])
def test_it_keeps_its_pace(
    jump: timedelta, tmp_path: Path, clock: time_machine.Traveller, seconds: list[float]
) -> None:
    made = beat(tmp_path)
    go_on(made, clock, seconds, 30)
    clock.shift(jump)
    sent = go_on(made, clock, seconds, 121)
    assert 57 <= sent.count(TICKS) <= 63
    assert 11 <= sent.count("invoices.tasks.bills.close_periods") <= 14
    assert 1 <= sent.count("invoices.tasks.prepaid.follow_credits") <= 3
    made.close()


def test_it_starts_with_a_clock_that_was_put_back(
    tmp_path: Path, clock: time_machine.Traveller, seconds: list[float]
) -> None:
    made = beat(tmp_path)
    go_on(made, clock, seconds, 30)
    made.close()
    clock.shift(timedelta(days=-2))
    again = beat(tmp_path)
    assert go_on(again, clock, seconds, 10).count(TICKS) >= 4
    again.close()


def test_what_is_done_at_a_time_of_day_follows_that(
    tmp_path: Path, clock: time_machine.Traveller, seconds: list[float]
) -> None:
    nightly = "meters.tasks.forget_old_refusals"
    made = beat(tmp_path)
    assert nightly not in go_on(made, clock, seconds, 30)
    clock.move_to(NOW.replace(day=23, hour=3, minute=26, second=50))
    assert go_on(made, clock, seconds, LONGEST + 15).count(nightly) == 1
    made.close()


def test_it_is_the_one_that_runs() -> None:
    assert settings.CELERY_BEAT_SCHEDULER == "config.beat:SteadyScheduler"
    assert app.conf.beat_scheduler == "config.beat:SteadyScheduler"
