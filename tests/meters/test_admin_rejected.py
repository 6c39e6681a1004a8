"""What events were refused for, as staff read it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from meters.admin.rejected import pretty, reason
from meters.models import RejectedEvent
from tests.factories import make_meter

pytestmark = pytest.mark.django_db

LIST = "/admin/meters/rejectedevent/"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


def refused(code: str = "unknown_meter", *, hours: float = 1, **fields: Any) -> RejectedEvent:
    seen = timezone.now() - timedelta(hours=hours)
    known = {"pointer": "/meter", "meter": "ApiCals", "sender": "server", "customer": "acme", "count": 1}
    known |= {"detail": "There is no meter 'ApiCals'.", "example": json.dumps({"meter": "ApiCals"})}
    known |= {"first_at": seen - timedelta(minutes=5), "last_at": seen, "day": seen.date()}
    return RejectedEvent.objects.create(code=code, **known | fields)


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def listed(response: Any) -> list[str]:
    return [rejected.code for rejected in response.context["cl"].result_list]


def page(rejected: RejectedEvent) -> str:
    return f"{LIST}{rejected.pk}/change/"


def test_the_newest_come_first_with_their_reason_in_words(staff: Client) -> None:
    refused("too_old", hours=30)
    refused("unknown_meter", hours=1, count=1200)
    refused("invalid", hours=2)
    response = staff.get(LIST)
    assert listed(response) == ["unknown_meter", "invalid", "too_old"]
    shown = text(response)
    for words in ("Unknown meter", "Not a valid event", "Too old", "1,200"):
        assert words in shown


def test_they_are_filtered_by_reason_and_day(staff: Client) -> None:
    old = refused("too_old", hours=50)
    refused("unknown_meter")
    refused("unknown_meter", hours=50, meter="Other")
    assert listed(staff.get(f"{LIST}?code=too_old")) == ["too_old"]
    assert set(listed(staff.get(f"{LIST}?on={old.day}"))) == {"too_old", "unknown_meter"}
    assert listed(staff.get(f"{LIST}?code=unknown_meter&on={old.day}")) == ["unknown_meter"]
    assert listed(staff.get(f"{LIST}?q=Other")) == ["unknown_meter"]
    assert len(listed(staff.get(f"{LIST}?on=yesterday"))) == 3
    assert len(listed(staff.get(f"{LIST}?on={old.day:%Y%m%d}"))) == 3


def test_a_reason_that_no_text_can_be_is_no_filter(staff: Client) -> None:
    refused()
    assert listed(staff.get(f"{LIST}?code=nothing")) == []
    assert staff.get(f"{LIST}?code=%00").headers["Location"] == f"{LIST}?e=1"


def test_a_page_shows_all_of_one(staff: Client) -> None:
    example = '{"meter": "ApiCals", "value": 1.50, "dimensions": {"x": "<script>alert(1)</script>"}}'
    rejected = refused(example=example, detail="No <b>meter</b>", count=7)
    shown = text(staff.get(page(rejected)))
    assert "&quot;value&quot;: 1.50,\n" in shown  # on lines of their own, with the digits that were sent
    assert "&lt;script&gt;" in shown
    assert "<script>alert" not in shown
    assert "<b>meter</b>" not in shown
    for words in ("Unknown meter", "/meter", "server", "acme", ">7<"):
        assert words in shown


def test_an_unknown_meter_can_be_made_from_there(staff: Client) -> None:
    rejected = refused()
    make = "/admin/meters/meter/add/?key=ApiCals"
    assert f'href="{make}"' in text(staff.get(page(rejected)))
    assert staff.get(make).context["adminform"].form["key"].value() == "ApiCals"
    meter = make_meter("ApiCals")
    shown = text(staff.get(page(rejected)))
    assert make not in shown
    assert f'href="/admin/meters/meter/{meter.pk}/change/"' in shown


@pytest.mark.parametrize("key", ["Api Calls", "<script>", "", "x" * 101])
def test_a_key_that_no_meter_can_have_is_only_shown(staff: Client, key: str) -> None:
    assert "/meter/add/?key=" not in text(staff.get(page(refused(meter=key))))


def test_nobody_changes_them(staff: Client) -> None:
    rejected = refused()
    assert staff.get(f"{LIST}add/").status_code == 403
    assert staff.post(page(rejected), {"code": "other"}).status_code == 403
    assert staff.post(f"{LIST}{rejected.pk}/delete/", {"post": "yes"}).status_code == 403
    assert RejectedEvent.objects.get().code == "unknown_meter"


@pytest.mark.parametrize("path", ["/admin/", "/admin/meters/meter/"])
def test_a_hint_tells_of_the_last_24_hours(staff: Client, path: str) -> None:
    assert "were refused" not in text(staff.get(path))
    refused("too_old", hours=25)
    assert "were refused" not in text(staff.get(path))
    refused("unknown_meter", hours=23, sender="a")
    refused("unknown_meter", hours=22, sender="b")  # the same reason, from elsewhere
    refused("invalid", meter="", hours=1)
    shown = text(staff.get(path))
    assert "in the last 24 hours: not a valid event; unknown meter (ApiCals). " in shown
    for number in range(3):
        refused("unknown_meter", hours=0, meter=f"Meter{number}")
    assert "unknown meter (Meter2); unknown meter (Meter1); unknown meter (Meter0) and 2 more" in text(staff.get(path))


def test_who_may_not_see_them_is_told_nothing(client: Client) -> None:
    user = User.objects.create_user("colleague", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_meter"))
    client.force_login(user)
    rejected = refused()
    assert client.get(LIST).status_code == 403
    assert client.get(page(rejected)).status_code == 403
    for path in ("/admin/", "/admin/meters/meter/"):
        assert "were refused" not in text(client.get(path))
    user.user_permissions.add(Permission.objects.get(codename="view_rejectedevent"))
    assert listed(client.get(LIST)) == ["unknown_meter"]
    assert "were refused" in text(client.get("/admin/meters/meter/"))


def test_a_code_without_words_reads_well_all_the_same() -> None:
    assert reason("too_many_dimensions") == "Too many dimensions"


@pytest.mark.parametrize("example", ["", "not json", '{"cut": "of', "[" * 10_000, "1e999999"])
def test_an_example_that_is_no_json_is_shown_as_it_is(example: str) -> None:
    assert pretty(example) == example
