"""On whose behalf this thread works: what the database is told with each statement that writes.

Nothing is told ahead: a statement says who it is of (`meters.audit_log.telling`), for its transaction alone. So
nobody's name can stay behind in a connection, and one that is opened anew, or rolled back, forgets nothing.
"""

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from enum import StrEnum

from meters import request_id

# Between the parts of what is told.
SEPARATOR = "\x1f"
LONGEST = 200


class Kind(StrEnum):
    STAFF = "staff"
    KEY = "key"
    PERSON = "person"
    GUEST = "guest"
    VISITOR = "visitor"
    TASK = "task"
    COMMAND = "command"
    # Who writes without telling who it is: a hand in the database.
    DATABASE = "database"


LABELS = {
    Kind.STAFF: "Staff",
    Kind.KEY: "API key",
    Kind.PERSON: "Customer's person",
    Kind.GUEST: "Guest by link",
    Kind.VISITOR: "Nobody signed in",
    Kind.TASK: "Worker",
    Kind.COMMAND: "Command",
    Kind.DATABASE: "Database user",
}
Who = tuple[Kind, str, str]


class Actor:
    """Who acts, and from where. It may become known later than it begins to act."""

    __slots__ = ("_who", "address")

    def __init__(self, who: Who, address: str = "") -> None:
        self._who = who
        self.address = address

    @property
    def who(self) -> Who:
        """Kind, id, name."""
        return self._who

    def become(self, kind: Kind, pk: object, name: str) -> None:
        self._who = kind, str(pk), name

    def told(self) -> str:
        return SEPARATOR.join(map(_plain, (*self.who, self.address, request_id.current())))


_current: ContextVar[Actor | None] = ContextVar("actor", default=None)


def current() -> Actor | None:
    return _current.get()


def begin(actor: Actor) -> Token[Actor | None]:
    """From here on it is this one, until `end` is given what this answers."""
    return _current.set(actor)


def end(token: Token[Actor | None]) -> None:
    _current.reset(token)


@contextmanager
def acting(kind: Kind, pk: object = "", name: str = "", address: str = "") -> Iterator[None]:
    token = begin(Actor((kind, str(pk), name), address))
    try:
        yield
    finally:
        end(token)


def become(kind: Kind, pk: object, name: str) -> None:
    """What acts has turned out to be this one, until it ends."""
    if (actor := _current.get()) is not None:
        actor.become(kind, pk, name)


@contextmanager
def acting_as_command(name: str) -> Iterator[None]:
    """A command, and who at which machine gave it. What follows its name may be secret."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "?"
    with acting(Kind.COMMAND, f"{user}@{socket.gethostname()}", name):
        yield


def _plain(text: str) -> str:
    kept = "".join(character for character in text if character.isprintable())
    return kept[:LONGEST].encode("utf-8", "replace").decode()
