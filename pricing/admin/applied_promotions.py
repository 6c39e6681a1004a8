"""The pages that give a promotion to a customer and end it."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from meters.admin.base import require
from meters.models import Customer
from meters.periods import local_date
from meters.words import day_words
from pricing.admin.form_page import change_url, date_input, form_page, list_crumb, posted, row_crumb
from pricing.models import AppliedPromotion, Promotion
from pricing.promotion_words import limit_words, what_words
from pricing.promotions import apply_promotion, end_promotion


class PromotionChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Any) -> str:
        return ", ".join(filter(None, [f"{obj.name}: {what_words(obj)}", limit_words(obj)]))


class ApplyForm(forms.Form):
    promotion = PromotionChoice(Promotion.objects.none(), required=False, empty_label="Choose a promotion")
    code = forms.CharField(
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Or the code that the customer has; capitals do not matter.",
    )
    starts_on = forms.DateField(
        label="From", widget=date_input(), help_text="Each period that has a day from this one on gets it."
    )

    def __init__(self, data: Any, *, customer: Customer) -> None:
        today = local_date(timezone.now(), customer.zone)
        super().__init__(data, initial={"starts_on": today})
        promotion = self.fields["promotion"]
        assert isinstance(promotion, forms.ModelChoiceField)
        on_offer = Promotion.objects.filter(Q(ends_on=None) | Q(ends_on__gt=today), enabled=True)
        promotion.queryset = on_offer.exclude(applied__customer=customer).prefetch_related("product_items")

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not self.errors and bool(data["promotion"]) == bool(data["code"]):
            both = bool(data["promotion"])
            self.add_error("promotion", "Either this or a code." if both else "Choose a promotion, or type a code.")
        return data


class EndPromotionForm(forms.Form):
    ends_on = forms.DateField(
        label="To, not included",
        required=False,
        widget=date_input(),
        help_text="The first day that no longer has it. A period that has an earlier day still gets it. Empty: no end.",
    )


def apply_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, customer_pk: int) -> HttpResponse:
    require(request.user.has_perms(["pricing.add_appliedpromotion", "pricing.view_promotion"]))
    customer = get_object_or_404(Customer, pk=customer_pk)
    form = ApplyForm(posted(request), customer=customer)

    def save() -> str:
        data = form.cleaned_data
        applied = apply_promotion(
            customer=customer,
            promotion=data["promotion"],
            code=data["code"] or None,
            starts_on=data["starts_on"],
            actor=request.user.get_username(),
        )
        return f"Given to {customer}: {applied.promotion} from {day_words(applied.starts_on)}."

    return form_page(
        model_admin,
        request,
        form=form,
        save=save,
        concerns=customer,
        title="Give a promotion",
        submit="Give promotion",
        crumbs=[list_crumb(Customer), row_crumb(customer)],
        back=f"{change_url(customer)}#promotions",
    )


def end_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, pk: int) -> HttpResponse:
    require(request.user.has_perm("pricing.change_appliedpromotion"))
    applied = get_object_or_404(AppliedPromotion.objects.select_related("customer", "promotion"), pk=pk)
    customer = applied.customer
    form = EndPromotionForm(posted(request), initial={"ends_on": applied.ends_on})

    def save() -> str:
        ended = end_promotion(applied, ends_on=form.cleaned_data["ends_on"], actor=request.user.get_username())
        to = f"ends on {day_words(ended.ends_on)}" if ended.ends_on else "has no end"
        return f"What {customer} was given, {applied.promotion}, {to}."

    return form_page(
        model_admin,
        request,
        form=form,
        save=save,
        concerns=customer,
        title=f"End of {applied.promotion}",
        submit="Set the end",
        crumbs=[list_crumb(Customer), row_crumb(customer)],
        back=f"{change_url(customer)}#promotions",
    )
