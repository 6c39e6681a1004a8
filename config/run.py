"""`make run`: database, broker, web server, worker and scheduler under one supervisor, until Ctrl-C.

Prints a line for each step with the time it took. Exit code 0 when it was asked to stop, 1 when a step or a
process failed.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import psutil
from honcho.compat import ProcessManager
from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Message, Printer

from config.processes import FolderInUse, alive
from config.servers import ServerFailed, port_is_free
from config.services import BASE_DIR, Services, data_dir

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# The programs of the demo beside Tollmeter listen so far behind the web server, or a little further: the next port is
# what a second installation takes.
BEHIND, NEAR = 100, 20
BESIDE = ("VENDOR_PORT", "EXAMPLE_API_PORT")


class Failed(Exception):
    """A step failed; the text is for a person."""


def say(line: str) -> None:
    # The terminal may be gone by the time that everything is stopped.
    with contextlib.suppress(OSError):
        print(line, flush=True)


def wanted_port(name: str = "PORT", default: str = "8000") -> int:
    text = os.environ.get(name) or default
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Failed(f"{name} must be a number from 1 to 65535, not {text!r}.")
    return int(text)


def check_port(port: int) -> None:
    if not port_is_free(port):
        other = port + 1 if port < 65535 else 8000
        raise Failed(f"Port {port} is taken (or may not be used). Choose another one:  PORT={other} make run")


def ports_beside(port: int) -> dict[str, int]:
    """Where the demo's other programs listen: the pretend vendor's app, and AwesomeIntegrationApi."""
    taken = {"PORT": port}
    # First those that somebody chose.
    for name in sorted(BESIDE, key=lambda name: not os.environ.get(name)):
        taken[name] = port_beside(name, taken)
    return taken


def port_beside(name: str, taken: dict[str, int]) -> int:
    """What the variable of this name says, or what is free BEHIND the web server. A program that nobody asked for keeps
    nobody from starting."""
    if os.environ.get(name):
        wanted = wanted_port(name)
        for other, number in taken.items():
            if wanted == number:
                raise Failed(f"{other} and {name} are both {wanted}: each needs a port of its own.")
        if not port_is_free(wanted):
            raise Failed(f"Port {wanted}, of {name}, is taken (or may not be used). Choose another one.")
        return wanted
    port = taken["PORT"]
    first = port + BEHIND if port + BEHIND + NEAR < 65536 else port - BEHIND - NEAR
    free = next((one for one in range(first, first + NEAR) if one not in taken.values() and port_is_free(one)), None)
    if free is None:
        raise Failed(f"No port from {first} to {first + NEAR - 1} is free. Choose one:  {name}=... make run")
    return free


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Runs a management command and returns what it printed; its stderr is shown as it comes."""
    with subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=BASE_DIR,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise Failed(f"`manage.py {arguments[0]}` failed. {output.rstrip()}")
    return output


class Signals(ProcessManager):  # type: ignore[misc]
    def terminate(self, pid: int) -> None:
        """Asks the process alone, not its group as honcho does: it lets its workers finish what they are at."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


class Output(Printer):  # type: ignore[misc]
    """What the processes print, a line each with the name before it; honcho's own remarks only when they matter."""

    def __init__(self, services: Services) -> None:
        super().__init__(sys.stdout)
        self.services = services
        # Called when the processes have been started: a thread that runs before would be caught in their forks.
        self.on_started: Callable[[], None] | None = None
        self.pids: dict[str, int] = {}
        self.stopping = False
        self.failed = ""

    def write(self, message: Message) -> None:
        if message.name == "system":
            self._remark(str(message.data))
        else:
            with contextlib.suppress(OSError):
                super().write(message)

    def _remark(self, text: str) -> None:
        if started := re.match(r"(\S+) started \(pid=(\d+)\)", text):
            self.pids[started[1]] = int(started[2])
            if self.on_started:
                self.on_started()
                self.on_started = None
        elif text.startswith("SIG"):
            if not self.stopping:
                say("\nStopping ...")
            self.stopping = True
        elif stopped := re.match(r"(\S+) stopped \(rc=(-?\d+)\)", text):
            self.pids.pop(stopped[1], None)
            self.report(stopped[1], int(stopped[2]))

    def report(self, name: str, code: int) -> None:
        """Notes the process that ended first without being asked to: the others end because of it."""
        if self.stopping:
            return
        if server := self.services.ended():  # the cause, when a process could not live without it
            name, code = server.name, server.ended() or 0
        self.stopping, self.failed = True, name
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        say(f"\n{name} {how}; stopping the others. `make run` starts again where it was.")


