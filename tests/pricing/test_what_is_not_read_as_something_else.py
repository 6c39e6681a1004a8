"""Input that could be taken for something else is refused, and the empty text is that of events without a dimension."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from rest_framework.test import APIClient

from invoices.lines.explained import parts_of
from pricing.document_text import read_text
from pricing.documents import apply_plan, export_plan
from pricing.models import Plan
from pricing.plan_words import rate_name
from pricing.plans import activate, draft_version, set_rate
from pricing.rules import save_rule
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("conditions", [{"tier": "gold", " tier": "silver"}, {"tier": "gold", "tier ": "gold"}])
def test_a_trait_that_is_there_twice_but_for_blanks(conditions: dict[str, str]) -> None:
    plan = make_plan("Gold", {make_meter(): STORY_RATE})
    with pytest.raises(ValidationError, match="there twice") as error:
        save_rule(changes={"plan": plan, "conditions": conditions})
    assert list(error.value.message_dict) == ["conditions"]
    rule = save_rule(changes={"plan": plan, "conditions": {" tier ": " gold", "land": "no"}})
    assert dict(rule.conditions.values_list("trait", "value")) == {"tier": "gold", "land": "no"}


def test_a_trait_that_is_sent_twice_but_for_blanks(api: Callable[..., APIClient]) -> None:
    make_plan("Gold", {make_meter(): STORY_RATE})
    traits = {"tier": "gold", " tier": "silver"}
    rule = api().post("/v1/assignment-rules", {"plan": "Gold", "conditions": traits}, format="json")
    customer = api().post("/v1/customers", {"key": "acme", "traits": traits}, format="json")
    assert [(answer.status_code, answer.json()["errors"][0]["pointer"]) for answer in (rule, customer)] == [
        (400, "/conditions"),
        (400, "/traits"),
    ]


@pytest.mark.parametrize("name", ["trial_days", "interval_count"])
@pytest.mark.parametrize("text", ["1_0", "+5", "-5", "٣", "1.0", "1e1", "' 5'", "''", "null"])
def test_whole_numbers_of_a_document_are_digits(name: str, text: str) -> None:
    with pytest.raises(ValidationError) as error:
        apply_plan(read_text(f"key: Basic\n{name}: {text}\n", "yaml"))
    assert error.value.message_dict == {name: ["This must be a whole number."]}
    assert apply_plan(read_text(f"key: Basic\n{name}: 10\n", "yaml")).plan.key == "Basic"


@pytest.mark.parametrize("sent", [{}, {"source": ""}])
def test_a_rate_for_events_without_a_dimension(sent: dict[str, Any]) -> None:
    with time_machine.travel(datetime(2026, 11, 10, 12, tzinfo=UTC), tick=False):
        item = make_meter().product_item
        plan = Plan.objects.create(key="Basic")
        draft = draft_version(plan)
        set_rate(draft, product_item=item, parameters={"model": "per_unit", "unit_price": "1"})
        rate = set_rate(
            draft, product_item=item, parameters={"model": "per_unit", "unit_price": "5"}, where={"source": ["crm", ""]}
        )
        assert rate_name(rate) == "ApiCalls where source is not set or crm"
        activate(plan)
        assert apply_plan(export_plan(plan)).version is None
        customer = make_customer("acme")
        put_on(customer, Plan.objects.get(), date(2026, 11, 1))
        send("acme", "ApiCalls", 10, **sent)
        send("acme", "ApiCalls", 100, source="shop")
        run_sweep()
        bill = live_invoice(customer)
        lines = list(bill.lines.all())
        assert [(part, line.amount) for part, line in zip(parts_of(lines), lines, strict=True)] == [
            ("source: not set or crm", 50),
            ("all the rest", 100),
        ]
