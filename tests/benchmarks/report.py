"""The result as a table for people."""

import os
import platform
import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection

from tests.benchmarks.backtest import Measured as Backtested
from tests.benchmarks.charges import Charges
from tests.benchmarks.fresh import Measured as Fresh
from tests.benchmarks.imports import BAR, FORMS
from tests.benchmarks.imports import Measured as Imported
from tests.benchmarks.ingest import Measured, Workload
from tests.benchmarks.month import Measured as Month
from tests.benchmarks.pages import PageTime
from tests.benchmarks.reads import Read
from tests.benchmarks.sdk import Overhead
from tests.benchmarks.servers import BASE_DIR, COPY_BATCH

PAGE = BASE_DIR / "docs" / "benchmarks.md"
SETTINGS = (
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "synchronous_commit",
    "fsync",
    "full_page_writes",
    "wal_compression",
)


@dataclass
class Report:
    events: int
    rounds: int
    seconds: float
    copied: list[float] = field(default_factory=list)
    ingest: dict[Workload, Measured] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)
    hot: tuple[int, int, int, float] | None = None
    reads: list[Read] = field(default_factory=list)
    pages: list[PageTime] = field(default_factory=list)
    charges: list[Charges] = field(default_factory=list)
    backtest: Backtested | None = None
    month: Month | None = None
    fresh: Fresh | None = None
    sdk: list[Overhead] = field(default_factory=list)
    imports: list[Imported] = field(default_factory=list)

    def text(self) -> str:
        lines = [f"## {self.events / 1e6:,.1f} million events, {datetime.now(UTC):%Y-%m-%d}", "", machine(), ""]
        if self.ingest:
            copy = statistics.median(self.copied)
            lines += [
                f"Medians of {self.rounds} rounds of {self.seconds:g} s each. COPY: {copy:,.0f} rows/s"
                f" (batches of {COPY_BATCH:,}; {', '.join(f'{rate:,.0f}' for rate in self.copied)}).",
                "",
                "| over HTTP | batch | connections | events/s | x COPY | bar | requests/s | wait ms, median | p99 |"
                " Python us/event |",
                "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
            ]
            for workload, measured in self.ingest.items():
                bar = f"{workload.ratio:.2f}" if workload.ratio else ""
                if workload.requests:
                    bar = f"{workload.requests:,} requests/s"
                lines.append(
                    f"| {workload.name} | {workload.batch:,} | {workload.connections}"
                    f" | {statistics.median(measured.events):,.0f} | {statistics.median(measured.ratios):.3f} | {bar}"
                    f" | {statistics.median(measured.requests):,.0f} | {statistics.median(measured.median_wait):,.1f}"
                    f" | {statistics.median(measured.p99_wait):,.1f} | {statistics.median(measured.python):,.1f} |"
                )
            held = ", ".join(f"{size / 2**20:,.0f}" for size in self.memory)
            lines += ["", f"Memory of the web server's processes afterwards: {held} MiB each."]
        if self.imports:
            lines += [
                "",
                "| events out of files | form | events/s | over HTTP, batches of 10,000 | ratio | bar |",
                "|---|---|--:|--:|--:|--:|",
            ]
            for each in self.imports:
                for form in FORMS:
                    lines.append(
                        f"| {each.name} | {form} | {statistics.median(each.files[form]):,.0f}"
                        f" | {statistics.median(each.http):,.0f} | {each.ratio(form):.2f} | {BAR:.2f} |"
                    )
        if self.hot:
            sent, accepted, deadlocks, took = self.hot
            lines += [
                "",
                f"Four writers sent the same {accepted:,} events of one customer in different order: {sent / took:,.0f}"
                f" a second, each counted once, {deadlocks} deadlocks.",
            ]
        if self.reads:
            lines += ["", "| read | median ms | worst ms | bar |", "|---|--:|--:|--:|"]
            for read in self.reads:
                lines.append(f"| {read.name} | {read.median:,.1f} | {read.worst:,.1f} | {read.limit:,} |")
        if self.pages:
            lines += [
                "",
                "| page of portal | median ms | Python ms | worst ms | bar | queries | kB with what it loads | bar |",
                "|---|--:|--:|--:|--:|--:|--:|--:|",
            ]
            for page in self.pages:
                lines.append(
                    f"| {page.name} | {page.median:,.1f} | {page.python:,.1f} | {page.worst:,.1f} | {page.limit:,.0f}"
                    f" | {page.queries} | {page.kilobytes:,.0f} | {page.largest} |"
                )
        if self.charges:
            lines += ["", "| charges, one core | a second, median | worst | bar |", "|---|--:|--:|--:|"]
            for row in self.charges:
                bar = f"{row.limit:,}" if row.limit else ""
                lines.append(f"| {row.name} | {row.median:,.0f} | {row.worst:,.0f} | {bar} |")
        if self.backtest:
            done = self.backtest
            lines += [
                "",
                f"A backtest of {done.customers:,} customers x {done.months} months, by one worker:"
                f" {done.seconds:,.1f} s (bar: {done.limit:,.0f}).",
            ]
        if self.month:
            month = self.month
            lines += [
                "",
                f"The open invoices of {month.customers:,} customers computed from scratch, {month.lines:,} lines, in"
                f" {month.processes} processes: {month.seconds:,.1f} s (bar: {month.limit:,.0f}). A chunk of"
                f" {month.chunk:,} takes {month.statements} statements, one alone {month.statements_of_one}.",
            ]
        if self.fresh:
            fresh = self.fresh
            lines += [
                "",
                f"{fresh.events:,} events of {fresh.customers:,} customers at {fresh.rate:,.0f} a second, one worker."
                f" Seconds from the answer to the open invoice that has the event (bar: p99 below {fresh.limit:g}):",
                "",
                "| p10 | p50 | p90 | p99 | worst |",
                "|--:|--:|--:|--:|--:|",
                "| " + " | ".join(f"{fresh.at(share):.2f}" for share in (0.1, 0.5, 0.9, 0.99, 1)) + " |",
            ]
        if self.sdk:
            lines += [
                "",
                "| middleware of the Python SDK | us a request without | us added | ratio | bar, us added"
                " | us of the thread that sends |",
                "|---|--:|--:|--:|--:|--:|",
            ]
            for row in self.sdk:
                lines.append(
                    f"| {row.name} | {row.bare:,.1f} | {row.added:,.1f} | {row.ratio:,.2f} | {row.limit:,.0f} |"
                    f" {row.sending:,.1f} |"
                )
        return "\n".join(lines) + "\n"


def machine() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        version = cursor.fetchone()[0]
        values = []
        for name in SETTINGS:
            cursor.execute(f"SHOW {name}")
            values.append(f"{name}={cursor.fetchone()[0]}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({processor()}), {memory:.0f} GiB, {platform.system()},"
        f" Python {platform.python_version()}, PostgreSQL {version}: {', '.join(values)}."
    )


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def write(text: str) -> None:
    """Puts the result in the place of the one with the same number of events, or at the end."""
    head = text.partition(",")[0] + "," + text.partition(",")[2].partition(",")[0]
    size = head.partition(" million")[0]
    parts = PAGE.read_text().split("\n## ")
    kept = [part for part in parts[1:] if not f"## {part}".startswith(f"{size} million")]
    PAGE.write_text("\n## ".join([parts[0].rstrip() + "\n", *[part.rstrip() + "\n" for part in kept]]) + "\n" + text)
