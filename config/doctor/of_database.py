"""What is looked at in the database itself."""

import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from config.doctor import database_sql
from config.doctor.findings import Finding, State, failed, ok, warning, worst
from config.services import EMBEDDED
from meters import partitions

OLDEST_VERSION = 15
# What must be so. On: a crash, or a full table, would otherwise take what was promised.
NEEDED = {
    "fsync": ("on", State.FAILED, "Without it a crash of the machine can destroy the database. Set it to on."),
    "full_page_writes": ("on", State.FAILED, "Without it a crash can destroy pages. Set it to on."),
    "autovacuum": ("on", State.FAILED, "Without it tables grow for ever, and at last refuse to write. Set it to on."),
    "synchronous_commit": (
        "on",
        State.WARNING,
        "Events that were answered can be lost with a crash. Set it to on, unless that is what you want.",
    ),
}
# Migrations make none today; a plain PostgreSQL is enough.
EXTENSIONS: tuple[str, ...] = ("plpgsql",)
# The beat passes over a message that waited 4 seconds, by the worker's clock.
CLOCK_WARNING, CLOCK_FAILED = 1.0, 4.0
OLD_TRANSACTION = 3600.0
# A web process keeps a connection for each of its threads, a worker one for each of its processes.
SPARE = 5


def server() -> Finding:
    number, version = _row(database_sql.VERSION)
    if number < OLDEST_VERSION * 10_000:
        return failed(f"PostgreSQL {version}", f"Tollmeter needs {OLDEST_VERSION} or newer: upgrade it.")
    cluster, is_standby, encoding, made_with, has_now, name, size = _row(database_sql.SERVER)
    wrong = []
    if is_standby:
        wrong.append(failed("it is a standby, which cannot write", "Let DATABASE_URL name the primary."))
    if encoding != "UTF8":
        wrong.append(failed(f"its encoding is {encoding}", "Make the database anew with ENCODING 'UTF8'."))
    if settings.PRODUCTION and cluster == EMBEDDED:
        wrong.append(failed("it is the one that `make run` starts", "Use a PostgreSQL of your own in production."))
    if made_with != has_now:
        remedy = f"REINDEX DATABASE {name}, then ALTER DATABASE {name} REFRESH COLLATION VERSION."
        wrong.append(warning(f"texts were sorted by rules {made_with}, the system has {has_now} now", remedy))
    return worst(wrong, f"PostgreSQL {version}, {size / 2**20:,.0f} MiB")


def server_settings() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute(database_sql.SETTINGS, [list(NEEDED)])
        found = dict(cursor.fetchall())
    wrong = [
        Finding(state, f"{name} is {found[name]}", remedy)
        for name, (needed, state, remedy) in NEEDED.items()
        if found[name] != needed
    ]
    return worst(wrong, ", ".join(f"{name} {found[name]}" for name in NEEDED))


def connections() -> Finding:
    most, used = _row(database_sql.CONNECTIONS)
    of_web = settings.WEB_PROCESSES * settings.WEB_THREADS
    # And the beat.
    needed = of_web + settings.WORKER_PROCESSES + 1
    saw = f"{used} of {most} in use; one web server and one worker take up to {needed}"
    if used > most * 0.9:
        return failed(saw, "Raise max_connections, or put PgBouncer in between (session mode).")
    if needed + SPARE > most or used > most * 0.75:
        return warning(saw, "Raise max_connections, or lower WEB_PROCESSES, WEB_THREADS or WORKER_PROCESSES.")
    return ok(saw)


def transactions() -> Finding:
    row = _row(database_sql.OLDEST_TRANSACTION)
    if not row or row[2] is None or row[2] < OLD_TRANSACTION:
        return ok("none that is older than an hour")
    pid, state, seconds = row
    return warning(
        f"one is open since {seconds / 3600:.1f} hours ({state}, process {pid} of the database)",
        f"Dead rows are kept for it, and tables grow. See whose it is; SELECT pg_terminate_backend({pid}) ends it.",
    )


def migrations() -> Finding:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:3])
        more = f" and {len(plan) - 3} more" if len(plan) > 3 else ""
        return failed(f"not applied: {names}{more}", "Run manage.py migrate.")
    unknown = sorted(set(executor.loader.applied_migrations) - set(executor.loader.disk_migrations))
    ours = {"meters", "pricing", "invoices", "portal"}
    if newer := [f"{app}.{name}" for app, name in unknown if app in ours]:
        return warning(f"the database has {', '.join(newer[:3])}, which this code does not know", "Update the code.")
    return ok(f"all {len(executor.loader.applied_migrations)} are applied")


def partitions_ahead() -> Finding:
    now = timezone.now()
    if lacking := partitions.lacking(now, now):
        return failed(f"none for {lacking[0]:%B %Y}", "Run manage.py make_partitions, and see to the worker.")
    if lacking := partitions.lacking(now, now + timedelta(days=31)):
        return warning(
            f"none for {lacking[0]:%B %Y}",
            "The worker makes them every 6 hours: see to the worker and the beat, or run manage.py make_partitions.",
        )
    return ok(f"there for this month and the next, {partitions.count()} in all")


def extensions() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute(database_sql.EXTENSIONS, [list(EXTENSIONS)])
        lacking = sorted(name for (name,) in cursor.fetchall())
    if lacking:
        return failed(f"not there: {', '.join(lacking)}", f"As a superuser: CREATE EXTENSION {lacking[0]}.")
    return ok(f"{', '.join(EXTENSIONS)}: no other is needed")


def clock() -> Finding:
    asked = time.time()
    (there,) = _row(database_sql.NOW)
    answered = time.time()
    # It was read at some moment in between.
    ahead = max(asked - there.timestamp(), there.timestamp() - answered, 0.0)
    saw = f"{ahead:.1f} seconds apart" if ahead >= 0.05 else "together"
    remedy = "Keep the clocks of all machines together (NTP): see chronyc tracking or timedatectl on both."
    if ahead >= CLOCK_FAILED:
        return failed(saw, remedy)
    return warning(saw, remedy) if ahead >= CLOCK_WARNING else ok(saw)


def _row(statement: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row: tuple[Any, ...] = cursor.fetchone() or ()
        return row
