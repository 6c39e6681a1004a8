"""A broker that takes nothing more ends no worker.

Celery connects again when the connection fails, and ends on any other error that the broker answers with. Two of these
pass like a lost connection: it is full, and it has become a replica of another one. What was lost with the message is
made up for: the rows say what is to be done.
"""

from kombu import transport
from kombu.transport import redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError


class Transport(redis.Transport):
    connection_errors = (*redis.Transport.connection_errors, OutOfMemoryError, ReadOnlyError)


def use() -> None:
    """Has addresses of Redis lead to this one."""
    for scheme in ("redis", "rediss"):
        transport.TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
