"""The web server as `make run` starts it, and bare COPY, the baseline."""

import os
import random
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from django.db import connection

from tests.benchmarks.dataset import CUSTOMERS

BASE_DIR = Path(__file__).resolve().parent.parent.parent
COPY_BATCH = 10_000
COPY_ROWS = 200_000


class Web:
    """The running web server."""

    def __init__(self, process: psutil.Process, port: int) -> None:
        self.process = process
        self.port = port

    def cpu(self) -> float:
        """Seconds of processor time that the workers took so far."""
        times = [worker.cpu_times() for worker in self.process.children(recursive=True)]
        return sum(each.user + each.system for each in times)

    def memory(self) -> list[int]:
        """Bytes that each worker holds for itself (its unique set)."""
        return [worker.memory_full_info().uss for worker in self.process.children(recursive=True)]


@contextmanager
def web_server() -> Iterator[Web]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    line = next(line for line in (BASE_DIR / "Procfile").read_text().splitlines() if line.startswith("web:"))
    path = f"{BASE_DIR / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PORT": str(port), "LOG_LEVEL": "ERROR"}
    command = ["/bin/sh", "-c", line.removeprefix("web:")]
    with subprocess.Popen(command, cwd=BASE_DIR, env=environment) as server:
        try:
            while True:
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                if server.poll() is not None:
                    raise RuntimeError("The web server ended at its start.")
                time.sleep(0.1)
            yield Web(psutil.Process(server.pid), port)
        finally:
            server.terminate()


def copy_rate() -> float:
    """Rows a second of text COPY into a bare unlogged table on one connection, a transaction a batch."""
    chance, now = random.Random(1), datetime.now(UTC)
    lines = [
        "\t".join(
            (
                str(uuid.UUID(int=chance.getrandbits(128))),
                "1",
                str(chance.randrange(CUSTOMERS)),
                str(chance.randrange(6)),
                str(chance.randrange(1000)),
                (now - timedelta(seconds=chance.randrange(3600))).isoformat(),
            )
        )
        + "\n"
        for _ in range(COPY_ROWS)
    ]
    texts = ["".join(lines[first : first + COPY_BATCH]) for first in range(0, COPY_ROWS, COPY_BATCH)]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_copy")
        cursor.execute(
            "CREATE UNLOGGED TABLE bench_copy (key uuid, meter_id int, customer_id int, dimension_set_id int,"
            " value numeric, occurred_at timestamptz)"
        )
        began = time.perf_counter()
        for text in texts:
            with cursor.copy("COPY bench_copy FROM STDIN") as copy:
                copy.write(text)
        took = time.perf_counter() - began
        cursor.execute("DROP TABLE bench_copy")
    return COPY_ROWS / took
