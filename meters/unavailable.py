"""When the database cannot do at the moment what it is asked: gone, too busy, out of connections, out of room.

Nothing of the transaction that met with it is stored, and the same may well be possible a little later.
"""

from dataclasses import dataclass

from django.db import Error, InterfaceError, InternalError, OperationalError

# SQLSTATEs (PostgreSQL's manual, appendix A).
DISK_FULL = "53100"
OUT_OF_CONNECTIONS = ("53300", "53400")
TOO_SLOW = ("57014", "55P03")
# After a failover: who was asked takes no changes any more.
READ_ONLY = "25006"
# Of whoever is turned away before there is a connection that has a code.
NO_CONNECTION_LEFT = ("too many clients", "remaining connection slots")
# What a coordinator of several machines says, with the code of faults of its own, where it loses one of them midway.
NODE_LOST = ("connection marked as essential", "SSL SYSCALL error", "server closed the connection")


@dataclass(frozen=True, slots=True)
class Unavailable:
    """What is told of it, and after how many seconds to come again."""

    detail: str
    retry_after: int


GONE = Unavailable("The database does not answer. Send the request again.", 2)
FULL = Unavailable("The database has no room left. Nothing of the request is stored; send it again later.", 30)
CROWDED = Unavailable("The database has no connection left. Send the request again.", 5)
SLOW = Unavailable("The database takes too long. Nothing of the request is stored; send it again later.", 10)


def unavailable(error: BaseException | None) -> Unavailable | None:
    """What to tell of an error; None where trying again would not help."""
    if not isinstance(error, Error):
        return None
    state = sqlstate(error)
    if state == DISK_FULL:
        return FULL
    is_gone = isinstance(error, OperationalError | InterfaceError) or state == READ_ONLY
    if state in OUT_OF_CONNECTIONS or (is_gone and _says(error, NO_CONNECTION_LEFT)):
        return CROWDED
    if state in TOO_SLOW:
        return SLOW
    return GONE if is_gone or (isinstance(error, InternalError) and _says(error, NODE_LOST)) else None


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    """Asked of errors that quote nobody's rows, in which anything may be written."""
    return any(each in str(error) for each in words)


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of the error; empty where the connection itself failed."""
    return str(getattr(error.__cause__, "sqlstate", None) or "")


def in_short(error: BaseException) -> str:
    """For the log: without the lines that quote rows and statements."""
    return f"{sqlstate(error)} {str(error).partition(chr(10))[0]}".strip()
