"""The Python SDK as its users have it: built as a wheel, installed into an environment of its own, against a web server
of ours. Programs of it are processes; what they sent is counted in the database."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meters.keys import create_api_key
from meters.models import Event, EventKey
from tests.conftest import _database_url
from tests.factories import make_meter
from tests.meters.rollups import assert_rollups_equal_events
from tests.scenarios.live import Live, wait_for

BASE_DIR = Path(__file__).resolve().parent.parent.parent
UV = Path(sys.executable).parent / "uv"


@dataclass(frozen=True)
class Package:
    """The wheel, and the environment that has it."""

    wheel: Path
    bin: Path

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.bin / arguments[0]), *arguments[1:]]
        return subprocess.run(
            command, cwd=cwd, env=_environment(environment), capture_output=True, text=True, timeout=120, check=False
        )

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        command = [str(self.bin / arguments[0]), *arguments[1:]]
        return subprocess.Popen(command, env=_environment(environment), stdout=subprocess.PIPE, text=True)


def _environment(more: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_"))} | more


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("sdk")
    environment = _environment({"UV_PROJECT_ENVIRONMENT": str(folder / "venv")})

    def uv(*arguments: str) -> None:
        subprocess.run([str(UV), "--quiet", "--system-certs", *arguments], cwd=BASE_DIR, env=environment, check=True)

    uv("build", "--wheel", "--out-dir", str(folder), "sdk/python")
    (wheel,) = folder.glob("*.whl")
    # What it needs, in the versions of the lock file; then the wheel and nothing else.
    uv("sync", "--frozen", "--package", "tollmeter", "--no-install-workspace", "--python", sys.executable)
    uv("pip", "install", "--python", str(folder / "venv"), "--no-deps", "--offline", str(wheel))
    return Package(wheel, folder / "venv" / "bin")


class Server(Live):
    """A web server with two meters and a key."""

    def prepare(self) -> None:
        make_meter()
        make_meter("Records", dimensions=["method", "route", "status"], used_for_billing=False)
        _, self.key = create_api_key(name="sdk", scopes=["ingest", "read", "write"])

    def to_reach_it(self) -> dict[str, str]:
        return {"TOLLMETER_URL": self.url, "TOLLMETER_API_KEY": self.key}


@pytest.fixture
def server(transactional_db: None, tmp_path: Path) -> Iterator[Server]:
    running = Server(_database_url(), tmp_path)
    running.prepare()
    running.start("web")
    wait_for(running.is_up, 60)
    yield running
    for name in list(running.processes):
        running.kill(name)


def counted_ids() -> set[str]:
    """The ids of the facts in the database, each of which is there once."""
    found = list(Event.objects.values_list("key", flat=True))
    assert len(found) == len(set(found)) == EventKey.objects.count()
    assert_rollups_equal_events()
    return {str(key) for key in found}


def last_json(output: str) -> dict[str, Any]:
    found = json.loads(output.strip().splitlines()[-1])
    assert isinstance(found, dict)
    return found
