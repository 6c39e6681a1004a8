"""The pages of audits in the admin, and the notice on its front page."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from invoices.auditing.runs import start_audit, work_on
from invoices.models import AuditFinding, AuditRun
from meters.models import Customer
from tests.factories import live_invoice

pytestmark = pytest.mark.django_db
LIST = reverse("admin:invoices_auditrun_changelist")
START = reverse("admin:invoices_auditrun_start")


def sign_in(*permissions: str) -> Client:
    user = User.objects.create_user("ada", is_staff=True, is_superuser=permissions == ("all",))
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def staff() -> Client:
    return sign_in("all")


def done(**fields: Any) -> AuditRun:
    now = timezone.now()
    return AuditRun.objects.create(**{"status": "done", "started_at": now, "finished_at": now, **fields})


def text_of(answer: Any) -> str:
    assert answer.status_code in (200, 286)
    return " ".join(re.sub("<[^>]+>", " ", answer.content.decode()).split())


class TestTheList:
    def test_says_how_each_went(self, staff: Client) -> None:
        done(done=1200, total=1200, options={"since": "2026-10-01"})
        done(found=3, actor="manage.py", options={"customer": "acme", "checks": ["numbers"]})
        AuditRun.objects.create(status="failed", started_at=timezone.now(), error="Its worker has gone.")
        AuditRun.objects.create(started_at=timezone.now(), done=50, total=70)
        said = text_of(staff.get(LIST))
        for words in ("No finding", "3 findings", "Failed", "Running", "1,200", "50 of 70", "customer acme; numbers",
                      "usage from 1 Oct 2026 on", "manage.py", "Tollmeter, as every night"):  # fmt: skip
            assert words in said

    def test_begins_one_at_a_click(self, staff: Client, acme: Customer) -> None:
        assert b"Run now" in staff.get(LIST).content
        answer = staff.post(START)
        run = AuditRun.objects.get()
        assert answer.headers["Location"] == reverse("admin:invoices_auditrun_change", args=[run.pk])
        assert (run.status, run.actor, run.total) == ("running", "ada", 1)
        again = staff.post(START, follow=True)
        assert "An audit is running" in text_of(again)
        assert AuditRun.objects.count() == 1

    def test_the_button_is_for_those_who_may(self) -> None:
        reader = sign_in("view_auditrun")
        assert b"Run now" not in reader.get(LIST).content
        assert reader.post(START).status_code == 403
        assert staff_of_nothing().get(LIST).status_code == 403

    def test_nothing_begins_by_a_link(self, staff: Client) -> None:
        assert staff.get(START).status_code == 405


def staff_of_nothing() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("bob", is_staff=True))
    return client


class TestARun:
    def page(self, run: AuditRun) -> str:
        return reverse("admin:invoices_auditrun_change", args=[run.pk])

    def test_that_works_follows_the_work(self, staff: Client, acme: Customer) -> None:
        run = start_audit()
        part = reverse("admin:invoices_auditrun_result", args=[run.pk])
        assert f'hx-get="{part}"' in staff.get(self.page(run)).content.decode()
        assert staff.get(part).status_code == 200
        assert "0 of 1 customers" in text_of(staff.get(part))
        while work_on(run.pk):
            pass
        finished = staff.get(part)
        assert finished.status_code == 286
        assert "Everything is in order" in text_of(finished)
        whole = staff.get(self.page(run)).content.decode()
        assert "data-live" not in whole
        assert "Invoices counted and rated again: 1" in text_of(staff.get(self.page(run)))

    def test_lists_findings_with_links_by_check(self, staff: Client, acme: Customer) -> None:
        live = live_invoice(acme)
        run = done(found=2, checked={"amounts": 5, "numbers": 7}, left_out={"waiting": 1})
        AuditFinding.objects.create(
            run=run,
            check_name="amounts",
            customer=acme,
            invoice=live,
            text="Calls <b>",
            expected="$1.00",
            found="$2.00",
        )
        AuditFinding.objects.create(run=run, check_name="numbers", text="A gap", found="2026-0007")
        page = staff.get(self.page(run)).content.decode()
        assert "Calls &lt;b&gt;" in page
        assert reverse("admin:invoices_invoice_change", args=[live.pk]) in page
        assert reverse("admin:meters_customer_change", args=[acme.pk]) in page
        said = text_of(staff.get(self.page(run)))
        assert "$1.00 $2.00" in said
        assert "1 invoice had newer usage that waited" in said
        assert "not yet" in said
        only = text_of(staff.get(f"{self.page(run)}?check=numbers"))
        assert ("A gap" in only, "Calls" in only) == (True, False)

    def test_pages_of_very_many(self, staff: Client) -> None:
        run = done(found=2500)
        AuditFinding.objects.bulk_create(
            AuditFinding(run=run, check_name="numbers", text=f"Gap {number}.") for number in range(150)
        )
        first, second = (text_of(staff.get(f"{self.page(run)}?page={page}")) for page in (1, 2))
        assert ("Gap 99." in first, "Gap 100." in first, "Gap 100." in second) == (True, False, True)
        assert "There are 500 more findings" in first

    def test_that_failed_says_why(self, staff: Client) -> None:
        run = AuditRun.objects.create(status="failed", started_at=timezone.now(), error="Its worker has gone.")
        assert "It could not be finished: Its worker has gone." in text_of(staff.get(self.page(run)))

    def test_is_not_for_everybody(self, acme: Customer) -> None:
        run = start_audit()
        client = staff_of_nothing()
        assert client.get(self.page(run)).status_code == 403
        assert client.get(reverse("admin:invoices_auditrun_result", args=[run.pk])).status_code == 403


@pytest.mark.usefixtures("acme")
class TestTheFrontPage:
    def said(self, client: Client) -> str:
        return text_of(client.get(reverse("admin:index")))

    def test_says_nothing_of_new_books(self, staff: Client) -> None:
        assert "audit" not in self.said(staff).replace("Audit runs", "")

    def test_says_that_there_was_none_for_two_days(self, staff: Client, november: time_machine.Traveller) -> None:
        november.shift(timedelta(days=2, minutes=1))
        words = "have not been audited for two days"
        assert words in self.said(staff)
        done(options={"customer": "acme"})
        done(status="failed")
        assert words in self.said(staff)
        done()
        assert words not in self.said(staff)

    def test_says_what_the_last_of_everything_found(self, staff: Client) -> None:
        run = done(found=2)
        done(options={"checks": ["numbers"]})
        assert "The audit of 22 Nov 2026, 14:30 UTC has 2 findings" in self.said(staff)
        assert (
            reverse("admin:invoices_auditrun_change", args=[run.pk])
            in staff.get(reverse("admin:index")).content.decode()
        )
        done(status="failed")
        assert "could not be finished" in self.said(staff)
        done()
        assert "The audit of" not in self.said(staff)

    def test_says_it_to_those_who_may_see_it(self) -> None:
        done(found=2)
        assert "The audit of" not in self.said(staff_of_nothing())
