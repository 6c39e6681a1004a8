"""An installation of several web servers and workers on one database and one broker, each part of which can be killed,
held still and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from config.postgres import Postgres
from config.servers import ServerFailed, Valkey, free_port
from meters import clock

BASE_DIR = Path(__file__).resolve().parent.parent.parent
PROGRAMS = Path(sys.executable).parent


class Part:
    """One process of the installation, with those that it starts. Guarded by whoever disturbs it: one at a time."""

    def __init__(self, name: str, command: list[str], installation: "Installation") -> None:
        self.name = name
        self.command = command
        self.installation = installation
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        if self.is_up:
            return
        with (self.installation.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=BASE_DIR,
                env=self.installation.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.installation.started(self.process.pid, self.name)

    def kill(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def kill_child(self) -> bool:
        """Kills one of those that it has started, such as the process that a worker works in."""
        return self.process is not None and kill_one(children(self.process.pid))

    def pids(self) -> list[int]:
        return [self.process.pid, *(one.pid for one in children(self.process.pid))] if self.process else []


def children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_one(processes: Iterable[psutil.Process]) -> bool:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
            return True
    return False


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class Installation:
    """A context manager: inside, all parts run."""

    def __init__(
        self,
        folder: Path,
        postgres: Postgres,
        valkey: Valkey,
        environment: Mapping[str, str],
        *,
        webs: int,
        workers: int,
        started: Callable[[int, str], None] = lambda pid, name: None,
    ) -> None:
        self.folder = folder
        self.postgres = postgres
        self.valkey = valkey
        self.started = started
        self.clock_file = folder / "clock"
        # The clock of a demo can be put forward, from one invoice's end to that of the next.
        self.environment = os.environ | environment | {"DEMO": "1", "TOLLMETER_DATA": str(folder)}
        self.webs = [self._web(f"web {number}") for number in range(1, webs + 1)]
        self.workers = [self._worker(f"worker {number}") for number in range(1, workers + 1)]
        self.beat = Part(
            "beat",
            [*celery("beat"), "--pidfile=", "--schedule", str(folder / "celerybeat-schedule")],
            self,
        )
        self.now = clock.shifted(clock_of_the_machine, self.clock_file)

    def _web(self, name: str) -> Part:
        port = free_port()
        command = [
            *(str(PROGRAMS / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--blocking-threads", "8", "--http", "1", "--no-ws", "--log-level", "error"),
            "config.wsgi:application",
        ]
        part = Part(name, command, self)
        part.url = f"http://127.0.0.1:{port}"
        return part

    def _worker(self, name: str) -> Part:
        node = name.replace(" ", "-")
        command = [*celery("worker"), "--concurrency", "1", "--without-gossip", "--without-mingle", "-n", f"{node}@%h"]
        return Part(name, command, self)

    @property
    def parts(self) -> list[Part]:
        return [*self.webs, *self.workers, self.beat]

    def put_forward(self, by: timedelta) -> None:
        clock.put_forward(self.clock_file, by)

    def __enter__(self) -> Self:
        try:
            self.start_all()
        except BaseException:
            self.kill_all()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill_all()

    def start_all(self, seconds: float = 120) -> None:
        """Starts whatever does not run, and waits until the web servers answer."""
        self.start_database()
        self.valkey.start()
        for part in self.parts:
            part.start()
        end = time.monotonic() + seconds
        for web in self.webs:
            while not answers(web):
                if time.monotonic() > end:
                    raise RuntimeError(f"{web.name} does not answer: {self.log(web.name)}")
                web.start()
                time.sleep(0.1)

    def start_database(self, seconds: float = 120) -> None:
        """Starts it, and waits until it has repaired itself."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.postgres.start()
            except ServerFailed:
                if time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def kill_all(self) -> None:
        for part in self.parts:
            signal_all(part.pids(), signal.SIGCONT)
            part.kill()

    def restart_dead(self) -> list[str]:
        """Starts again what has ended, as a supervisor does; answers the names."""
        dead = [part for part in self.parts if not part.is_up]
        for part in dead:
            part.start()
        return [part.name for part in dead]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]


def celery(role: str) -> list[str]:
    return [str(PROGRAMS / "celery"), "--quiet", "--app", "config", role, "--loglevel", "WARNING"]


def answers(web: Part) -> bool:
    try:
        return httpx.get(f"{web.url}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def clock_of_the_machine() -> datetime:
    return datetime.now().astimezone()
