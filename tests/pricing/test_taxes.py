"""Taxes: whom which rate is charged to, and what of a rate never changes."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from invoices.models import Invoice, InvoiceLine
from meters.models import Customer
from pricing.models import BillingProfile, TaxRate
from pricing.taxes import retire_tax_rate, save_tax_rate, set_billing_profile, tax_rates_of
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on

pytestmark = pytest.mark.django_db


def rate(key: str, percent: str = "19", **changes: Any) -> TaxRate:
    return save_tax_rate(changes={"key": key, "name": key.upper(), "percent": percent} | changes)


def refused(error: pytest.ExceptionInfo[ValidationError]) -> list[str]:
    return list(error.value.message_dict)


class TestWhoPays:
    def test_everybody_pays_the_default_and_some_their_own(self) -> None:
        vat, local, own = rate("vat", is_default=True), rate("local", "2.5", is_default=True), rate("own", "7")
        rate("unused", "50")
        plain, special = make_customer("plain"), make_customer("special")
        set_billing_profile(plain, legal_name="Plain GmbH")
        set_billing_profile(special, tax_rates=[own])
        assert tax_rates_of(plain) == [local, vat]
        assert tax_rates_of(special) == [own]
        retire_tax_rate(local)
        retire_tax_rate(own)
        assert tax_rates_of(plain) == tax_rates_of(special) == [vat]

    def test_the_exempt_pay_none(self) -> None:
        vat = rate("vat", is_default=True)
        customer = make_customer()
        set_billing_profile(customer, tax_rates=[vat], tax_exempt=True, tax_note="Reverse charge")
        assert tax_rates_of(customer) == []
        set_billing_profile(customer, tax_exempt=False)
        assert tax_rates_of(customer) == [vat]


class TestProfiles:
    def test_change_what_is_named_and_keep_the_rest(self) -> None:
        customer, vat = make_customer(), rate("vat")
        set_billing_profile(customer, legal_name="Acme Ltd", address="1 Road\r\nTown", tax_id="GB1", tax_rates=[vat])
        set_billing_profile(customer, tax_note="Zero rated")
        profile = BillingProfile.objects.get(customer=customer)
        assert (profile.legal_name, profile.tax_id, profile.tax_note) == ("Acme Ltd", "GB1", "Zero rated")
        assert profile.address == "1 Road\nTown"
        assert list(profile.tax_rates.all()) == [vat]

    def test_a_retired_rate_is_kept_but_not_given(self) -> None:
        first, second = make_customer("first"), make_customer("second")
        vat = rate("vat")
        set_billing_profile(first, tax_rates=[vat])
        vat = retire_tax_rate(vat)
        set_billing_profile(first, tax_rates=[vat], legal_name="First")
        with pytest.raises(ValidationError) as error:
            set_billing_profile(second, tax_rates=[vat])
        assert refused(error) == ["tax_rates"]
        assert not BillingProfile.objects.filter(customer=second).exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [("tax_note", "x" * 301), ("tax_id", "a\0b"), ("tax_exempt", "perhaps"), ("customer_id", 7)],
    )
    def test_a_bad_value_is_refused_by_field(self, field: str, value: Any) -> None:
        customer = make_customer()
        with pytest.raises(ValidationError) as error:
            set_billing_profile(customer, **{"legal_name": "Acme", field: value})
        assert refused(error) == [field]
        assert not BillingProfile.objects.exists()


class TestRates:
    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("percent", {"percent": "-1"}),
            ("percent", {"percent": "1001"}),
            ("percent", {"percent": "a lot"}),
            ("percent", {"percent": None}),
            ("key", {"key": "vat"}),
            ("key", {"key": "two words"}),
            ("name", {"name": ""}),
            ("name", {"name": "a\0b"}),
            ("retired_at", {"retired_at": None}),
        ],
        ids=str,
    )
    def test_a_bad_one_is_refused_by_field(self, field: str, changes: dict[str, Any]) -> None:
        rate("vat")
        with pytest.raises(ValidationError) as error:
            save_tax_rate(changes={"key": "other", "name": "Other", "percent": "7"} | changes)
        assert refused(error) == [field]
        assert TaxRate.objects.count() == 1

    def test_what_a_final_invoice_has_stays(self) -> None:
        customer, vat = make_customer(), rate("vat")
        invoice = self._invoice(customer)
        InvoiceLine.objects.create(invoice=invoice, position=99, kind="tax", tax_rate=vat, name="VAT", amount=1)
        assert save_tax_rate(vat, changes={"percent": "20", "name": "Value added tax"}).percent == 20
        Invoice.objects.filter(pk=invoice.pk).update(status="final", number="1", finalized_at=timezone.now())
        with pytest.raises(ValidationError, match="Retire this tax rate") as error:
            save_tax_rate(vat, changes={"percent": "21", "name": "VAT"})
        assert sorted(refused(error)) == ["name", "percent"]
        vat.refresh_from_db()
        assert vat.percent == 20
        # Unchanged is no change, and whom it is for may change.
        assert save_tax_rate(vat, changes={"percent": "20.0", "is_default": True}).is_default

    def test_is_retired_once(self) -> None:
        vat = rate("vat")
        assert retire_tax_rate(vat).retired_at is not None
        with pytest.raises(ValidationError) as error:
            retire_tax_rate(vat)
        assert refused(error) == ["tax_rate"]

    @staticmethod
    def _invoice(customer: Customer) -> Invoice:
        put_on(customer, make_plan("Basic", {make_meter(): STORY_RATE}), timezone.now().date())
        return Invoice.objects.get(customer=customer)
