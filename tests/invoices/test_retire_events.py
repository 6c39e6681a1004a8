"""Old months of events: into files, out of the database and back; what stays, what is refused, and what pages say."""

import gzip
import io
import json
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from rest_framework.test import APIClient

from invoices.auditing.amounts import look
from invoices.auditing.looking import Look
from invoices.late.rerating import rate_again
from invoices.models import Invoice
from invoices.retiring import reasons_against
from meters import partitions, retiring, verification
from meters.keys import create_api_key
from meters.models import Customer, Event, EventKey, Meter, RetiredMonth, UsageBucket, UsageVersion
from meters.periods import Period
from meters.retention import EventsRetired
from meters.usage import read_usage
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
JULY, AUGUST, SEPTEMBER = (datetime(2026, month, 1, tzinfo=UTC) for month in (7, 8, 9))


def retire(*options: str) -> tuple[str, str]:
    """What it says, and what it refuses with."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("retire_events", *options, stdout=out, stderr=err)
    except CommandError as error:
        return out.getvalue(), err.getvalue() + str(error)
    return out.getvalue(), ""


def month_of_usage(start: datetime) -> None:
    """A little of everything in that month, as it came in then."""
    with time_machine.travel(start + timedelta(days=20), tick=False):
        for day in range(3):
            time = start + timedelta(days=day, minutes=30)
            send("acme", "ApiCalls", 2000, time=time, id=f"{start:%m}-{day}", source="crm", note='a "b", c\nd')
        send("acme", "Latency", "12.5", time=start, id=f"Not a UUID {start:%m}")


@pytest.fixture
def books(transactional_db: None, fresh_retention: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Customer:
    """July and August are final, and the clock is in November."""
    monkeypatch.setattr(retiring, "CLOSED_FOR", 0)
    settings.INGEST_HORIZON_DAYS = 150
    with time_machine.travel(JULY - timedelta(days=1), tick=False):
        calls = make_meter()
        make_meter("Latency", aggregation="percentile", percentile=Decimal(50), used_for_billing=False)
        customer = make_customer()
        put_on(customer, make_plan("Basic", {calls: STORY_RATE}), JULY.date())
    for start in (JULY, AUGUST):
        month_of_usage(start)
        with time_machine.travel(start + timedelta(days=40), tick=False):
            run_sweep()
            run_sweep()
    return customer


def test_months_go_into_files_and_come_back(books: Customer, tmp_path: Path) -> None:
    """The whole way, in one test: what commits is dear."""
    meter = Meter.objects.get(key="ApiCalls")
    july = Invoice.objects.get(period_start=JULY)
    assert (july.status, july.total) == ("final", Decimal(5))
    rows = list(Event.objects.order_by("sequence").values())
    keys, buckets = list(EventKey.objects.order_by("key").values()), list(UsageBucket.objects.values())
    with time_machine.travel(NOW, tick=False):
        # Only said.
        said, refused = retire("--before", "2026-09", "--to", str(tmp_path), "--dry-run")
        assert not refused
        assert "2026-07: 4 events, " in said
        assert "Events before 2026-09-01 (UTC) are refused from then on" in said
        assert said.endswith("Nothing was done.\n")
        assert (Event.objects.count(), list(tmp_path.iterdir())) == (8, [])
        assert "Say --yes" in retire("--before", "2026-09", "--to", str(tmp_path))[1]

        # A folder that cannot be written to leaves the month as it was.
        blocked = tmp_path / "events-2026-07.csv.gz.new"
        blocked.mkdir()
        assert "Is a directory" in retire("--before", "2026-09", "--to", str(tmp_path), "--yes")[1]
        blocked.rmdir()
        assert list(Event.objects.order_by("sequence").values()) == rows
        assert not RetiredMonth.objects.filter(month__gte=JULY).exists()

        said, refused = retire("--before", "2026-08", "--to", str(tmp_path), "--yes")
        assert not refused
        assert "2026-07: 4 events are in" in said
        assert Event.objects.count() == 4
        assert {path.name for path in tmp_path.iterdir()} == {"events-2026-07.csv.gz", "events-2026-07.json"}
        manifest = json.loads((tmp_path / "events-2026-07.json").read_text())
        assert manifest["meters"]["ApiCalls"] == {"events": 3, "voided": 0, "sum": "6000"}
        assert "4 events of 2026-07, as they were written" in retire("--check", str(tmp_path / manifest["file"]))[0]

        # What stays.
        assert list(EventKey.objects.order_by("key").values()) == keys
        assert list(UsageBucket.objects.values()) == buckets
        assert read_usage(books, [meter], [Period(JULY, AUGUST)]).quantity(meter) == 6000
        july.refresh_from_db()
        assert july.total == 5
        assert next(iter(verification.verify(verification.spans_of_all()))).differences == []
        seen = look(Look([books], NOW))
        assert (seen.findings, seen.left_out["archived"]) == ([], 1)

        # What comes to it.
        half_past = JULY + timedelta(minutes=30)
        late = send("acme", "ApiCalls", 2000, time=half_past, id="07-0", source="crm", note='a "b", c\nd')
        assert late.duplicate == 1
        assert send("acme", "ApiCalls", 1, time=JULY + timedelta(minutes=30), id="07-0").conflict == 1
        (outcome,) = send("acme", "ApiCalls", 1, time=AUGUST - timedelta(seconds=1), id="new").outcomes
        assert (outcome.code, outcome.pointer) == ("retired", "/time")
        (outcome,) = send("newcomer", "ApiCalls", 1, time=JULY, id="new").outcomes
        assert outcome.code == "retired"
        assert not Customer.objects.filter(key="newcomer").exists()
        partitions.forget()
        partitions.ensure_accepted_span(NOW)
        assert send("acme", "ApiCalls", 1, time=AUGUST, id="august").accepted == 1
        run_sweep()

        # What needs the events says that they are not here.
        latency = Meter.objects.get(key="Latency")
        with pytest.raises(EventsRetired, match="before 2026-08-01"):
            read_usage(books, [latency], [Period(JULY, SEPTEMBER)])
        with pytest.raises(EventsRetired):
            read_usage(books, [meter], [Period(JULY, JULY + timedelta(minutes=31))])
        assert read_usage(books, [latency], [Period(AUGUST, SEPTEMBER)]).quantity(latency) == Decimal("12.5")
        other = make_customer("other")
        assert read_usage(other, [latency], [Period(JULY, SEPTEMBER)]).quantity(latency) == 0
        _, key = create_api_key(name="api", scopes=["read"])
        api = APIClient()
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        asked = {"meter": "Latency", "customer": "acme", "from": "2026-07-01T00:00:00Z", "to": "2026-09-01T00:00:00Z"}
        answer = api.get("/v1/usage", asked)
        assert (answer.status_code, answer.json()["code"]) == (410, "events_retired")
        assert api.get("/v1/events/acme/07-0").status_code == 410
        assert api.get("/v1/events/acme/none").status_code == 404

        # The export is what import_events reads: all of it was sent before.
        out = io.StringIO()
        imported = str(tmp_path / "events-2026-07.csv.gz")
        options = ("--ignore", "stored", "--progress", str(tmp_path / "notes"), "--writers", "1")
        with suppress(SystemExit):
            call_command("import_events", imported, *options, stdout=out, stderr=out)
        assert out.getvalue() == "4 rows: 0 accepted, 4 duplicates, 0 conflicts, 0 rejected.\n"

        # Back again, to the last column.
        packed = Path(imported).read_bytes()
        Path(imported).write_bytes(gzip.compress(gzip.decompress(packed) + b"x,,,,,,\n"))
        assert "is not what was written" in retire("--restore", imported)[1]
        Path(imported).write_bytes(packed)
        assert retire("--restore", imported) == ("2026-07: 4 events are back.\n", "")
        assert list(Event.objects.filter(occurred_at__lt=AUGUST).order_by("sequence").values()) == rows[:4]
        assert "2026-07 is not retired." in retire("--restore", imported)[1]
        assert read_usage(books, [latency], [Period(JULY, AUGUST)]).quantity(latency) == Decimal("12.5")
        assert next(iter(verification.verify(verification.spans_of_all()))).differences == []
        seen = look(Look([books], NOW))
        assert (seen.findings, seen.left_out["archived"]) == ([], 0)

        # A command that was killed behind the detaching: the same one goes on.
        RetiredMonth.objects.create(month=date(2026, 7, 1), began_at=NOW)
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE meters_event DETACH PARTITION meters_event_2026_07")
        said, refused = retire("--before", "2026-09", "--to", str(tmp_path), "--yes")
        assert not refused
        assert [str(month) for month in RetiredMonth.objects.filter(events__gt=0)] == ["2026-08", "2026-07"]
        assert not Event.objects.filter(occurred_at__lt=SEPTEMBER).exists()
        assert "Bring 2026-08 back first." in retire("--restore", imported)[1]


@pytest.fixture
def final(db: None, fresh_retention: None, settings: Any) -> Invoice:
    settings.INGEST_HORIZON_DAYS = 60
    with time_machine.travel(JULY - timedelta(days=1), tick=False):
        calls = make_meter()
        put_on(make_customer(), make_plan("Basic", {calls: STORY_RATE}), date(2026, 7, 15), date(2026, 8, 15))
    with time_machine.travel(AUGUST + timedelta(days=40), tick=False):
        run_sweep()
        run_sweep()
    return Invoice.objects.get(period_start__lt=AUGUST)


def test_nothing_speaks_against_what_is_settled(final: Invoice) -> None:
    assert (final.status, final.period_end) == ("final", AUGUST)
    assert reasons_against(date(2026, 8, 1), now=NOW) == []
    assert reasons_against(date(2026, 9, 1), now=NOW) == []


def test_a_running_month(final: Invoice) -> None:
    assert reasons_against(date(2026, 12, 1), now=NOW) == ["The month before 2026-12-01 (UTC) is not over."]


@pytest.mark.parametrize("status", ["open", "grace"])
def test_an_invoice_that_is_not_final(final: Invoice, status: str) -> None:
    with time_machine.travel(NOW, tick=False):
        live = Invoice.objects.create(
            customer=final.customer,
            assignment=final.assignment,
            plan_version=final.plan_version,
            status=status,
            period_start=AUGUST - timedelta(hours=1),
            period_end=SEPTEMBER,
            time_zone="UTC",
            closes_at=NOW,
            currency="USD",
        )
    (reason,) = reasons_against(date(2026, 8, 1), now=NOW)
    assert reason.startswith(f"1 invoice is not final, and made of these events: {live.pk} of acme (31 Jul")
    _, refused = retire("--before", "2026-08", "--dry-run")
    assert "1 invoice is not final" in refused
    assert reasons_against(date(2026, 7, 1), now=NOW) == []


def test_a_final_invoice_that_late_usage_can_still_change(final: Invoice, settings: Any) -> None:
    """Its period goes on after the months that are to go."""
    settings.INGEST_HORIZON_DAYS = 400
    august = Invoice.objects.get(period_start=AUGUST)
    assert august.status == "final"
    assert reasons_against(date(2026, 8, 1), now=NOW) == []
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE invoices_invoice DISABLE TRIGGER USER")
    Invoice.objects.filter(pk=august.pk).update(period_start=AUGUST - timedelta(hours=2))
    (reason,) = reasons_against(date(2026, 8, 1), now=NOW)
    assert reason.startswith("1 invoice is final, but go")
    assert "2027-09-19 (INGEST_HORIZON_DAYS)" in reason
    settings.INGEST_HORIZON_DAYS = 90
    assert reasons_against(date(2026, 8, 1), now=NOW) == []


def test_late_usage_that_nobody_has_worked_in(final: Invoice) -> None:
    UsageVersion.objects.update_or_create(
        customer=final.customer, defaults={"version": 1, "changed_at": NOW, "oldest_at": JULY}
    )
    (reason,) = reasons_against(date(2026, 8, 1), now=NOW)
    assert reason.startswith("Usage that came late is not worked in yet (1 times)")


def test_an_assignment_without_an_invoice(final: Invoice) -> None:
    with time_machine.travel(NOW, tick=False):
        other = make_customer("other")
        assignment = put_on(other, final.plan_version.plan, date(2026, 7, 1))
        assignment.invoices.all().delete()
    assert reasons_against(date(2026, 8, 1), now=NOW) == ["1 assignments have no invoice yet: other."]


def test_a_final_invoice_whose_events_are_gone_is_not_rated_by_what_is_left(db: None, fresh_retention: None) -> None:
    with time_machine.travel(JULY - timedelta(days=1), tick=False):
        latency = make_meter("Latency", aggregation="percentile", percentile=Decimal(50))
        customer = make_customer()
        rate = {"model": "per_unit", "unit_price": "2"}
        put_on(customer, make_plan("Fast", {latency: rate}), date(2026, 7, 1), date(2026, 8, 1))
        send("acme", "Latency", 7, time=JULY + timedelta(days=1), now=JULY + timedelta(days=2))
    with time_machine.travel(AUGUST + timedelta(days=10), tick=False):
        run_sweep()
        run_sweep()
    invoice = Invoice.objects.get()
    assert (invoice.status, invoice.total) == ("final", Decimal(14))
    RetiredMonth.objects.create(month=date(2026, 7, 1), began_at=NOW, finished_at=NOW)
    Event.objects.all().delete()
    Invoice.objects.update(rerated_version=-1)
    with time_machine.travel(NOW, tick=False):
        assert rate_again(customer.pk, NOW)
        assert not rate_again(customer.pk, NOW)
    invoice.refresh_from_db()
    assert not invoice.corrections.exists()
    assert invoice.rerated_version == UsageVersion.objects.get().version
    assert invoice.events.get(kind="not rated again").detail == {"retired_before": "2026-08-01"}


def test_a_dry_run_of_an_import_knows_of_it(final: Invoice, tmp_path: Path) -> None:
    send("acme", "ApiCalls", 5, time=AUGUST - timedelta(hours=2), id="a", now=AUGUST)
    RetiredMonth.objects.create(month=date(2026, 7, 1), began_at=NOW, finished_at=NOW)
    file, out = tmp_path / "july.csv", io.StringIO()
    rows = "".join(f"{name},acme,ApiCalls,2026-07-31T22:00:00Z,5\n" for name in "ab")
    file.write_text(f"id,customer,meter,time,value\n{rows}")
    for option in ("--dry-run", "--restart"):
        with time_machine.travel(AUGUST + timedelta(days=9), tick=False), suppress(SystemExit):
            call_command("import_events", str(file), option, "--writers", "1", stdout=out, stderr=out)
    said = out.getvalue().splitlines()
    assert said[0] == said[2]
    assert said[0].startswith("Line 3, column time: Events before 2026-08-01 are retired")
    assert said[3] == "2 rows: 0 accepted, 1 duplicates, 0 conflicts, 1 rejected."
