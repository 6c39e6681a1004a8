"""Staff who view the portal as a customer: begun from the admin, read-only, told on each page, written down."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from invoices.models import Alert, Invoice
from meters.models import Customer
from portal.models import Membership, StaffView
from tests.factories import make_customer
from tests.portal.conftest import NOW, SignIn
from tests.portal.guests import look_on, make_link, make_staff, queries_of

HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/"}
LEAVE = 'action="/leave/"'


@pytest.fixture
def corp(db: None, clock: object) -> Customer:
    return make_customer("acme", name="Acme Corp")


@pytest.fixture
def globex(db: None, clock: object) -> Customer:
    return make_customer("globex", name="Globex")


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def start(client: Client, customer: Customer) -> Any:
    return client.post(f"/admin/portal/staffview/customers/{customer.pk}/")


class TestBeginning:
    def test_from_the_page_of_a_customer(self, corp: Customer) -> None:
        client = Client(REMOTE_ADDR="203.0.113.9")
        client.force_login(make_staff())
        path = f"/admin/meters/customer/{corp.pk}/change/"
        page = text_of(client.get(path))
        assert f'action="/admin/portal/staffview/customers/{corp.pk}/"' in page
        assert "View as this customer" in page
        answer = start(client, corp)
        assert (answer.status_code, answer["Location"]) == (302, "/")
        look = StaffView.objects.get()
        assert (look.staff_name, look.customer, look.started_at, look.started_from) == ("sue", corp, NOW, "203.0.113.9")
        assert (look.ends_at, look.ended_at, look.end) == (NOW + timedelta(hours=1), None, "")
        assert client.post("/leave/")["Location"] == path

    def test_from_the_page_of_an_invoice(self, october: Invoice) -> None:
        client = Client()
        client.force_login(make_staff())
        path = f"/admin/invoices/invoice/{october.pk}/change/"
        assert f'action="/admin/portal/staffview/invoices/{october.pk}/"' in text_of(client.get(path))
        answer = client.post(f"/admin/portal/staffview/invoices/{october.pk}/")
        assert answer["Location"] == f"/invoices/{october.pk}/"
        assert october.number in text_of(client.get(answer["Location"]))
        assert client.post("/leave/")["Location"] == path

    def test_an_invoice_that_the_customer_does_not_see(self, october: Invoice) -> None:
        never = Invoice.objects.get(customer=october.customer, status=Invoice.Status.OPEN)
        Invoice.objects.filter(pk=never.pk).update(status=Invoice.Status.VOID)
        client = Client()
        client.force_login(make_staff())
        assert client.post(f"/admin/portal/staffview/invoices/{never.pk}/")["Location"] == "/invoices/"

    def test_only_by_post_and_with_a_form_of_ours(self, corp: Customer) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(make_staff())
        assert client.get(f"/admin/portal/staffview/customers/{corp.pk}/").status_code == 405
        assert start(client, corp).status_code == 403
        assert not StaffView.objects.exists()

    def test_without_the_permission_there_is_no_button_and_no_way(self, corp: Customer) -> None:
        client = Client()
        client.force_login(make_staff(may_look=False))
        assert "View as this customer" not in text_of(client.get(f"/admin/meters/customer/{corp.pk}/change/"))
        assert start(client, corp).status_code == 403
        assert client.get("/").status_code == 403
        assert not StaffView.objects.exists()

    def test_members_and_nobody_cannot(self, corp: Customer) -> None:
        member = User.objects.create_user("alice")
        member.user_permissions.add(Permission.objects.get(codename="view_as_customer"))
        client = Client()
        assert start(client, corp).status_code == 302
        client.force_login(member)
        assert start(client, corp).status_code == 302
        assert not StaffView.objects.exists()

    def test_no_such_customer(self, corp: Customer) -> None:
        client = Client()
        client.force_login(make_staff())
        assert client.post("/admin/portal/staffview/customers/999999/").status_code == 404


class TestLooking:
    def test_each_page_says_who_and_whom_and_lets_out(self, november: Invoice) -> None:
        client, _ = look_on(november.customer)
        for page in ("/", "/usage/", "/invoices/", f"/invoices/{november.pk}/", "/statement/", "/alerts/"):
            text = text_of(client.get(page))
            assert "<strong>sue</strong>, you see this as <strong>Acme Corp</strong> does" in text, page
            assert LEAVE in text, page
            assert "$40.00" in text or page in ("/usage/", "/alerts/", "/statement/"), page

    def test_nothing_is_changed(self, november: Invoice) -> None:
        client, _ = look_on(november.customer)
        body = {"name": "Half", "threshold": "20", "currency": "USD"}
        for path in ("/alerts/add/?kind=amount", "/switch-customer/", "/sign-in/", "/"):
            answer = client.post(path, body)
            assert answer.status_code == 403, path
            assert "Nothing was changed" in text_of(answer)
            assert LEAVE in text_of(answer)
        assert not Alert.objects.exists()
        assert client.get("/alerts/add/").status_code == 403

    def test_a_link_is_not_used_up_by_who_looks_on(self, corp: Customer) -> None:
        client, _ = look_on(corp)
        _, path = make_link(corp)
        assert client.post(path).status_code == 403
        assert Client().post(path).status_code == 302

    def test_they_leave_and_are_where_they_were(self, corp: Customer, clock: Any) -> None:
        client, look = look_on(corp)
        clock.move_to(NOW + timedelta(minutes=7))
        assert client.post("/leave/")["Location"] == f"/admin/meters/customer/{corp.pk}/change/"
        look.refresh_from_db()
        assert (look.ended_at, look.end) == (NOW + timedelta(minutes=7), "left")
        answer = client.get("/")
        assert (answer.status_code, "Acme" in text_of(answer)) == (403, False)
        assert client.get(f"/admin/meters/customer/{corp.pk}/change/").status_code == 200

    def test_after_an_hour_it_is_over(self, corp: Customer, clock: Any) -> None:
        client, look = look_on(corp)
        clock.move_to(NOW + timedelta(minutes=59))
        assert client.get("/").status_code == 200
        clock.move_to(NOW + timedelta(hours=1))
        answer = client.get("/")
        assert answer.status_code == 403
        assert "It ends after an hour" in text_of(answer)
        assert LEAVE in text_of(answer)
        clock.move_to(NOW + timedelta(hours=5))
        client.get("/")
        look.refresh_from_db()
        assert (look.ended_at, look.end) == (NOW + timedelta(hours=1), "time")
        assert client.post("/leave/")["Location"] == f"/admin/meters/customer/{corp.pk}/change/"
        fragment = look_on(corp, make_staff("tom"))[0]
        clock.move_to(NOW + timedelta(hours=7))
        assert fragment.get("/", headers=HTMX)["HX-Refresh"] == "true"

    def test_signing_out_ends_it(self, corp: Customer) -> None:
        for path in ("/sign-out/", "/admin/logout/"):
            client, look = look_on(corp, make_staff(path.strip("/").replace("/", "-")))
            client.post(path)
            look.refresh_from_db()
            assert (look.end, look.ended_at) == ("signed_out", NOW)
            assert client.get("/").status_code == 302

    @pytest.mark.parametrize("how", ["permission", "staff", "active", "superuser"])
    def test_it_ends_with_the_right_to_look(self, corp: Customer, how: str) -> None:
        staff = make_staff(may_look=how != "superuser", is_superuser=how == "superuser")
        client, look = look_on(corp, staff)
        assert client.get("/").status_code == 200
        match how:
            case "permission":
                staff.user_permissions.clear()
            case "staff":
                User.objects.update(is_staff=False)
            case "active":
                User.objects.update(is_active=False)
            case "superuser":
                User.objects.update(is_superuser=False)
        for _ in range(2):
            answer = client.get("/")
            assert answer.status_code == 403
            assert "Acme Corp</strong> does, until" not in text_of(answer)
        look.refresh_from_db()
        assert look.end == "not_allowed"

    def test_what_has_ended_does_not_begin_again_with_the_right(self, corp: Customer) -> None:
        staff = make_staff()
        client, _ = look_on(corp, staff)
        permissions = list(staff.user_permissions.all())
        staff.user_permissions.clear()
        client.get("/")
        staff.user_permissions.set(permissions)
        assert client.get("/").status_code == 403

    def test_another_customer_ends_the_first_look(self, corp: Customer, globex: Customer) -> None:
        client, first = look_on(corp)
        start(client, globex)
        assert "Globex" in text_of(client.get("/"))
        assert "Acme" not in text_of(client.get("/"))
        first.refresh_from_db()
        assert first.end == "another"

    def test_staff_who_are_members_too_do_not_mix_the_two(self, corp: Customer, globex: Customer, clock: Any) -> None:
        staff = make_staff()
        Membership.objects.create(user=staff, customer=globex)
        client, _ = look_on(corp, staff)
        assert "Globex" not in text_of(client.get("/"))
        client.post("/switch-customer/", {"customer": globex.pk})
        assert "Globex" not in text_of(client.get("/"))
        clock.move_to(NOW + timedelta(hours=1))
        # Not before they say so are they back with their own.
        assert [("Globex" in text_of(client.get("/"))) for _ in range(2)] == [False, False]
        client.post("/leave/")
        page = text_of(client.get("/"))
        assert "Globex" in page
        assert "Acme" not in page

    def test_it_is_of_one_browser(self, corp: Customer) -> None:
        staff = make_staff()
        look_on(corp, staff)
        other = Client()
        other.force_login(staff)
        assert "Acme" not in text_of(other.get("/"))

    def test_it_costs_hardly_more_than_a_member(self, corp: Customer, sign_in: SignIn) -> None:
        client, _ = look_on(corp)
        assert queries_of(client, "/alerts/") <= queries_of(sign_in("alice", corp), "/alerts/") + 3


class TestLog:
    def test_staff_see_who_looked(self, corp: Customer, clock: Any) -> None:
        look_on(corp)
        viewer = make_staff("vera", may_look=False)
        viewer.user_permissions.add(Permission.objects.get(codename="view_staffview"))
        client = Client()
        client.force_login(viewer)
        page = text_of(client.get("/admin/portal/staffview/"))
        for text in ("sue", "Acme Corp", "127.0.0.1", "18 Nov 2026, 14:02 UTC", "18 Nov 2026, 15:02 UTC", "Goes on"):
            assert text in page, text
        clock.move_to(NOW + timedelta(hours=2))
        client.force_login(viewer)
        assert "Goes on" not in text_of(client.get("/admin/portal/staffview/"))
        look = StaffView.objects.get()
        assert "sue" in text_of(client.get(f"/admin/portal/staffview/{look.pk}/change/"))

    def test_nobody_changes_it(self, corp: Customer) -> None:
        _, look = look_on(corp)
        client = Client()
        client.force_login(User.objects.create_superuser("root"))
        assert client.get("/admin/portal/staffview/add/").status_code == 403
        assert client.post(f"/admin/portal/staffview/{look.pk}/delete/").status_code == 403
        assert client.post(f"/admin/portal/staffview/{look.pk}/change/", {"staff_name": "x"}).status_code == 403

    def test_it_stays_when_the_account_goes(self, corp: Customer) -> None:
        staff = make_staff()
        client, look = look_on(corp, staff)
        staff.delete()
        look.refresh_from_db()
        assert (look.staff, look.staff_name) == (None, "sue")
        assert client.get("/").status_code in (302, 403)
