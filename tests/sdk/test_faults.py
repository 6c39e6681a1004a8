"""Whatever happens between a client and the database, each fact is counted exactly once."""

import time
from pathlib import Path

from meters.models import Event
from tests.scenarios.live import wait_for
from tests.sdk.conftest import Package, Server, counted_ids, last_json
from tests.sdk.proxy import Proxy

NOTES = str(Path(__file__).parent / "programs" / "notes.py")


def test_cut_slow_refused_and_failing_connections(package: Package, server: Server) -> None:
    facts = 1500
    with Proxy(server.port) as proxy:
        program = package.start(
            "python", NOTES, str(facts), "0.001", **server.to_reach_it() | {"TOLLMETER_URL": proxy.url}
        )
        wait_for(lambda: proxy.seen["pass"] > 2, 30)
        for mode in proxy.MODES[1:]:
            proxy.mode = mode
            # Slow ones are slow to be seen.
            wait_for(lambda mode=mode: proxy.seen[mode] >= 2 or mode == "cut answer", 30)
            time.sleep(0.15)
        proxy.mode = "pass"
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
    assert sum(Event.objects.values_list("value", flat=True)) == sum(number % 7 for number in range(facts))


def test_server_down_and_the_program_killed_with_a_spool(package: Package, server: Server, tmp_path: Path) -> None:
    spool = str(tmp_path / "spool.db")
    program = package.start("python", NOTES, "100000", "0.001", spool, **server.to_reach_it())
    assert program.stdout is not None
    noted = [program.stdout.readline().strip() for _ in range(200)]
    wait_for(Event.objects.exists, 30)
    server.kill("web")
    noted += [program.stdout.readline().strip() for _ in range(200)]
    program.kill()
    rest, _ = program.communicate()
    noted += rest.split("\n")[:-1]
    before = Event.objects.count()
    assert before < len(noted)

    server.start("web")
    wait_for(server.is_up, 60)
    done = package.run("python", NOTES, "10", "0", spool, **server.to_reach_it())
    noted += done.stdout.split("\n")[:10]
    counted = last_json(done.stdout)
    assert counted["done"]
    assert counted["queued"] == counted["rejected"] == counted["dropped"] == 0
    found = counted_ids()
    assert set(noted) <= found
    # One may have been stored and not yet printed when the program was killed.
    assert len(found) - len(set(noted)) in (0, 1)


def test_killed_again_and_again_while_it_sends(package: Package, server: Server, tmp_path: Path) -> None:
    """Each next program begins with what the last one left, also what was counted and not yet taken from the file."""
    spool = str(tmp_path / "spool.db")
    noted: list[str] = []
    for _ in range(3):
        program = package.start("python", NOTES, "100000", "0", spool, **server.to_reach_it())
        assert program.stdout is not None
        noted += [program.stdout.readline().strip() for _ in range(150)]
        program.kill()
        rest, _ = program.communicate()
        noted += rest.split("\n")[:-1]
    done = package.run("tollmeter", "send", "--spool", spool, **server.to_reach_it())
    assert done.returncode == 0, done.stderr
    found = counted_ids()
    assert set(noted) <= found
    assert len(found) - len(set(noted)) <= 3
