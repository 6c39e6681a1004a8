"""The embedded database and broker of a data folder: who needs them starts them here.

`python -m config.services -- COMMAND ...` runs one command while they are up.

Settings read this module too, so nothing is imported above that a real installation does not have.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from config.postgres import Postgres
    from config.processes import FolderLock, Ledger
    from config.servers import Server, Valkey

BASE_DIR = Path(__file__).resolve().parent.parent
# What the embedded PostgreSQL calls itself, by which `manage.py doctor` knows it.
EMBEDDED = "tollmeter-embedded"
STATE_KEYS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DEMO")


def data_dir() -> Path:
    """The absolute path of the data folder; it need not exist."""
    chosen = os.environ.get("TOLLMETER_DATA")
    return Path(chosen).expanduser().resolve() if chosen else BASE_DIR / "var" / "demo"


def read_state(folder: Path) -> dict[str, str]:
    """What a process needs to reach the services that run on a data folder; empty when none do."""
    try:
        stored = json.loads((folder / "services.json").read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {key: value for key in STATE_KEYS if isinstance(value := stored.get(key), str)}


def is_said(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in {"1", "true", "yes", "on"}


class Services:
    """Database and broker of one data folder, and the folder's only owner from `claim()` to `stop()`.

    DATABASE_URL and REDIS_URL in the environment each stand for a server of one's own: that one is not started.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = print, *, fsync: bool = True) -> None:
        self.folder = folder.resolve()
        self.say = say
        self.fsync = fsync
        self.postgres: Postgres | None = None
        self.valkey: Valkey | None = None
        self._lock: FolderLock | None = None
        self._ledger: Ledger | None = None

    @property
    def ledger(self) -> "Ledger":
        if self._ledger is None:
            raise RuntimeError("claim() comes first")
        return self._ledger

    def claim(self) -> None:
        """Makes the folder ours and ends what a killed owner left; raises FolderInUse when one is alive."""
        from config.processes import FolderInUse, FolderLock, Ledger

        if self._lock:
            return
        lock = FolderLock(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except PermissionError as error:
            raise FolderInUse(
                f"{error.filename} may not be written by this user: set TOLLMETER_DATA to a folder of your own."
            ) from error
        self._lock, self._ledger = lock, Ledger(self.folder)
        (self.folder / "services.json").unlink(missing_ok=True)
        if left := self._ledger.end_all():
            self.say(f"Ended what an earlier run left behind: {', '.join(sorted(set(left)))}")

    def start(self) -> dict[str, str]:
        """Starts what is not given by the environment; returns the variables that the product's processes need."""
        from config.postgres import Postgres
        from config.servers import Valkey, stored_secret, write_private

        self.claim()
        state = {key: value for key in STATE_KEYS if (value := os.environ.get(key))}
        if "REDIS_URL" not in state:
            self.valkey = Valkey(self.folder, self.say, self.ledger.add)
            self._start(self.valkey)
            state["REDIS_URL"] = self.valkey.url
        if "DATABASE_URL" not in state:
            self.postgres = Postgres(self.folder, self.say, self.ledger.add, fsync=self.fsync)
            self._start(self.postgres)
            state["DATABASE_URL"] = self.postgres.url
        state["SECRET_KEY"] = state.get("SECRET_KEY") or stored_secret(self.folder / "secret-key")
        new = self.folder / "services.json.new"
        write_private(new, json.dumps(state, indent=2))
        new.replace(self.folder / "services.json")
        return state | {"TOLLMETER_DATA": str(self.folder)}

    def _start(self, server: "Server") -> None:
        from config.servers import ServerFailed

        if not is_said("DEMO") and not is_said("TOLLMETER_TESTS"):
            raise ServerFailed(
                f"{server.name} out of a package is for the demo and the tests alone. Set DATABASE_URL and REDIS_URL "
                "to servers of your own (docs/operations.md), or DEMO=true for a demo."
            )
        began = time.monotonic()
        server.start()
        self.say(f"{server.name} on port {server.port}  ({time.monotonic() - began:.1f} s)")

    def ended(self) -> "Server | None":
        """A server of ours that no longer runs although nobody stopped it."""
        for server in (self.valkey, self.postgres):
            if server and server.process and server.ended() is not None:
                return server
        return None

    def stop(self) -> None:
        """Stops what runs, PostgreSQL last, and lets go of the folder. Harmless when nothing was started."""
        if not self._lock:
            return
        (self.folder / "services.json").unlink(missing_ok=True)
        for server in (self.valkey, self.postgres):
            if server:
                server.stop()
        self.ledger.end_all()
        self._lock.release()
        self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def run_command(command: list[str]) -> int:
    """Runs a command with the services up; returns its exit code."""
    from config.processes import FolderInUse
    from config.servers import ServerFailed

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    # The data folder is the demo's, where nothing else is said.
    if "TOLLMETER_TESTS" not in os.environ:
        os.environ.setdefault("DEMO", "1")
    try:
        with Services(data_dir(), say) as services:
            return subprocess.run(command, env=os.environ | services.start()).returncode
    except (FolderInUse, ServerFailed) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    if not arguments:
        sys.exit("usage: python -m config.services -- COMMAND [ARGUMENT ...]")
    sys.exit(run_command(arguments))
