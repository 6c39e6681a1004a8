"""Whether a plan is offered to customers: said in the admin, by the API and in documents, and read by one rule."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from rest_framework.test import APIClient

from meters.models import Meter
from pricing.documents import apply_plan, export_plan
from pricing.models import Plan
from pricing.offers import offered_to
from pricing.plans import activate, retire
from pricing.private_plans import make_private
from tests.factories import make_customer, make_meter, make_plan

pytestmark = pytest.mark.django_db

PER_CALL = {"model": "per_unit", "unit_price": "0.01"}


@pytest.fixture
def calls() -> Meter:
    return make_meter()


@pytest.fixture
def plan(calls: Meter) -> Plan:
    return make_plan("Basic", {calls: PER_CALL})


def test_who_is_offered_what(plan: Plan, calls: Meter) -> None:
    acme, globex = make_customer("acme"), make_customer("globex")
    assert not offered_to(acme).exists()
    Plan.objects.update(offer=Plan.Offer.SHOWN)
    private = make_private(plan, customer=acme)
    assert private.offer == Plan.Offer.NONE
    Plan.objects.filter(pk=private.pk).update(offer=Plan.Offer.SELF_SERVICE)
    assert list(offered_to(acme)) == [plan]  # still a draft
    activate(private)
    assert set(offered_to(acme)) == {plan, private}
    assert list(offered_to(globex)) == [plan]
    retire(plan)
    assert not offered_to(globex).exists()


def test_the_database_knows_no_other(plan: Plan) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Plan.objects.update(offer="perhaps")


def test_programs_say_it(api: Callable[..., APIClient]) -> None:
    client = api()
    made = client.post("/v1/plans", {"key": "Pro"}, format="json").json()
    assert made["offer"] == "none"
    made = client.post("/v1/plans", {"key": "Team", "offer": "shown"}, format="json").json()
    assert made["offer"] == "shown"
    changed = client.patch("/v1/plans/Pro", {"offer": "self_service"}, format="json").json()
    assert changed["offer"] == "self_service"
    refused: Any = client.patch("/v1/plans/Pro", {"offer": "perhaps"}, format="json")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/offer"


def test_documents_say_it(plan: Plan) -> None:
    assert "offer" not in export_plan(plan)
    document = export_plan(plan) | {"offer": "shown"}
    applied = apply_plan(document)
    (difference,) = applied.differences
    assert (difference.before, difference.after) == (["Not offered"], ["Shown with its prices"])
    plan.refresh_from_db()
    assert export_plan(plan)["offer"] == "shown"
    assert apply_plan(document).differences == []
    for wrong in ("perhaps", None, 1):
        with pytest.raises(ValidationError) as caught:
            apply_plan(document | {"offer": wrong})
        assert list(caught.value.message_dict) == ["offer"]
    document.pop("offer")
    assert [one.after for one in apply_plan(document).differences] == [["Not offered"]]


def test_staff_say_it(client: Client, plan: Plan) -> None:
    client.force_login(User.objects.create_superuser("staff"))
    page = f"/admin/pricing/plan/{plan.pk}/change/"
    assert "Shown, and customers change to it by themselves" in client.get(page).content.decode()
    assert client.post(page, {"name": "Basic", "offer": "self_service"}).status_code == 302
    plan.refresh_from_db()
    assert plan.offer == Plan.Offer.SELF_SERVICE
    assert client.post(page, {"name": "Better"}).status_code == 302
    plan.refresh_from_db()
    assert (plan.name, plan.offer) == ("Better", Plan.Offer.SELF_SERVICE)
    assert 'class="errorlist"' in client.post(page, {"name": "Basic", "offer": "perhaps"}).content.decode()
    assert "Self-service" in client.get("/admin/pricing/plan/").content.decode()
