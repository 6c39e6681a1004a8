"""When the database cannot do at the moment what it is asked: gone, too busy, out of connections, out of room.

Nothing of the transaction that met with it is stored, and the same may well be possible a little later.
"""

from dataclasses import dataclass

from django.db import Error, InterfaceError, OperationalError

# SQLSTATEs (PostgreSQL's manual, appendix A).
DISK_FULL = "53100"
OUT_OF_CONNECTIONS = ("53300", "53400")
TOO_SLOW = ("57014", "55P03")
# After a failover: who was asked takes no changes any more.
READ_ONLY = "25006"
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
    if state in OUT_OF_CONNECTIONS or "too many clients" in str(error) or "remaining connection slots" in str(error):
        return CROWDED
    if state in TOO_SLOW:
        return SLOW
    is_gone = isinstance(error, OperationalError | InterfaceError) or state == READ_ONLY
    return GONE if is_gone or any(words in str(error) for words in NODE_LOST) else None


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of the error; empty where the connection itself failed."""
    return str(getattr(error.__cause__, "sqlstate", None) or "")


def in_short(error: BaseException) -> str:
    """For the log: without the lines that quote rows and statements."""
    return f"{sqlstate(error)} {str(error).partition(chr(10))[0]}".strip()
