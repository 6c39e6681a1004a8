"""Whose doing this is: the id of the request that is answered, or that sent the task that runs.

A proxy's own id is taken, so that its log and ours tell of the same request. A task that no request sent goes by its
own id, and so does what it sends on.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

HEADER = "X-Request-ID"

_good = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_current: ContextVar[str] = ContextVar("request_id", default="")


def current() -> str:
    """Empty outside of requests and tasks."""
    return _current.get()


def begin(sent: str | None) -> Token[str]:
    """From here on it is `sent`, or a new one where that is none; until `end` is given what this answers."""
    return _current.set(sent if sent and _good(sent) else os.urandom(16).hex())


def end(token: Token[str]) -> None:
    _current.reset(token)


@contextmanager
def of(sent: str | None) -> Iterator[str]:
    """Inside the block it is `sent`, or a new one where that is none."""
    token = begin(sent)
    try:
        yield current()
    finally:
        end(token)
