"""Drafts: rates with filters, fees and terms, and what is refused, by field."""

from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from meters.metering import save_meter
from meters.models import Meter
from pricing.models import Plan, PlanVersion
from pricing.plans import activate, draft_version, remove_fee, remove_rate, set_fee, set_rate, set_terms
from tests.factories import STORY_RATE, make_meter
from tests.racing import race

pytestmark = pytest.mark.django_db

CENT = {"model": "per_unit", "unit_price": "0.01"}
PER_EVENT = {"model": "percentage", "rate_percent": "2.9", "fixed_fee_per_event": "0.3"}


@pytest.fixture
def draft(db: None) -> PlanVersion:
    return draft_version(Plan.objects.create(key="Basic"))


def refused(error: pytest.ExceptionInfo[ValidationError]) -> dict[str, list[str]]:
    return error.value.message_dict


class TestRates:
    def test_one_for_each_filter(self, draft: PlanVersion) -> None:
        item = make_meter(dimensions=["region", "tier"]).product_item
        rest = set_rate(draft, product_item=item, parameters=STORY_RATE)
        europe = set_rate(draft, product_item=item, parameters=CENT, where={"region": ["eu"]})
        assert {rate.pk: rate.where for rate in draft.rates.all()} == {rest.pk: {}, europe.pk: {"region": ["eu"]}}
        again = set_rate(draft, product_item=item, parameters=STORY_RATE, where={"region": ["eu"]}, prorated=True)
        assert (again.pk, draft.rates.count()) == (europe.pk, 2)
        europe.refresh_from_db()
        assert (europe.parameters, europe.prorated) == (STORY_RATE, True)

    def test_the_same_filter_written_otherwise_is_the_same(self, draft: PlanVersion) -> None:
        item = make_meter(dimensions=["region", "tier"]).product_item
        set_rate(draft, product_item=item, parameters=CENT, where={"region": ["us", "eu"], "tier": ["gold"]})
        rate = set_rate(
            draft, product_item=item, parameters=STORY_RATE, where={"tier": ["gold"], "region": ["eu", "us", "eu"]}
        )
        assert draft.rates.get() == rate
        assert rate.where == {"region": ["eu", "us"], "tier": ["gold"]}

    @pytest.mark.parametrize(
        "where",
        [
            {"colour": ["red"]},
            {"source": []},
            {"source": "web"},
            {"source": [1]},
            {"source": ["a\0b"]},
            {"source": ["x" * 501]},
            {"source": [str(number) for number in range(1001)]},
            {7: ["web"]},
            ["source"],
        ],
        ids=str,
    )
    def test_a_filter_that_the_meter_cannot_apply_is_refused(self, draft: PlanVersion, where: Any) -> None:
        item = make_meter().product_item
        with pytest.raises(ValidationError) as error:
            set_rate(draft, product_item=item, parameters=CENT, where=where)
        assert list(refused(error)) == ["where"]
        assert not draft.rates.exists()

    @pytest.mark.parametrize(
        "meter",
        [
            {"aggregation": Meter.Aggregation.COUNT},
            {"aggregation": Meter.Aggregation.MAX},
            {"aggregation": Meter.Aggregation.UNIQUE_COUNT, "unique_dimension": "source"},
            {"rounding": Meter.Rounding.UP},
        ],
        ids=str,
    )
    def test_single_events_come_from_sums_only(self, draft: PlanVersion, meter: dict[str, Any]) -> None:
        item = make_meter(**meter).product_item
        with pytest.raises(ValidationError) as error:
            set_rate(draft, product_item=item, parameters=PER_EVENT)
        assert list(refused(error)) == ["model"]
        # Without a fee or limit of single events any quantity will do.
        set_rate(draft, product_item=item, parameters={"model": "percentage", "rate_percent": "2.9"})
        payments = make_meter("Payments", multiplier=Decimal("0.01")).product_item
        assert set_rate(draft, product_item=payments, parameters=PER_EVENT).parsed.model.name == "percentage"

    def test_a_meter_that_changed_since_is_found_on_activation(self, draft: PlanVersion) -> None:
        payments = make_meter("Payments", dimensions=["region"])
        set_rate(draft, product_item=payments.product_item, parameters=CENT, where={"region": ["eu"]})
        Meter.objects.update(dimensions=["source"])
        with pytest.raises(ValidationError, match="no longer declares region") as error:
            activate(draft.plan)
        assert list(refused(error)) == ["where"]
        remove_rate(draft.rates.get())
        payments.refresh_from_db()
        set_rate(draft, product_item=payments.product_item, parameters=PER_EVENT)
        Meter.objects.update(aggregation=Meter.Aggregation.MAX)
        with pytest.raises(ValidationError) as error:
            activate(draft.plan)
        assert list(refused(error)) == ["model"]
        draft.refresh_from_db()
        assert draft.is_draft

    def test_a_meter_keeps_what_the_prices_of_an_activated_version_need(self, draft: PlanVersion) -> None:
        payments = make_meter("Payments", dimensions=["region", "kind"])
        set_rate(draft, product_item=payments.product_item, parameters=PER_EVENT, where={"region": ["eu"]})
        save_meter(payments, changes={"aggregation": Meter.Aggregation.MAX})
        save_meter(payments, changes={"aggregation": Meter.Aggregation.SUM})
        activate(draft.plan)
        for changes, field in (
            ({"aggregation": Meter.Aggregation.MAX}, "aggregation"),
            ({"rounding": Meter.Rounding.UP}, "rounding"),
            ({"dimensions": ["kind"]}, "dimensions"),
        ):
            with pytest.raises(ValidationError) as error:
                save_meter(payments, changes=changes)
            assert list(refused(error)) == [field]
            payments.refresh_from_db()
            assert (payments.aggregation, payments.rounding) == (Meter.Aggregation.SUM, Meter.Rounding.NONE)
            assert payments.dimensions == ["region", "kind"]
        save_meter(payments, changes={"name": "Paid", "dimensions": ["region"]})
        # Also after another version took its place: customers may still be on the first one.
        second = draft_version(draft.plan)
        remove_rate(second.rates.get())
        set_rate(second, product_item=make_meter().product_item, parameters=CENT)
        activate(draft.plan)
        with pytest.raises(ValidationError):
            save_meter(payments, changes={"aggregation": Meter.Aggregation.MAX})


