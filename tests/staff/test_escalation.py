"""Nobody becomes more than they are: by accounts, groups, keys, passwords or devices."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from meters.keys import create_api_key
from meters.models import ApiKey
from meters.staff_groups import is_owner, roles_within
from meters.staff_roles import StaffRole
from portal.models import BrowserSession
from tests.factories import role_group
from tests.staff.conftest import PASSWORD, Staff, device_for, signed_in

pytestmark = pytest.mark.django_db

USERS, KEYS = "/admin/auth/user/", "/admin/meters/apikey/"
OTHERS = [StaffRole.FINANCE, StaffRole.SUPPORT, StaffRole.READ_ONLY]


@pytest.fixture
def owner(staff: Staff) -> User:
    return staff("olga", StaffRole.OWNER)


def given(user: User, *names: str) -> Client:
    """Signed in, with these permissions beside those of the role."""
    user.user_permissions.add(*Permission.objects.filter(codename__in=names))
    return signed_in(user)


def person(user: User, **fields: Any) -> dict[str, Any]:
    """What the page of an account sends."""
    joined = f"{user.date_joined:%Y-%m-%d}", f"{user.date_joined:%H:%M:%S}"
    form = {"username": user.username, "email": user.email, "is_active": "on", "first_name": "", "last_name": ""}
    return form | dict(zip(("date_joined_0", "date_joined_1"), joined, strict=True)) | ROWS | fields


# The rows of sessions below it; none of them is changed.
ROWS = {f"-1-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}


@pytest.mark.parametrize("role", OTHERS, ids=str)
def test_a_role_changes_nobody(role: StaffRole, staff: Staff, owner: User) -> None:
    device = device_for(owner)
    ada = staff("ada", role)
    client = signed_in(ada)
    before = list(User.objects.order_by("pk").values())
    new = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD, "is_superuser": "on", "is_staff": "on"}
    role_of_owner = role_group(StaffRole.OWNER)
    tries = [
        (f"{USERS}add/", new),
        (f"{USERS}{ada.pk}/change/", person(ada, is_superuser="on", groups=[role_of_owner.pk])),
        (f"{USERS}{owner.pk}/change/", person(owner, email="ada@vendor.example")),
        (f"{USERS}{owner.pk}/password/", {"password1": "x" * 12, "password2": "x" * 12}),
        (f"{USERS}{owner.pk}/delete/", {"post": "yes"}),
        (f"{USERS}{owner.pk}/second-factor/", {}),
        (f"/admin/auth/group/{role_of_owner.pk}/change/", {"name": "owner", "permissions": []}),
        ("/admin/auth/group/add/", {"name": "more", "permissions": [Permission.objects.get(codename="add_user").pk]}),
        (f"{KEYS}add/", {"name": "mine", "scopes": ["write"], "role": "owner"}),
    ]
    for path, form in tries:
        assert client.post(path, form).status_code == 403, path
        assert client.get(path).status_code == 403, path
    for action in ("delete_selected", "end_all_sessions"):
        assert client.post(USERS, {"action": action, "_selected_action": [owner.pk], "post": "yes"}).status_code == 403
    assert list(User.objects.order_by("pk").values()) == before
    assert not ada.groups.filter(name=StaffRole.OWNER).exists()
    assert TOTPDevice.objects.get() == device
    assert not ApiKey.objects.exists()


class TestSomebodyWhoMayChangeAccounts:
    """By a permission of their own, which Django's pages take for enough to do anything."""

    @pytest.fixture
    def ada(self, staff: Staff, owner: User) -> User:
        return staff("ada", StaffRole.SUPPORT)

    @pytest.fixture
    def client(self, ada: User) -> Client:
        names = ("view_user", "add_user", "change_user", "delete_user", "view_group", "add_group", "change_group")
        return given(ada, *names, "delete_group")

    def test_customers_people_are_theirs(self, client: Client) -> None:
        anna = User.objects.create_user("anna", "anna@acme.example")
        assert client.post(f"{USERS}{anna.pk}/change/", person(anna, first_name="Anna")).status_code == 302
        anna.refresh_from_db()
        assert anna.first_name == "Anna"

    def test_nobody_becomes_staff_by_them(self, client: Client) -> None:
        anna = User.objects.create_user("anna", "anna@acme.example")
        owners = role_group(StaffRole.OWNER).pk
        form = person(anna, is_staff="on", is_superuser="on", groups=[owners], user_permissions=[1, 2])
        assert client.post(f"{USERS}{anna.pk}/change/", form).status_code == 302
        anna.refresh_from_db()
        assert (anna.is_staff, anna.is_superuser) == (False, False)
        assert not anna.groups.exists()
        assert not anna.user_permissions.exists()

    def test_a_new_account_is_no_staffs(self, client: Client) -> None:
        new = {"username": "eve", "usable_password": "true", "password1": "x7-" * 5, "password2": "x7-" * 5}
        assert client.post(f"{USERS}add/", new | {"is_staff": "on", "is_superuser": "on"}).status_code == 302
        eve = User.objects.get(username="eve")
        assert (eve.is_staff, eve.is_superuser) == (False, False)

    def test_staff_are_not_theirs_nor_are_they_themselves(self, client: Client, ada: User, owner: User) -> None:
        device_for(owner)
        for who in (owner, ada):
            assert client.get(f"{USERS}{who.pk}/change/").status_code == 200
            assert client.post(f"{USERS}{who.pk}/change/", person(who, is_superuser="on")).status_code == 403
            assert client.post(f"{USERS}{who.pk}/password/", {"password1": "x", "password2": "x"}).status_code == 403
            assert client.post(f"{USERS}{who.pk}/delete/", {"post": "yes"}).status_code == 403
        assert client.post(f"{USERS}{owner.pk}/second-factor/").status_code == 403
        assert TOTPDevice.objects.exists()
        assert not is_owner(User.objects.get(pk=ada.pk))

    def test_nor_are_they_in_actions_of_the_list(self, client: Client, owner: User) -> None:
        signed_in(owner)
        client.post(USERS, {"action": "delete_selected", "_selected_action": [owner.pk], "post": "yes"})
        assert User.objects.filter(pk=owner.pk).exists()
        client.post(USERS, {"action": "end_all_sessions", "_selected_action": [owner.pk]})
        assert BrowserSession.objects.filter(user=owner).exists()

    def test_groups_are_an_owners(self, client: Client) -> None:
        group = Group.objects.create(name="mine")
        for path in ("add/", f"{group.pk}/change/", f"{group.pk}/delete/"):
            assert client.post(f"/admin/auth/group/{path}", {"name": "x"}).status_code == 403


