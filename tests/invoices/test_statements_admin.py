"""The statement and the exports in the admin."""

import csv
import io
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client

from invoices.exporting import exports
from invoices.exporting import files as export_files
from invoices.models import Export, Invoice
from invoices.services import open_invoices
from invoices.settling.payments import record_payment
from tests.factories import make_customer
from tests.invoices.settled import DECEMBER, MID_NOVEMBER, make_bill

pytestmark = pytest.mark.django_db
NOW = DECEMBER + timedelta(days=2)


@pytest.fixture(autouse=True)
def _folder(settings: Any, tmp_path: Path) -> None:
    settings.EXPORTS_DIR = tmp_path / "exports"


@pytest.fixture
def bill() -> Any:
    """November's, of 110.85, final on 3 December; 10.00 of it paid two days after."""
    with time_machine.travel(MID_NOVEMBER, tick=False) as clock:
        invoice = make_bill()
        clock.move_to(NOW)
        record_payment(invoice.pk, amount=Decimal(10), reference="TX-1", actor="ben")
        open_invoices(invoice.assignment, now=NOW)
        yield invoice


@pytest.fixture
def staff(client: Client, bill: Invoice) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


def with_permissions(*names: str) -> Client:
    user = User.objects.create_user("ben", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    made = Client()
    made.force_login(user)
    return made


def text(response: Any) -> str:
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


class TestStatement:
    @pytest.fixture
    def url(self, bill: Invoice) -> str:
        return f"/admin/meters/customer/{bill.customer_id}/statement"

    def test_from_the_customers_page(self, staff: Client, bill: Invoice, url: str) -> None:
        page = staff.get(f"/admin/meters/customer/{bill.customer_id}/change/").content.decode()
        assert f'href="{url}/"' in page
        shown = text(staff.get(f"{url}/"))
        assert "Statement of December 2026" in shown
        assert "$100.85 owed on 5 Dec 2026" in shown
        assert "Payment for invoice 2026-0001 TX-1 -$10.00 $100.85" in shown
        assert "Not issued yet" in shown

    def test_another_month_and_what_is_wrong(self, staff: Client, url: str) -> None:
        assert "$0.00 owed on 30 Nov 2026" in text(staff.get(f"{url}/?period=2026-11"))
        wrong = text(staff.get(f"{url}/?period=2031-11"))
        assert "“2031-11” is not a month or a year that can be shown." in wrong
        assert "owed" not in wrong

    def test_as_files(self, staff: Client, url: str) -> None:
        answer = staff.get(f"{url}.csv?period=2026-12&currency=USD")
        assert answer["Content-Disposition"] == 'attachment; filename="statement-2026-12-USD.csv"'
        rows = list(csv.reader(io.StringIO(answer.content.decode(), newline="")))
        assert [row[5] for row in rows[1:]] == ["0.00", "110.85", "100.85", "100.85"]
        assert staff.get(f"{url}.pdf").content.startswith(b"%PDF-")
        assert staff.get(f"{url}.exe").status_code == 404
        assert staff.get(f"{url}.csv?currency=EUR").status_code == 404

    def test_a_customer_without_invoices(self, staff: Client) -> None:
        made = make_customer("new", name="Nobody")
        url = f"/admin/meters/customer/{made.pk}/statement"
        assert "Nobody has no invoices yet." in text(staff.get(f"{url}/"))
        assert staff.get(f"{url}.pdf").status_code == 404

    @pytest.mark.parametrize("given", [(), ("view_customer",), ("view_invoice",)])
    def test_not_for_everybody(self, bill: Invoice, url: str, given: tuple[str, ...]) -> None:
        made = with_permissions(*given)
        for address in (f"{url}/", f"{url}.csv", f"{url}.pdf"):
            assert made.get(address).status_code == 403
        assert Client().get(f"{url}/").status_code == 302


class TestExports:
    LIST = "/admin/invoices/export/"

    def start(self, client: Client, month: str = "2026-12", form: str = "csv") -> str:
        return text(client.post(f"{self.LIST}start/", {"month": month, "form": form}, follow=True))

    def test_from_the_list_to_the_file(self, staff: Client, bill: Invoice) -> None:
        assert f'href="{self.LIST}"' in staff.get("/admin/invoices/invoice/").content.decode()
        assert "December 2026, so far" in text(staff.get(self.LIST))
        shown = self.start(staff)
        export = Export.objects.get()
        assert (export.actor, export.status, export.form) == ("staff", "waiting", "csv")
        assert "0 of 1 documents 0%" in shown
        page = f"{self.LIST}{export.pk}/change/"
        assert f'hx-get="{self.LIST}{export.pk}/progress/"' in staff.get(page).content.decode()
        exports.work_on(export.pk)
        progress = staff.get(f"{self.LIST}{export.pk}/progress/")
        assert progress.status_code == 286  # htmx stops
        assert "Download" in progress.content.decode()
        assert "The month was not over" in text(staff.get(page))
        assert "hx-get" not in staff.get(page).content.decode().split("<main")[-1]
        answer: Any = staff.get(f"{self.LIST}{export.pk}/file/")
        assert answer.streaming
        assert answer["Content-Disposition"] == 'attachment; filename="invoices-2026-12.csv"'
        assert b"".join(answer.streaming_content) == export_files.path_of(export).read_bytes()
        assert "December 2026, CSV" in text(staff.get(self.LIST))

    def test_what_is_wrong_is_said(self, staff: Client) -> None:
        assert "Month: Select a valid choice." in self.start(staff, month="2031-01")
        assert "Form: Select a valid choice." in self.start(staff, form="xls")
        self.start(staff)
        assert "This file is being made already." in self.start(staff)
        assert Export.objects.count() == 1
        assert staff.get(f"{self.LIST}start/").status_code == 405

    def test_no_file_yet_and_no_file_any_more(self, staff: Client) -> None:
        self.start(staff)
        export = Export.objects.get()
        assert "There is no file" in text(staff.get(f"{self.LIST}{export.pk}/file/", follow=True))
        exports.work_on(export.pk)
        exports.forget_old(NOW + timedelta(days=30))
        assert "The file has been removed." in text(staff.get(f"{self.LIST}{export.pk}/change/"))
        assert "There is no file" in text(staff.get(f"{self.LIST}{export.pk}/file/", follow=True))

    def test_what_went_wrong(self, staff: Client) -> None:
        self.start(staff)
        Export.objects.update(status="failed", error="No space left on device")
        export = Export.objects.get()
        assert "It could not be made: No space left on device" in text(staff.get(f"{self.LIST}{export.pk}/change/"))

    def test_not_for_everybody(self, bill: Invoice) -> None:
        export = exports.start_export(month=MID_NOVEMBER.date(), form="csv")
        exports.work_on(export.pk)
        pages = [self.LIST, *(f"{self.LIST}{export.pk}/{name}/" for name in ("change", "progress", "file"))]
        for given in ([], ["view_invoice"], ["view_export"], ["view_invoice", "add_export"]):
            User.objects.filter(username="ben").delete()
            made = with_permissions(*given)
            assert [made.get(page).status_code for page in pages] == [403] * 4, given
            assert made.post(f"{self.LIST}start/", {"month": "2026-12", "form": "csv"}).status_code == 403
        User.objects.filter(username="ben").delete()
        looks = with_permissions("view_invoice", "view_export")
        assert [looks.get(page).status_code for page in pages] == [200, 200, 286, 200]
        assert "All invoices of a month" not in text(looks.get(self.LIST))
        assert looks.post(f"{self.LIST}start/", {"month": "2026-12", "form": "csv"}).status_code == 403
        assert Client().get(pages[-1]).status_code == 302

    def test_the_file_is_where_the_row_says_whatever_is_in_it(self, staff: Client, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("secret")
        export = exports.start_export(month=MID_NOVEMBER.date(), form="csv")
        Export.objects.update(status="done", file="../secret")
        assert "There is no file" in text(staff.get(f"{self.LIST}{export.pk}/file/", follow=True))
