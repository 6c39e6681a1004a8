"""Runs of the audit: who works on one, what becomes of it when a worker dies, when one is due, and the command."""

import io
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone
from psycopg import IsolationLevel

from config.celery import app
from invoices.auditing import runs
from invoices.auditing.checks import OF_CUSTOMERS
from invoices.auditing.looking import Finding, Look, Seen
from invoices.auditing.runs import is_due, start_audit, unattended, work_on
from invoices.management.commands.audit_invoices import Command
from invoices.models import AuditFinding, AuditRun, Invoice, NumberSeries
from invoices.tasks import audits as audit_tasks
from meters.models import Customer
from tests.factories import live_invoice, make_customer, send
from tests.invoices.november import NOW
from tests.racing import race

MINUTE = timedelta(minutes=1)


@pytest.fixture
def chunks_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "CHUNK", 1)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The messages that tasks send."""
    found: list[int] = []
    monkeypatch.setattr(audit_tasks, "send", found.append)
    return found


@pytest.fixture
def three(acme: Customer) -> None:
    make_customer("globex")
    make_customer("initech")


def wrong(*customers: str) -> None:
    Invoice.objects.filter(customer__key__in=customers).update(total=1)


@pytest.mark.django_db
@pytest.mark.usefixtures("three")
class TestARun:
    def test_goes_on_behind_the_chunk_before(self, chunks_of_one: None) -> None:
        wrong("acme", "initech")
        run = start_audit()
        steps = []
        more = True
        while more:
            more = work_on(run.pk, seconds=0)
            run.refresh_from_db()
            steps.append((run.status, run.done, run.found))
        assert steps == [("running", 1, 1), ("running", 2, 1), ("running", 3, 2), ("done", 3, 2)]
        assert run.checked["totals"] == 3
        assert {one.customer.key for one in run.findings.all()} == {"acme", "initech"}
        assert not work_on(run.pk)

    def test_is_the_only_one(self) -> None:
        run = start_audit()
        with pytest.raises(ValidationError, match="An audit is running"):
            start_audit()
        work_on(run.pk)
        assert start_audit().pk != run.pk

    def test_whose_worker_has_gone_is_given_up_for_another(self, november: time_machine.Traveller) -> None:
        gone = start_audit()
        november.shift(runs.SILENCE)
        assert start_audit().status == "running"
        gone.refresh_from_db()
        assert (gone.status, gone.error) == ("failed", "Its worker has gone.")
        assert not work_on(gone.pk)

    def test_is_taken_up_where_its_worker_died(
        self, november: time_machine.Traveller, sent: list[int], chunks_of_one: None
    ) -> None:
        run = start_audit()
        assert work_on(run.pk, seconds=0)
        audit_tasks.keep_audits()
        assert sent == []
        november.shift(runs.SILENCE)
        audit_tasks.keep_audits()
        assert sent == [run.pk]
        audit_tasks.work_on_audit(run.pk)
        run.refresh_from_db()
        assert (run.status, run.done) == ("done", 3)
        assert unattended(timezone.now() + runs.SILENCE) == []

    def test_stops_after_its_share_and_is_passed_on(
        self, sent: list[int], chunks_of_one: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit_tasks.runs, "work_on", lambda pk: True)
        audit_tasks.work_on_audit(7)
        assert sent == [7]

    def test_that_cannot_be_done_fails_and_says_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(at: Look) -> Seen:
            raise ZeroDivisionError("of course")

        monkeypatch.setitem(OF_CUSTOMERS, "totals", broken)
        run = start_audit()
        assert not work_on(run.pk)
        run.refresh_from_db()
        assert (run.status, run.error) == ("failed", "ZeroDivisionError: of course")

    def test_that_nobody_gets_on_with_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def cancelled(at: Look) -> Seen:
            raise OperationalError("canceling statement due to statement timeout")

        monkeypatch.setitem(OF_CUSTOMERS, "totals", cancelled)
        run = start_audit()
        for _ in range(runs.MOST_TRIES):
            with pytest.raises(OperationalError):
                audit_tasks.work_on_audit(run.pk)
        audit_tasks.work_on_audit(run.pk)
        run.refresh_from_db()
        assert (run.status, run.error) == ("failed", runs.STUCK)

    def test_chunks_that_are_done_are_no_tries(self, chunks_of_one: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runs, "MOST_TRIES", 1)
        run = start_audit()
        work_on(run.pk)
        run.refresh_from_db()
        assert (run.status, run.done) == ("done", 3)

    def test_a_finding_with_long_words_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = Finding("totals", "x" * 600, expected="y" * 200, found="z" * 200)
        monkeypatch.setitem(OF_CUSTOMERS, "totals", lambda at: Seen([found]))
        run = start_audit(checks=["totals"])
        work_on(run.pk)
        run.refresh_from_db()
        assert (run.status, run.findings.get().found) == ("done", "z" * 120)

    def test_very_many_findings_are_counted_and_not_all_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runs, "MOST_KEPT", 2)
        found = Seen([Finding("totals", f"{number}") for number in range(5)])
        monkeypatch.setitem(OF_CUSTOMERS, "totals", lambda at: found)
        run = start_audit(checks=["totals"])
        work_on(run.pk)
        run.refresh_from_db()
        assert (run.found, run.findings.count()) == (5, 2)

    def test_what_is_right_at_the_second_look_is_no_finding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wrong("acme")
        looks: list[list[int]] = []
        look = OF_CUSTOMERS["totals"]

        def and_mended(at: Look) -> Seen:
            looks.append(at.ids)
            seen = look(at)
            Invoice.objects.update(total=0)
            return seen

        monkeypatch.setitem(OF_CUSTOMERS, "totals", and_mended)
        run = start_audit()
        work_on(run.pk)
        run.refresh_from_db()
        acme = Customer.objects.get(key="acme").pk
        assert (run.found, len(looks), looks[1]) == (0, 2, [acme])

    @pytest.mark.parametrize(
        ("asked", "field"),
        [({"customer": "nobody"}, "customer"), ({"since": "yesterday"}, "since"), ({"checks": ["luck"]}, "checks")],
    )
    def test_of_what_there_is_not_is_refused(self, asked: dict[str, Any], field: str) -> None:
        with pytest.raises(ValidationError) as refused:
            start_audit(**asked)
        assert list(refused.value.message_dict) == [field]
        assert not AuditRun.objects.exists()

    def test_of_one_customer_looks_at_no_other(self) -> None:
        wrong("acme", "globex")
        run = start_audit(customer="globex")
        work_on(run.pk)
        run.refresh_from_db()
        assert (run.total, run.found, run.findings.get().customer.key) == (1, 1, "globex")
        assert "numbers" not in run.checked

    def test_since_a_day_leaves_earlier_periods_alone(self) -> None:
        run = start_audit(since="2026-12-01")
        work_on(run.pk)
        run.refresh_from_db()
        assert (run.checked["amounts"], run.checked["totals"]) == (0, 3)


@pytest.mark.django_db
class TestOldRuns:
    def test_are_thinned(self, november: time_machine.Traveller) -> None:
        for day in range(400):
            at = NOW - timedelta(days=400 - day)
            AuditRun.objects.create(status="done", started_at=at, finished_at=at)
        last = AuditRun.objects.order_by("-id").first()
        AuditFinding.objects.create(run=AuditRun.objects.order_by("id")[2], check_name="totals", text="old")
        start_audit()
        kept = list(AuditRun.objects.order_by("-id").values_list("started_at", flat=True))
        months = [(at.year, at.month) for at in kept[1 + runs.KEPT :]]
        assert len(kept) < 50
        assert kept[1] == last.started_at
        assert len(set(months)) == len(months) >= 11
        assert not AuditFinding.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("acme")
class TestEveryNight:
    def at(self, clock: time_machine.Traveller, day: int, hour: int, minute: int = 0) -> bool:
        clock.move_to(datetime(2026, 11, day, hour, minute, tzinfo=timezone.now().tzinfo))
        return is_due(timezone.now())

    def test_one_is_due(self, november: time_machine.Traveller, sent: list[int]) -> None:
        assert not is_due(timezone.now())  # on the day of the first invoice
        assert not self.at(november, 23, 2, 29)
        assert self.at(november, 23, 2, 30)
        audit_tasks.keep_audits()
        [run] = AuditRun.objects.all()
        assert (sent, run.options, run.actor) == ([run.pk], {"since": "2026-08-15"}, "")
        assert not self.at(november, 23, 3)
        audit_tasks.keep_audits()
        work_on(run.pk)
        assert not self.at(november, 24, 2, 29)
        # Made up for at whatever time a worker is there again.
        assert self.at(november, 24, 17)

    def test_a_worker_knows_the_tasks(self) -> None:
        assert settings.CELERY_BEAT_SCHEDULE["keep-audits"]["task"] == audit_tasks.keep_audits.name
        app.loader.import_default_modules()
        assert {audit_tasks.keep_audits.name, audit_tasks.work_on_audit.name} <= set(app.tasks)

    def test_one_of_a_part_does_not_stand_for_it(self, november: time_machine.Traveller) -> None:
        assert self.at(november, 23, 12)
        work_on(start_audit(customer="acme").pk)
        assert self.at(november, 23, 12)
        work_on(start_audit().pk)
        assert not self.at(november, 23, 12)

    def test_one_that_failed_is_not_tried_all_night(self, november: time_machine.Traveller) -> None:
        self.at(november, 23, 12)
        runs.give_up(start_audit().pk, "broken")
        assert not self.at(november, 23, 13)

    def test_of_everything_where_the_setting_says_so(
        self, november: time_machine.Traveller, sent: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settings, "AUDIT_DAYS", 0)
        self.at(november, 23, 12)
        audit_tasks.keep_audits()
        assert AuditRun.objects.get().options == {}


@pytest.mark.django_db(transaction=True)
class TestBesideOthers:
    @pytest.fixture(autouse=True)
    def _customers(self, acme: Customer, chunks_of_one: None) -> None:
        make_customer("globex")
        wrong("acme", "globex")

    def test_two_workers_store_a_chunk_once(self) -> None:
        run = start_audit()
        assert race(*[lambda: work_on(run.pk, seconds=60)] * 3) == []
        while work_on(run.pk):
            pass
        run.refresh_from_db()
        assert (run.status, run.done, run.found, run.findings.count()) == ("done", 2, 2, 2)

    def test_two_that_begin_at_once_are_one(self) -> None:
        refused = race(start_audit, start_audit, start_audit)
        assert [type(error) for error in refused] == [ValidationError] * 2
        assert AuditRun.objects.count() == 1

    def test_it_reads_one_moment_and_holds_up_no_events(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Events come in and bills are computed in the middle of a look: it sees neither, and they do not wait."""
        levels: list[object] = []
        look = OF_CUSTOMERS["totals"]

        def meanwhile(at: Look) -> Seen:
            assert connection.connection is not None
            levels.append(connection.connection.isolation_level)
            assert Invoice.objects.count() == 2  # the moment that is looked at
            assert race(lambda: send("acme", "ApiCalls", 5), lambda: wrong("acme")) == []
            return look(at)

        Invoice.objects.update(total=0)
        monkeypatch.setitem(OF_CUSTOMERS, "totals", meanwhile)
        run = start_audit(customer="acme", checks=["totals"])
        while work_on(run.pk):
            pass
        run.refresh_from_db()
        assert (run.status, run.found) == ("done", 0)
        assert set(levels) == {IsolationLevel.REPEATABLE_READ}
        assert connection.connection is not None
        assert connection.connection.isolation_level in (None, IsolationLevel.READ_COMMITTED)


