"""Plans as documents: exported, applied, and every fault told by its path."""

from contextlib import suppress
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from meters.models import Customer
from pricing.documents import apply_plan, export_plan
from pricing.models import Plan, PlanVersion
from pricing.plans import activate, active_version, draft_version, set_fee, set_rate, set_terms
from pricing.private_plans import make_private
from tests.factories import STORY_RATE, make_customer, make_meter, put_on
from tests.racing import race

TIERS = {
    "model": "graduated",
    "tiers": [{"up_to": "100", "unit_price": "0.5", "flat_fee": "1"}, {"up_to": None, "unit_price": "0.1"}],
    "minimum": "3",
}
DOCUMENT: dict[str, Any] = {
    "key": "Basic",
    "name": "Basic plan",
    "description": "For all",
    "currency": "EUR",
    "interval": "quarter",
    "interval_count": 2,
    "alignment": "anniversary",
    "trial_days": 14,
    "minimum": "0",
    "commitment": "1000",
    "overage_factor": "1.25",
    "rates": [
        {"product_item": "ApiCalls", "parameters": STORY_RATE},
        {"product_item": "ApiCalls", "where": {"region": ["eu", "us"]}, "prorated": True, "parameters": TIERS},
    ],
    "fees": [
        {
            "key": "seats",
            "name": "Seats",
            "kind": "recurring",
            "amount": "9.9",
            "quantity": "5",
            "unit": "seats",
            "prorated": False,
        },
        {"key": "setup", "name": "Setup", "kind": "one_time", "amount": "99", "quantity": "1"},
        {"key": "support", "name": "Support", "kind": "percent", "percent": "7.5"},
    ],
}


def document(**changes: Any) -> dict[str, Any]:
    return deepcopy(DOCUMENT) | changes


@pytest.fixture
def meters(db: None) -> None:
    make_meter("ApiCalls", dimensions=["region"])
    make_meter("Storage")


