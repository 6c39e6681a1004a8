"""What staff see of links and their sessions, and the portal's policy."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from meters.models import Customer
from portal.models import PortalSession
from portal.policy import portal_policy
from tests.factories import make_customer
from tests.portal.guests import come_by_link, make_link

POLICY = "/admin/portal/portalpolicy/"
SESSIONS = "/admin/portal/portalsession/"


@pytest.fixture
def corp(db: None, clock: object) -> Customer:
    return make_customer("acme", name="Acme Corp")


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def staff_with(*codes: str) -> Client:
    user = User.objects.create_user("sue", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codes))
    client = Client()
    client.force_login(user)
    return client


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


class TestSessions:
    def test_who_is_in(self, root: Client, corp: Customer) -> None:
        _, session = come_by_link(corp, member="Jane Doe")
        make_link(corp, member="Joe")
        page = text_of(root.get(SESSIONS))
        for text in ("Jane Doe", "Active", "Joe", "Link not used", "127.0.0.1", "18 Nov 2026, 14:02 UTC"):
            assert text in page, text
        detail = text_of(root.get(f"{SESSIONS}{session.pk}/change/"))
        assert "Jane Doe" in detail
        assert "backend" in detail

    def test_out_with_them(self, corp: Customer) -> None:
        client, session = come_by_link(corp)
        staff = staff_with("view_portalsession", "change_portalsession")
        body = {"action": "revoke_sessions", "_selected_action": [session.pk]}
        assert "Sessions revoked: 1" in text_of(staff.post(SESSIONS, body, follow=True))
        assert client.get("/").status_code == 403
        session.refresh_from_db()
        assert session.revoked_by == "sue"
        assert "Sessions revoked: 0" in text_of(staff.post(SESSIONS, body, follow=True))

    def test_who_may_look_only_cannot(self, corp: Customer) -> None:
        client, session = come_by_link(corp)
        staff = staff_with("view_portalsession")
        staff.post(SESSIONS, {"action": "revoke_sessions", "_selected_action": [session.pk]})
        assert client.get("/").status_code == 200
        assert staff.get(f"{SESSIONS}add/").status_code == 403
        assert staff.post(f"{SESSIONS}{session.pk}/change/", {"role": "owner"}).status_code == 403
        assert PortalSession.objects.get().role == "read_only"


class TestPolicy:
    def test_it_is_seen_and_changed(self, root: Client) -> None:
        assert "https://app.example" in text_of(root.get(POLICY))
        body = {"return_origins": "https://App.example/\r\n\r\nhttp://localhost:9000", "offers_read_keys": "on"}
        assert root.post(POLICY, body).status_code == 302
        policy = portal_policy()
        assert (policy.return_origins, policy.offers_read_keys) == (
            ["https://app.example", "http://localhost:9000"],
            True,
        )
        assert "http://localhost:9000</textarea>" in text_of(root.get(POLICY))
        root.post(POLICY, {"return_origins": ""})
        policy = portal_policy()
        assert (policy.return_origins, policy.offers_read_keys) == ([], False)

    def test_what_is_no_origin_is_said(self, root: Client) -> None:
        page = text_of(root.post(POLICY, {"return_origins": "https://app.example/account"}))
        assert "Write scheme and host alone" in page
        assert portal_policy().return_origins == []

    def test_who_may(self, corp: Customer) -> None:
        assert staff_with("view_customer").get(POLICY).status_code == 403
        User.objects.all().delete()
        viewer = staff_with("view_portalpolicy")
        assert 'value="Save"' not in text_of(viewer.get(POLICY))
        assert viewer.post(POLICY, {"return_origins": "https://evil.example"}).status_code == 403
        assert portal_policy().return_origins == []
