"""Tells the database, with each statement that writes, whose it is.

What is told goes in front of the statement, in the same message, so it costs no round trip; it holds for the
transaction, and is told again with the next statement. Beneath Django's cursors, so that nothing passes it by that runs
by one, or by one of the connection (`meters.statements.execute`). Prepared statements do pass it by: those are the
intake of events and reads.
"""

import re
from typing import TYPE_CHECKING, Any

from django.db.backends.postgresql.base import Cursor
from django.db.backends.signals import connection_created
from psycopg import ClientCursor, sql

from meters.audit_log.actors import current
from meters.audit_log.log_sql import TELL

# Of a statement that may write; hand-written ones begin on a line of their own.
_writes = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|WITH|MERGE|TRUNCATE)\b", re.IGNORECASE).match


if TYPE_CHECKING:
    # Django's own is one of these, which the types do not say.
    Base = ClientCursor[Any]
else:
    Base = Cursor


class TellingCursor(Base):
    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        if not isinstance(query, str) or not _writes(query):
            return super().execute(query, params, **options)
        actor = current()
        # Nobody is told, too: somebody may have written before in the same transaction.
        who = sql.quote(actor.told(), self.connection) if actor else "''"
        told = TELL.format(who=who)
        super().execute((told if params is None else told.replace("%", "%%")) + query, params, **options)
        # Past the answer to what was told.
        self.nextset()
        return self


def connect() -> None:
    connection_created.connect(_tell, dispatch_uid="meters.audit_log.tell")


def _tell(connection: Any, **_: Any) -> None:
    if connection.vendor == "postgresql":
        connection.connection.cursor_factory = TellingCursor