def faults(made: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as error:
        apply_plan(made)
    assert not Plan.objects.exists()
    return error.value.message_dict


@pytest.mark.usefixtures("meters")
class TestApplying:
    def test_what_is_exported_is_what_was_applied(self) -> None:
        applied = apply_plan(document(), activate=True)
        assert applied.version is not None
        assert applied.version.status == PlanVersion.Status.ACTIVE
        assert {difference.kind for difference in applied.differences} == {"added", "changed"}
        exported = export_plan(applied.plan)
        assert exported == DOCUMENT
        assert list(exported) == list(DOCUMENT)
        assert list(exported["rates"][0]["parameters"]) == list(STORY_RATE)

    def test_what_changes_nothing_does_nothing(self) -> None:
        apply_plan(document(), activate=True)
        version = active_version(Plan.objects.get())
        for activate_it in (False, True):
            applied = apply_plan(document(), activate=activate_it)
            assert (applied.differences, applied.version) == ([], None)
        assert Plan.objects.get().versions.get() == version

    def test_a_change_becomes_a_draft_and_with_a_word_active(self) -> None:
        apply_plan(document(), activate=True)
        changed = document(trial_days=7, fees=DOCUMENT["fees"][:1])
        applied = apply_plan(changed)
        assert applied.version is not None
        assert applied.version.is_draft
        assert [(one.kind, one.subject) for one in applied.differences] == [
            ("changed", "Trial"),
            ("removed", "Fee Setup"),
            ("removed", "Fee Support"),
        ]
        assert export_plan(applied.plan) == DOCUMENT
        assert export_plan(applied.plan, version=applied.version) == changed
        again = apply_plan(changed, activate=True, moves_existing=False)
        assert again.version == applied.version
        assert again.version.moves_existing is False
        assert export_plan(applied.plan) == changed

    def test_a_draft_in_work_stays_where_the_document_says_what_is_active(self) -> None:
        apply_plan(document(), activate=True)
        plan = Plan.objects.get()
        draft = set_terms(draft_version(plan), trial_days=3)
        assert apply_plan(document()).version is None
        draft.refresh_from_db()
        assert (draft.trial_days, plan.versions.count()) == (3, 2)
        apply_plan(document(trial_days=4))
        draft.refresh_from_db()
        assert (draft.trial_days, plan.versions.count()) == (4, 2)

    def test_a_dry_run_leaves_nothing(self) -> None:
        tried = apply_plan(document(), activate=True, dry_run=True)
        assert tried.version is None
        assert not Plan.objects.exists()
        assert tried.differences == apply_plan(document(), activate=True).differences
        tried = apply_plan(document(name="Other", trial_days=1), activate=True, dry_run=True)
        assert [one.subject for one in tried.differences] == ["Name", "Trial"]
        assert export_plan(Plan.objects.get()) == DOCUMENT
        assert Plan.objects.get().versions.count() == 1

    def test_names_change_without_a_version(self) -> None:
        apply_plan(document(), activate=True)
        applied = apply_plan(document(name="", description="New"))
        assert applied.version is None
        assert [(one.subject, one.before, one.after) for one in applied.differences] == [
            ("Name", ["Basic plan"], []),
            ("Description", ["For all"], ["New"]),
        ]
        assert Plan.objects.get().description == "New"

    def test_what_is_left_out_is_as_in_a_new_plan(self) -> None:
        apply_plan(document(), activate=True)
        applied = apply_plan({"key": "Basic", "rates": [{"product_item": "Storage", "parameters": STORY_RATE}]})
        assert applied.version is not None
        exported = export_plan(applied.plan, version=applied.version)
        assert (exported["currency"], exported["trial_days"], exported["commitment"]) == ("USD", 0, None)
        assert (exported["interval"], exported["name"], exported["fees"]) == ("month", "", [])
        assert [rate["product_item"] for rate in exported["rates"]] == ["Storage"]

    def test_a_conflict_on_activation_is_found_by_the_dry_run(self) -> None:
        customer = make_customer()
        apply_plan(document(), activate=True)
        today = timezone.now().date()
        put_on(customer, Plan.objects.get(), today)
        storage = Plan.objects.create(key="Storage")
        rates = [{"product_item": "Storage", "parameters": STORY_RATE}]
        apply_plan({"key": "Storage", "rates": rates}, activate=True)
        put_on(customer, storage, today)
        wanted = document(rates=[*DOCUMENT["rates"], *rates])
        for dry_run in (True, False):
            with pytest.raises(ValidationError, match="is on Storage too"):
                apply_plan(wanted, activate=True, dry_run=dry_run)
        assert export_plan(Plan.objects.get(key="Basic")) == DOCUMENT


@pytest.mark.usefixtures("meters")
class TestFaults:
    @pytest.mark.parametrize(
        ("path", "changes"),
        [
            ("key", {"key": ""}),
            ("key", {"key": "two words"}),
            ("key", {"key": 7}),
            ("name", {"name": "a\0b"}),
            ("name", {"name": "x" * 201}),
            ("colour", {"colour": "red"}),
            ("document", {"two words": "x"}),
            ("currency", {"currency": "EURO"}),
            ("currency", {"currency": "eur"}),
            ("interval", {"interval": "fortnight"}),
            ("interval_count", {"interval_count": "x"}),
            ("interval_count", {"interval_count": 1.5}),
            ("trial_days", {"trial_days": True}),
            ("minimum", {"minimum": 0.5}),
            ("commitment", {"minimum": "5"}),
            ("overage_factor", {"overage_factor": None}),
            ("base", {"customer": "acme"}),
            ("customer", {"base": "Basic"}),
            ("base", {"base": "Nope", "customer": "acme"}),
            ("follows_base", {"follows_base": "yes"}),
            ("rates", {"rates": {}}),
            ("rates[0]", {"rates": ["ApiCalls"]}),
            ("fees", {"fees": "seats"}),
        ],
        ids=str,
    )
    def test_of_the_plan(self, path: str, changes: dict[str, Any]) -> None:
        make_customer("acme")
        assert path in faults(document(**changes))

    @pytest.mark.parametrize(
        ("path", "changes"),
        [
            ("rates[1].product_item", {"product_item": "Mails"}),
            ("rates[1].product_item", {"product_item": None}),
            ("rates[1].where", {"where": {"colour": ["red"]}}),
            ("rates[1].where", {"where": {"region": "eu"}}),
            ("rates[1].where", {"where": {"region": [1]}}),
            ("rates[1].where", {"where": {"region": ["eu"] * 1001}}),
            ("rates[1].prorated", {"prorated": "yes"}),
            ("rates[1].price", {"price": "5"}),
            ("rates[1].parameters", {"parameters": "free"}),
            ("rates[1].parameters.model", {"parameters": {}}),
            ("rates[1].parameters.unit_price", {"parameters": {"model": "per_unit", "unit_price": 0.01}}),
            ("rates[1].parameters.tiers[0].up_to", {"parameters": TIERS | {"tiers": [{"up_to": "1"}]}}),
            ("rates[1]", {"where": {}}),
        ],
        ids=lambda value: str(value)[:80],
    )
    def test_of_a_rate(self, path: str, changes: dict[str, Any]) -> None:
        rates = deepcopy(DOCUMENT["rates"])
        rates[1] |= changes
        assert list(faults(document(rates=rates))) == [path]

    def test_of_a_rate_that_the_meter_cannot_serve(self) -> None:
        make_meter("Peak", aggregation="max")
        per_event = {"model": "percentage", "rate_percent": "2", "fixed_fee_per_event": "0.3"}
        rates = [{"product_item": "Peak", "parameters": per_event}]
        assert list(faults(document(rates=rates))) == ["rates[0].parameters.model"]

    @pytest.mark.parametrize(
        ("path", "changes"),
        [
            ("fees[0].amount", {"amount": "-1"}),
            ("fees[0].percent", {"percent": "5"}),
            ("fees[0].kind", {"kind": "weekly"}),
            ("fees[0].key", {"key": "two words"}),
            ("fees[0].key", {"key": ""}),
            ("fees[1].key", {"key": "setup"}),
            ("fees[0].name", {"name": ["Seats"]}),
            ("fees[0].colour", {"colour": "red"}),
        ],
        ids=str,
    )
    def test_of_a_fee(self, path: str, changes: dict[str, Any]) -> None:
        fees = deepcopy(DOCUMENT["fees"])
        fees[0] |= changes
        assert path in faults(document(fees=fees))

    def test_all_of_its_shape_are_told_at_once(self) -> None:
        made = document(follows_base="x", fees=[{}], rates=[{"product_item": "Nope", "parameters": []}])
        assert set(faults(made)) == {
            "follows_base",
            "rates[0].product_item",
            "rates[0].parameters",
            "fees[0].key",
            "fees[0].name",
        }

    @pytest.mark.parametrize("made", [None, [], "Basic", 7])
    def test_no_object_at_all(self, made: Any) -> None:
        assert list(faults(made)) == ["document"]


@pytest.mark.usefixtures("meters")
class TestPrivatePlans:
    def private(self) -> Plan:
        apply_plan(document(), activate=True)
        base = Plan.objects.get(key="Basic")
        plan = make_private(base, customer=make_customer("acme"))
        draft = draft_version(plan)
        rate = draft.rates.get(where={})
        set_rate(draft, product_item=rate.product_item, parameters={"model": "per_unit", "unit_price": "0.001"})
        set_fee(draft, key="manager", name="Manager", amount="100")
        set_terms(draft, trial_days=0)
        activate(plan)
        return plan

    def test_only_what_is_the_customers_own_is_in_the_document(self) -> None:
        exported = export_plan(self.private())
        assert exported == {
            "key": "Basic.acme",
            "name": "Basic plan",
            "description": "For all",
            "base": "Basic",
            "customer": "acme",
            "follows_base": True,
            "trial_days": 0,
            "rates": [{"product_item": "ApiCalls", "parameters": {"model": "per_unit", "unit_price": "0.001"}}],
            "fees": [
                {
                    "key": "manager",
                    "name": "Manager",
                    "kind": "recurring",
                    "amount": "100",
                    "quantity": "1",
                    "prorated": True,
                }
            ],
        }
        assert apply_plan(exported).differences == []

    def test_what_is_left_out_is_the_base_plans_again(self) -> None:
        plan = self.private()
        exported = export_plan(plan) | {"fees": [], "follows_base": False}
        exported.pop("trial_days")
        applied = apply_plan(exported, activate=True)
        assert [(one.kind, one.subject) for one in applied.differences] == [
            ("changed", "Base plan"),
            ("added", "Trial"),
            ("removed", "Fee Manager"),
        ]
        assert applied.version is not None
        assert (applied.version.trial_days, applied.version.fees.count()) == (14, 3)
        plan.refresh_from_db()
        assert not plan.follows_base

    def test_one_is_made_of_its_document(self) -> None:
        plan = self.private()
        make_customer("globex")
        exported = export_plan(plan) | {"key": "Globex", "customer": "globex"}
        applied = apply_plan(exported, activate=True)
        assert (applied.plan.base, applied.plan.customer) == (plan.base, Customer.objects.get(key="globex"))
        assert export_plan(applied.plan) == exported
        for wrong, field in (({"customer": "acme"}, "customer"), ({"base": "", "customer": ""}, "base")):
            with pytest.raises(ValidationError) as error:
                apply_plan(exported | wrong)
            assert list(error.value.message_dict) == [field]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


class TestGarbage(TestCase):
    """Whatever stands in a document, the answer is a refusal or a plan, never a traceback."""

    @given(st.sampled_from(sorted(DOCUMENT)), JSON)
    def test_in_a_field(self, name: str, value: Any) -> None:
        with suppress(ValidationError):
            apply_plan(document(rates=[]) | {name: value})

    @given(st.sampled_from(["rates", "fees"]), st.sampled_from([*sorted(DOCUMENT["fees"][0]), "where"]), JSON)
    def test_in_a_row(self, rows: str, name: str, value: Any) -> None:
        with suppress(ValidationError):
            apply_plan(document(rates=[], fees=[]) | {rows: [{"key": "k", "name": "n", "amount": "1"} | {name: value}]})


@pytest.mark.django_db(transaction=True)
def test_two_documents_of_one_plan_applied_at_once() -> None:
    make_meter("ApiCalls", dimensions=["region"])
    apply_plan(document(), activate=True)
    jobs = [partial(apply_plan, document(trial_days=days), activate=True) for days in (1, 2, 3)]
    assert race(*jobs) == []
    assert sorted(Plan.objects.get().versions.values_list("number", "trial_days"))[0] == (1, 14)
    assert {version.trial_days for version in PlanVersion.objects.all()} == {14, 1, 2, 3}


@pytest.mark.django_db(transaction=True)
def test_a_plan_that_two_documents_make_at_once_is_one_plan() -> None:
    make_meter("ApiCalls", dimensions=["region"])
    assert race(*[partial(apply_plan, document(), activate=True)] * 3) == []
    assert Plan.objects.get().versions.get().status == PlanVersion.Status.ACTIVE


@pytest.mark.django_db
def test_all_faults_of_prices_fees_and_terms_are_told_at_once() -> None:
    make_meter()
    document = {
        "key": "New",
        "trial_days": 5000,
        "rates": [{"product_item": "ApiCalls", "parameters": {"model": "per_unit", "unit_price": "x"}}],
        "fees": [
            {"key": "a", "name": "A", "amount": "x"},
            {"key": "b", "name": "B", "amount": "1"},
            {"key": "c", "name": "C"},
        ],
    }
    with pytest.raises(ValidationError) as error:
        apply_plan(document)
    paths = {"trial_days", "rates[0].parameters.unit_price", "fees[0].amount", "fees[2].amount"}
    assert set(error.value.message_dict) == paths
    assert not Plan.objects.exists()
