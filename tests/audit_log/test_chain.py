"""The chain: what was planted into it is found and named, whoever seals, and whenever rows are committed."""

import logging
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.utils import timezone

from meters import tasks
from meters.audit_log import log_sql, sealing, verifying
from meters.audit_log.chain import START, link
from meters.audit_log.sealing import Head, head, seal
from meters.audit_log.verifying import keep_verified, verify
from meters.models import AuditHead, AuditRow, Customer
from tests.audit_log.written import written
from tests.factories import make_customer
from tests.racing import race

NOW = timezone.now()


def run(statement: str, **parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def by_hand(statement: str, **parameters: Any) -> None:
    """What somebody does to the log who owns its table."""
    for table in ("meters_auditrow", "meters_audithead"):
        run(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    run(statement, **parameters)
    for table in ("meters_auditrow", "meters_audithead"):
        run(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.fixture
def five(empty_log: None) -> list[AuditRow]:
    """Five sealed rows."""
    for number in range(5):
        make_customer(f"c{number}", name="as it was")
    assert seal() == 5
    return list(AuditRow.objects.order_by("position"))


def findings() -> list[str]:
    return verify(now=timezone.now()).findings


class TestSealing:
    def test_rows_get_places_in_order_and_hashes_that_anybody_can_recompute(self, five: list[AuditRow]) -> None:
        assert [row.position for row in five] == [1, 2, 3, 4, 5]
        assert [row.pk for row in five] == sorted(row.pk for row in five)
        last = START
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT position, hash, {log_sql.CONTENT} FROM meters_auditrow ORDER BY position")
            for position, hashed, *content in cursor.fetchall():
                last = link(last, position, content)
                assert last == bytes(hashed)
        assert head() == Head(5, last)
        assert findings() == []
        assert seal() == 0

    def test_in_batches(self, empty_log: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sealing, "AT_ONCE", 2)
        for number in range(5):
            make_customer(f"c{number}")
        assert tasks.seal_audit_log() is None
        assert head().position == 5
        assert findings() == []

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE meters_auditrow SET who_name = 'somebody else'",
            "UPDATE meters_auditrow SET position = NULL, hash = NULL",
            "UPDATE meters_auditrow SET position = position + 1000",
            "DELETE FROM meters_auditrow WHERE position = 5",
            "TRUNCATE meters_auditrow",
            "DELETE FROM meters_audithead",
            "TRUNCATE meters_audithead",
            "INSERT INTO meters_auditrow (at, transaction, position, hash, action, table_name, object_id, label, "
            "owner_table, owner_id, who_kind, who_id, who_name, request_id) "
            "SELECT at, transaction, 6, hash, action, table_name, object_id, label, owner_table, owner_id, who_kind, "
            "who_id, who_name, request_id FROM meters_auditrow WHERE position = 5",
        ],
        ids=["changed", "unsealed", "moved", "removed", "emptied", "head removed", "head emptied", "put in sealed"],
    )
    def test_the_database_refuses_every_change(self, five: list[AuditRow], statement: str) -> None:
        with pytest.raises(IntegrityError, match="only ever added to"), transaction.atomic():
            run(statement)

    def test_what_waits_to_be_sealed_cannot_be_changed_or_removed_either(self, empty_log: None) -> None:
        make_customer("acme")
        for statement in (
            "UPDATE meters_auditrow SET who_name = 'somebody else'",
            "UPDATE meters_auditrow SET position = 1, hash = '\\x00', label = 'other'",
            "DELETE FROM meters_auditrow",
        ):
            with pytest.raises(IntegrityError, match="only ever added to"), transaction.atomic():
                run(statement)


class TestVerifying:
    @pytest.mark.parametrize(
        ("planted", "found"),
        [
            (
                "UPDATE meters_auditrow SET who_name = 'x' WHERE position = 3",
                "Row 3 of the chain, change {3} (insert of",
            ),
            ("UPDATE meters_auditrow SET at = at + interval '1 us' WHERE position = 3", "Row 3 of the chain"),
            (
                """UPDATE meters_auditrow SET after = after || '{"name": "x"}' WHERE position = 1""",
                "Row 1 of the chain",
            ),
            ("UPDATE meters_auditrow SET address = '1.2.3.4' WHERE position = 5", "Row 5 of the chain"),
            ("UPDATE meters_auditrow SET hash = '\\x00' WHERE position = 2", "Row 2 of the chain"),
            ("DELETE FROM meters_auditrow WHERE position = 3", "Missing in the chain before change {4}: row 3."),
            (
                "DELETE FROM meters_auditrow WHERE position IN (2, 3)",
                "Missing in the chain before change {4}: row 2 to 3.",
            ),
            ("DELETE FROM meters_auditrow WHERE position = 1", "Missing in the chain before change {2}: row 1."),
            (
                "DELETE FROM meters_auditrow WHERE position > 3",
                "The chain ends at row 3, and had 5: its end is missing.",
            ),
            ("DELETE FROM meters_auditrow", "The chain ends at row 0, and had 5: its end is missing."),
            (
                "DELETE FROM meters_auditrow WHERE position = 3; "
                "UPDATE meters_auditrow SET position = position - 1 WHERE position > 3",
                "Row 3 of the chain, change {4}",
            ),
            (
                "UPDATE meters_auditrow SET position = 9 WHERE position = 2; "
                "UPDATE meters_auditrow SET position = 2 WHERE position = 4; "
                "UPDATE meters_auditrow SET position = 4 WHERE position = 9",
                "Row 2 of the chain, change {4}",
            ),
            (
                "INSERT INTO meters_auditrow (at, transaction, position, hash, action, table_name, object_id, label, "
                "owner_table, owner_id, who_kind, who_id, who_name, request_id) "
                "SELECT at, transaction, 6, hash, action, table_name, object_id, label, owner_table, owner_id, "
                "who_kind, who_id, who_name, request_id FROM meters_auditrow WHERE position = 5",
                "is behind the end that was kept of it",
            ),
            ("UPDATE meters_audithead SET hash = '\\x00'", "does not end with the hash that was kept of it, at row 5"),
            ("DELETE FROM meters_audithead", "has lost its head"),
        ],
        ids=[
            *("who", "when", "after", "where", "hash", "missing", "two missing", "first missing", "cut", "all gone"),
            *("missing and moved up", "reordered", "put in", "another head", "no head"),
        ],
    )
    def test_finds_what_was_planted_and_names_it(self, five: list[AuditRow], planted: str, found: str) -> None:
        numbers = {str(row.position): row.pk for row in five}
        for part in planted.split("; "):
            by_hand(part)
        for place, pk in numbers.items():
            found = found.replace(f"{{{place}}}", str(pk))
        out = StringIO()
        with pytest.raises(CommandError):
            call_command("verify_audit_log", stdout=out)
        assert found in out.getvalue()

    def test_a_chain_that_was_cut_and_made_anew_is_found_by_a_head_that_was_noted(self, five: list[AuditRow]) -> None:
        noted = head()
        by_hand("UPDATE meters_auditrow SET position = NULL, hash = NULL, who_name = 'x'")
        by_hand("UPDATE meters_audithead SET position = 0, hash = %(start)s", start=START)
        out = StringIO()
        call_command("verify_audit_log", stdout=out)
        assert "Rows: 5. Findings: 0." in out.getvalue()
        with pytest.raises(CommandError):
            call_command("verify_audit_log", "--expect", str(noted), stdout=out)
        assert "Row 5 of the chain is not the one that was noted" in out.getvalue()

    def test_a_noted_head_that_is_gone_is_told_and_one_that_is_there_is_not(self, five: list[AuditRow]) -> None:
        gone = f"9:{'ab' * 32}"
        out = StringIO()
        call_command("verify_audit_log", "--expect", str(head()), stdout=out)
        with pytest.raises(CommandError):
            call_command("verify_audit_log", "--expect", str(head()), "--expect", gone, stdout=out)
        assert "Row 9 of the chain is missing, which was noted." in out.getvalue()

    @pytest.mark.parametrize("text", ["", "5", "5:ab", "x:" + "ab" * 32, "0:" + "ab" * 32, "-1:" + "ab" * 32])
    def test_what_is_no_head_is_refused(self, text: str) -> None:
        with pytest.raises(CommandError, match="is no POSITION:HASH"):
            call_command("verify_audit_log", f"--expect={text}")

    def test_without_a_head_rows_wait_and_that_is_told(self, five: list[AuditRow]) -> None:
        make_customer("acme")
        by_hand("DELETE FROM meters_audithead")
        assert findings()[0] == "The audit log has lost its head, the row of meters_audithead."

    def test_seals_first_and_tells_the_head(self, five: list[AuditRow]) -> None:
        make_customer("acme")
        out = StringIO()
        call_command("verify_audit_log", stdout=out)
        assert out.getvalue() == f"Rows: 6. Findings: 0. Head: {head()}\n"
        assert head().position == 6

    def test_very_many_findings_are_counted(self, five: list[AuditRow], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(verifying, "MOST_FINDINGS", 2)
        by_hand("UPDATE meters_auditrow SET who_name = 'x'")
        out = StringIO()
        with pytest.raises(CommandError, match="Findings: 5"):
            call_command("verify_audit_log", stdout=out)
        assert "... and 3 more." in out.getvalue()

    def test_rows_that_nobody_seals_are_told(self, five: list[AuditRow]) -> None:
        make_customer("acme")
        assert keep_verified(now=timezone.now()).found == 0
        assert "wait to be sealed" in keep_verified(now=timezone.now() + timedelta(hours=2)).findings[0]

    def test_a_table_that_is_not_watched_any_more_is_told(self, five: list[AuditRow]) -> None:
        run("ALTER TABLE pricing_plan DISABLE TRIGGER meters_audit_update")
        assert findings() == [
            "Changes are not written down: the trigger meters_audit_update of pricing_plan is switched off."
        ]


class TestEachHour:
    def test_what_is_new_is_verified_and_the_head_is_logged(
        self, five: list[AuditRow], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "meters.audit_log.sealing"):
            tasks.keep_audit_log()
        assert f"audit log: head {head()}" in caplog.messages
        make_customer("acme")
        seal()
        assert keep_verified(now=NOW).rows == 1
        kept = AuditHead.objects.get()
        assert (kept.verified_position, bytes(kept.verified_hash), kept.finding) == (6, head().hash, "")

    def test_a_run_ends_after_so_many_and_the_next_goes_on(self, five: list[AuditRow]) -> None:
        assert keep_verified(now=NOW, most=3).rows == 3
        assert keep_verified(now=NOW, most=3).rows == 2

    def test_a_finding_is_logged_and_kept(self, five: list[AuditRow], caplog: pytest.LogCaptureFixture) -> None:
        assert keep_verified(now=NOW, most=2).found == 0
        by_hand("UPDATE meters_auditrow SET who_name = 'x' WHERE position = 4")
        for _ in range(2):
            caplog.clear()
            tasks.keep_audit_log()
            assert "Row 4 of the chain" in caplog.messages[-1]
        kept = AuditHead.objects.get()
        assert (kept.verified_position, "Row 4 of the chain" in kept.finding) == (2, True)

    def test_what_was_verified_and_then_made_anew_is_found_at_its_mark(self, five: list[AuditRow]) -> None:
        assert keep_verified(now=NOW).found == 0
        by_hand("UPDATE meters_auditrow SET hash = '\\x00' WHERE position = 5")
        assert "Row 5 of the chain is not the one that was found there last time." in keep_verified(now=NOW).findings


def at_once(*jobs: Callable[[], object]) -> None:
    assert race(*jobs) == []


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def test_two_sealers_give_each_row_one_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sealing, "AT_ONCE", 7)
        Customer.objects.bulk_create([Customer(key=f"c{number}", source="api") for number in range(40)])
        before = head().position
        unsealed = AuditRow.objects.filter(position=None).count()
        at_once(lambda: seal(wait=True), lambda: seal(), lambda: seal(wait=True))
        seal(wait=True)
        assert not AuditRow.objects.filter(position=None).exists()
        assert head().position == before + unsealed
        assert findings() == []

    def test_a_row_that_is_committed_late_gets_a_late_place(self) -> None:
        """Its id is lower than those of rows that were committed, and sealed, before it."""
        seal(wait=True)
        with written() as rows, transaction.atomic():
            make_customer("late")

            def others() -> None:
                make_customer("early")
                seal()

            at_once(others)
        late, early = (AuditRow.objects.get(pk=row.pk) for row in rows)
        assert (late.label, early.label) == ("late", "early")
        assert late.position is None
        assert early.position is not None
        assert seal() == 1
        late.refresh_from_db()
        assert late.position == early.position + 1
        assert findings() == []


def test_a_web_server_that_does_not_own_the_log_writes_it_and_cannot_let_it_go(empty_log: None) -> None:
    """As docs/security.md advises."""
    run("CREATE ROLE tollmeter_web")
    run("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO tollmeter_web")
    make_customer("acme")
    run("SET LOCAL ROLE tollmeter_web")
    Customer.objects.update(name="New")
    assert seal() == 2
    assert findings() == []
    for statement in (
        "ALTER TABLE meters_auditrow DISABLE TRIGGER USER",
        "ALTER TABLE meters_customer DISABLE TRIGGER USER",
        "DELETE FROM meters_auditrow",
        "TRUNCATE meters_auditrow",
        "CREATE OR REPLACE FUNCTION meters_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    ):
        with pytest.raises(ProgrammingError), transaction.atomic():
            run(statement)
