"""For migrations: indexes on tables that are in use, made CONCURRENTLY, so that nobody waits for them. One that failed
leaves an index that is not valid, which the next try takes away first.

A migration with these is `atomic = False`, and has nothing else in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation

from meters import concurrently_sql


class AddIndex(AddIndexConcurrently):
    """An index of a table that has rows already; not for `meters_event`, which is partitioned."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        with _waiting(schema_editor, self.index.name):
            super().database_forwards(app_label, schema_editor, from_state, to_state)


class AddIndexToEvents(Operation):
    """An index of `meters_event`: on each partition by itself, and then on the table, which takes them as its own.

    `definition` is what follows the table's name: `(customer_id, occurred_at)` or `USING brin (received_at)`.
    """

    reversible = True
    atomic = False

    def __init__(self, name: str, definition: str) -> None:
        self.name, self.definition = name, definition

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Django knows nothing of this table's indexes."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        of_table = {"name": self.name, "definition": self.definition}
        # Empty, and so at once; a partition that is made from here on gets its own.
        schema_editor.execute(concurrently_sql.ADD_TO_TABLE.format(**of_table))
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(concurrently_sql.EVENT_PARTITIONS)
            partitions = [name for (name,) in cursor.fetchall()]
        for partition in partitions:
            of_partition = of_table | {"partition": partition, "part": f"{partition}_{self.name[-30:]}"}
            if self._is_attached(schema_editor, of_partition):
                continue
            with _waiting(schema_editor, of_partition["part"]):
                schema_editor.execute(concurrently_sql.ADD_TO_PARTITION.format(**of_partition))
            schema_editor.execute(concurrently_sql.ATTACH.format(**of_partition))

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        schema_editor.execute(f"DROP INDEX IF EXISTS {self.name}")

    def describe(self) -> str:
        return f"Adds the index {self.name} to the events, a partition at a time"

    def _is_attached(self, schema_editor: BaseDatabaseSchemaEditor, names: dict[str, str]) -> bool:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(concurrently_sql.IS_ATTACHED, names)
            return bool(cursor.fetchone())


@contextmanager
def _waiting(schema_editor: BaseDatabaseSchemaEditor, index: str) -> Iterator[None]:
    """It waits for whoever uses the table, however long, as nobody waits for it."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(concurrently_sql.LOCK_TIMEOUT)
        (limit,) = cursor.fetchone()
        cursor.execute(concurrently_sql.SET_LOCK_TIMEOUT, {"limit": "0"})
        try:
            cursor.execute(concurrently_sql.IS_BROKEN, {"name": index})
            if cursor.fetchone():
                schema_editor.execute(f'DROP INDEX CONCURRENTLY "{index}"')
            yield
        finally:
            cursor.execute(concurrently_sql.SET_LOCK_TIMEOUT, {"limit": limit})
