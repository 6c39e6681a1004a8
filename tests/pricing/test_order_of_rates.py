"""Of rates that are as specific as each other the first in the version prices usage; nothing moves them silently."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from invoices.pricing_of import priced_version
from pricing.differences import differences
from pricing.documents import apply_plan, export_plan
from pricing.models import Plan, PlanVersion, ProductItem, Rate
from pricing.plans import activate, active_version, draft_version, remove_rate, set_fee, set_rate
from pricing.private_plans import drop_override, make_private, set_follows_base
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send

CRM, ERP, SHOP, WEB = {"source": ["crm"]}, {"target": ["erp"]}, {"source": ["shop"]}, {"target": ["web"]}


def price(amount: str) -> dict[str, str]:
    return {"model": "per_unit", "unit_price": amount}


@pytest.fixture
def item(db: None) -> ProductItem:
    found: ProductItem = make_meter().product_item
    return found


@pytest.fixture
def base(item: ProductItem) -> Plan:
    """Calls of crm cost 1, those to erp 5."""
    plan = Plan.objects.create(key="Basic")
    set_rate(draft_version(plan), product_item=item, parameters=price("1"), where=CRM)
    set_rate(draft_version(plan), product_item=item, parameters=price("5"), where=ERP)
    activate(plan)
    plan.refresh_from_db()
    return plan


def order(plan: Plan, version: PlanVersion | None = None) -> list[dict[str, list[str]]]:
    """The filters of a plan's rates, in the order in which bills look at them."""
    version = version or active_version(plan)
    assert version is not None
    (rates,) = priced_version(version).rates.values()
    return [{name: list(texts) for name, texts in rate.where.items()} for rate in rates]


def touch(plan: Plan) -> None:
    """A new version in which no rate changes."""
    number = plan.versions.count()
    set_fee(draft_version(plan), key=f"fee{number}", name="Fee", amount="0")
    activate(plan)


def test_a_new_rate_has_the_last_place_and_a_changed_one_keeps_its_own(base: Plan, item: ProductItem) -> None:
    draft = draft_version(base)
    assert order(base, draft) == [CRM, ERP]
    set_rate(draft, product_item=item, parameters=price("3"), where=SHOP)
    set_rate(draft, product_item=item, parameters=price("2"), where=CRM)
    assert order(base, draft) == [CRM, ERP, SHOP]
    remove_rate(draft.rates.get(where=CRM))
    set_rate(draft, product_item=item, parameters=price("2"), where=CRM)
    activate(base)
    assert order(base) == order(base, draft_version(base)) == [ERP, SHOP, CRM]


class TestPrivatePlans:
    def test_a_price_of_its_own_has_the_place_of_the_bases(self, base: Plan, item: ProductItem) -> None:
        private = make_private(base, customer=make_customer("acme"))
        set_rate(draft_version(private), product_item=item, parameters=price("4"), where=ERP)
        activate(private)
        assert order(private) == [CRM, ERP]
        for _ in range(2):
            touch(base)
            assert order(private) == [CRM, ERP]

    def test_what_only_it_has_stays_behind_what_it_stood_behind(self, base: Plan, item: ProductItem) -> None:
        private = make_private(base, customer=make_customer("acme"))
        set_rate(draft_version(private), product_item=item, parameters=price("4"), where=SHOP)
        activate(private)
        touch(base)
        assert order(private) == [CRM, ERP, SHOP]
        set_rate(draft_version(base), product_item=item, parameters=price("4"), where=WEB)
        activate(base)
        assert order(private) == [CRM, ERP, SHOP, WEB]
        remove_rate(draft_version(base).rates.get(where=ERP))
        activate(base)
        assert order(private) == [CRM, SHOP, WEB]
        set_rate(draft_version(base), product_item=item, parameters=price("9"), where=SHOP)
        activate(base)
        assert order(private) == order(base) == [CRM, WEB, SHOP]

    def test_a_price_that_is_given_up_has_its_place_again(self, base: Plan, item: ProductItem) -> None:
        private = make_private(base, customer=make_customer("acme"))
        draft = draft_version(private)
        drop_override(set_rate(draft, product_item=item, parameters=price("2"), where=CRM))
        assert order(private, draft) == [CRM, ERP]

    def test_one_that_follows_again_has_the_order_of_its_base(self, base: Plan, item: ProductItem) -> None:
        private = make_private(base, customer=make_customer("acme"), follows_base=False)
        activate(private)
        document = export_plan(base)
        document["rates"].reverse()
        apply_plan(document, activate=True)
        assert order(private) == [CRM, ERP]
        assert set_follows_base(Plan.objects.get(pk=private.pk), follows=True) is not None
        assert order(private) == [ERP, CRM]

    def test_the_bill_stays_when_the_base_gets_a_fee(self, base: Plan, item: ProductItem) -> None:
        with time_machine.travel(datetime(2026, 11, 10, 12, tzinfo=UTC), tick=False) as clock:
            customer = make_customer("acme")
            private = make_private(base, customer=customer)
            set_rate(draft_version(private), product_item=item, parameters=price("4"), where=ERP)
            activate(private)
            put_on(customer, Plan.objects.get(pk=private.pk), datetime(2026, 11, 1, tzinfo=UTC).date())
            send("acme", "ApiCalls", 1000, source="crm", target="erp")
            run_sweep()
            assert live_invoice(customer).total == 1000
            touch(base)
            clock.move_to(datetime(2026, 12, 10, 12, tzinfo=UTC))
            send("acme", "ApiCalls", 1000, source="crm", target="erp")
            run_sweep()
            run_sweep()
            assert live_invoice(customer).total == 1000


