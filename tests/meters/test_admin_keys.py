"""The staff pages of API keys: limits, states, rotation."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from meters.keys import create_api_key, find, revoke, rotate
from meters.models import ApiKey
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

LIST = "/admin/meters/apikey/"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


def shown(response: Any) -> str:
    found = re.search(r'<code class="secret">(tm_[\w-]+)</code>', response.content.decode())
    assert found is not None
    return found[1]


def new(**fields: Any) -> dict[str, Any]:
    return {
        "name": "server",
        "scopes": ["ingest"],
        "role": "owner",
        "expires_at_0": "",
        "expires_at_1": "",
        "rate_limit": "",
    } | fields


def test_a_key_is_made_with_customer_expiry_and_limit(staff: Client) -> None:
    customer = make_customer()
    fields = new(customer=customer.pk, expires_at_0="2100-01-01", expires_at_1="00:00", rate_limit="50")
    key = find(shown(staff.post(f"{LIST}add/", fields)))
    assert key is not None
    assert (key.customer, key.rate_limit, key.expires_at.isoformat()) == (customer, 50, "2100-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"expires_at_0": "2001-01-01", "expires_at_1": "00:00"}, "This moment has passed already."),
        ({"rate_limit": "100001"}, "From 1 to 100,000 requests a second"),
        ({"rate_limit": "0"}, "From 1 to 100,000 requests a second"),
        ({"scopes": ["write"], "customer": "acme"}, "can send events and read, and change nothing"),
    ],
    ids=str,
)
def test_what_a_key_cannot_be_is_said_beside_the_field(staff: Client, fields: dict[str, Any], message: str) -> None:
    if "customer" in fields:
        fields = fields | {"customer": make_customer(fields["customer"]).pk}
    response = staff.post(f"{LIST}add/", new(**fields))
    assert message in response.content.decode()
    assert not ApiKey.objects.exists()


def test_name_expiry_and_limit_change_and_nothing_else(staff: Client) -> None:
    key, text = create_api_key(name="server", scopes=["read"])
    page = f"{LIST}{key.pk}/change/"
    staff.post(page, new(name="gateway", scopes=["write"], rate_limit="7"))
    found = find(text)
    assert found is not None
    assert (found.name, found.scopes, found.rate_limit) == ("gateway", ["read"], 7)
    assert "7 a second, of which 2 may come at once" in staff.get(page).content.decode()


def test_the_list_tells_the_states_apart(staff: Client) -> None:
    create_api_key(name="one", scopes=["read"])
    create_api_key(name="two", scopes=["read"], expires_at=timezone.now() + timedelta(days=2))
    over, _ = create_api_key(name="three", scopes=["read"])
    ApiKey.objects.filter(pk=over.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    revoke(create_api_key(name="four", scopes=["read"])[0])
    page = staff.get(LIST).content.decode()
    assert re.findall(r'<span class="chip[^>]*>(In use|In use until|Expired|Revoked)\b', page) == [
        "Revoked",
        "In use",
        "Expired",
        "In use",
    ]
    assert page.count("In use until") == 1


def test_rotation_shows_the_new_key_once_and_the_chain_for_good(staff: Client) -> None:
    old, old_text = create_api_key(name="server", scopes=["read"], rate_limit=5)
    page = f"{LIST}{old.pk}/rotate/"
    assert page in staff.get(f"{LIST}{old.pk}/change/").content.decode()
    assert "Hours of overlap" in staff.get(page).content.decode()
    answer = staff.post(page, {"overlap": "48"})
    text = shown(answer)
    key = find(text)
    assert key is not None
    assert (key.rotated_from, key.rate_limit) == (old, 5)
    old.refresh_from_db()
    assert old.expires_at is not None
    assert timedelta(hours=47) < old.expires_at - timezone.now() <= timedelta(hours=48)
    assert find(old_text) == old
    for address in (LIST, f"{LIST}{key.pk}/change/", f"{LIST}{old.pk}/change/", "/admin/"):
        assert text not in staff.get(address).content.decode()
    assert f"{LIST}{old.pk}/change/" in staff.get(f"{LIST}{key.pk}/change/").content.decode()
    after = staff.get(f"{LIST}{old.pk}/change/").content.decode()
    assert f"{LIST}{key.pk}/change/" in after
    assert page not in after


@pytest.mark.parametrize("overlap", ["", "-1", "2161", "x"])
def test_an_overlap_that_is_none_is_refused(staff: Client, overlap: str) -> None:
    old, _ = create_api_key(name="server", scopes=["read"])
    assert b"errorlist" in staff.post(f"{LIST}{old.pk}/rotate/", {"overlap": overlap}).content
    assert ApiKey.objects.count() == 1


def test_a_page_that_is_sent_twice_rotates_once(staff: Client) -> None:
    old, _ = create_api_key(name="server", scopes=["read"])
    for _ in range(2):
        answer = staff.post(f"{LIST}{old.pk}/rotate/", {"overlap": "1"})
    assert "takes the place of" in answer.content.decode()
    assert "secret" not in answer.content.decode()
    assert ApiKey.objects.count() == 2


def test_the_action_takes_one_key(staff: Client) -> None:
    keys = [create_api_key(name="server", scopes=["read"])[0] for _ in range(2)]
    one = staff.post(LIST, {"action": "rotate_key", "_selected_action": [keys[0].pk]})
    assert one["Location"] == f"{LIST}{keys[0].pk}/rotate/"
    both = staff.post(LIST, {"action": "rotate_key", "_selected_action": [key.pk for key in keys]}, follow=True)
    assert "one key at a time" in both.content.decode()
    assert ApiKey.objects.count() == 2


def test_rotating_takes_the_permissions_to_add_and_to_change(client: Client) -> None:
    old, _ = create_api_key(name="server", scopes=["read"])
    colleague = User.objects.create_user("colleague", is_staff=True)
    colleague.user_permissions.set(Permission.objects.filter(codename__in=["view_apikey", "change_apikey"]))
    client.force_login(colleague)
    assert client.post(f"{LIST}{old.pk}/rotate/", {"overlap": "1"}).status_code == 403
    assert "rotate" not in client.get(f"{LIST}{old.pk}/change/").content.decode()
    assert ApiKey.objects.count() == 1


def test_there_is_no_page_for_a_key_that_does_not_exist(staff: Client) -> None:
    assert staff.get(f"{LIST}999/rotate/").status_code == 404


def test_an_expired_key_is_not_offered_to_be_rotated(staff: Client) -> None:
    old, _ = create_api_key(name="server", scopes=["read"])
    new_, _ = rotate(old, overlap=timedelta(0))
    assert f"{LIST}{old.pk}/rotate/" not in staff.get(f"{LIST}{old.pk}/change/").content.decode()
    assert f"{LIST}{new_.pk}/rotate/" in staff.get(f"{LIST}{new_.pk}/change/").content.decode()
