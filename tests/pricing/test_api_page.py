"""docs/api.md: the calls of its section on pricing, read from the page and sent in their order."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings

from pricing.models import Assignment, PlanVersion
from tests.factories import make_customer, make_meter, make_plan
from tests.pricing.calls import Api

pytestmark = pytest.mark.django_db

CALL = re.compile(r"^curl \$H (?:-X (\w+) )?http://localhost:8000(/\S+) -d '(.*?)'$", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
        yield


def calls() -> list[tuple[str, str, Any]]:
    page = (Path(settings.BASE_DIR) / "docs" / "api.md").read_text(encoding="utf-8")
    section = page.partition("\n## Pricing\n")[2].partition("\n## ")[0]
    return [(method or "POST", path, json.loads(body)) for method, path, body in CALL.findall(section)]


def test_each_call_of_the_page_is_taken(api: Api) -> None:
    make_meter()
    make_plan("Pro", {make_meter("Traffic"): {"model": "per_unit", "unit_price": "1"}})
    make_customer("acme")
    client = api("read", "write")
    statuses = []
    for method, path, body in calls():
        newest = Assignment.objects.order_by("id").first()
        path = path.replace("/assignments/7/", f"/assignments/{newest.pk if newest else 0}/")
        answer = getattr(client, method.lower())(path, body, format="json")
        assert answer.status_code in (200, 201), (path, answer.content)
        statuses.append(answer.status_code)
    assert len(statuses) == 12
    version = PlanVersion.objects.get(plan__key="Basic")
    assert (version.status, version.rates.count(), version.fees.count()) == ("active", 1, 1)