@pytest.mark.django_db(transaction=True)
def test_a_meter_that_changes_while_its_price_is_activated() -> None:
    for number in range(6):
        payments = make_meter(f"Payments{number}")
        draft = draft_version(Plan.objects.create(key=f"Plan{number}"))
        set_rate(draft, product_item=payments.product_item, parameters=PER_EVENT)
        changes = {"aggregation": Meter.Aggregation.MAX, "used_for_billing": False}
        raised = race(partial(activate, draft.plan), partial(save_meter, payments, changes=changes))
        # Whoever comes second is refused.
        assert [type(error) for error in raised] == [ValidationError]
        payments.refresh_from_db()
        draft.refresh_from_db()
        assert draft.is_draft == (payments.aggregation == Meter.Aggregation.MAX)


class TestFees:
    def test_of_each_kind(self, draft: PlanVersion) -> None:
        seats = set_fee(draft, key="seats", name="Seats", kind="recurring", amount="9.90", quantity=5, unit="seats")
        setup = set_fee(draft, key="setup", name="Setup", kind="one_time", amount=Decimal(99))
        support = set_fee(draft, key="support", name="Support", kind="percent", percent="10", quantity=3, unit="x")
        assert (seats.amount, seats.quantity, seats.unit, seats.prorated) == (Decimal("9.90"), 5, "seats", True)
        assert (setup.amount, setup.quantity, setup.prorated) == (99, 1, False)
        assert (support.percent, support.amount, support.quantity, support.unit) == (10, None, 1, "")
        assert not support.prorated

    def test_the_key_is_one_fee(self, draft: PlanVersion) -> None:
        first = set_fee(draft, key="support", name="Support", amount="10")
        second = set_fee(draft, key="support", name="Support", kind="percent", percent="5")
        assert first.pk == second.pk
        assert (draft.fees.get().amount, draft.fees.get().percent) == (None, 5)
        remove_fee(draft.fees.get())
        assert not draft.fees.exists()

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("amount", {"amount": None}),
            ("amount", {"amount": "-1"}),
            ("amount", {"amount": "1e30"}),
            ("amount", {"amount": "0.1234567890123456"}),
            ("amount", {"amount": 0.1}),
            ("amount", {"amount": "NaN"}),
            ("percent", {"percent": "5"}),
            ("percent", {"kind": "percent", "amount": None}),
            ("percent", {"kind": "percent", "amount": None, "percent": "0"}),
            ("amount", {"kind": "percent", "percent": "5"}),
            ("quantity", {"quantity": "-1"}),
            ("quantity", {"quantity": "many"}),
            ("kind", {"kind": "weekly"}),
            ("key", {"key": ""}),
            ("key", {"key": "two words"}),
            ("key", {"key": "k" * 101}),
            ("name", {"name": ""}),
            ("name", {"name": "A\0B"}),
            ("unit", {"unit": "u" * 41}),
        ],
        ids=str,
    )
    def test_a_bad_one_is_refused_by_field(self, draft: PlanVersion, field: str, changes: dict[str, Any]) -> None:
        with pytest.raises(ValidationError) as error:
            set_fee(draft, **{"key": "seats", "name": "Seats", "amount": "10"} | changes)
        assert list(refused(error)) == [field]
        assert not draft.fees.exists()

    def test_a_plan_of_fees_alone_can_be_activated(self, draft: PlanVersion) -> None:
        set_fee(draft, key="base", name="Base fee", amount="49")
        version = activate(draft.plan)
        with pytest.raises(ValidationError) as error:
            set_fee(version, key="base", name="Base fee", amount="59")
        assert list(refused(error)) == ["version"]
        with pytest.raises(ValidationError, match="frozen"):
            remove_fee(version.fees.get())
        assert version.fees.get().amount == 49


