"""What the database and the broker say of themselves each time that somebody asks for figures.

Bounded in time: each statement may take two seconds, and once five are over what is left is not asked for. What was not
answered has no figure, and `tollmeter_figures_missing` counts it.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import psycopg
import redis
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from psycopg.errors import QueryCanceled

from config.health import brief_broker, brief_database
from invoices import backlog_sql
from meters import standing_sql

MOST_SECONDS = 5
# Celery's own name.
QUEUE = "celery"

# By statement: what its columns are.
Figures = Sequence[tuple[str, str]]
DATABASE: tuple[tuple[str, Figures], ...] = (
    (
        standing_sql.SERVER,
        (
            ("tollmeter_database_connections", "Connections to the database server that are in use."),
            ("tollmeter_database_connections_max", "How many there may be."),
            ("tollmeter_database_clock_ahead_seconds", "By how much the database's clock is ahead of this one."),
        ),
    ),
    (
        standing_sql.PARTITIONS_AHEAD,
        (
            (
                "tollmeter_partitions_ahead_seconds",
                "From now to the end of the last month that there is a place for.",
            ),
        ),
    ),
    (
        backlog_sql.STALE,
        (
            ("tollmeter_stale_invoices", "Live invoices that do not show the newest usage or terms yet."),
            ("tollmeter_stale_invoice_age_seconds", "How long ago the usage of the oldest of them changed."),
        ),
    ),
    (
        backlog_sql.CLOSING,
        (
            ("tollmeter_unclosed_invoices", "Open invoices whose period is over."),
            ("tollmeter_unclosed_invoice_age_seconds", "How long ago the period of the oldest of them ended."),
        ),
    ),
    (
        backlog_sql.PARKED,
        (
            ("tollmeter_parked_work", "Pieces of work that failed and wait for staff."),
            ("tollmeter_parked_work_age_seconds", "How long ago the oldest of them first failed."),
        ),
    ),
    (
        backlog_sql.OUTBOX,
        (
            ("tollmeter_outbox_events", "Events that no webhooks were made of yet."),
            ("tollmeter_outbox_age_seconds", "How long the oldest of them has waited."),
        ),
    ),
    (
        backlog_sql.WEBHOOKS,
        (
            ("tollmeter_webhooks_waiting", "Webhooks that were not taken yet."),
            ("tollmeter_webhook_overdue_seconds", "For how long a try of one of them is due."),
        ),
    ),
    (
        backlog_sql.MAILS,
        (
            ("tollmeter_mails_waiting", "Mails that were not sent yet."),
            ("tollmeter_mail_overdue_seconds", "For how long a try of one of them is due."),
        ),
    ),
    (
        backlog_sql.AUDIT,
        (
            ("tollmeter_audit_findings", "What the last audit of the invoices has found."),
            ("tollmeter_audit_age_seconds", "How long ago it came to its end; without one there is no figure."),
        ),
    ),
)


class Standing(Collector):
    def collect(self) -> Iterator[Metric]:
        figures, missing = _ask_database()
        waiting = _ask_broker()
        yield GaugeMetricFamily("tollmeter_database_up", "1: the database answers.", bool(figures))
        yield GaugeMetricFamily("tollmeter_broker_up", "1: the broker answers.", waiting is not None)
        yield GaugeMetricFamily("tollmeter_figures_missing", "Questions that the database did not answer.", missing)
        yield from figures
        if waiting is not None:
            yield GaugeMetricFamily("tollmeter_queue_messages", "Messages that wait for a worker.", waiting)


def _ask_database() -> tuple[list[Metric], int]:
    """The figures, and how many of the statements have none."""
    found: list[Metric] = []
    missing = len(DATABASE)
    began = monotonic()
    with suppress(psycopg.Error, OSError), brief_database() as database:
        for statement, figures in DATABASE:
            if monotonic() - began > MOST_SECONDS:
                break
            values = {"now": timezone.now(), "clock": datetime.now(UTC)}
            with suppress(QueryCanceled):
                found += _gauges(figures, database.execute(statement, values).fetchone())
                missing -= 1
    return found, missing


def _gauges(figures: Figures, row: Sequence[Any] | None) -> list[Metric]:
    """Where nothing waits, nothing has waited for any time; of an audit that never was there is nothing to tell."""
    if row is None:
        return []
    return [
        GaugeMetricFamily(name, about, float(value or 0)) for (name, about), value in zip(figures, row, strict=True)
    ]


def _ask_broker() -> int | None:
    with suppress(redis.RedisError, OSError, ValueError), brief_broker() as broker:
        waiting: Any = broker.llen(QUEUE)
        return int(waiting)
    return None
