"""`manage.py import_events` with several writers: the order that they keep, and imports that are killed."""

import csv
import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from meters.importing import run, work
from meters.importing.files import Input
from meters.importing.run import Settings, Stopped, import_events
from meters.models import Event, EventKey, Meter, RejectedEvent, UsageBucket
from tests.factories import make_meter
from tests.killing import Workers
from tests.meters.rollups import assert_rollups_equal_events

DAY = (datetime.now(UTC) - timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
T = f"{DAY:%Y-%m-%dT%H:%M:%SZ}"
pytestmark = pytest.mark.django_db(transaction=True)


class Nobody:
    def show(self, read: int, state: Any) -> None: ...
    def refuse(self, refused: Any) -> None: ...


def imported(path: Path, **options: Any) -> run.Result:
    given = Input(path, name=options.pop("name", "usage"))
    return import_events(Settings(given, DAY + timedelta(days=3), **{"writers": 2} | options), Nobody())


def test_what_comes_before_a_fault_is_told_of(tmp_path: Path) -> None:
    make_meter(dimensions=["region"])
    file, told = tmp_path / "usage.csv", tmp_path / "told.csv"
    rows = ("a,acme,ApiCalls,5,eu", "b,globex,ApiCalls,0.1,", "c,acme,Nope,5,eu", "d,acme,ApiCalls,5,us")
    text = "\n".join(("id,customer,meter,value,region,time", *(f"{row},{T}" for row in rows)))
    file.write_text(f'{text}\ne,acme,ApiCalls,5,"eu,{T}\nf\n')
    with pytest.raises(Stopped) as stopped:
        imported(file, outcomes=told, batch=1)
    assert stopped.value.row == 4
    assert (Event.objects.count(), RejectedEvent.objects.count()) == (3, 1)
    with told.open(newline="") as written:
        assert [row["outcome"] for row in csv.DictReader(written)] == ["accepted", "accepted", "rejected", "accepted"]


def test_nothing_is_stored_behind_a_row_that_cannot_have_an_id(tmp_path: Path) -> None:
    make_meter()
    file = tmp_path / "usage.ndjson"
    events = [{"id": f"{n}", "customer": f"c{n}", "meter": "ApiCalls", "time": T, "value": n} for n in range(40)]
    del events[21]["id"]
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    with pytest.raises(Stopped, match="Line 22: the event has no id") as stopped:
        imported(file, name="", batch=4, writers=3)
    assert stopped.value.row == 20
    assert sorted(Event.objects.values_list("value", flat=True)) == list(range(20))


@pytest.fixture
def slow_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that begins with an odd value takes longer than the one after it."""
    really = work.Work.store

    def store(self: work.Work, batch: Any) -> work.Done:
        if int(batch.events[0].value) % 2:
            time.sleep(0.05)
        return really(self, batch)

    monkeypatch.setattr(work.Work, "store", store)


@pytest.mark.usefixtures("slow_first")
def test_the_first_of_an_id_and_the_last_of_an_instant_count_whoever_stores_them(tmp_path: Path) -> None:
    make_meter()
    make_meter("Seats", aggregation="latest", used_for_billing=False)
    file = tmp_path / "usage.csv"
    with file.open("w") as writing:
        writing.write("id,customer,meter,value,time\n")
        for batch in range(1, 13):
            # The ids and the instants of two batches that follow each other.
            pair = (batch + 1) // 2
            letter = "aA"[batch % 2]
            writing.write(f"{letter}{pair:07}-0000-4000-8000-000000000000,acme,ApiCalls,{batch},{T}\n")
            writing.write(f"{batch},acme,Seats,{batch},{DAY + timedelta(hours=pair):%Y-%m-%dT%H:%M:%SZ}\n")
    counts = imported(file, batch=2, writers=3).state.counts
    assert (counts.accepted, counts.conflict) == (18, 6)
    calls = Event.objects.filter(meter__key="ApiCalls")
    assert sorted(calls.values_list("value", flat=True)) == [1, 3, 5, 7, 9, 11]
    assert_rollups_equal_events()
    latest = UsageBucket.objects.filter(meter__key="Seats").order_by("hour").values_list("last", flat=True)
    assert list(latest) == [2, 4, 6, 8, 10, 12]


@pytest.mark.usefixtures("slow_first")
def test_batches_that_have_nothing_in_common_do_not_wait(tmp_path: Path) -> None:
    make_meter()
    file = tmp_path / "usage.csv"
    rows = [f"{n},c{n % 2},ApiCalls,{n},{T}\n" for n in range(1, 9)]
    file.write_text("id,customer,meter,value,time\n" + "".join(rows))
    imported(file, batch=1)
    stored = list(Event.objects.order_by("sequence").values_list("value", flat=True))
    assert sorted(stored) == list(range(1, 9))
    assert stored[0] == 2


ROWS = 2_000
CODE = """
import multiprocessing, os
from pathlib import Path
from django.utils import timezone
from meters.importing.files import Input
from meters.importing.run import Settings, Stopped, import_events
folder = Path({folder!r})
class Watcher:
    shown = 0
    def show(self, read, state):
        self.shown += 1
        if self.shown == {dies_behind}:
            pids = [process.pid for process in multiprocessing.active_children()]
            (folder / "pids").write_text(" ".join(map(str, pids)))
            os.kill(os.getpid(), 9)
    def refuse(self, refused): pass
path = folder / "usage.csv"
settings = Settings(
    Input(path, name="usage.csv"), timezone.now(), folder / "notes", folder / "told.ndjson", writers=2, batch=100
)
try:
    result = import_events(settings, Watcher())
except Stopped as stopped:
    # One of the writers was killed in place of this process.
    assert "A writer, process" in str(stopped) and "ended with status -9" in str(stopped), str(stopped)
    with (folder / "stopped").open("a") as file:
        file.write("x")
    os.kill(os.getpid(), 9)
assert (result.state.counts.rejected, result.state.done.row) == (2, 2000)
assert result.state.counts.accepted + result.state.counts.duplicate == 1998
assert result.state.counts.duplicate == result.state.perhaps_own
"""


@pytest.fixture
def assert_exact(tmp_path: Path) -> Callable[[], None]:
    """That all of a file that is written here is stored, once."""
    make_meter(dimensions=["region"])
    make_meter("Seats", aggregation="latest", used_for_billing=False)
    with (tmp_path / "usage.csv").open("w") as writing:
        writing.write("customer,meter,time,value,region\n")
        for number in range(ROWS):
            bad = "x" if number % 1000 == 500 else ""
            meter = "Seats" if number % 7 == 0 else "ApiCalls"
            writing.write(f"c{number % 5},{meter},{T},{number}{bad},r{number % 3}\n")

    def check() -> None:
        assert Event.objects.count() == EventKey.objects.count() == ROWS - 2
        assert_rollups_equal_events()
        told = (tmp_path / "told.ndjson").read_text().splitlines()
        assert [json.loads(line)["row"] for line in told] == list(range(1, ROWS + 1))
        # Of one instant the last row of the file, whichever writer had it.
        seats = Meter.objects.get(key="Seats")
        latest = {bucket.customer.key: int(bucket.last) for bucket in UsageBucket.objects.filter(meter=seats)}
        sent = [number for number in range(ROWS) if number % 7 == 0 and number % 1000 != 500]
        assert latest == {f"c{number % 5}": number for number in sent}

    return check


def test_killed_with_9_again_and_again_each_row_counts_once(tmp_path: Path, assert_exact: Callable[[], None]) -> None:
    with Workers(tmp_path) as workers:
        # The import itself, which takes its writers along.
        for dies_behind in (1, 3):
            assert workers.start(CODE.format(folder=str(tmp_path), dies_behind=dies_behind)).end() == -9
            pids = (tmp_path / "pids").read_text().split()
            assert len(pids) == 2
            for pid in map(int, pids):
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).wait(20)
        killed = workers.killed_everywhere(CODE.format(folder=str(tmp_path), dies_behind=0), lambda: None, step=9)
    assert killed >= 3
    # One of the writers.
    assert len((tmp_path / "stopped").read_text()) >= 2
    assert_exact()
