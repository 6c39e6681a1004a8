"""People and keys that change something."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from meters.models import AuditRow


@pytest.fixture
def ada(db: None) -> Client:
    """Somebody of the staff who may do everything, behind a proxy that says where she is."""
    client = Client(REMOTE_ADDR="203.0.113.7", headers={"X-Request-ID": "of-ada"})
    client.force_login(User.objects.create_superuser("ada"))
    return client


@pytest.fixture
def empty_log(db: None) -> None:
    """As nothing was ever written down: earlier tests that committed left rows behind, as nothing takes them away."""
    with connection.cursor() as cursor:
        for table in ("meters_auditrow", "meters_audithead"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute("TRUNCATE meters_auditrow")
        cursor.execute(
            "UPDATE meters_audithead SET position = 0, hash = %(none)s, verified_position = 0, "
            "verified_hash = %(none)s, verified_at = NULL, finding = ''",
            {"none": bytes(32)},
        )
        for table in ("meters_auditrow", "meters_audithead"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    assert not AuditRow.objects.exists()
