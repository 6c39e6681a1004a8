"""The command `tollmeter` and the reads, against a server of ours."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from django.utils import timezone

from meters.models import Event
from tests.factories import STORY_RATE, make_customer, make_plan, put_on, run_sweep
from tests.scenarios.live import wait_for
from tests.sdk.conftest import Package, Server, counted_ids

READS = """
from tollmeter import Problem, Tollmeter
with Tollmeter() as client:
    usage = client.usage("ApiCalls", customer="acme", group_by=["source"])
    print(usage.value, usage.unit, usage.events, [(row.group, str(row.value)) for row in usage.rows])
    invoice = client.current_invoice("acme")
    print(invoice.status, invoice.customer, invoice.currency, invoice.total, invoice.lines[0].explanation)
    for question in (lambda: client.usage("ApiCals"), lambda: client.current_invoice("nobody")):
        try:
            question()
        except Problem as problem:
            print(problem.status, problem.code, [fault["pointer"] for fault in problem.errors])
    print(client.portal_session("acme", page="invoices", member="ada").url)
"""


def test_send_usage_tail_and_reads(package: Package, server: Server, tmp_path: Path) -> None:
    to_reach_it = server.to_reach_it()
    from meters.models import Meter

    plan = make_plan("Basic", {Meter.objects.get(key="ApiCalls"): STORY_RATE})
    put_on(make_customer("acme"), plan, timezone.now().date().replace(day=1))

    one = ("send", "--customer", "acme", "--meter", "ApiCalls", "--value", "5001.5", "--dimension", "source=crm")
    for outcome in ("1 sent, 0 sent before, 0 rejected", "0 sent, 1 sent before, 0 rejected"):
        moment = timezone.now().replace(microsecond=0, second=0, minute=0).isoformat()
        done = package.run("tollmeter", *one, "--id", "job-1", "--time", moment, **to_reach_it)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["job-1", outcome]
    lines = tmp_path / "facts.ndjson"
    facts = [
        {"customer": "acme", "meter": "ApiCalls", "value": 7, "dimensions": {"source": "shop"}},
        {"customer": "acme", "meter": "NoMeter"},
    ]
    lines.write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    done = package.run("tollmeter", "send", str(lines), **to_reach_it)
    assert done.returncode == 1
    assert "1 sent, 0 sent before, 1 rejected" in done.stdout
    assert "unknown_meter" in done.stderr

    done = package.run("tollmeter", "usage", "ApiCalls", "--customer", "acme", "--group-by", "source", **to_reach_it)
    assert [line.split()[-3:] for line in done.stdout.splitlines()[1:]] == [
        ["crm", "5,001.5", "1"],
        ["shop", "7", "1"],
        ["total", "5,008.5", "2"],
    ]
    done = package.run("tollmeter", "usage", "ApiCals", **to_reach_it)
    assert done.returncode == 1
    assert "400 invalid" in done.stderr
    assert "/meter" in done.stderr
    assert "Traceback" not in done.stderr

    run_sweep()
    done = package.run("python", "-c", READS, **to_reach_it)
    assert done.returncode == 0, done.stderr
    read = done.stdout.splitlines()
    assert read[0] == "5008.5 calls 2 [({'source': 'crm'}, '5001.5'), ({'source': 'shop'}, '7')]"
    assert read[1].startswith("open acme USD 5.00 ('5,000 of 5,000 free calls used.'")
    assert read[2] == "400 invalid ['/meter']"
    assert read[3].startswith("400 invalid ['/customer']")
    # The link opens the portal; one that is nobody's does not.
    assert [httpx.get(link, follow_redirects=True).status_code == 200 for link in (read[4], f"{read[4]}x")] == [
        True,
        False,
    ]

    tail = package.start("tollmeter", "tail", "--follow", "--every", "0.05", **to_reach_it)
    assert tail.stdout is not None
    first = [tail.stdout.readline(), tail.stdout.readline()]
    assert "ApiCalls 5001.5  source=crm" in first[0]
    package.run("tollmeter", "send", "--customer", "globex", "--meter", "Records", **to_reach_it)
    assert "globex  Records 1" in tail.stdout.readline()
    tail.kill()
    tail.communicate()


def test_import_killed_in_the_middle_and_resumed(package: Package, server: Server, tmp_path: Path) -> None:
    rows, began = 12_000, datetime.now(UTC) - timedelta(days=20)
    lines = ["account,called_at,calls,source,internal"]
    for row in range(rows):
        source = f'"cr\nm {row % 3}"' if row % 3 else ""
        lines.append(f"customer-{row % 5},{(began + timedelta(seconds=row)).isoformat()},{row % 4}.50,{source},x")
    file = tmp_path / "usage.csv"
    file.write_text("\n".join(lines) + "\n")
    command = (
        *("tollmeter", "import-csv", str(file), "--set", "meter=ApiCalls", "--ignore", "internal"),
        *("--map", "customer=account", "--map", "time=called_at", "--map", "value=calls"),
    )
    shown = package.run(*command, "--dry-run", **server.to_reach_it())
    assert len(shown.stdout.splitlines()) == 3
    assert '"value": 0.50' in shown.stdout
    assert not Event.objects.exists()

    program = package.start(*command, **server.to_reach_it())
    wait_for(Event.objects.exists, 30)
    program.kill()
    program.communicate()
    assert 0 < Event.objects.count() < rows

    done = package.run(*command, **server.to_reach_it())
    assert done.returncode == 0, done.stderr
    assert f"{rows:,} rows" in done.stdout
    assert len(counted_ids()) == rows
    assert sum(Event.objects.values_list("value", flat=True)) == sum(row % 4 + 0.5 for row in range(rows))

    # Again: nothing is left to do, and from the first row on everything is there already.
    began_again = time.monotonic()
    assert "12,000 rows" in package.run(*command, **server.to_reach_it()).stdout
    assert time.monotonic() - began_again < 20
    again = package.run(*command, "--restart", **server.to_reach_it())
    assert "0 sent, 12,000 sent before, 0 rejected" in again.stdout
    assert Event.objects.count() == rows


def test_import_says_what_was_rejected_and_stops_at_a_wrong_key(
    package: Package, server: Server, tmp_path: Path
) -> None:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0).isoformat()
    file = tmp_path / "few.csv"
    file.write_text(
        f"id,customer,meter,time,value\na,acme,ApiCalls,{now},1\nb,acme,NoMeter,{now},2\nc,acme,ApiCalls,{now},x\n"
    )
    command = ("tollmeter", "import-csv", str(file), "--utc")
    wrong = package.run(*command, **server.to_reach_it() | {"TOLLMETER_API_KEY": "wrong"})
    assert wrong.returncode == 1
    assert "401 invalid_api_key" in wrong.stderr
    assert "0 rows are done" in wrong.stderr

    done = package.run(*command, **server.to_reach_it())
    assert done.returncode == 1
    assert "3 rows: 1 sent, 0 sent before, 2 rejected" in done.stdout
    rejected = [json.loads(line) for line in (tmp_path / "few.csv.rejected.ndjson").read_text().splitlines()]
    assert [(row["row"], row["code"], row["fact"]["id"]) for row in rejected] == [
        (2, "unknown_meter", "b"),
        (3, "invalid", "c"),
    ]
    changed = file.read_text().replace("NoMeter", "ApiCalls")
    file.write_text(changed)
    other = package.run(*command, **server.to_reach_it())
    assert "another file" in other.stderr
    assert "2 rows" not in other.stdout
    fixed = package.run(*command, "--restart", **server.to_reach_it())
    assert "3 rows: 1 sent, 1 sent before, 1 rejected" in fixed.stdout
