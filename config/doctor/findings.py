"""What a check says, and how checks are run: each within its time, whatever it asks."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import DatabaseError, connection


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    state: State
    saw: str
    # What to do; empty where nothing has to be done.
    remedy: str = ""


def ok(saw: str) -> Finding:
    return Finding(State.OK, saw)


def warning(saw: str, remedy: str) -> Finding:
    return Finding(State.WARNING, saw, remedy)


def failed(saw: str, remedy: str) -> Finding:
    return Finding(State.FAILED, saw, remedy)


def worst(findings: Sequence[Finding], otherwise: str) -> Finding:
    """One finding out of several about one thing: all that is wrong, or `otherwise` where nothing is."""
    wrong = [one for one in findings if one.state != State.OK]
    if not wrong:
        return ok(otherwise)
    state = State.FAILED if any(one.state == State.FAILED for one in wrong) else State.WARNING
    return Finding(state, "; ".join(one.saw for one in wrong), " ".join(one.remedy for one in wrong))


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    look: Callable[[], Finding]
    # Checks of one lane go one after the other: those that ask the same server wait for it once.
    lane: str


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    finding: Finding


# For all checks of a lane together.
LANE_SECONDS = 8
STATEMENT_SECONDS = 3
DATABASE = "database"


class _Lane(threading.Thread):
    """A thread of its own, which is left behind where it hangs: nobody waits for it at the end of the process."""

    def __init__(self, name: str, checks: Sequence[Check]) -> None:
        super().__init__(name=f"doctor-{name}", daemon=True)
        self.lane, self.checks = name, checks
        self.found: dict[str, Finding] = {}

    def run(self) -> None:
        try:
            if self.lane == DATABASE:
                _limit_statements()
            for check in self.checks:
                self.found[check.name] = looked(check)
        except DatabaseError as error:
            for check in self.checks:
                self.found.setdefault(check.name, failed(in_words(error), "See the database above."))
        finally:
            connection.close()


def looked(check: Check) -> Finding:
    try:
        return check.look()
    except Exception as error:
        # A check that cannot be made is a finding, too; the other checks go on.
        return failed(f"cannot be looked at: {in_words(error)}", "Mend that first, then look again.")


def examine(checks: Sequence[Check], seconds: float = LANE_SECONDS) -> list[Line]:
    """Runs all checks and answers within that time: what has not answered by then has failed."""
    lanes = [_Lane(lane, [one for one in checks if one.lane == lane]) for lane in dict.fromkeys(c.lane for c in checks)]
    until = time.monotonic() + seconds
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join(max(until - time.monotonic(), 0))
    found = {name: finding for lane in lanes for name, finding in dict(lane.found).items()}
    late = failed(f"no answer within {seconds:g} seconds", "Whatever it asks hangs, or is very busy. Look again.")
    return [Line(check.name, found.get(check.name, late)) for check in checks]


def summary(lines: list[Line]) -> str:
    failures = sum(line.finding.state == State.FAILED for line in lines)
    warnings = sum(line.finding.state == State.WARNING for line in lines)
    if not failures and not warnings:
        return f"All {len(lines)} checks are well."
    return f"Of {len(lines)} checks {failures} failed, and {warnings} warn."


def in_words(error: BaseException) -> str:
    """The first line of what went wrong."""
    first = next(iter(str(error).strip().splitlines()), "")
    return first[:200] or type(error).__name__


def _limit_statements() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = %s", [STATEMENT_SECONDS * 1000])
        cursor.execute("SET lock_timeout = %s", [STATEMENT_SECONDS * 1000])
