"""Rows that many tests begin with, made once for those that follow each other.

A test that rolls back leaves what was there before it. So the rows of a fixture that is `kept` are made in a
transaction around those of the tests, of fixtures that build on each other one inside the other; what the next test
does not want is rolled back before it. Tests that commit begin with an empty database, and make the rows each time.
"""

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pytest
import time_machine
from django.db import models, transaction
from django.db.transaction import Atomic

P = ParamSpec("P")
Row = TypeVar("Row", bound=models.Model)
Make = Callable[..., models.Model]

# What is there, outermost first.
_levels: list[tuple[Make, Atomic, models.Model]] = []


def kept(at: datetime | None = None) -> Callable[[Callable[P, Row]], Callable[P, Row]]:
    """Below `@pytest.fixture`, for one that gives back a row and is made `at` that time. Of the fixtures that it takes
    those that are kept are the rows; others are there for the test alone, and None as the row is made."""

    def keep(function: Callable[P, Row]) -> Callable[P, Row]:
        def make(*args: P.args, **kwargs: P.kwargs) -> Row:
            with nullcontext() if at is None else time_machine.travel(at, tick=False):
                return function(*args, **kwargs)

        @wraps(function)
        def fixture(*args: P.args, **kwargs: P.kwargs) -> Row:
            row = _held(make)
            # Each test has an object of its own.
            return make(*args, **kwargs) if row is None else type(row)._default_manager.get(pk=row.pk)

        fixture.kept = make, list(inspect.signature(function).parameters)  # type: ignore[attr-defined]
        return fixture

    return keep


def hold_for(item: pytest.Item) -> None:
    """Makes what this test wants and is not there, and rolls back what is there and not wanted."""
    wanted = {} if _commits(item) else _wanted(item)
    names = list(wanted.values())
    same = 0
    while same < min(len(names), len(_levels)) and names[same][0] is _levels[same][0]:
        same += 1
    let_go(same)
    for make, parameters in names[same:]:
        rows = {name: _held(wanted[name][0]) if name in wanted else None for name in parameters}
        atomic = transaction.atomic()
        atomic.__enter__()
        try:
            row = make(**rows)
        except BaseException as error:
            atomic.__exit__(type(error), error, error.__traceback__)
            raise
        _levels.append((make, atomic, row))


def let_go(same: int = 0) -> None:
    """Rolls back what is there, but for the outermost."""
    while len(_levels) > same:
        _, atomic, _ = _levels.pop()
        transaction.set_rollback(True)
        atomic.__exit__(None, None, None)


def _held(make: Make) -> Any:
    return next((row for held, _, row in _levels if held is make), None)


def _commits(item: pytest.Item) -> bool:
    mark, names = item.get_closest_marker("django_db"), getattr(item, "fixturenames", ())
    return bool(mark and mark.kwargs.get("transaction")) or not {"transactional_db", "live_server"}.isdisjoint(names)


def _wanted(item: pytest.Item) -> dict[str, tuple[Make, list[str]]]:
    """The kept fixtures of a test by name, each behind those that it takes."""
    definitions = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    found: dict[str, tuple[Make, list[str]]] = {}

    def add(name: str) -> None:
        about = getattr(definitions[name][-1].func, "kept", None) if name in definitions else None
        if about is not None and name not in found:
            for other in about[1]:
                add(other)
            found[name] = about

    for name in sorted(getattr(item, "fixturenames", ())):
        add(name)
    return found
