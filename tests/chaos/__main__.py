"""`make chaos`: rounds of chaos on an installation of its own, in var/chaos, and a table of what came out of each.

Ends with 1 where anything was lost, double or wrong, and says with which seed to see it again.
"""

import argparse
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from config.services import Services, data_dir

if TYPE_CHECKING:
    from tests.chaos.installation import Installation
    from tests.chaos.outside import Outside
    from tests.chaos.rounds import Result
    from tests.chaos.scene import Scene

# A round takes about so much longer than its time of chaos; no new one is begun that would go beyond --minutes.
AFTERWARDS = 60
COLUMNS = (
    *("round", "seed", "killed: database", "broker", "web", "worker", "beat", "held still", "flushed"),
    *("tries without an answer", "events answered", "never answered: stored / not", "answered with a web server down"),
    *(
        "final invoices (meanwhile)",
        "corrections",
        "rated again",
        "mails (again)",
        "webhooks (again)",
        "settled after",
        "breaches",
    ),
)


def main() -> int:
    options = arguments()
    folder = data_dir()
    # Servers out of packages; this process itself goes by the machine's clock.
    os.environ |= {"TOLLMETER_TESTS": "1", "DEMO": "0"}
    ends = time.monotonic() + options.minutes * 60
    seed = options.seed or secrets.token_hex(3)
    bad: list[str] = []
    # What a killed process has written is safe with the system; what a failing disk loses is not tried here.
    with Services(folder, say, fsync=False) as services:
        services.claim()
        clear(folder)
        os.environ |= services.start()
        prepare(services)
        from tests.chaos.outside import outside

        with outside() as others:
            scene = make_base(services, others, options.customers)
            say("| " + " | ".join(COLUMNS) + " |", plain=True)
            say("|" + "---|" * len(COLUMNS), plain=True)
            for number in range(1, options.rounds + 1):
                of_round = f"{seed}-{number}" if options.rounds > 1 else seed
                if time.monotonic() + options.seconds + AFTERWARDS > ends:
                    say(f"{options.minutes:g} minutes are over before round {number}.")
                    break
                others.forget()
                make_database(services, "tollmeter", "chaos_base")
                forget_everything()
                with installed(services, folder, others, options) as installation:
                    result = one_round(of_round, scene, installation, others, options)
                    say(row(number, result), plain=True)
                    if result.breaches:
                        bad.append(of_round)
                        keep_logs(folder, of_round)
                for breach in result.breaches[:20]:
                    say(f"  breach: {breach}")
        from django.db import connection

        connection.close()
    if bad:
        say(f"Something went wrong. To see it again:  make chaos ARGS='--rounds 1 --seed {bad[0]}'")
    return 1 if bad else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30, help="of chaos in each round")
    parser.add_argument("--calm", type=float, default=1, help="how much longer than usual it is calm in between")
    parser.add_argument("--minutes", type=float, default=60, help="no round is begun that would not end by then")
    parser.add_argument("--seed", default="", help="to see a round again")
    parser.add_argument("--customers", type=int, default=24)
    parser.add_argument("--senders", type=int, default=6)
    parser.add_argument("--webs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=3)
    return parser.parse_args()


def clear(folder: Path) -> None:
    """Takes away what an earlier run left in a folder that is ours."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in ("lock", "processes.json"):
            path.unlink()


def say(line: str, *, plain: bool = False) -> None:
    print(line, file=sys.stdout if plain else sys.stderr, flush=True)


def prepare(services: Services) -> None:
    """Tables from nothing, and all of the product loaded."""
    import django

    make_database(services, "tollmeter", "template1")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command

    began = time.monotonic()
    call_command("migrate", verbosity=0)
    (services.folder / "static").mkdir(exist_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    say(f"Database tables  ({time.monotonic() - began:.1f} s)")


def make_base(services: Services, others: "Outside", customers: int) -> "Scene":
    """What every round begins with, kept as a database that theirs are copies of."""
    from datetime import UTC, datetime

    from django.db import connection

    from tests.chaos.scene import make_scene

    scene = make_scene(customers, others.receiver.url, datetime.now(UTC))
    connection.close()
    make_database(services, "chaos_base", "tollmeter")
    return scene


def make_database(services: Services, name: str, template: str) -> None:
    """A copy of another database, in place of the one that has the name."""
    assert services.postgres is not None
    from django.db import connection

    connection.close()
    url = services.postgres.url.removesuffix("tollmeter") + "postgres"
    with psycopg.connect(url, autocommit=True) as database:
        database.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type]
        database.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')  # type: ignore[arg-type]


def forget_everything() -> None:
    """What this process knows of the rows of another round."""
    from invoices import pricing_of
    from meters import catalogue, keys, partitions, rate_limit

    for module in (catalogue, partitions, keys, rate_limit, pricing_of):
        module.forget()


@contextmanager
def installed(
    services: Services, folder: Path, others: "Outside", options: argparse.Namespace
) -> Iterator["Installation"]:
    """The processes of a round, by today's clock and with an empty broker."""
    import redis

    from tests.chaos.installation import Installation

    assert services.postgres is not None
    assert services.valkey is not None
    for left in folder.glob("celerybeat-schedule*"):
        left.unlink()
    (folder / "clock").unlink(missing_ok=True)
    with redis.Redis.from_url(services.valkey.url) as broker:
        broker.flushall()
    installation = Installation(
        folder,
        services.postgres,
        services.valkey,
        others.environment | {"LOG_LEVEL": "WARNING"},
        webs=options.webs,
        workers=options.workers,
        started=services.ledger.add,
    )
    for part in installation.parts:
        (folder / f"{part.name}.log").write_text("")
    with installation:
        yield installation


def one_round(
    seed: str, scene: "Scene", installation: "Installation", others: "Outside", options: argparse.Namespace
) -> "Result":
    from tests.chaos.rounds import run_round

    return run_round(
        seed,
        scene,
        installation,
        others,
        seconds=options.seconds,
        senders=options.senders,
        in_turn=options.webs == options.workers,
        calm=options.calm,
    )


def keep_logs(folder: Path, seed: str) -> None:
    kept = folder / "kept" / seed
    kept.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        shutil.copy(log, kept)


def row(number: int, result: "Result") -> str:
    done, outcomes, figures = result.done, result.memory.outcomes, result.figures
    never = len(result.memory.unanswered)
    cells = (
        *(number, result.seed, *(done[kind] for kind in ("database", "broker", "web", "worker", "beat"))),
        *(done["held still"], done["flushed"], sum(outcomes[one] for one in ("no answer", "502", "503", "504"))),
        *(len(result.memory.answered), f"{figures.unanswered_stored} / {never - figures.unanswered_stored}"),
        *(outcomes["answered while a web server was down"], f"{figures.finals} ({figures.finals_meanwhile})"),
        *(figures.corrections, figures.rated_again),
        *(f"{figures.mails} ({figures.mails_again})", f"{figures.webhooks} ({figures.webhooks_again})"),
        *(f"{result.settled_after:.0f} s", len(result.breaches)),
    )
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
