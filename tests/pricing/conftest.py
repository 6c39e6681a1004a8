"""Who clicks through the staff pages."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client


@pytest.fixture
def staff(client: Client) -> Client:
    """Somebody who may do everything."""
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
def colleague(client: Client) -> Callable[..., Client]:
    """Somebody with these permissions and no others."""

    def signed_in(*codenames: str) -> Client:
        user = User.objects.create_user(f"colleague-{User.objects.count()}", is_staff=True)
        found = Permission.objects.filter(codename__in=codenames, content_type__app_label__in=["meters", "pricing"])
        assert found.count() == len(codenames)
        user.user_permissions.set(found)
        client.force_login(user)
        return client

    return signed_in
