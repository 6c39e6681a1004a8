"""What is done to an installation, at random by a seed: parts are killed, held still, flushed, and started again."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import psutil
import redis

from tests.chaos.installation import Installation, Part, children, kill_one, signal_all

# Seconds between two disturbances, how long what was killed stays away, and how long something is held still.
BETWEEN, AWAY, STILL = (0.5, 4.0), (0.0, 2.0), (0.5, 4.0)
# So much does the clock go forward at a time: a day is over, or its grace time, after a few of them.
CLOCK_STEP = timedelta(hours=6)


class Disturber(threading.Thread):
    """Does one thing after the other until the time is over; what is held still goes on by then, not all is up."""

    def __init__(self, seed: str, installation: Installation, seconds: float, calm: float = 1) -> None:
        super().__init__(name="disturber", daemon=True)
        self.chance = random.Random(seed)
        self.installation = installation
        self.seconds = seconds
        # A machine that is busy otherwise needs more time to start what was killed.
        self.calm = calm
        self.away = AWAY
        self.clock_step = CLOCK_STEP
        self.done: Counter[str] = Counter()
        self.error: BaseException | None = None
        one = installation
        self.ways: list[tuple[int, Callable[[], None]]] = [
            (3, self.kill_database),
            (2, self.kill_backend),
            (2, self.kill_broker),
            (2, self.flush_broker),
            (3, lambda: self.kill_part(self.chance.choice(one.webs))),
            (4, lambda: self.kill_part(self.chance.choice(one.workers))),
            (2, lambda: self.kill_child(self.chance.choice(one.workers))),
            (2, lambda: self.kill_part(one.beat)),
            (2, lambda: self.hold(self.database_pids)),
            (1, lambda: self.hold(self.broker_pids)),
            (3, lambda: self.hold_part(self.chance.choice([*one.webs, *one.workers, one.beat]))),
        ]

    def run(self) -> None:
        end = time.monotonic() + self.seconds
        weights = [weight for weight, _ in self.ways]
        try:
            while time.monotonic() < end:
                self.chance.choices(self.ways, weights)[0][1]()
                # Some have ended since: a web server whose worker was killed, say.
                for name in self.installation.restart_dead():
                    self.done[f"started {kind_of(name)}"] += 1
                self.installation.put_forward(self.clock_step)
                self.pause()
        except BaseException as error:
            self.error = error

    def in_turn(self) -> None:
        """Kills each web server and each worker, one after the other, while the others go on."""
        for part in [
            one for pair in zip(self.installation.webs, self.installation.workers, strict=True) for one in pair
        ]:
            self.kill_part(part)
            self.done["in turn"] += 1
            self.pause()
            self.installation.put_forward(self.clock_step)

    def kill_part(self, part: Part) -> None:
        part.kill()
        self.done[kind_of(part.name)] += 1
        self.stay_away()
        part.start()

    def kill_child(self, part: Part) -> None:
        self.done["worker"] += part.kill_child()

    def kill_database(self) -> None:
        self.installation.postgres.kill()
        self.done["database"] += 1
        self.stay_away()
        self.installation.start_database()

    def kill_backend(self) -> None:
        """One of its processes: then the database ends all of them, and repairs itself."""
        process = self.installation.postgres.process
        if process is not None:
            backends = [one for one in children(process.pid) if is_backend(one)]
            self.chance.shuffle(backends)
            self.done["database"] += kill_one(backends)

    def kill_broker(self) -> None:
        self.installation.valkey.kill()
        self.done["broker"] += 1
        self.stay_away()
        self.installation.valkey.start()

    def flush_broker(self) -> None:
        with suppress(redis.RedisError), redis.Redis.from_url(self.installation.valkey.url, socket_timeout=2) as client:
            client.flushall()
            self.done["flushed"] += 1

    def hold_part(self, part: Part) -> None:
        self.hold(part.pids)

    def hold(self, pids: Callable[[], list[int]], seconds: float | None = None) -> None:
        held = pids()
        signal_all(held, signal.SIGSTOP)
        self.done["held still"] += 1
        time.sleep(self.chance.uniform(*STILL) if seconds is None else seconds)
        signal_all(held, signal.SIGCONT)

    def database_pids(self) -> list[int]:
        process = self.installation.postgres.process
        return [process.pid, *(one.pid for one in children(process.pid))] if process else []

    def broker_pids(self) -> list[int]:
        process = self.installation.valkey.process
        return [process.pid] if process else []

    def pause(self) -> None:
        time.sleep(self.chance.uniform(*BETWEEN) * self.calm)

    def stay_away(self) -> None:
        time.sleep(self.chance.uniform(*self.away))


def kind_of(name: str) -> str:
    return name.split()[0]


def is_backend(process: psutil.Process) -> bool:
    """Whether somebody is connected to it; its title says what it is for."""
    with suppress(psutil.Error):
        return "127.0.0.1" in " ".join(process.cmdline())
    return False