class TestDocuments:
    def test_rates_stand_as_the_document_lists_them(self, base: Plan) -> None:
        document = export_plan(base)
        assert apply_plan(document).differences == []
        document["rates"].reverse()
        applied = apply_plan(document, activate=True)
        (said,) = applied.differences
        assert said.subject == "Which rate of ApiCalls comes first"
        assert said.before == ["ApiCalls where source is crm", "ApiCalls where target is erp"]
        assert said.after == said.before[::-1]
        assert export_plan(base) == document
        apply_plan(document | {"key": "Copy"}, activate=True)
        assert order(base) == order(Plan.objects.get(key="Copy")) == [ERP, CRM]
        assert apply_plan(document).version is None

    def test_another_place_that_moves_no_bill_is_no_difference(self, base: Plan, item: ProductItem) -> None:
        set_rate(draft_version(base), product_item=item, parameters=price("7"))
        activate(base)
        document = export_plan(base)
        document["rates"].insert(0, document["rates"].pop())
        applied = apply_plan(document, activate=True)
        assert (applied.differences, applied.version) == ([], None)

    def test_a_private_plans_own_rates_keep_their_places(self, base: Plan, item: ProductItem) -> None:
        private = make_private(base, customer=make_customer("acme"))
        draft = draft_version(private)
        for amount, where in (("4", ERP), ("6", SHOP), ("8", WEB)):
            set_rate(draft, product_item=item, parameters=price(amount), where=where)
        activate(private)
        private = Plan.objects.get(pk=private.pk)
        document = export_plan(private)
        assert [rate["where"] for rate in document["rates"]] == [ERP, SHOP, WEB]
        assert apply_plan(document, activate=True).version is None
        document["rates"].reverse()
        apply_plan(document, activate=True)
        assert order(private) == [CRM, ERP, WEB, SHOP]

    def test_what_is_added_or_removed_is_no_change_of_the_order(self, base: Plan, item: ProductItem) -> None:
        before, draft = active_version(base), draft_version(base)
        remove_rate(draft.rates.get(where=CRM))
        set_rate(draft, product_item=item, parameters=price("1"), where=SHOP)
        assert [one.kind for one in differences(before, draft)] == ["removed", "added"]


@pytest.mark.django_db(transaction=True)
def test_rates_that_were_there_have_their_places_by_age() -> None:
    before, after = ("pricing", "0004_who_activated_and_rules_as_they_were"), ("pricing", "0005_order_of_rates")
    leaves = [leaf for leaf in MigrationExecutor(connection).loader.graph.leaf_nodes() if leaf[0] == "pricing"]
    item = make_meter().product_item
    versions = [draft_version(Plan.objects.create(key=key)) for key in ("one", "two")]
    for where in (CRM, ERP, SHOP):
        for version in versions:
            set_rate(version, product_item=item, parameters=price("1"), where=where)
    Rate.objects.update(position=7)
    try:
        MigrationExecutor(connection).migrate([before])
        MigrationExecutor(connection).migrate([after])
    finally:
        MigrationExecutor(connection).migrate(leaves)
    for version in versions:
        assert list(version.rates.order_by("id").values_list("position", flat=True)) == [1, 2, 3]
