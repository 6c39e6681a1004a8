import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.portal.conftest import SignIn

PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def alice(db: None) -> User:
    return User.objects.create_user("alice", "Alice@Example.com", PASSWORD)


@pytest.mark.parametrize("name", ["alice", "alice@example.com", "ALICE@example.COM"])
def test_with_user_name_or_e_mail(name: str, client: Client) -> None:
    answer = client.post("/sign-in/", {"username": name, "password": PASSWORD})
    assert answer.status_code == 302
    assert answer["Location"] == "/"
    assert "_auth_user_id" in client.session


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", "wrong"), ("nobody", PASSWORD), ("nobody@example.com", PASSWORD), ("a\x00b@c", "x")],
)
def test_what_does_not_fit_is_said_without_saying_which(name: str, password: str, client: Client) -> None:
    answer = client.post("/sign-in/", {"username": name, "password": password})
    assert answer.status_code == 200
    assert "_auth_user_id" not in client.session
    if "\x00" not in name:
        assert "do not go together" in answer.content.decode()


def test_an_e_mail_of_two_accounts_is_nobodys(client: Client) -> None:
    User.objects.create_user("twin", "alice@example.com", PASSWORD)
    client.post("/sign-in/", {"username": "alice@example.com", "password": PASSWORD})
    assert "_auth_user_id" not in client.session


def test_a_user_name_goes_before_another_persons_e_mail(client: Client) -> None:
    named = User.objects.create_user("alice@example.com", "other@example.com", PASSWORD)
    client.post("/sign-in/", {"username": "alice@example.com", "password": PASSWORD})
    assert client.session["_auth_user_id"] == str(named.pk)


def test_an_account_that_is_closed_stays_outside(client: Client) -> None:
    User.objects.update(is_active=False)
    client.post("/sign-in/", {"username": "alice@example.com", "password": PASSWORD})
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    ("target", "location"), [("/usage/?group=source", "/usage/?group=source"), ("https://evil.example/", "/")]
)
def test_it_goes_where_the_person_wanted_to_go(target: str, location: str, client: Client) -> None:
    answer = client.post("/sign-in/", {"username": "alice", "password": PASSWORD, "next": target})
    assert answer["Location"] == location


def test_who_is_signed_in_already_goes_on(sign_in: SignIn) -> None:
    assert sign_in("bob").get("/sign-in/")["Location"] == "/"


def test_signing_out_is_a_post(sign_in: SignIn) -> None:
    person = sign_in("bob")
    assert person.get("/sign-out/").status_code == 405
    assert person.post("/sign-out/")["Location"] == "/sign-in/"
    assert person.get("/").status_code == 302