@pytest.mark.django_db
class TestTheCommand:
    @pytest.fixture(autouse=True)
    def _acme(self, acme: Customer) -> None:
        pass

    def said(self, *args: str) -> str:
        out = io.StringIO()
        call_command("audit_invoices", *args, stdout=out)
        return out.getvalue()

    def test_says_what_it_looked_at(self) -> None:
        said = self.said()
        assert said.startswith("Customers: 1. Looked at: amounts 1, corrections 0, totals 1,")
        assert said.endswith("Findings: 0.\n")
        assert AuditRun.objects.get().actor == "manage.py"

    def test_prints_findings_and_ends_with_1(self) -> None:
        wrong("acme")
        NumberSeries.objects.create(series="invoice", year=2026, last=1)
        out = io.StringIO()
        with pytest.raises(CommandError, match=r"Findings: 2\.") as ended:
            call_command("audit_invoices", stdout=out)
        assert ended.value.returncode == 1
        live = live_invoice(Customer.objects.get())
        assert out.getvalue().splitlines() == [
            f"totals acme: The totals of the running bill {live.pk} (22–30 Nov 2026) are not what the lines come to: "
            "expected $0.00 before tax, $0.00 in all, found $0.00 before tax, $1.00 in all",
            "numbers: Invoices of 2026: no document has the number 2026-0001: expected no gap, found 2026-0001",
        ]

    def test_by_some_checks_of_one_customer_since_a_day(self) -> None:
        self.said("--check", "totals", "--check", "ledger", "--customer", "acme", "--since", "2026-11-01")
        assert AuditRun.objects.get().options == {
            "customer": "acme", "since": "2026-11-01", "checks": ["totals", "ledger"],
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("args", "why"),
        [(["--customer", "nobody"], "no customer"), (["--since", "May"], "is no day"), (["--check", "x"], "invalid")],
    )
    def test_refuses_what_there_is_not(self, args: list[str], why: str) -> None:
        with pytest.raises(CommandError, match=why):
            self.said(*args)

    def test_waits_for_no_other(self) -> None:
        start_audit()
        with pytest.raises(CommandError, match="An audit is running"):
            self.said()

    def test_that_is_stopped_leaves_none_running(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def stopped(at: Look) -> Seen:
            raise KeyboardInterrupt

        monkeypatch.setitem(OF_CUSTOMERS, "totals", stopped)
        with pytest.raises(KeyboardInterrupt):
            self.said()
        run = AuditRun.objects.get()
        assert (run.status, run.error) == ("failed", "It was stopped: KeyboardInterrupt.")

    def test_that_cannot_be_finished_says_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(at: Look) -> Seen:
            raise ZeroDivisionError("of course")

        monkeypatch.setitem(OF_CUSTOMERS, "totals", broken)
        with pytest.raises(CommandError, match=r"could not be finished\. ZeroDivisionError: of course"):
            self.said()

    def test_shows_a_bar_on_a_terminal(self) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        screen = Terminal()
        call_command(Command(), stdout=io.StringIO(), stderr=screen)
        assert f"\r[{'.' * 40}] 0 of 1 customers" in screen.getvalue()
        assert f"\r[{'#' * 40}] 1 of 1 customers" in screen.getvalue()
