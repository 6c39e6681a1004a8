"""The clock of a demo, which can be put forward to see a month end. Only the settings of a demo install it.

How far it is ahead stands in a file of the data folder, so all processes of the demo have the same time.
"""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from django.utils import timezone


def ahead(file: Path) -> timedelta:
    """How far the clock is ahead; nothing, where it was never put forward."""
    try:
        return timedelta(seconds=int(file.read_text()))
    except FileNotFoundError:
        return timedelta()


def put_forward(file: Path, by: timedelta) -> None:
    """Puts the clock forward by whole seconds. It never goes back: what has happened has happened."""
    if by <= timedelta():
        raise ValueError("The clock only goes forward.")
    new = file.with_suffix(".new")
    new.write_text(str(int((ahead(file) + by).total_seconds())))
    new.replace(file)


def install(file: Path) -> None:
    """Has Django's `timezone.now`, which all of the product asks, follow the file from now on."""
    timezone.now = shifted(timezone.now, file)


def shifted(now: Callable[[], datetime], file: Path) -> Callable[[], datetime]:
    """`now` by as much ahead as the file says, which is read again when it has changed."""
    known: tuple[int, timedelta] = 0, timedelta()

    def later() -> datetime:
        nonlocal known
        try:
            changed = os.stat(file).st_mtime_ns
        except FileNotFoundError:
            return now()
        if changed != known[0]:
            known = changed, ahead(file)
        return now() + known[1]

    return later
