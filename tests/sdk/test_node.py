"""The Node SDK: its own tests, run by Node; and programs of it against a web server of ours, with faults between them.
What they sent is counted in the database."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.db.models import Sum

from meters.models import Event
from tests.scenarios.live import BASE_DIR, wait_for
from tests.sdk.conftest import Server, counted_ids, last_json
from tests.sdk.proxy import Proxy

NODE = shutil.which("node")
PACKAGE = BASE_DIR / "sdk" / "node"
TESTS = sorted(path.name for path in (PACKAGE / "tests").glob("*.test.js"))

pytestmark = pytest.mark.skipif(NODE is None, reason="no Node on this machine: install Debian's nodejs")


def start(program: str, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    command = [str(NODE), str(PACKAGE / "tests" / "programs" / program), *arguments]
    return subprocess.Popen(
        command, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def node_tests() -> Iterator[dict[str, tuple["subprocess.Popen[bytes]", Path]]]:
    """All files of tests, each in a process of its own. Most of the time they wait, so they do it together."""
    running = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in TESTS:
            output = Path(folder, name)
            with output.open("wb") as file:
                command = [str(NODE), "--test", "--test-reporter=spec", f"tests/{name}"]
                running[name] = (subprocess.Popen(command, cwd=PACKAGE, stdout=file, stderr=file), output)
        yield running
        for process, _ in running.values():
            process.kill()
            process.wait()


@pytest.mark.parametrize("name", TESTS)
def test_in_node(name: str, node_tests: dict[str, tuple["subprocess.Popen[bytes]", Path]]) -> None:
    process, output = node_tests[name]
    code = process.wait(120)
    text = output.read_text()
    assert code == 0, text
    assert "ℹ fail 0" in text
    # A test that is left out says why.
    if "ℹ skipped 0" not in text:
        why = {line.partition(" # ")[2] for line in text.splitlines() if line.startswith("﹣")}
        pytest.skip("; ".join(sorted(why)))


def test_cut_slow_refused_and_failing_connections_and_a_server_that_dies(server: Server) -> None:
    facts = 800
    with Proxy(server.port) as proxy:
        program = start("notes.js", str(facts), "0.001", **server.to_reach_it() | {"TOLLMETER_URL": proxy.url})
        wait_for(lambda: proxy.seen["pass"] > 2, 30)
        for mode in proxy.MODES[1:]:
            proxy.mode = mode
            wait_for(lambda mode=mode: proxy.seen[mode] >= 2, 30)
        proxy.mode = "pass"
        server.kill("web")
        server.start("web")
        output, _ = program.communicate(timeout=90)
    counted = last_json(output)
    noted = set(output.split("\n")[:facts])
    assert counted_ids() == noted
    assert len(noted) == facts
    assert counted["done"]
    assert counted["sent"] + counted["duplicate"] == facts
    assert counted["dropped"] == counted["rejected"] == 0
    assert counted["errors"] > 0
    # Some answers were lost whose facts had been stored.
    assert counted["duplicate"] > 0
    assert Event.objects.aggregate(Sum("value"))["value__sum"] == sum(number % 7 for number in range(facts))


def test_calls_of_an_api_are_counted_as_they_are_made(server: Server) -> None:
    if not (PACKAGE / "node_modules" / "express").exists():
        pytest.skip("express is not installed: npm ci in sdk/node")
    program = start("api.js", **server.to_reach_it())
    assert program.stdout is not None
    url = program.stdout.readline().strip()
    for number in range(1, 6):
        assert httpx.get(f"{url}/jobs/{number}", headers={"X-Customer": "acme"}).text == "done"
    # What is not sent yet is sent at its end.
    program.communicate(timeout=30)
    assert program.returncode == 0
    events = {meter: list(Event.objects.filter(meter__key=meter)) for meter in ("ApiCalls", "Records")}
    assert [len(found) for found in events.values()] == [5, 5]
    assert sum(event.value for event in events["Records"]) == 15
    labels = {"method": "GET", "route": "/jobs/:id", "status": "2xx"}
    assert all(event.dimensions == labels for event in events["Records"])
