"""Whose data folder it is, and which processes an earlier owner left behind.

A supervisor that is killed cannot end its children. So every child is written into the data folder with its
pid and the time it was created, and the next owner ends those that still run. A pid alone proves nothing, the
system uses pids again; pid and creation time together do.
"""

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

# The servers end last and by themselves: the database must outlive what writes into it.
ENDED_LAST = ("valkey", "postgres")


class FolderInUse(Exception):
    """The data folder is another one's: of a supervisor that is alive, or of another user. For a person."""


class FolderLock:
    """One owner of a data folder at a time; the kernel drops the lock when the owner dies, however it dies."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        self._descriptor = -1

    def acquire(self) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise FolderInUse(
                f"Tollmeter already runs with the data in {self.path.parent} (process {holder}). "
                "Stop it first, or set TOLLMETER_DATA to another folder."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        # A forked child shares the lock, and would go on holding it after the owner was killed.
        os.register_at_fork(after_in_child=self.release)

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Child(NamedTuple):
    pid: int
    created: float
    name: str


def alive(process: psutil.Process) -> bool:
    """Whether it still runs. A zombie does not: under a first process that reaps nothing it stays for ever."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_ended(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still run after the given time."""
    left, deadline = list(processes), time.monotonic() + seconds
    while (left := [process for process in left if alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def end(processes: Iterable[psutil.Process], gentle: signal.Signals, seconds: float) -> None:
    """Asks the processes to end and kills those that have not after the given time."""
    asked = list(processes)
    for process in asked:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(gentle)
    stubborn = wait_until_ended(asked, seconds)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_until_ended(stubborn, 5)


def working_in(folder: Path, name: str) -> list[psutil.Process]:
    """The processes of that name whose working directory is the folder, which a database server makes its own."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name().startswith(name) and process.cwd() == str(folder):
                found.append(process)
    return [process for process in found if alive(process)]


class Ledger:
    """The children of the data folder's owner, in a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "processes.json"
        self._children: dict[int, Child] = {}
        self._guard = threading.Lock()

    def add(self, pid: int, name: str) -> None:
        with suppress(psutil.NoSuchProcess):
            self._note([(psutil.Process(pid), name)])

    def add_descendants(self) -> None:
        """Notes everything that runs below this process: servers, workers, and what those have started."""
        self._note([(process, "") for process in psutil.Process().children(recursive=True)])

    def _note(self, processes: list[tuple[psutil.Process, str]]) -> None:
        with self._guard:
            before = dict(self._children)
            for process, name in processes:
                with suppress(psutil.NoSuchProcess):
                    known = self._children.get(process.pid)
                    created = process.create_time()
                    if not known or known.created != created:
                        self._children[process.pid] = Child(process.pid, created, name or process.name())
            self._children = {pid: child for pid, child in self._children.items() if _find(child)}
            if self._children != before:
                self._write()

    def _write(self) -> None:
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps(list(self._children.values())))
        temporary.replace(self.path)

    def read(self) -> list[Child]:
        """The children that the file names; none when there is no file or it is broken."""
        try:
            return [
                Child(int(pid), float(created), str(name)) for pid, created, name in json.loads(self.path.read_text())
            ]
        except (OSError, ValueError, TypeError):
            return []

    def end_all(self) -> list[str]:
        """Ends every noted child that still runs, the servers last; returns their names."""
        found = [(child.name, process) for child in self.read() if (process := _find(child))]
        end((process for name, process in found if name not in ENDED_LAST), signal.SIGTERM, 5)
        for server in ENDED_LAST:
            # PostgreSQL closes its connections on SIGINT; on SIGTERM it would wait for them.
            end((process for name, process in found if name == server), signal.SIGINT, 60)
        self.clear()
        return [name for name, _ in found]

    def clear(self) -> None:
        with self._guard:
            self._children = {}
            self.path.unlink(missing_ok=True)


def _find(child: Child) -> psutil.Process | None:
    """The running process that the child is, if it still is that one."""
    with suppress(psutil.Error, ValueError, OverflowError):
        process = psutil.Process(child.pid)
        # The system's idea of when it booted, and with it the creation times, moves when its clock is set.
        if abs(process.create_time() - child.created) < 2 and alive(process):
            return process
    return None