class Watch(threading.Thread):
    """Says when the web server answers, and notices what honcho does not: a dead server, a dead parent of workers."""

    def __init__(self, services: Services, output: Output, url: str, summary: str) -> None:
        super().__init__(daemon=True)
        self.services, self.output, self.url, self.summary = services, output, url, summary
        self.over = threading.Event()
        self.began = time.monotonic()

    def run(self) -> None:
        ready = False
        while not self.over.wait(0.3 if not ready else 1):
            self.services.ledger.add_descendants()
            if not ready and not self.output.stopping and answers(f"{self.url}/healthz"):
                ready = True
                say(f"  Ready  ({time.monotonic() - self.began:.1f} s)\n\n{self.summary}\n")
            self.look_after_processes()
            if (server := self.services.ended()) and not self.output.stopping:
                self.output.report(server.name, 0)
                os.kill(os.getpid(), signal.SIGTERM)

    def look_after_processes(self) -> None:
        """Ends the group of a process that died: its workers hold its output open, and honcho waits for that."""
        for pid in list(self.output.pids.values()):
            with contextlib.suppress(ProcessLookupError):
                try:
                    dead = not alive(psutil.Process(pid))
                except psutil.NoSuchProcess:
                    continue
                if dead:
                    os.killpg(pid, signal.SIGKILL)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False


def process_environment(ports: dict[str, int]) -> dict[str, str]:
    programs = str(Path(sys.executable).parent)
    return os.environ | {
        "PATH": programs + os.pathsep + os.environ.get("PATH", ""),
        **{name: str(port) for name, port in ports.items()},
        "PYTHONUNBUFFERED": "1",
        # In a container one is root; the worker need not say so at each start.
        "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore:You're running the worker:Warning"),
    }


def prepare(services: Services, ports: dict[str, int]) -> tuple[dict[str, str], str]:
    """Everything before the processes start: returns their environment, and the demo's sign-ins to print."""
    # `manage.py` in another terminal is told as well.
    os.environ["DEMO"] = "1"
    environment = process_environment(ports) | services.start()
    return environment, manage(environment, "demo").rstrip()


def supervise(services: Services, environment: dict[str, str], summary: str) -> str:
    """Runs the processes of the Procfile until one ends or a signal comes; returns the name of what failed."""
    output = Output(services)
    manager = Manager(output)
    manager._procmgr = Signals()
    for name, command in parse_procfile((BASE_DIR / "Procfile").read_text()).processes.items():
        manager.add_process(name, command, env=environment, cwd=str(BASE_DIR))
    watch = Watch(services, output, f"http://127.0.0.1:{environment['PORT']}", summary)
    output.on_started = watch.start
    # The terminal was closed. Honcho knows the other two signals only.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        manager.loop()
    finally:
        output.stopping = True
        watch.over.set()
        if watch.is_alive():
            watch.join()
    return output.failed


def stop_on_signals() -> None:
    """The first signal interrupts whatever goes on; later ones do not disturb the stopping."""
    asked = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise KeyboardInterrupt

    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, interrupt)


def run() -> int:
    services = Services(data_dir(), lambda line: say(f"  {line}"))
    failed = ""
    stop_on_signals()
    try:
        port = wanted_port()
        say("Starting Tollmeter")
        services.claim()
        check_port(port)
        ports = ports_beside(port)
        say(f"  Data in {services.folder}")
        environment, sign_ins = prepare(services, ports)
        url = f"http://localhost:{port}"
        summary = f"Tollmeter runs at {url}/\n\n{sign_ins}\n\nCtrl-C stops everything."
        failed = supervise(services, environment, summary)
    except KeyboardInterrupt:
        say("\nStopping ...")
    except (Failed, FolderInUse, ServerFailed) as error:
        say(f"\n{error}")
        failed = "start"
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        services.stop()
    if not failed:
        say("Stopped.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run())
