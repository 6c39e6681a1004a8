"""docs/webhooks.md: every event is there, with the members that it has."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from invoices.alerting.alerts import create_alert
from invoices.models import OutboxEvent
from invoices.prepaid.rules import set_credit_rule
from invoices.settling.payments import record_payment
from invoices.settling.voiding import void_invoice
from invoices.webhooks.endpoints import create_endpoint
from invoices.webhooks.signing import new_secret, signed_headers
from invoices.webhooks.spreading import spread
from tests.factories import make_customer
from tests.invoices.settled import DECEMBER, MID_NOVEMBER, make_bill

TEXT = (Path(settings.BASE_DIR) / "docs" / "webhooks.md").read_text()
EXAMPLES: list[Any] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]


def test_every_event_has_an_example() -> None:
    assert sorted(example["type"] for example in EXAMPLES) == sorted(OutboxEvent.Type.values)
    assert re.findall(r"^### (\S+\.\S+)$", TEXT, re.MULTILINE) == [example["type"] for example in EXAMPLES]


@pytest.mark.django_db
def test_the_examples_have_the_members_that_events_have() -> None:
    create_endpoint(url="https://example.com/")
    create_alert(name="Any", kind="amount", threshold="1", currency="USD", now=MID_NOVEMBER)
    invoice = make_bill()
    record_payment(invoice.pk, amount=Decimal("110.85"), reference="A", actor="anna", now=DECEMBER)
    other = make_customer("globex")
    set_credit_rule(other, currency="USD", low_below=10)
    void_invoice(invoice.pk, reason="Wrong", now=DECEMBER)
    spread(now=DECEMBER)
    found = {event.type: event.data for event in OutboxEvent.objects.order_by("id")}
    assert set(found) == set(OutboxEvent.Type.values)
    for example in EXAMPLES:
        assert _members(example["data"]) == _members(found[example["type"]]), example["type"]


def _members(data: Any) -> set[str]:
    """The names of what is in it, and in what that has; traits are anybody's."""
    inner = {f"{name}.{below}" for name, one in data.items() if isinstance(one, dict) for below in one}
    return {*data, *(name for name in inner if not name.startswith("traits."))}


def test_the_check_by_hand_is_right() -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "def is_genuine" in block)
    names: dict[str, Any] = {}
    exec(code, names)
    new, old = new_secret(), new_secret()
    headers = signed_headers("msg_1", timezone.now(), '{"ü": 1}', [new, old])
    body = '{"ü": 1}'.encode()
    assert names["is_genuine"](new, headers, body)
    assert names["is_genuine"](old, headers, body)
    assert not names["is_genuine"](new_secret(), headers, body)
    assert not names["is_genuine"](new, headers, body + b" ")
