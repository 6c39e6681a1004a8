"""The example of the Python SDK, as `make run` runs it: an API over HTTP, and the traffic of its customers."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
from django.db.models import Sum

from meters.models import Event
from tests.scenarios.live import wait_for
from tests.sdk.conftest import BASE_DIR, Package, Server, counted_ids

EXAMPLES = BASE_DIR / "sdk/python/examples"
JOB = {"source": "crm", "target": "shop", "records": [{"name": "Ada"}, {"name": "Grace"}]}
WRONG = [
    ({**JOB, "source": "moon"}, "source is one of"),
    ({**JOB, "target": "crm"}, "two systems"),
    ({**JOB, "records": []}, "records is a list"),
    ({**JOB, "records": ["Ada"]}, "Each record"),
    ([JOB], "an object with"),
]


class Example:
    """AwesomeIntegrationApi on a port that was free, in the environment that has the wheel."""

    def __init__(self, package: Package, server: Server, *options: str) -> None:
        command = ("python", str(EXAMPLES / "awesome_integration_api.py"), "--port", "0", *options)
        self.process = package.start(*command, **server.to_reach_it())
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait(30) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def traffic(package: Package, url: str, jobs: int) -> tuple[int, int]:
    """Calls that many times; how many jobs were done, and the records of all."""
    command = ("python", str(EXAMPLES / "traffic.py"), "--url", url, "--customers", "acme,globex", "--rate", "300")
    done = package.run(*command, "--jobs", str(jobs))
    assert done.returncode == 0, done.stderr
    told = re.fullmatch(r"(\d+) jobs of (\d+) records\n", done.stdout)
    assert told
    return int(told[1]), int(told[2])


def test_calls_of_the_example_are_counted_exactly_once(package: Package, server: Server, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    options = ("--customers", "acme,globex", "--spool", str(tmp_path / "spool.db"), "--clock", str(clock))
    example = Example(package, server, *options)
    jobs, records = traffic(package, example.url, 40)
    assert jobs == 40
    wait_for(Event.objects.exists, 30)
    # With the server away, and the API killed meanwhile.
    server.kill("web")
    more_jobs, more_records = traffic(package, example.url, 40)
    example.kill()
    server.start("web")
    wait_for(server.is_up, 60)
    example = Example(package, server, *options)
    jobs, records = jobs + more_jobs, records + more_records
    wait_for(lambda: Event.objects.count() == jobs, 30)
    assert Event.objects.aggregate(Sum("value"))["value__sum"] == records
    assert set(Event.objects.values_list("customer__key", flat=True)) == {"acme", "globex"}

    # What moves no records is free.
    before = Event.objects.latest("occurred_at").occurred_at
    # The demo's clock was put forward.
    clock.write_text("60")
    with httpx.Client(base_url=example.url) as api:
        assert api.get("/v1/systems").status_code == 401
        api.headers["Authorization"] = "Bearer awesome-acme"
        assert "crm" in api.get("/v1/systems").json()["systems"]
        for wrong, why in WRONG:
            answer = api.post("/v1/jobs", json=wrong)
            assert answer.status_code == 400
            assert why in answer.json()["error"]
        assert api.post("/v1/jobs", content=b"{").status_code == 400
        assert api.post("/v1/jobs", content=b" " * 1_000_001).status_code == 413
        assert api.get("/v1/jobs/none").status_code == 404
        made = api.post("/v1/jobs", json=JOB).json()
        assert api.get(f"/v1/jobs/{made['id']}").json() == {**made, "records": 2}
    example.end()
    send_the_rest = ("tollmeter", "send", "--spool", str(tmp_path / "spool.db"))
    assert package.run(*send_the_rest, **server.to_reach_it()).returncode == 0
    assert len(counted_ids()) == jobs + 1
    event = Event.objects.latest("occurred_at")
    assert (event.occurred_at - before).total_seconds() > 50
    assert event.value == 2
    labels = {"method": "POST", "route": "/v1/jobs", "status": "2xx"}
    assert event.dimensions == {**labels, "source": "crm", "target": "shop", "connection": "crm-shop"}


def test_the_traffic_refuses_what_makes_no_sense() -> None:
    for rate in ("nan", "0", "x"):
        command = [sys.executable, str(EXAMPLES / "traffic.py"), "--rate", rate]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "--rate" in done.stderr
