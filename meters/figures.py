"""What is counted for Prometheus, of what comes in; other apps have theirs beside them (docs/operations.md, "Figures").

A process counts in its memory. Where the environment names PROMETHEUS_MULTIPROC_DIR, as `config.start` does for web
server, worker and beat, it counts in a file of that folder, so that whichever process is asked tells of all of them.
No label has a value that somebody sends: their number is bounded by what is written here.
"""

import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.mmap_dict import MmapedDict

logger = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Places:
    """The number of this process among those that count in a folder: the first that no other one holds.

    Its files are named by that, not by the process: whoever starts when another one has ended goes on with its figures,
    so that there are never more files than processes, and nothing is counted back.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = 0
        self._descriptor = -1
        self._place = ""

    def __call__(self) -> str:
        process = os.getpid()
        if process != self._process:
            self._place, self._process = self._take(), process
        return self._place

    def _take(self) -> str:
        if self._descriptor >= 0:
            # Of the process that this one was forked from, which holds it still.
            os.close(self._descriptor)
        number = 0
        while True:
            self._descriptor = os.open(self.folder / f"{number}.place", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._descriptor)
                number += 1
                continue
            for kind in ("counter", "histogram"):
                _throw_away_broken(self.folder / f"{kind}_{number}.db")
            return str(number)


def _throw_away_broken(file: Path) -> None:
    """One that a machine went down over may be no more than half there."""
    try:
        list(MmapedDict.read_all_values_from_file(file))  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        pass
    except Exception:
        logger.warning("figures of an earlier process cannot be read, and begin anew")
        with suppress(OSError):
            file.unlink()


def share(folder: str) -> bool:
    """Has whatever is made from here on counted in the folder; where that is not to be had, each for itself."""
    try:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        values.ValueClass = values.MultiProcessValue(Places(Path(folder)))  # type: ignore[no-untyped-call]
    except OSError as error:
        logger.warning("this process counts for itself: %s", error)
        values.ValueClass = values.MutexValue
        return False
    return True


SHARED = bool(os.environ.get(FOLDER)) and share(os.environ[FOLDER])
registry = CollectorRegistry()

OUTCOMES = ("accepted", "duplicate", "conflict", "rejected")
_events = Counter("tollmeter_events", "Events that were answered, by outcome.", ["outcome"], registry=registry)
EVENTS = {outcome: _events.labels(outcome) for outcome in OUTCOMES}
BATCH_EVENTS = Histogram(
    "tollmeter_batch_events",
    "How many events one statement stored; what waits at the same time shares one.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000),
    registry=registry,
)
_ingest = Histogram(
    "tollmeter_ingest_seconds",
    "Seconds from a request with events to its answer, by status class.",
    ["status"],
    buckets=("0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10"),
    registry=registry,
)
CLASSES = ("2xx", "3xx", "4xx", "5xx")
INGEST = {status: _ingest.labels(status) for status in CLASSES}
