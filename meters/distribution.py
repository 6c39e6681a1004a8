"""Usage spread over several machines: a distributed PostgreSQL (Citus), its growing tables apart by customer.

All rows of a customer are on one node, so that what reads and writes one customer's usage is the work of one machine
and one snapshot there. `docs/scale.md` says how to get there.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.db import connection, transaction

from meters import distribution_sql as sql
from meters.statements import execute

# By customer. The first is what the others are placed by.
GROWING = ("meters_eventkey", "meters_event", "meters_usagebucket", "meters_usagedistinct", "meters_usageversion")
# Whole on each node. Only what statements on growing tables join there: customers, meters and voids stay where their
# triggers write the audit log, which would fire on every node.
REFERENCE = ("meters_dimensionset",)
SHARDS = 32
# Connections to a node that each one to the coordinator may keep open, at most. One for each shard there: with fewer,
# nothing is won.
MOST_KEPT = 16

_distributed: bool | None = None


class CannotDistribute(Exception):
    """A sentence for a person."""


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a table. `done`: it is so already."""

    table: str
    is_reference: bool
    bytes: int
    done: bool


@dataclass(frozen=True, slots=True)
class Plan:
    version: str
    nodes: tuple[str, ...]
    # No node but the coordinator has shards.
    is_alone: bool
    shards: int
    steps: tuple[Step, ...]
    # Whether connections between the nodes stay open after a statement; somebody may have chosen how many.
    keeps_connections: bool

    @property
    def kept_connections(self) -> int:
        return min(-(-self.shards // len(self.nodes)), MOST_KEPT)

    @property
    def left(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if not step.done)


def is_distributed() -> bool:
    """Whether usage is spread over several machines. A process asks once: nobody works while that is changed."""
    global _distributed
    if _distributed is None:
        ((catalogue,),) = execute(sql.HAS_CATALOGUE, {})
        _distributed = catalogue and execute(sql.IS_DISTRIBUTED, {}) == [(True,)]
    return _distributed


def forget() -> None:
    """Another database, or one that has just been distributed."""
    global _distributed
    _distributed = None


def plan(shards: int = SHARDS) -> Plan:
    """What is to be done, and what is done already. Raises CannotDistribute."""
    found = execute(sql.VERSION, {})
    if not found:
        raise CannotDistribute(
            "This database has no Citus extension: run CREATE EXTENSION citus in it on every node and add the nodes "
            "(docs/scale.md), or leave it as it is: one PostgreSQL needs nothing of this."
        )
    nodes = execute(sql.NODES, {})
    if not nodes:
        raise CannotDistribute("No node of this cluster takes shards: add one with citus_add_node first.")
    tables = {name: row for name, *row in execute(sql.TABLES, {"tables": [*REFERENCE, *GROWING]})}
    steps = tuple(_step(name, name in REFERENCE, *tables[name]) for name in (*REFERENCE, *GROWING))
    together = {tables[name][2] for name in GROWING if tables[name][0] == "distributed"}
    if len(together) > 1:
        raise CannotDistribute(
            "The tables that grow are not colocated: undistribute those that somebody distributed by hand."
        )
    names, is_alone = tuple(name for name, _ in nodes), all(own for _, own in nodes)
    ((keeps,),) = execute(sql.KEPT_CONNECTIONS, {})
    return Plan(found[0][0], names, is_alone, shards, steps, keeps)


def _step(table: str, is_reference: bool, kind: str | None, column: str, colocation: int | None, size: int) -> Step:
    wanted = "reference" if is_reference else "distributed"
    if kind not in (None, "local", wanted) or (kind == "distributed" and column != "customer_id"):
        raise CannotDistribute(
            f"{table} is a {kind} table of the cluster already, by {column}: undistribute_table it first."
        )
    return Step(table, is_reference, size, kind == wanted)


def distribute(plan: Plan) -> Iterator[str]:
    """Does what the plan says, all or nothing, and tells the table that it is at. Whoever uses these tables waits."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(sql.NO_LIMITS)
            cursor.execute(sql.ONE_BY_ONE)
            cursor.execute(sql.LOCK.format(tables=", ".join(step.table for step in plan.left)))
        before = _counts(plan.left)
        for step in plan.left:
            yield step.table
            _apply(step, plan)
        if (after := _counts(plan.left)) != before:
            changed = [table for table in before if after[table] != before[table]]
            raise CannotDistribute(f"Rows are missing from {', '.join(changed)}; nothing was changed.")
    forget()


def keep_connections(most: int) -> None:
    """Connections between the nodes stay open from now on, of whoever connects anew as this role."""
    with connection.cursor() as cursor:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute(sql.KEEP_CONNECTIONS.format(database=name, most=most))


def _apply(step: Step, plan: Plan) -> None:
    parameters = {"table": step.table, "shards": plan.shards, "other": GROWING[0]}
    if step.is_reference:
        execute(sql.REFERENCE, parameters)
    elif step.table == GROWING[0]:
        # Where others are there already, it goes to them.
        others = [other.table for other in plan.steps if other.done and not other.is_reference]
        execute(sql.COLOCATE if others else sql.DISTRIBUTE, parameters | {"other": others[0] if others else None})
    else:
        execute(sql.COLOCATE, parameters)
    if step.bytes:
        execute(sql.EMPTY, parameters)


def _counts(steps: Collection[Step]) -> dict[str, int]:
    return {step.table: execute(sql.COUNT.format(table=step.table), {})[0][0] for step in steps}
