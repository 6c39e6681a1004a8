"""Browsers that are let in by the vendor's link, or by staff's own eyes."""

from typing import Any

from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from meters.keys import create_api_key
from meters.models import ApiKey, Customer
from portal.guests.sessions import create_portal_session
from portal.models import PortalSession, StaffView
from portal.policy import set_portal_policy

APP = "https://app.example"


def make_link(customer: Customer, **fields: Any) -> tuple[PortalSession, str]:
    """A session, and the path of the link that opens it."""
    set_portal_policy(changes={"return_origins": [APP]})
    key = ApiKey.objects.filter(name="backend").first() or create_api_key(name="backend", scopes=["write"])[0]
    fields = {"return_url": f"{APP}/account?tab=2"} | fields
    session, text = create_portal_session(customer=customer, api_key=key, now=timezone.now(), **fields)
    return session, f"/enter/{text}/"


def come_by_link(customer: Customer, client: Client | None = None, **fields: Any) -> tuple[Client, PortalSession]:
    session, path = make_link(customer, **fields)
    client = client or Client()
    assert client.post(path).status_code == 302
    return client, PortalSession.objects.get(pk=session.pk)


def queries_of(client: Client, path: str) -> int:
    """How many a page costs that was asked for before."""
    client.get(path)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def make_staff(name: str = "sue", *, may_look: bool = True, **fields: Any) -> User:
    user = User.objects.create_user(name, f"{name}@vendor.example", is_staff=True, **fields)
    codes = ["view_customer", "view_invoice", *(["view_as_customer"] if may_look else [])]
    user.user_permissions.set(Permission.objects.filter(codename__in=codes))
    return user


def look_on(customer: Customer, staff: User | None = None) -> tuple[Client, StaffView]:
    client = Client()
    client.force_login(staff or make_staff())
    assert client.post(f"/admin/portal/staffview/customers/{customer.pk}/").status_code == 302
    return client, StaffView.objects.latest("pk")
