"""The staff pages of meters, customers, events and API keys, through the forms that a browser posts."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client, RequestFactory

from config.admin import TollmeterAdminSite
from meters.admin.usage_page import UsageTable
from meters.keys import find
from meters.models import ApiKey, Customer, Meter
from tests.factories import make_customer, make_meter, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
def colleague(client: Client) -> Client:
    """Of the staff, but with no permission."""
    client.force_login(User.objects.create_user("colleague", is_staff=True))
    return client


def text(response: Any) -> str:
    return str(response.content.decode())


# --- Customers ---

CUSTOMER = {"key": "acme", "name": "Acme", "email": "", "time_zone": "", "traits": ""}


def test_a_customer_is_made_with_traits_a_line_each(staff: Client) -> None:
    staff.post(
        "/admin/meters/customer/add/",
        CUSTOMER | {"traits": "product = integration\r\n\r\nplan=a=b", "time_zone": "Europe/Berlin"},
    )
    customer = Customer.objects.get(key="acme")
    assert customer.traits == {"product": "integration", "plan": "a=b"}
    assert customer.time_zone == "Europe/Berlin"
    assert customer.source == Customer.Source.ADMIN
    assert customer.onboarded_at is not None


@pytest.mark.parametrize(
    ("typed", "field", "error"),
    [
        ({"traits": "product=x\nbad"}, "traits", "Line 2: write it as name=value."),
        ({"traits": "a=1\na=2"}, "traits", "Line 2: a is there already."),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "not one of the available choices"),
        ({"key": "taken"}, "key", "already exists"),
        ({"key": "a\tb"}, "key", "Use printable text."),
        ({"email": "nobody"}, "email", "valid email"),
    ],
)
def test_what_is_wrong_with_a_customer_stands_beside_its_field(
    staff: Client, typed: dict[str, str], field: str, error: str
) -> None:
    make_customer("taken")
    response = staff.post("/admin/meters/customer/add/", CUSTOMER | typed)
    assert response.status_code == 200
    assert error in " ".join(response.context["adminform"].form.errors[field])
    assert list(Customer.objects.values_list("key", flat=True)) == ["taken"]


def test_the_key_of_a_customer_stays(staff: Client) -> None:
    customer = make_customer("acme", traits={"a": "1"})
    page = f"/admin/meters/customer/{customer.pk}/change/"
    assert "a=1" in text(staff.get(page))
    staff.post(page, CUSTOMER | {"key": "other", "name": "New", "traits": "a=2"})
    customer.refresh_from_db()
    assert (customer.key, customer.name, customer.traits) == ("acme", "New", {"a": "2"})
    assert staff.post(f"/admin/meters/customer/{customer.pk}/delete/").status_code == 403


def test_traits_that_lines_cannot_say_are_left_alone(staff: Client) -> None:
    customer = make_customer("acme", traits={"note": "two\nlines"})
    staff.post(f"/admin/meters/customer/{customer.pk}/change/", CUSTOMER | {"name": "New", "traits": "note=one"})
    customer.refresh_from_db()
    assert (customer.name, customer.traits) == ("New", {"note": "two\nlines"})


def test_usage_by_day_in_the_customers_own_days(staff: Client) -> None:
    make_meter("Peak", aggregation="max", unit="GB")
    make_meter()
    customer = make_customer("acme", time_zone="Europe/Berlin")
    now = datetime(2026, 7, 20, tzinfo=UTC)
    send("acme", "ApiCalls", 1200, time=datetime(2026, 7, 1, 21, 59, tzinfo=UTC), now=now)
    send("acme", "ApiCalls", 34, time=datetime(2026, 7, 1, 22, 0, tzinfo=UTC), now=now)
    send("acme", "Peak", 7, time=datetime(2026, 7, 1, 22, 0, tzinfo=UTC), now=now)
    send("acme", "Peak", 5, time=datetime(2026, 7, 3, 12, 0, tzinfo=UTC), now=now)
    response = staff.get(f"/admin/meters/customer/{customer.pk}/usage/?month=2026-07")
    table = response.context["table"]
    assert [meter.key for meter in table.meters] == ["ApiCalls", "Peak"]
    assert [list(quantities) for _, quantities in table.rows[:3]] == [["1,200", "0"], ["34", "7"], ["0", "5"]]
    assert len(table.rows) == 31
    assert list(table.totals) == ["1,234", "7"]
    bad = staff.get(f"/admin/meters/customer/{customer.pk}/usage/?month=2026-13")
    assert "Write the month as 2026-07." in text(bad)


@pytest.mark.parametrize(
    ("name", "unit", "shown"),
    [
        ("API calls", "calls", ""),
        ("API calls", "API calls", ""),
        ("ApiCalls", "calls", ""),
        ("Recalls", "calls", "calls"),
        ("Seats", "", ""),
    ],
)
def test_a_unit_is_said_where_the_name_does_not(name: str, unit: str, shown: str) -> None:
    meter = Meter(key="Key", name=name, unit=unit)
    assert UsageTable([meter], [], []).headings == [(name, shown)]


# --- API keys ---


def test_a_key_is_shown_once(staff: Client) -> None:
    response = staff.post(
        "/admin/meters/apikey/add/", {"name": "server", "scopes": ["ingest", "read"], "role": "owner"}
    )
    shown = re.search(r'<code class="secret">([^<]+)</code>', text(response))
    assert shown is not None
    key = find(shown[1])
    assert key is not None
    assert key.scopes == ["ingest", "read"]
    assert "no-store" in response["Cache-Control"]
    for page in ("/admin/meters/apikey/", f"/admin/meters/apikey/{key.pk}/change/", "/admin/"):
        assert shown[1] not in text(staff.get(page))
    assert shown[1] not in str(staff.cookies)


def test_a_key_needs_a_scope(staff: Client) -> None:
    response = staff.post("/admin/meters/apikey/add/", {"name": "server", "role": "owner"})
    assert response.context["adminform"].form.errors["scopes"] == ["Choose at least one scope."]
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_and_not_deleted(staff: Client) -> None:
    staff.post("/admin/meters/apikey/add/", {"name": "server", "scopes": ["ingest"], "role": "owner"})
    key = ApiKey.objects.get()
    staff.post("/admin/meters/apikey/", {"action": "revoke_keys", "_selected_action": [key.pk]})
    key.refresh_from_db()
    assert key.revoked_at is not None
    staff.post(f"/admin/meters/apikey/{key.pk}/change/", {"name": "renamed", "scopes": ["write"]})
    key.refresh_from_db()
    assert (key.name, key.scopes) == ("renamed", ["ingest"])
    assert staff.get(f"/admin/meters/apikey/{key.pk}/delete/").status_code == 403


# --- Who may ---

PAGES = ["meters/meter/", "meters/customer/", "meters/event/", "meters/apikey/", "pricing/plan/", "invoices/invoice/"]


@pytest.mark.parametrize("page", ["", *PAGES])
def test_who_is_not_of_the_staff_is_sent_to_sign_in(client: Client, page: str) -> None:
    client.force_login(User.objects.create_user("customer"))
    response = client.get(f"/admin/{page}")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("page", PAGES)
def test_staff_without_permission_are_refused(colleague: Client, page: str) -> None:
    assert colleague.get(f"/admin/{page}").status_code == 403


def test_usage_needs_permission_to_see_customers(colleague: Client) -> None:
    customer = make_customer("acme")
    page = f"/admin/meters/customer/{customer.pk}/usage/"
    assert colleague.get(page).status_code == 403
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_customer"))
    assert colleague.get(page).status_code == 200


# --- Content security policy ---


@pytest.mark.parametrize(
    "path", sorted((settings.BASE_DIR / "templates" / "admin").rglob("*.html")), ids=lambda path: str(Path(path).name)
)
def test_no_template_carries_script_or_style_of_its_own(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"<style\b|\sstyle=|\son[a-z]+=|javascript:", source, re.IGNORECASE)
    assert not re.search(r"<script(?![^>]*\bsrc=)", source, re.IGNORECASE)


# --- The front page ---


def test_the_front_page_is_in_the_order_in_which_staff_think(rf: RequestFactory) -> None:
    site = TollmeterAdminSite()
    site._registry = admin.site._registry
    request = rf.get("/admin/")
    request.user = User.objects.create_superuser("staff")
    apps = site.get_app_list(request)
    assert [app["app_label"] for app in apps] == ["meters", "pricing", "invoices", "portal", "auth", "axes"]
    names = [model["object_name"] for model in apps[1]["models"]]
    assert names == ["Plan", "ProductItem", "AssignmentRule", "Assignment", "AssignmentLog", "Promotion", "TaxRate"]
