"""One round: senders send and parts die for some time, then everything is up again and has to come out right."""

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import Error, connection

from invoices.models import Invoice
from tests.chaos.checks import Figures, all_breaches, unfinished
from tests.chaos.disturbing import Disturber
from tests.chaos.installation import Installation
from tests.chaos.outside import Outside
from tests.chaos.scene import Scene
from tests.chaos.senders import Memory, Reader, Sender

# What was asked of senders before the end they may try for so long, and the installation may take so long to settle.
PATIENCE, SETTLING = 30, 180
# While it settles the clock goes on by so much: what is put off for a minute need not be waited for.
SETTLING_STEP = timedelta(minutes=3)


@dataclass
class Result:
    seed: str
    memory: Memory
    done: Counter[str]
    figures: Figures
    breaches: list[str]
    settled_after: float
    left: list[str] = field(default_factory=list)


def run_round(
    seed: str,
    scene: Scene,
    installation: Installation,
    outside: Outside,
    *,
    seconds: float,
    senders: int,
    in_turn: bool,
    calm: float,
) -> Result:
    """The round of a seed, on an installation whose parts all run."""
    # The days before today are final when it begins: usage comes late for them.
    settle(installation)
    finals = final_invoices()
    memory = Memory()
    threads: list[Sender | Reader] = [
        Sender(f"{seed}-{number}", f"{seed}/{number}", scene, installation, memory) for number in range(senders)
    ]
    threads.append(Reader(f"{seed}/reader", scene, installation, memory))
    disturber = Disturber(f"{seed}/disturber", installation, seconds, calm)
    for thread in threads:
        thread.start()
    if in_turn:
        disturber.in_turn()
    disturber.run()
    if disturber.error is not None:
        raise disturber.error
    installation.start_all()
    ends = time.monotonic() + PATIENCE
    for thread in threads:
        thread.stop.set()
        if isinstance(thread, Sender):
            thread.patience_ends = ends
    for thread in threads:
        thread.join(PATIENCE * 2)
    figures = Figures(finals_meanwhile=final_invoices() - finals)
    began = time.monotonic()
    left = settle(installation)
    settled_after = time.monotonic() - began
    breaches = [f"not settled: {', '.join(left)}"] if left else []
    breaches += all_breaches(memory, outside, figures, installation.now())
    return Result(seed, memory, disturber.done, figures, breaches, settled_after)


def final_invoices() -> int:
    try:
        return Invoice.objects.filter(status="final").count()
    finally:
        connection.close()


def settle(installation: Installation, seconds: float = SETTLING) -> list[str]:
    """Waits until nothing is left to be done; answers what is, after all that time."""
    end = time.monotonic() + seconds
    left = ["everything"]
    while left and time.monotonic() < end:
        installation.restart_dead()
        time.sleep(0.5)
        try:
            left = unfinished(installation.now())
        except Error:
            connection.close()
        if left:
            installation.put_forward(SETTLING_STEP)
    return left