class TestTerms:
    def test_are_changed_one_by_one(self, draft: PlanVersion) -> None:
        set_terms(draft, interval="quarter", interval_count=2, alignment="anniversary", trial_days=14)
        version = set_terms(draft, minimum="50", currency="JPY")
        version.refresh_from_db()
        assert (version.interval, version.interval_count, version.alignment) == ("quarter", 2, "anniversary")
        assert (version.trial_days, version.minimum, version.currency) == (14, 50, "JPY")
        version = set_terms(draft, minimum=0, commitment="1000", overage_factor="1.25")
        assert (version.minimum, version.commitment, version.overage_factor) == (0, 1000, Decimal("1.25"))
        assert set_terms(draft, commitment=None).commitment is None

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("interval", {"interval": "fortnight"}),
            ("interval_count", {"interval_count": 0}),
            ("interval_count", {"interval_count": 367}),
            ("interval_count", {"interval_count": "x"}),
            ("alignment", {"alignment": "left"}),
            ("trial_days", {"trial_days": -1}),
            ("trial_days", {"trial_days": 3651}),
            ("currency", {"currency": "usd"}),
            ("currency", {"currency": "XXX"}),
            ("currency", {"currency": "DOLLAR"}),
            ("minimum", {"minimum": "-1"}),
            ("minimum", {"minimum": None}),
            ("commitment", {"minimum": "5", "commitment": "5"}),
            ("commitment", {"commitment": "0"}),
            ("overage_factor", {"overage_factor": "-2"}),
            ("status", {"status": "active"}),
        ],
        ids=str,
    )
    def test_a_bad_one_is_refused_by_field(self, draft: PlanVersion, field: str, changes: dict[str, Any]) -> None:
        with pytest.raises(ValidationError) as error:
            set_terms(draft, **changes)
        assert list(refused(error)) == [field]
        draft.refresh_from_db()
        assert (draft.interval, draft.currency, draft.minimum, draft.status) == ("month", "USD", 0, "draft")

    def test_a_frozen_or_discarded_version_keeps_them(self, draft: PlanVersion) -> None:
        set_fee(draft, key="base", name="Base fee", amount="49")
        activate(draft.plan)
        with pytest.raises(ValidationError, match="frozen"):
            set_terms(draft, trial_days=7)
        second = draft_version(draft.plan)
        PlanVersion.objects.get(pk=second.pk).delete()
        with pytest.raises(ValidationError, match="discarded"):
            set_terms(second, trial_days=7)


def test_a_new_draft_has_all_that_the_newest_version_says(draft: PlanVersion) -> None:
    item = make_meter().product_item
    set_rate(draft, product_item=item, parameters=CENT, where={"source": ["web"]}, prorated=True)
    set_fee(draft, key="seats", name="Seats", amount="9", quantity=5, unit="seats", prorated=False)
    set_terms(draft, currency="EUR", trial_days=7, commitment="100", overage_factor="2", interval="year")
    activate(draft.plan)
    second = draft_version(draft.plan)
    rate, fee = second.rates.get(), second.fees.get()
    assert (rate.where, rate.parameters, rate.prorated) == ({"source": ["web"]}, CENT, True)
    assert (fee.key, fee.amount, fee.quantity, fee.unit, fee.prorated) == ("seats", 9, 5, "seats", False)
    assert (second.currency, second.trial_days, second.commitment) == ("EUR", 7, 100)
    assert (second.overage_factor, second.interval, second.number) == (2, "year", 2)