class TestOwners:
    def test_they_make_others_staff(self, owner: User) -> None:
        anna = User.objects.create_user("anna", "anna@vendor.example")
        finance = role_group(StaffRole.FINANCE)
        form = person(anna, is_staff="on", groups=[finance.pk])
        assert signed_in(owner).post(f"{USERS}{anna.pk}/change/", form).status_code == 302
        anna = User.objects.get(pk=anna.pk)
        assert anna.is_staff
        assert anna.groups.get() == finance

    def test_groups_of_roles_are_not_changed_by_hand(self, owner: User) -> None:
        client = signed_in(owner)
        role = role_group(StaffRole.FINANCE)
        assert client.get(f"/admin/auth/group/{role.pk}/change/").status_code == 200
        for path in ("change", "delete"):
            assert client.post(f"/admin/auth/group/{role.pk}/{path}/", {"name": "x"}).status_code == 403
        own = Group.objects.create(name="auditors")
        assert client.post(f"/admin/auth/group/{own.pk}/change/", {"name": "auditing"}).status_code == 302

    def test_they_end_sessions_of_staff(self, owner: User, staff: Staff) -> None:
        bob = staff("bob", StaffRole.FINANCE)
        theirs = signed_in(bob)
        signed_in(owner).post(USERS, {"action": "end_all_sessions", "_selected_action": [bob.pk]})
        assert theirs.get("/admin/")["Location"].startswith("/admin/login/")

    def test_one_who_is_no_longer_active_is_none(self, owner: User) -> None:
        assert is_owner(owner)
        for field in ("is_active", "is_staff"):
            setattr(owner, field, False)
            assert not is_owner(owner)
            setattr(owner, field, True)


class TestKeys:
    def test_an_owner_chooses_any_role(self, owner: User) -> None:
        form = {"name": "books", "scopes": ["read"], "role": "finance", "expires_at_0": "", "expires_at_1": ""}
        assert signed_in(owner).post(f"{KEYS}add/", form | {"rate_limit": ""}).status_code == 200
        assert ApiKey.objects.get().role == StaffRole.FINANCE
        assert roles_within(owner) == list(StaffRole)

    def test_others_choose_what_is_within_their_own(self, staff: Staff) -> None:
        ada = staff("ada", StaffRole.SUPPORT)
        client = given(ada, "add_apikey", "change_apikey", "view_apikey")
        assert roles_within(User.objects.get(pk=ada.pk)) == [StaffRole.SUPPORT]
        page = client.get(f"{KEYS}add/").content.decode()
        assert 'value="support"' in page
        assert 'value="owner"' not in page
        form = {"name": "mine", "scopes": ["write"], "expires_at_0": "", "expires_at_1": "", "rate_limit": ""}
        for role in ("owner", "finance", "", "root"):
            client.post(f"{KEYS}add/", form | {"role": role})
        assert not ApiKey.objects.exists()
        client.post(f"{KEYS}add/", form | {"role": "support"})
        assert ApiKey.objects.get().role == StaffRole.SUPPORT

    def test_nobody_rotates_a_key_that_opens_more(self, staff: Staff) -> None:
        client = given(staff("ada", StaffRole.SUPPORT), "add_apikey", "change_apikey", "view_apikey")
        key, _ = create_api_key(name="gateway", scopes=["write"])
        assert client.post(f"{KEYS}{key.pk}/rotate/", {"overlap": "1"}).status_code == 403
        assert "Rotate" not in client.get(f"{KEYS}{key.pk}/change/").content.decode()
        client.post(KEYS, {"action": "rotate_key", "_selected_action": [key.pk]})
        assert ApiKey.objects.count() == 1

    def test_the_role_of_a_key_never_changes(self, owner: User) -> None:
        key, _ = create_api_key(name="books", scopes=["read"], role=StaffRole.SUPPORT)
        form = {"name": "books", "role": "owner", "expires_at_0": "", "expires_at_1": "", "rate_limit": ""}
        signed_in(owner).post(f"{KEYS}{key.pk}/change/", form)
        key.refresh_from_db()
        assert key.role == StaffRole.SUPPORT
