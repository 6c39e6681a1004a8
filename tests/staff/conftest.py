"""Staff of each role, and their devices."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from meters.staff_roles import StaffRole
from tests.factories import role_group

NOW = datetime(2026, 11, 18, 14, 2, tzinfo=UTC)
PASSWORD = "a long enough password"

Staff = Callable[..., User]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def staff(db: None) -> Staff:
    """Makes somebody of the staff with this role."""

    def make(name: str, role: StaffRole | None = None, **fields: object) -> User:
        user = User.objects.create_user(name, f"{name}@vendor.example", PASSWORD, is_staff=True, **fields)
        if role is not None:
            user.groups.add(role_group(role))
        return user

    return make


def device_for(user: User) -> TOTPDevice:
    return TOTPDevice.objects.create(user=user, name="Authenticator app")


def code_of(device: TOTPDevice, *, later: int = 0) -> str:
    """What the app shows so many seconds from now."""
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits)
    totp.time = time.time() + later
    return f"{totp.token():06}"


def signed_in(user: User) -> Client:
    """With the password alone."""
    client = Client()
    client.force_login(user)
    return client
