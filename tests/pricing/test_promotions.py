"""Promotions: saving them, giving them by name or code, ending them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError

from pricing.models import AppliedPromotion, Promotion
from pricing.promotions import apply_promotion, end_promotion, save_promotion
from tests.factories import make_customer, make_meter
from tests.racing import race

TODAY = datetime.now(UTC).date()
WELCOME: dict[str, Any] = {"key": "welcome", "name": "Welcome", "kind": "percent", "percent": "20"}
VOUCHER = {"key": "voucher", "name": "Voucher", "kind": "amount", "amount": "50", "currency": "EUR"}


def refused(error: pytest.ExceptionInfo[ValidationError]) -> list[str]:
    return list(error.value.message_dict)


@pytest.mark.django_db
class TestSaving:
    def test_percent_or_amount(self) -> None:
        welcome = save_promotion(changes=WELCOME | {"code": " Hello20 ", "periods": 3, "cap": "100", "currency": "USD"})
        voucher = save_promotion(changes=VOUCHER | {"code": ""})
        assert (welcome.percent, welcome.amount, welcome.code, welcome.position) == (20, None, "Hello20", 10)
        assert (voucher.percent, voucher.amount, voucher.code, voucher.position) == (None, 50, None, 20)
        save_promotion(welcome, changes={"kind": "amount", "percent": None, "amount": Decimal("9.99")})
        welcome.refresh_from_db()
        assert (welcome.kind, welcome.percent, welcome.amount, welcome.cap) == ("amount", None, Decimal("9.99"), 100)

    def test_of_chosen_product_items(self) -> None:
        items = [make_meter(key).product_item for key in ("ApiCalls", "Storage")]
        promotion = save_promotion(changes=WELCOME | {"product_items": items})
        assert list(promotion.product_items.all()) == items
        save_promotion(promotion, changes={"enabled": False})
        assert promotion.product_items.count() == 2
        save_promotion(promotion, changes={"product_items": []})
        assert not promotion.product_items.exists()

    def test_a_currency_is_taken_in_small_letters(self) -> None:
        made = save_promotion(changes=VOUCHER | {"currency": " eur "})
        assert made.currency == "EUR"

    def test_all_faults_are_told_at_once(self) -> None:
        with pytest.raises(ValidationError) as error:
            save_promotion(changes={"key": "two words", "name": "", "kind": "amount", "amount": "x", "cap": "0"})
        assert refused(error) == ["amount", "cap", "currency", "key", "name"]

    @pytest.mark.parametrize(
        ("changes", "field", "said"),
        [
            ({}, "percent", "Say what is off"),
            ({"kind": "amount"}, "amount", "Say what is off"),
            ({"percent": "5", "amount": "5", "currency": "EUR"}, "amount", "not both"),
        ],
    )
    def test_neither_and_both_of_percent_and_amount(self, changes: dict[str, Any], field: str, said: str) -> None:
        with pytest.raises(ValidationError, match=said) as error:
            save_promotion(changes={"key": "a", "name": "A"} | changes)
        assert refused(error) == [field]

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("percent", {"percent": None}),
            ("percent", {"percent": "0"}),
            ("percent", {"percent": "100.1"}),
            ("percent", {"percent": "x"}),
            ("amount", {"amount": "5", "currency": "EUR"}),
            ("amount", {"kind": "amount", "percent": None, "currency": "EUR"}),
            ("amount", {"kind": "amount", "percent": None, "amount": "0", "currency": "EUR"}),
            ("percent", {"kind": "amount", "amount": "5", "currency": "EUR"}),
            ("currency", {"kind": "amount", "percent": None, "amount": "5"}),
            ("currency", {"cap": "5"}),
            ("currency", {"cap": "5", "currency": "eurx"}),
            ("cap", {"cap": "0", "currency": "EUR"}),
            ("cap", {"cap": "-1", "currency": "EUR"}),
            ("periods", {"periods": 0}),
            ("ends_on", {"starts_on": TODAY, "ends_on": TODAY}),
            ("key", {"key": "voucher"}),
            ("key", {"key": "two words"}),
            ("code", {"code": "SAVE"}),
            ("name", {"name": ""}),
            ("name", {"name": "a\0b"}),
            ("kind", {"kind": "gift"}),
            ("colour", {"colour": "red"}),
        ],
        ids=str,
    )
    def test_a_bad_one_is_refused_by_field(self, field: str, changes: dict[str, Any]) -> None:
        save_promotion(changes=VOUCHER | {"code": "save"})
        with pytest.raises(ValidationError) as error:
            save_promotion(changes=WELCOME | changes)
        assert refused(error) == [field]
        assert Promotion.objects.count() == 1


@pytest.mark.django_db
class TestGiving:
    def test_by_name_and_by_code(self) -> None:
        welcome = save_promotion(changes=WELCOME | {"code": "Hello"})
        by_name = apply_promotion(customer=make_customer("a"), promotion=welcome, actor="anna")
        by_code = apply_promotion(customer=make_customer("b"), code=" hELLO ", starts_on=date(2026, 12, 1))
        assert (by_name.starts_on, by_name.code, by_name.actor) == (TODAY, "", "anna")
        assert (by_code.promotion, by_code.starts_on, by_code.code.strip()) == (welcome, date(2026, 12, 1), "hELLO")

    def test_today_is_the_customers(self) -> None:
        welcome = save_promotion(changes=WELCOME)
        with time_machine.travel("2026-03-18T12:00:00Z", tick=False):
            customer = make_customer(time_zone="Pacific/Kiritimati")
            assert apply_promotion(customer=customer, promotion=welcome).starts_on == date(2026, 3, 19)

    def test_within_its_time_and_while_it_is_given(self) -> None:
        span = {"starts_on": date(2026, 12, 1), "ends_on": date(2027, 1, 1)}
        advent = save_promotion(changes=WELCOME | span)
        customer = make_customer()
        for day in (date(2026, 11, 30), date(2027, 1, 1), date(1, 1, 1)):
            with pytest.raises(ValidationError) as error:
                apply_promotion(customer=customer, promotion=advent, starts_on=day)
            assert refused(error) == ["starts_on"]
        save_promotion(advent, changes={"enabled": False})
        with pytest.raises(ValidationError) as error:
            apply_promotion(customer=customer, promotion=advent, starts_on=date(2026, 12, 31))
        assert refused(error) == ["promotion"]
        save_promotion(advent, changes={"enabled": True})
        assert apply_promotion(customer=customer, promotion=advent, starts_on=date(2026, 12, 31)).pk

    def test_what_there_is_not_is_refused(self) -> None:
        welcome, voucher = save_promotion(changes=WELCOME | {"code": "hello"}), save_promotion(changes=VOUCHER)
        customer = make_customer()
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("code", {"code": "nope"}),
            ("code", {"code": ""}),
            ("code", {"code": "hel%"}),
            ("code", {"code": "hello\0"}),
            ("code", {"code": "hello", "promotion": voucher}),
            ("promotion", {}),
        ]
        for field, given in wrong:
            with pytest.raises(ValidationError) as error:
                apply_promotion(customer=customer, **given)
            assert refused(error) == [field]
        assert apply_promotion(customer=customer, code="hello", promotion=welcome).promotion == welcome

    def test_a_customer_gets_it_once(self) -> None:
        welcome = save_promotion(changes=WELCOME | {"code": "hello"})
        customer = make_customer()
        applied = apply_promotion(customer=customer, code="hello")
        end_promotion(applied, ends_on=TODAY)
        for field, given in (("code", {"code": "hello"}), ("promotion", {"promotion": welcome})):
            with pytest.raises(ValidationError, match="has had Welcome already") as error:
                apply_promotion(customer=customer, **given)  # type: ignore[arg-type]
            assert refused(error) == [field]

    def test_the_end_is_set_moved_and_taken_back(self) -> None:
        applied = apply_promotion(customer=make_customer(), promotion=save_promotion(changes=WELCOME), actor="anna")
        for ends_on in (date(2027, 3, 1), TODAY, None):
            ended = end_promotion(applied, ends_on=ends_on, actor="bert")
            applied.refresh_from_db()
            assert ended.ends_on == applied.ends_on == ends_on
        for day in (date(2026, 1, 1), date(9999, 12, 31)):
            with pytest.raises(ValidationError) as error:
                end_promotion(applied, ends_on=day)
            assert refused(error) == ["ends_on"]


@pytest.mark.django_db(transaction=True)
def test_a_code_that_is_typed_twice_at_once_counts_once() -> None:
    save_promotion(changes=WELCOME | {"code": "hello"})
    customer = make_customer()
    raised = race(*[partial(apply_promotion, customer=customer, code="hello")] * 4)
    assert {type(error) for error in raised} == {ValidationError}
    assert (len(raised), AppliedPromotion.objects.count()) == (3, 1)


@pytest.mark.django_db(transaction=True)
def test_a_promotion_that_is_switched_off_meanwhile_is_given_before_or_not_at_all() -> None:
    welcome = save_promotion(changes=WELCOME)
    customers = [make_customer(f"c{number}") for number in range(3)]
    raised = race(
        partial(save_promotion, welcome, changes={"enabled": False}),
        *(partial(apply_promotion, customer=customer, promotion=welcome) for customer in customers),
    )
    assert {type(error) for error in raised} <= {ValidationError}
    assert AppliedPromotion.objects.count() + len(raised) == 3


@pytest.mark.django_db(transaction=True)
def test_a_key_or_code_that_two_take_at_once_is_one_promotions() -> None:
    for changes in (WELCOME, WELCOME | {"key": "other", "code": "hello"}):
        both = [changes, changes if "code" not in changes else changes | {"key": "third", "code": "HELLO"}]
        (refused,) = race(*(partial(save_promotion, changes=one) for one in both))
        assert isinstance(refused, ValidationError)
        assert list(refused.message_dict) == ["code" if "code" in changes else "key"]
    assert Promotion.objects.count() == 2
