"""Two at once: a code lets one in, wrong ones all count, and a person ends up with one device."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from portal.staff.second_factor import enrol, new_codes, new_secret, verify
from tests.racing import race
from tests.staff.conftest import code_of, device_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada(transactional_db: None) -> User:
    return User.objects.create_user("ada", is_staff=True)


def of_two(user: User, *codes: str) -> list[bool]:
    came_in: list[bool] = []

    def use(code: str) -> None:
        came_in.append(verify(user, code, now=timezone.now())[1].is_right)

    assert not race(*(lambda code=code: use(code) for code in codes))  # type: ignore[misc]
    return sorted(came_in)


def test_a_recovery_code_lets_one_of_two_in(ada: User) -> None:
    code, *_ = new_codes(device_for(ada))
    assert of_two(ada, code, code) == [False, True]


def test_a_code_of_the_app_lets_one_of_two_in(ada: User) -> None:
    code = code_of(device_for(ada))
    assert of_two(ada, code, code) == [False, True]


def test_of_guesses_at_once_one_is_looked_at(ada: User) -> None:
    device = device_for(ada)
    assert not any(of_two(ada, *["000000"] * 4))
    device.refresh_from_db()
    assert device.throttling_failure_count == 1


def test_two_that_set_up_a_device_at_once_leave_one(ada: User) -> None:
    secrets = [new_secret(), new_secret()]

    def set_up(secret: str) -> None:
        enrol(ada, secret, code_of(TOTPDevice(key=secret)), now=timezone.now())

    assert not race(*(lambda secret=secret: set_up(secret) for secret in secrets))  # type: ignore[misc]
    device = TOTPDevice.objects.get()
    assert device.key in secrets
    assert device.recovery_codes.count() == 10
