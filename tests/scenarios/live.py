"""A Tollmeter that runs: web server, worker and beat as processes of their own, over the session's servers."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

BASE_DIR = Path(__file__).resolve().parent.parent.parent
PROGRAMS = Path(sys.executable).parent


class Live:
    """The processes of an installation, on the database that the test uses; a context manager."""

    def __init__(self, database_url: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.environment = os.environ | {"DATABASE_URL": database_url, "LOG_LEVEL": "WARNING"}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        commands = {
            "web": [
                *(str(PROGRAMS / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.port)),
                *("--workers", "1", "--blocking-threads", "8", "--no-ws", "--log-level", "error"),
                "config.wsgi:application",
            ],
            "worker": [str(PROGRAMS / "celery"), "-A", "config", "worker", "-c", "1", "-l", "WARNING"],
            "beat": [
                *(str(PROGRAMS / "celery"), "-A", "config", "beat", "-l", "WARNING", "--pidfile="),
                *("--schedule", str(self.folder / "beat")),
            ],
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                commands[name], cwd=BASE_DIR, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        self._end(self.processes.pop(name))

    def __enter__(self) -> Self:
        for name in ("web", "worker", "beat"):
            self.start(name)
        wait_for(self.is_up, 60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Nobody looks at what they do from here on, and an orderly end takes seconds.
        for process in self.processes.values():
            self._end(process)
        if error is not None:
            for name in ("web", "worker", "beat"):
                print(f"--- {name}\n{(self.folder / f'{name}.log').read_text()[-3000:]}")

    def is_up(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
        return False

    @staticmethod
    def _end(process: "subprocess.Popen[bytes]") -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def wait_for(condition: Callable[[], Any], seconds: float) -> Any:
    """The first truthy answer of `condition`; fails where none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"{condition} did not come true within {seconds} s")
