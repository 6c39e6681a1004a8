"""The time that the tests of invoices are at."""

from datetime import UTC, datetime

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
MONTH_END = datetime(2026, 12, 1, tzinfo=UTC)
