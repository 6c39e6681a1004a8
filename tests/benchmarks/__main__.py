"""`make bench`: how fast ingest and reads are on this machine, beside bare COPY of the same rows in the same rounds.

Works in a database of its own (var/bench) and leaves its events there, so a second run begins with them. Writes its
table to docs/benchmarks.md with --write.
"""

import argparse
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()


def main() -> None:
    from django.core.management import call_command

    from meters.keys import create_api_key
    from meters.models import Customer, Event
    from tests.benchmarks import (
        backtest,
        charges,
        dataset,
        fresh,
        hot,
        imports,
        ingest,
        month,
        pages,
        reads,
        report,
        sdk,
        servers,
    )

    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--events", type=int, default=1_000_000, help="that are there beforehand")
    parser.add_argument(
        "--only",
        choices=["ingest", "hot", "reads", "pages", "charges", "backtest", "fresh", "month", "sdk", "imports"],
        help="one part",
    )
    parser.add_argument("--invoices", type=int, default=1000, help="of the customer whose pages are opened")
    parser.add_argument("--customers", type=int, default=dataset.CUSTOMERS, help="of the backtest and the month")
    parser.add_argument("--fresh-customers", type=int, default=fresh.CUSTOMERS, help="that send an event a second each")
    parser.add_argument("--write", action="store_true", help="add the result to docs/benchmarks.md")
    options = parser.parse_args()

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    if Event.objects.exists() and not Customer.objects.filter(key="bench-0").exists():
        sys.exit("This database has events of its own; the benchmark works in an empty one.")
    meter = dataset.prepare()
    if options.only not in ("charges", "sdk"):
        dataset.fill(meter, options.events, say)
    result = report.Report(events=Event.objects.count(), rounds=options.rounds, seconds=options.seconds)
    if options.only in (None, "ingest"):
        _, key = create_api_key(name="bench", scopes=["ingest"])
        with servers.web_server() as web:
            result.copied, result.ingest = ingest.measure(
                web, key, ingest.WORKLOADS, options.rounds, options.seconds, say
            )
            result.memory = web.memory()
    if options.only in (None, "imports"):
        _, key = create_api_key(name="bench", scopes=["ingest"])
        with servers.web_server() as web:
            result.imports = imports.measure(web, key, options.rounds, options.seconds, say)
    if options.only in (None, "hot"):
        result.hot = hot.measure()
    if options.only in (None, "reads"):
        result.reads = reads.measure()
    if options.only in (None, "pages"):
        result.pages = pages.measure(meter, options.invoices, say)
    if options.only in (None, "charges"):
        result.charges = charges.measure()
    if options.only in (None, "backtest"):
        result.backtest = backtest.measure(meter, options.customers, say)
    if options.only in (None, "month"):
        result.month = month.measure(meter, options.customers, say)
    if options.only in (None, "fresh"):
        result.fresh = fresh.measure(meter, options.fresh_customers, options.seconds, say)
    if options.only in (None, "sdk"):
        result.sdk = sdk.measure()
    text = result.text()
    print(text)
    if options.write:
        report.write(text)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


main()
