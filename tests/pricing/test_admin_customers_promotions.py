"""The staff pages of promotions, tax rates and billing profiles."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client

from invoices.models import InvoiceLine
from meters.models import Customer
from pricing.models import AppliedPromotion, BillingProfile, ProductItem, Promotion, TaxRate
from pricing.promotions import apply_promotion
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.pricing.pages import faults, text, words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("november")]

PROMOTIONS = "/admin/pricing/promotion/"
TAXES = "/admin/pricing/taxrate/"
WELCOME = {"key": "welcome", "name": "Welcome", "kind": "percent", "percent": "20", "enabled": "on"}
TEN_OFF = {"key": "ten", "name": "Ten off", "kind": "amount", "amount": "10", "currency": "USD", "enabled": "on"}


@pytest.fixture
def november() -> Any:
    with time_machine.travel("2026-11-18T12:00:00Z", tick=False):
        yield


@pytest.fixture
def acme(november: Any) -> Customer:
    return make_customer("acme")


def promotion(key: str = "welcome", position: int = 10, **fields: Any) -> Promotion:
    defaults: dict[str, Any] = {"name": key.capitalize(), "percent": Decimal(20)}
    return Promotion.objects.create(key=key, position=position, **(defaults | fields))


def page(customer: Customer, anchor: str = "") -> str:
    return f"/admin/meters/customer/{customer.pk}/{anchor or 'change/'}"


# --- Promotions ---


def test_staff_make_a_promotion(staff: Client) -> None:
    item: ProductItem = make_meter().product_item
    limits = {"code": "HELLO", "periods": "3", "cap": "100", "currency": "USD", "product_items": str(item.pk)}
    # What is left in the field of the other kind was never meant.
    response = staff.post(f"{PROMOTIONS}add/", WELCOME | limits | {"amount": "5"}, follow=True)
    assert "It is taken off after all others" in text(response)
    made = Promotion.objects.get()
    assert (made.percent, made.amount, made.cap, made.periods, made.position) == (20, None, 100, 3, 10)
    listed = words(staff.get(PROMOTIONS))
    assert "20% off ApiCalls" in listed
    assert "the first 3 periods, at most $100.00 in all" in listed
    staff.post(f"{PROMOTIONS}{made.pk}/change/", TEN_OFF | {"key": "other"})
    made.refresh_from_db()
    assert (made.key, made.amount, made.percent, made.code) == ("welcome", 10, None, None)
    assert list(made.product_items.all()) == []
    assert "$10.00 off the whole invoice, in each period" in words(staff.get(PROMOTIONS))
    assert staff.get(f"{PROMOTIONS}{made.pk}/delete/").status_code == 403


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        (WELCOME | {"percent": ""}, "percent"),
        (WELCOME | {"percent": "101"}, "percent"),
        (WELCOME | {"percent": "0"}, "percent"),
        (WELCOME | {"percent": "x"}, "percent"),
        (WELCOME | {"key": "no key"}, "key"),
        (WELCOME | {"name": ""}, "name"),
        (WELCOME | {"cap": "5"}, "currency"),
        (WELCOME | {"cap": "0", "currency": "USD"}, "cap"),
        (WELCOME | {"cap": "-1", "currency": "USD"}, "cap"),
        (WELCOME | {"periods": "0"}, "periods"),
        (WELCOME | {"starts_on": "2026-12-01", "ends_on": "2026-12-01"}, "ends_on"),
        (WELCOME | {"code": "hello"}, "code"),
        (TEN_OFF | {"amount": ""}, "amount"),
        (TEN_OFF | {"currency": ""}, "currency"),
        (TEN_OFF | {"currency": "XYZ"}, "currency"),
        (TEN_OFF | {"kind": "both"}, "kind"),
    ],
)
def test_a_promotion_that_is_none_is_refused_beside_the_field(
    staff: Client, answers: dict[str, str], field: str
) -> None:
    promotion("taken", code="Hello")
    response = staff.post(f"{PROMOTIONS}add/", answers)
    assert list(faults(response, "adminform")) == [field]
    assert Promotion.objects.count() == 1


def test_promotions_change_places(staff: Client) -> None:
    first, second, third = promotion("a"), promotion("b"), promotion("c", 20)  # two share a position
    staff.post(f"{PROMOTIONS}{third.pk}/move/up/")
    assert list(Promotion.objects.values_list("key", "position")) == [("a", 10), ("c", 20), ("b", 30)]
    staff.post(f"{PROMOTIONS}{first.pk}/move/down/")
    assert list(Promotion.objects.values_list("key", flat=True)) == ["c", "a", "b"]
    staff.post(f"{PROMOTIONS}{second.pk}/move/down/")
    assert list(Promotion.objects.values_list("key", flat=True)) == ["c", "a", "b"]


def test_a_customer_is_given_a_promotion_by_choice_or_by_code(staff: Client, acme: Customer) -> None:
    chosen, coded = promotion("welcome", 20), promotion("secret", 10, code="Hello")
    give = f"{PROMOTIONS}apply/{acme.pk}/"
    assert "Welcome: 20% off the whole invoice" in text(staff.get(give))
    answers = {"promotion": "", "code": "", "starts_on": "2026-11-18"}
    response = staff.post(give, answers | {"promotion": str(chosen.pk)}, follow=True)
    assert response.redirect_chain[-1][0] == page(acme) + "#promotions"
    assert "Given to acme: Welcome from 18 Nov 2026." in text(response)
    staff.post(give, answers | {"code": " hELLO "})
    assert list(AppliedPromotion.objects.values_list("promotion__key", "starts_on", "actor")) == [
        ("secret", date(2026, 11, 18), "staff"),
        ("welcome", date(2026, 11, 18), "staff"),
    ]
    shown = words(staff.get(page(acme)))
    assert shown.index(f"{PROMOTIONS}{coded.pk}/") < shown.index(f"{PROMOTIONS}{chosen.pk}/")  # as they are taken off
    assert "acme" in text(staff.get(f"{PROMOTIONS}{chosen.pk}/change/"))


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({}, "promotion"),
        ({"code": "hello", "promotion": "first"}, "promotion"),
        ({"code": "other"}, "code"),
        ({"code": "had"}, "code"),
        ({"code": "off"}, "code"),
        ({"code": "hello", "starts_on": ""}, "starts_on"),
        ({"code": "hello", "starts_on": "2027-01-01"}, "starts_on"),
        ({"promotion": "999999"}, "promotion"),
    ],
)
def test_what_cannot_be_given_is_refused_beside_the_field(
    staff: Client, acme: Customer, answers: dict[str, str], field: str
) -> None:
    first = promotion("hello", code="HELLO", ends_on=date(2027, 1, 1))
    promotion("off", code="off", enabled=False)
    apply_promotion(customer=acme, promotion=promotion("had", code="had"), starts_on=date(2026, 11, 1))
    if answers.get("promotion") == "first":
        answers = answers | {"promotion": str(first.pk)}
    response = staff.post(f"{PROMOTIONS}apply/{acme.pk}/", {"starts_on": "2026-11-18"} | answers)
    assert list(faults(response)) == [field]
    assert AppliedPromotion.objects.count() == 1


def test_the_end_of_what_was_given_is_set_and_taken_back(staff: Client, acme: Customer) -> None:
    applied = apply_promotion(customer=acme, promotion=promotion(), starts_on=date(2026, 11, 10))
    target = f"{PROMOTIONS}applied/{applied.pk}/end/"
    assert list(faults(staff.post(target, {"ends_on": "2026-11-09"}))) == ["ends_on"]
    response = staff.post(target, {"ends_on": "2026-12-01"}, follow=True)
    assert "ends on 1 Dec 2026" in text(response)
    applied.refresh_from_db()
    assert applied.ends_on == date(2026, 12, 1)
    assert 'value="2026-12-01"' in text(staff.get(target))
    assert "has no end" in text(staff.post(target, {"ends_on": ""}, follow=True))


def test_the_customer_page_says_what_promotions_have_taken_off(staff: Client, acme: Customer) -> None:
    meter = make_meter()
    put_on(acme, make_plan("Basic", {meter: STORY_RATE}), date(2026, 11, 1))
    apply_promotion(customer=acme, promotion=promotion(), starts_on=date(2026, 11, 1))
    assert "nothing" in words(staff.get(page(acme))).split('id="promotions"')[1].split("</section>")[0]
    send("acme", meter.key, 12300)
    run_sweep()
    assert InvoiceLine.objects.get(promotion__isnull=False).amount == -8
    assert live_invoice(acme).total == 32
    assert "$8.00" in words(staff.get(page(acme))).split('id="promotions"')[1].split("</section>")[0]


# --- Tax rates ---


def test_staff_make_a_tax_rate_and_retire_it(staff: Client, acme: Customer) -> None:
    vat = {"key": "vat-de", "name": "VAT", "percent": "19", "is_default": "on"}
    staff.post(f"{TAXES}add/", vat)
    rate = TaxRate.objects.get()
    assert (rate.percent, rate.is_default) == (19, True)
    assert "Everybody without taxes of their own" in text(staff.get(TAXES))
    assert "VAT 19%" in words(staff.get(page(acme))).split('id="billing"')[1]
    staff.post(f"{TAXES}{rate.pk}/change/", vat | {"percent": "19.5", "key": "other"})
    rate.refresh_from_db()
    assert (rate.key, rate.percent) == ("vat-de", Decimal("19.5"))

    retire = f"{TAXES}{rate.pk}/retire/"
    assert staff.get(retire).status_code == 405
    assert "is retired: no invoice" in text(staff.post(retire, follow=True))
    assert "is retired already" in text(staff.post(retire, follow=True))
    rate.refresh_from_db()
    assert rate.retired_at is not None
    assert "None: no tax rate is for everybody." in text(staff.get(page(acme)))
    # And its page has nothing to change any more.
    assert "Retire VAT" not in text(staff.get(f"{TAXES}{rate.pk}/change/"))
    assert staff.post(f"{TAXES}{rate.pk}/change/", vat | {"name": "Another"}).status_code == 403
    assert staff.get(f"{TAXES}{rate.pk}/delete/").status_code == 403


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"percent": ""}, "percent"),
        ({"percent": "-1"}, "percent"),
        ({"percent": "1001"}, "percent"),
        ({"percent": "NaN"}, "percent"),
        ({"name": ""}, "name"),
        ({"key": ""}, "key"),
        ({"key": "taken"}, "key"),
    ],
)
def test_a_tax_rate_that_is_none_is_refused_beside_the_field(
    staff: Client, answers: dict[str, str], field: str
) -> None:
    TaxRate.objects.create(key="taken", name="VAT", percent=7)
    response = staff.post(f"{TAXES}add/", {"key": "vat", "name": "VAT", "percent": "19"} | answers)
    assert list(faults(response, "adminform")) == [field]
    assert TaxRate.objects.count() == 1


# --- Billing ---


def test_staff_change_how_a_customer_is_billed(staff: Client, acme: Customer) -> None:
    for_all = TaxRate.objects.create(key="vat", name="VAT", percent=19, is_default=True)
    own = TaxRate.objects.create(key="gst", name="GST", percent=Decimal("7.7"))
    target = page(acme, "billing/")
    assert "now VAT 19%" in text(staff.get(target))
    answers = {"tax_rates": str(own.pk), "tax_id": "DE1", "legal_name": "Acme GmbH", "address": "Main St 1\nBerlin"}
    response = staff.post(target, answers, follow=True)
    assert response.redirect_chain[-1][0] == page(acme) + "#billing"
    billing = words(response).split('id="billing"')[1].split("</section>")[0]
    assert "GST 7.7%" in billing
    assert "Acme GmbH<br>Main St 1<br>Berlin" in billing
    assert "VAT 19%" not in billing
    assert "1 customer of its own" in text(staff.get(TAXES))

    staff.post(target, {"tax_exempt": "on", "tax_note": "Reverse charge"})
    profile = BillingProfile.objects.get()
    assert (profile.tax_exempt, profile.tax_id, list(profile.tax_rates.all())) == (True, "", [])
    billing = words(staff.get(page(acme))).split('id="billing"')[1].split("</section>")[0]
    assert "None: the customer is exempt." in billing
    assert "Reverse charge" in billing
    assert for_all.billing_profiles.count() == 0


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"tax_rates": "999999"}, "tax_rates"),
        ({"tax_id": "x" * 51}, "tax_id"),
        ({"address": "a\0b"}, "address"),
    ],
)
def test_billing_that_cannot_be_is_refused_beside_the_field(
    staff: Client, acme: Customer, answers: dict[str, str], field: str
) -> None:
    assert list(faults(staff.post(page(acme, "billing/"), answers))) == [field]
    assert not BillingProfile.objects.exists()


# --- Who may ---


def test_each_panel_and_page_needs_its_permission(colleague: Any, acme: Customer) -> None:
    applied = apply_promotion(customer=acme, promotion=promotion(), starts_on=date(2026, 11, 1))
    rate = TaxRate.objects.create(key="vat", name="VAT", percent=19)
    viewer = colleague("view_customer")
    shown = text(viewer.get(page(acme)))
    assert not any(f'id="{panel}"' in shown for panel in ("plans", "promotions", "billing", "log"))
    seeing = colleague(
        *("view_customer", "view_assignment", "view_appliedpromotion", "view_billingprofile", "view_assignmentlog"),
        *("view_promotion", "view_taxrate"),
    )
    shown = text(seeing.get(page(acme)))
    assert all(f'id="{panel}"' in shown for panel in ("plans", "promotions", "billing", "log"))
    pages = [
        *(f"{PROMOTIONS}apply/{acme.pk}/", f"{PROMOTIONS}applied/{applied.pk}/end/", page(acme, "billing/")),
        *(f"{TAXES}{rate.pk}/retire/", f"{PROMOTIONS}{applied.promotion_id}/move/up/"),
    ]
    assert not any(target in shown for target in pages)
    assert "Taken off so far" not in shown  # that is told by invoices
    for target in pages:
        assert seeing.get(target).status_code == 403, target
        assert seeing.post(target).status_code == 403, target


def test_the_lists_ask_as_often_for_many_as_for_one(staff: Client, django_assert_max_num_queries: Any) -> None:
    item = make_meter().product_item
    for number in range(5):
        promotion(f"p{number}").product_items.add(item)
        TaxRate.objects.create(key=f"t{number}", name="VAT", percent=number)
    with django_assert_max_num_queries(7):
        assert len(staff.get(PROMOTIONS).context["cl"].result_list) == 5
    with django_assert_max_num_queries(6):
        assert len(staff.get(TAXES).context["cl"].result_list) == 5
