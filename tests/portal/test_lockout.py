"""Wrong passwords are counted by user and address."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from tests.portal.conftest import NOW
from tests.portal.mailbox import _mailbox, deliver, link_in  # noqa: F401

PASSWORD = "a long password"
MOST = settings.SIGN_IN_ATTEMPTS

pytestmark = pytest.mark.usefixtures("clock", "db")


@pytest.fixture(autouse=True)
def alice(db: None, _mailbox: None) -> User:  # noqa: F811
    return User.objects.create_user("alice", "alice@example.com", PASSWORD)


def try_(client: Client, name: str = "alice", password: str = "wrong", **more: Any) -> Any:
    return client.post("/sign-in/", {"username": name, "password": password}, **more)


def lock(client: Client, name: str = "alice") -> Any:
    for _ in range(MOST - 1):
        assert try_(client, name).status_code == 200
    return try_(client, name)


@pytest.mark.parametrize("name", ["alice", "nobody", "nobody@example.com"])
def test_too_many_are_told_until_when_also_for_a_name_that_nobody_has(name: str, client: Client) -> None:
    answer = lock(client, name)
    assert answer.status_code == 429
    assert answer["Retry-After"] == "900"
    page = answer.content.decode()
    assert "14:17 UTC" in page
    assert "in 15 minutes" in page
    assert "/sign-in/link/" in page


def test_then_the_right_password_does_not_help_until_it_is_over(client: Client, clock: time_machine.Traveller) -> None:
    lock(client)
    clock.move_to(NOW + timedelta(minutes=14))
    refused = try_(client, password=PASSWORD)
    assert refused.status_code == 429
    assert "in 1 minute." in refused.content.decode()
    assert "_auth_user_id" not in client.session
    clock.move_to(NOW + timedelta(minutes=15, seconds=1))
    assert try_(client, password=PASSWORD).status_code == 302


def test_tries_while_it_is_closed_do_not_make_it_longer(client: Client, clock: time_machine.Traveller) -> None:
    lock(client)
    for minute in range(1, 15):
        clock.move_to(NOW + timedelta(minutes=minute))
        assert try_(client).status_code == 429
    clock.move_to(NOW + timedelta(minutes=15, seconds=1))
    assert try_(client, password=PASSWORD).status_code == 302


def test_it_is_one_user_from_one_address(client: Client) -> None:
    User.objects.create_user("bob", "bob@example.com", PASSWORD)
    lock(client)
    assert try_(client, "bob", PASSWORD).status_code == 302
    assert try_(Client(), password=PASSWORD, REMOTE_ADDR="192.0.2.7").status_code == 302


def test_an_account_has_one_count_by_all_its_names_and_browsers(client: Client) -> None:
    names = ["alice", "alice@example.com", "ALICE@example.com", "Alice@Example.Com"]
    for number in range(MOST - 1):
        assert try_(Client(), names[number % 4], headers={"user-agent": f"browser {number}"}).status_code == 200
    assert try_(client).status_code == 429


def test_the_right_password_begins_anew(client: Client) -> None:
    for _ in range(MOST - 1):
        try_(client)
    assert try_(client, password=PASSWORD).status_code == 302
    assert not AccessAttempt.objects.exists()
    assert try_(Client()).status_code == 200


def test_no_password_is_kept(client: Client) -> None:
    try_(client, password="nearly my password")
    kept = AccessAttempt.objects.get()
    assert "nearly" not in kept.post_data + kept.get_data


def test_the_admin_counts_too(client: Client) -> None:
    User.objects.create_superuser("root", "root@example.com", PASSWORD)
    for _ in range(MOST):
        answer = client.post("/admin/login/", {"username": "root", "password": "wrong"})
    assert answer.status_code == 429
    assert client.post("/admin/login/", {"username": "root", "password": PASSWORD}).status_code == 429


def test_a_link_by_mail_lets_in_who_is_locked_out_and_opens_the_lock(client: Client) -> None:
    lock(client)
    client.post("/sign-in/link/", {"email": "alice@example.com"})
    [message] = deliver()
    assert client.post(link_in(message)).status_code == 302
    assert try_(Client(), password=PASSWORD).status_code == 302


@pytest.mark.parametrize(
    ("proxies", "forwarded", "counted"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (1, "", "127.0.0.1"),
        (1, "unknown", None),
    ],
)
def test_which_address_counts(proxies: int, forwarded: str, counted: str | None, client: Client, settings: Any) -> None:
    settings.PROXIES = proxies
    try_(client, headers={"x-forwarded-for": forwarded})
    assert AccessAttempt.objects.get().ip_address == counted


def test_nothing_but_the_database_has_to_be_there(client: Client, settings: Any) -> None:
    settings.REDIS_URL = settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    assert try_(client).status_code == 200
    assert try_(client, password=PASSWORD).status_code == 302
    assert client.post("/sign-in/link/", {"email": "alice@example.com"}).status_code == 302


def test_staff_see_a_lock_and_open_it(client: Client) -> None:
    lock(client)
    staff = Client()
    staff.force_login(User.objects.create_superuser("root", "root@example.com"))
    page = staff.get("/admin/axes/accessattempt/").content.decode()
    assert "alice" in page
    assert "127.0.0.1" in page
    [kept] = AccessAttempt.objects.all()
    assert staff.get(f"/admin/axes/accessattempt/{kept.pk}/change/").status_code == 200
    data = {"action": "delete_selected", "_selected_action": [kept.pk], "post": "yes"}
    staff.post("/admin/axes/accessattempt/", data)
    assert try_(client, password=PASSWORD).status_code == 302
