"""What pages say of months whose events are in an archive."""

from datetime import UTC, date, datetime

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.test import Client

from invoices.models import Invoice
from meters.models import Customer, Event, RetiredMonth
from tests.factories import make_meter, send
from tests.portal.conftest import NOW

NOTE = "Events before 1 Nov 2026 (UTC) are"


@pytest.fixture
def retired(acme: Customer, fresh_retention: None) -> None:
    """October's events are gone, as their table is."""
    make_meter("Latency", aggregation="percentile", percentile=95, used_for_billing=False)
    send("acme", "Latency", 12, time=datetime(2026, 10, 3, 9, tzinfo=UTC), id="slow")
    RetiredMonth.objects.create(month=date(2026, 10, 1), events=2, began_at=NOW, finished_at=NOW)
    Event.objects.filter(occurred_at__lt=datetime(2026, 11, 1, tzinfo=UTC)).delete()


def test_the_event_log_says_since_when(retired: None, owner: Client) -> None:
    assert NOTE in owner.get("/usage/events/").content.decode()
    assert "such events are in an archive" in owner.get("/usage/events/?id=slow").content.decode()
    answer = owner.get("/usage/events/event/?meter=Latency&id=slow")
    assert answer.status_code == 410
    assert "In an archive" in answer.content.decode()
    assert owner.get("/usage/events/event/?meter=Latency&id=never").status_code == 404


def test_final_invoices_stay_explained(retired: None, owner: Client, october: Invoice) -> None:
    page = owner.get(f"/invoices/{october.pk}/").content.decode()
    assert "$5.00" in page
    for line in october.lines.all():
        answer = owner.get(f"/invoices/{october.pk}/lines/{line.position}/")
        assert answer.status_code == 200
        assert "6,000" in answer.content.decode()
    assert owner.get(f"/invoices/{october.pk}.pdf").status_code == 200


def test_usage_that_buckets_have_is_there_and_other_says_that_it_is_not(retired: None, owner: Client) -> None:
    span = "from=2026-10-01&to=2026-10-31"
    answer = owner.get(f"/usage/?meter=ApiCalls&{span}")
    assert answer.status_code == 200
    assert "6,000" in answer.content.decode()
    assert owner.get(f"/usage/?meter=Latency&{span}").status_code == 410
    assert owner.get("/usage/?meter=Latency").status_code == 200


def test_the_admin_says_it(retired: None, client: Client) -> None:
    client.force_login(User.objects.create_superuser("anna"))
    assert "Events before 1 Nov 2026 (UTC) are retired" in client.get("/admin/meters/event/").content.decode()


def test_what_comes_as_the_table_goes_is_to_be_sent_again(acme: Customer) -> None:
    """A process that does not know of it yet; nothing of the batch is stored."""
    before = Event.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE meters_event DETACH PARTITION meters_event_2026_10")
    with pytest.raises(OperationalError, match="A month was retired at this moment"), transaction.atomic():
        send("acme", "ApiCalls", 1, time=datetime(2026, 10, 5, tzinfo=UTC))
    assert Event.objects.filter(occurred_at__gte=datetime(2026, 11, 1, tzinfo=UTC)).count() == before - 1
