"""The second factor of staff: set up, asked for, right once, and in nobody's way twice."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt
from django.conf import settings as django_settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from meters.staff_roles import StaffRole
from portal.models import BrowserSession, LinkRequest, RecoveryCode, StaffView
from portal.staff import second_factor
from portal.staff.second_factor import new_codes, picture, secret_text, verify
from tests.factories import make_customer
from tests.staff.conftest import NOW, PASSWORD, Staff, code_of, device_for, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

PAGE = "/admin/second-factor/"
CODE, SET_UP = f"{PAGE}code/", f"{PAGE}set-up/"


@pytest.fixture
def ada(staff: Staff) -> User:
    return staff("ada", StaffRole.OWNER)


@pytest.fixture
def device(ada: User) -> TOTPDevice:
    return device_for(ada)


@pytest.fixture
def required(settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = "required"


def text_of(answer: Any) -> str:
    return answer.content.decode()


def give(client: Client, code: str, **more: Any) -> Any:
    return client.post(CODE, {"code": code} | more)


def lets_in(client: Client) -> bool:
    return client.get("/admin/meters/customer/").status_code == 200


class TestSettingUp:
    def test_whoever_has_none_sets_one_up_before_anything_else(self, required: None, ada: User) -> None:
        client = signed_in(ada)
        answer = client.get("/admin/meters/customer/?q=x")
        assert answer["Location"] == f"{SET_UP}?next=%2Fadmin%2Fmeters%2Fcustomer%2F%3Fq%3Dx"
        page = text_of(client.get(answer["Location"]))
        # What is behind it is not told.
        assert "meters/customer/add" not in page
        assert "Customers" not in page
        secret = client.session["second-factor-new"]
        assert secret_text(secret) in page
        image = client.get(f"{SET_UP}picture.svg")
        assert image["Content-Type"] == "image/svg+xml"
        assert "no-store" in image["Cache-Control"]
        assert b"style" not in image.content
        new = TOTPDevice(key=secret)
        shown = client.post(SET_UP, {"code": code_of(new), "next": "/admin/meters/customer/?q=x"})
        codes = re.findall(r"<code>([a-z2-7 ]{19})</code>", text_of(shown))
        assert len(set(codes)) == 10
        assert 'href="/admin/meters/customer/?q=x"' in text_of(shown)
        assert lets_in(client)
        made = TOTPDevice.objects.get()
        assert (made.user, made.key, made.confirmed) == (ada, secret, True)
        # Shown once, and stored as hashes.
        assert codes[0] not in text_of(client.get(PAGE))
        assert {bytes(one.digest) for one in RecoveryCode.objects.all()} == {
            second_factor.digest(code.replace(" ", "")) for code in codes
        }
        assert LogEntry.objects.get().change_message == "Set up a second factor."

    def test_the_picture_says_whose_it_is(self, ada: User) -> None:
        url = second_factor.enrolment_url(ada, "00" * 20)
        assert url == (
            "otpauth://totp/AwesomeIntegration%3Aada?"
            "secret=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&issuer=AwesomeIntegration&digits=6&period=30"
        )
        assert picture(url).startswith(b"<svg")

    @pytest.mark.parametrize("code", ["000000", "", "abc", "12345", "１２３４５６", "x" * 200])
    def test_a_wrong_code_sets_nothing_up(self, ada: User, code: str) -> None:
        client = signed_in(ada)
        client.get(SET_UP)
        answer = client.post(SET_UP, {"code": code})
        assert answer.status_code == 422
        assert not TOTPDevice.objects.exists()

    def test_where_it_is_optional_nobody_is_kept_out(self, ada: User) -> None:
        client = signed_in(ada)
        assert lets_in(client)
        assert "Set up a second factor" in text_of(client.get(PAGE))

    def test_the_code_that_confirmed_it_lets_nobody_in_a_second_time(self, ada: User) -> None:
        client = signed_in(ada)
        client.get(SET_UP)
        code = code_of(TOTPDevice(key=client.session["second-factor-new"]))
        client.post(SET_UP, {"code": code})
        other = signed_in(ada)
        assert give(other, code).status_code == 422
        assert not lets_in(other)

    def test_sessions_of_before_end(self, ada: User) -> None:
        old, client = signed_in(ada), signed_in(ada)
        client.get(SET_UP)
        client.post(SET_UP, {"code": code_of(TOTPDevice(key=client.session["second-factor-new"]))})
        assert lets_in(client)
        assert old.get("/admin/")["Location"].startswith("/admin/login/")
        assert BrowserSession.objects.filter(user=ada).count() == 1

    def test_nobody_sets_another_one_up_with_a_password_alone(self, ada: User, device: TOTPDevice) -> None:
        client = signed_in(ada)
        for path in (SET_UP, f"{SET_UP}picture.svg"):
            assert client.get(path).status_code in (302, 404)
        assert client.post(SET_UP, {"code": "000000"}).status_code == 302
        for action in ("replace", "remove", "recovery-codes", "sessions/end-others"):
            assert client.post(f"{PAGE}{action}/")["Location"] == CODE
        assert TOTPDevice.objects.get() == device

    def test_another_device_takes_the_place_of_the_first_once_it_is_confirmed(
        self, ada: User, device: TOTPDevice
    ) -> None:
        client = signed_in(ada)
        give(client, code_of(device))
        assert client.post(f"{PAGE}replace/")["Location"] == SET_UP
        assert "stays until" in text_of(client.get(SET_UP))
        assert client.post(SET_UP, {"code": "000000"}).status_code == 422
        assert TOTPDevice.objects.get() == device
        client.post(SET_UP, {"code": code_of(TOTPDevice(key=client.session["second-factor-new"]))})
        assert TOTPDevice.objects.get().pk != device.pk
        assert lets_in(client)

    def test_what_is_grave_asks_for_a_code_that_is_fresh(
        self, ada: User, device: TOTPDevice, clock: time_machine.Traveller
    ) -> None:
        client = signed_in(ada)
        give(client, code_of(device))
        clock.shift(timedelta(minutes=16))
        assert client.post(f"{PAGE}remove/")["Location"] == CODE
        assert TOTPDevice.objects.exists()
        give(client, code_of(device))
        client.post(f"{PAGE}remove/")
        assert not TOTPDevice.objects.exists()
        assert lets_in(client)

    def test_it_is_not_removed_where_it_is_required(self, required: None, ada: User, device: TOTPDevice) -> None:
        client = signed_in(ada)
        give(client, code_of(device))
        client.post(f"{PAGE}remove/")
        assert TOTPDevice.objects.get() == device


class TestSigningIn:
    def test_at_the_admin(self, ada: User, device: TOTPDevice) -> None:
        client = Client()
        form = {"username": "ada", "password": PASSWORD, "next": "/admin/pricing/plan/"}
        assert client.post("/admin/login/?next=/admin/pricing/plan/", form)["Location"] == "/admin/pricing/plan/"
        asked = client.get("/admin/pricing/plan/")
        assert asked["Location"] == f"{CODE}?next=%2Fadmin%2Fpricing%2Fplan%2F"
        assert "Plans" not in text_of(client.get(asked["Location"]))
        before = client.session.session_key
        answer = give(client, code_of(device), next="/admin/pricing/plan/")
        assert answer["Location"] == "/admin/pricing/plan/"
        assert client.get("/admin/pricing/plan/").status_code == 200
        assert client.session.session_key != before

    def test_at_the_portal(self, ada: User, device: TOTPDevice) -> None:
        client = Client()
        client.post("/sign-in/", {"username": "ada", "password": PASSWORD})
        for path in ("/", "/account/", "/admin/", "/v1/docs"):
            assert client.get(path)["Location"].startswith(CODE), path
        give(client, code_of(device))
        assert client.get("/account/").status_code == 200

    def test_whoever_has_one_uses_it_also_where_it_is_optional(self, ada: User, device: TOTPDevice) -> None:
        assert django_settings.STAFF_SECOND_FACTOR == "optional"
        assert not lets_in(signed_in(ada))

    def test_a_link_by_mail_does_not_pass_it_by(self, ada: User, device: TOTPDevice) -> None:
        LinkRequest.objects.create(
            kind="sign_in",
            address=ada.email,
            created_at=NOW,
            answered_at=NOW,
            user=ada,
            digest=second_factor.digest("token"),
            expires_at=NOW + timedelta(minutes=15),
        )
        client = Client()
        assert client.post("/sign-in/link/token/").status_code == 302
        assert client.session["_auth_user_id"] == str(ada.pk)
        assert client.get("/account/")["Location"].startswith(CODE)
        assert not lets_in(client)

    def test_looking_at_the_portal_as_a_customer_needs_it(self, ada: User, device: TOTPDevice) -> None:
        acme, client = make_customer("acme"), signed_in(ada)
        look = f"/admin/portal/staffview/customers/{acme.pk}/"
        assert client.post(look)["Location"] == CODE
        assert not StaffView.objects.exists()
        give(client, code_of(device))
        assert client.post(look)["Location"] == "/"
        # Nor does a look go on in a session that no longer has it.
        session = client.session
        del session["otp_device_id"]
        session.save()
        assert client.get("/usage/")["Location"].startswith(CODE)

    def test_customers_people_are_not_asked(self, required: None, ada: User) -> None:
        person = User.objects.create_user("anna", "anna@acme.example", PASSWORD)
        assert signed_in(person).get("/account/").status_code == 200

    def test_htmx_is_told_to_load_the_whole_page(self, ada: User, device: TOTPDevice) -> None:
        answer = signed_in(ada).get("/usage/", headers={"hx-request": "true"})
        assert (answer.status_code, answer["HX-Redirect"]) == (401, CODE)

    @pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/" + "x" * 600])
    def test_it_goes_on_at_an_address_of_ours(self, ada: User, device: TOTPDevice, url: str) -> None:
        assert give(signed_in(ada), code_of(device), next=url)["Location"] == PAGE

    def test_a_password_page_shows_the_way_out(self, ada: User, device: TOTPDevice) -> None:
        client = signed_in(ada)
        assert client.post("/admin/logout/")["Location"] == "/sign-in/"
        assert "_auth_user_id" not in client.session

    def test_a_device_of_somebody_else_does_not_count(self, ada: User, device: TOTPDevice, staff: Staff) -> None:
        bob = staff("bob", StaffRole.SUPPORT)
        other = device_for(bob)
        assert give(signed_in(ada), code_of(other)).status_code == 422
        client = signed_in(ada)
        session = client.session
        session["otp_device_id"] = other.persistent_id
        session.save()
        assert not lets_in(client)


class TestCodes:
    @pytest.mark.parametrize(("later", "is_right"), [(-61, False), (-30, True), (0, True), (30, True), (61, False)])
    def test_a_clock_may_be_half_a_minute_off(self, ada: User, device: TOTPDevice, later: int, is_right: bool) -> None:
        assert verify(ada, code_of(device, later=later), now=NOW)[1].is_right is is_right

    def test_a_code_is_right_once(self, ada: User, device: TOTPDevice, clock: time_machine.Traveller) -> None:
        code = code_of(device)
        assert lets_in_with(ada, code)
        assert not lets_in_with(ada, code)
        # Nor is the one before it.
        clock.shift(timedelta(seconds=2))
        assert not lets_in_with(ada, code_of(device, later=-30))

    def test_it_may_be_typed_with_spaces(self, ada: User, device: TOTPDevice) -> None:
        code = code_of(device)
        assert verify(ada, f" {code[:3]} {code[3:]} ", now=NOW)[1].is_right

    @pytest.mark.parametrize("code", ["", "1", "12345a", "１２３４５６", "+12345", "a\0b", "x" * 10_000, "0" * 17])
    def test_what_is_no_code(self, ada: User, device: TOTPDevice, code: str) -> None:
        assert not verify(ada, code, now=NOW)[1].is_right

    def test_a_recovery_code_does_it_once(self, ada: User, device: TOTPDevice, clock: time_machine.Traveller) -> None:
        first, second, *_ = new_codes(device)
        client = signed_in(ada)
        give(client, first.upper().replace(" ", "-"))
        assert "left: 9" in text_of(client.get(PAGE))
        assert lets_in(client)
        assert not lets_in_with(ada, first)
        clock.shift(timedelta(seconds=2))
        assert lets_in_with(ada, second)

    def test_new_recovery_codes_take_the_place_of_the_others(self, ada: User, device: TOTPDevice) -> None:
        old = new_codes(device)
        client = signed_in(ada)
        give(client, code_of(device))
        shown = re.findall(r"<code>([a-z2-7 ]{19})</code>", text_of(client.post(f"{PAGE}recovery-codes/")))
        assert len(shown) == 10
        assert not set(shown) & set(old)
        assert verify(ada, shown[0], now=NOW)[1].is_right
        assert not verify(ada, old[0], now=NOW)[1].is_right


def lets_in_with(user: User, code: str) -> bool:
    client = signed_in(user)
    give(client, code)
    return lets_in(client)


class TestWrongCodes:
    def test_each_makes_the_next_wait_twice_as_long(
        self, ada: User, device: TOTPDevice, clock: time_machine.Traveller
    ) -> None:
        client = signed_in(ada)
        for wait in (1, 2, 4):
            assert give(client, "000000").status_code == 422
            held = give(client, code_of(device))
            assert f"Wait {wait} second" in text_of(held)
            clock.shift(timedelta(seconds=wait))
        assert give(client, code_of(device)).status_code == 302

    def test_somebody_with_the_password_locks_its_owner_out_for_half_an_hour_at_most(
        self, ada: User, device: TOTPDevice, clock: time_machine.Traveller
    ) -> None:
        device.throttling_failure_count, device.throttling_failure_timestamp = 12, NOW
        device.save()
        clock.shift(timedelta(hours=1))
        assert not verify(ada, "000000", now=NOW)[1].is_right
        clock.shift(timedelta(minutes=35))
        assert verify(ada, code_of(device), now=NOW)[1].is_right

    def test_recovery_codes_are_no_second_way_to_guess(self, ada: User, device: TOTPDevice) -> None:
        code, *_ = new_codes(device)
        assert not verify(ada, "aaaa aaaa aaaa aaaa", now=NOW)[1].is_right
        assert verify(ada, code, now=NOW)[1].until is not None

    def test_they_are_counted_like_wrong_passwords(
        self, ada: User, device: TOTPDevice, clock: time_machine.Traveller
    ) -> None:
        client = signed_in(ada)
        for _ in range(django_settings.SIGN_IN_ATTEMPTS - 1):
            assert give(client, "000000").status_code == 422
            clock.shift(timedelta(minutes=3))
        answer = give(client, "000000")
        assert answer.status_code == 429
        assert "Too many wrong codes" in text_of(answer)
        clock.shift(timedelta(minutes=5))
        assert give(client, code_of(device)).status_code == 429
        assert Client().post("/admin/login/", {"username": "ada", "password": PASSWORD}).status_code == 429
        # A wrong code is not kept: it may be a recovery code with a letter too many.
        assert "000000" not in AccessAttempt.objects.get().post_data
        clock.shift(timedelta(minutes=15))
        assert give(client, code_of(device)).status_code == 302
        assert not AccessAttempt.objects.exists()


class TestReset:
    def test_an_owner_resets_it(self, ada: User, staff: Staff) -> None:
        bob = staff("bob", StaffRole.SUPPORT)
        new_codes(device_for(bob))
        lost = signed_in(bob)
        client = signed_in(ada)
        page = f"/admin/auth/user/{bob.pk}/second-factor/"
        assert page in text_of(client.get(f"/admin/auth/user/{bob.pk}/change/"))
        assert "Make sure that it is bob" in text_of(client.get(page))
        assert TOTPDevice.objects.exists()
        assert client.post(page).status_code == 302
        assert not TOTPDevice.objects.exists()
        assert not RecoveryCode.objects.exists()
        assert lost.get("/admin/")["Location"].startswith("/admin/login/")
        log = LogEntry.objects.get()
        assert (log.user, log.object_id, log.change_message) == (ada, str(bob.pk), "Reset the second factor.")

    def test_a_command_resets_it(self, ada: User, device: TOTPDevice, capsys: pytest.CaptureFixture[str]) -> None:
        client = signed_in(ada)
        call_command("reset_second_factor", "ada")
        assert "signed out" in capsys.readouterr().out
        assert not TOTPDevice.objects.exists()
        assert client.get("/admin/")["Location"].startswith("/admin/login/")
        assert LogEntry.objects.get().change_message == "Second factor reset by manage.py."
        for name in ("ada", "nobody"):
            with pytest.raises(CommandError, match=name):
                call_command("reset_second_factor", name)

    def test_the_secret_is_on_no_page_of_staff(self, ada: User, device: TOTPDevice) -> None:
        client = signed_in(ada)
        give(client, code_of(device))
        for path in (f"/admin/auth/user/{ada.pk}/change/", PAGE):
            page = text_of(client.get(path))
            assert device.key not in page
            assert secret_text(device.key) not in page
        assert client.get("/admin/otp_totp/totpdevice/").status_code == 404


class TestSessions:
    def test_staff_see_and_end_their_own(self, ada: User) -> None:
        client, other = signed_in(ada), signed_in(ada)
        page = text_of(client.get(PAGE))
        assert "This browser" in page
        ids = re.findall(rf"{PAGE}sessions/([0-9a-f]+)/end/", page)
        assert len(ids) == 1
        assert client.post(f"{PAGE}sessions/{ids[0]}/end/").status_code == 302
        assert other.get("/admin/")["Location"].startswith("/admin/login/")
        signed_in(ada), signed_in(ada)
        client.post(f"{PAGE}sessions/end-others/")
        assert BrowserSession.objects.filter(user=ada).count() == 1

    def test_nobody_ends_those_of_others_there(self, ada: User, staff: Staff) -> None:
        signed_in(ada)
        theirs = BrowserSession.objects.get(user=ada).pk
        client = signed_in(staff("bob", StaffRole.FINANCE))
        assert client.post(f"{PAGE}sessions/{theirs}/end/").status_code == 404
        assert client.post(f"{PAGE}sessions/%00/end/").status_code == 404

    def test_a_new_password_ends_the_others(self, ada: User) -> None:
        client, other = signed_in(ada), signed_in(ada)
        new = "another long password"
        form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        assert client.post("/admin/password_change/", form).status_code == 302
        assert client.get("/admin/").status_code == 200
        assert other.get("/admin/")["Location"].startswith("/admin/login/")
        assert BrowserSession.objects.filter(user=ada).count() == 1

    def test_the_admins_sign_in_is_throttled(self, ada: User) -> None:
        client = Client()
        for _ in range(django_settings.SIGN_IN_ATTEMPTS - 1):
            assert client.post("/admin/login/", {"username": "ada", "password": "wrong"}).status_code == 200
        assert client.post("/admin/login/", {"username": "ada", "password": "wrong"}).status_code == 429
        assert client.post("/admin/login/", {"username": "ada", "password": PASSWORD}).status_code == 429
