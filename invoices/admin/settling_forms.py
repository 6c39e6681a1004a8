"""The forms of what staff do to a final invoice: each answers the call of its service."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django import forms

from invoices.models import Invoice
from invoices.settling import credit_notes, payments, voiding
from invoices.settling.credit_notes import Leftover, LineLeft
from invoices.settling.settlement import local_day
from meters.words import day_words
from pricing.admin.form_page import date_input
from pricing.money import amount_text, format_money

NUMBER = {"class": "short-number", "inputmode": "decimal", "autocomplete": "off"}
REASON = forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"})

Job = Callable[[], object]


class AmountField(forms.DecimalField):
    """An amount; the service says how many decimals its currency has."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=40, **kwargs)


class SettlingForm(forms.Form):
    """A form about one invoice; `job` is the call that it stands for."""

    title = submit = ""
    # The permission that it takes.
    needed = "invoices.add_payment"
    # Fields that stand in a table of their own.
    line_names: Sequence[str] = ()

    def __init__(self, data: Any, *, invoice: Invoice, now: datetime) -> None:
        super().__init__(data)
        self.invoice, self.now = invoice, now
        self.set_up()

    def set_up(self) -> None:
        """What the invoice says: initial values, a field for each line."""

    def job(self, actor: str) -> Job:
        raise NotImplementedError

    def done(self) -> str:
        """What was done, in words, once it is."""
        raise NotImplementedError

    def told(self) -> list[str]:
        """What it means, in sentences."""
        return []

    def typed(self) -> list[tuple[str, str]]:
        """Label and value of what was typed, to be looked at."""
        return [
            (str(self[name].label), day_words(value) if isinstance(value, date) else str(value))
            for name, value in self.cleaned_data.items()
            if value not in (None, "") and name not in self.line_names
        ]

    def money(self, amount: Decimal) -> str:
        return format_money(amount, self.invoice.currency)


class PaymentForm(SettlingForm):
    title, submit = "Record a payment", "Record the payment"

    amount = AmountField(widget=forms.TextInput(attrs=NUMBER))
    paid_on = forms.DateField(label="Paid on", widget=date_input())
    reference = forms.CharField(
        required=False,
        max_length=payments.LONGEST_REFERENCE,
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
        help_text="The bank's or the payment provider's. The same one is recorded once.",
    )

    def set_up(self) -> None:
        self.fields["paid_on"].initial = local_day(self.invoice, self.now)
        if self.invoice.amount_due > 0:
            self.fields["amount"].initial = amount_text(self.invoice.amount_due, self.invoice.currency)
        self.fields["amount"].help_text = f"In {self.invoice.currency}. More than is due is owed back."

    def job(self, actor: str) -> Job:
        return lambda: payments.record_payment(self.invoice.pk, **self.cleaned_data, actor=actor, now=self.now)

    def done(self) -> str:
        return f"A payment of {self.money(self.cleaned_data['amount'])} is recorded."


class RefundForm(PaymentForm):
    title, submit = "Record a refund", "Record the refund"

    def set_up(self) -> None:
        self.fields["paid_on"].label = "Paid back on"
        self.fields["paid_on"].initial = local_day(self.invoice, self.now)
        owed = min(-self.invoice.amount_due, self.invoice.paid)
        if owed > 0:
            self.fields["amount"].initial = amount_text(owed, self.invoice.currency)
        self.fields["amount"].help_text = f"In {self.invoice.currency}; at most {self.money(self.invoice.paid)}."

    def job(self, actor: str) -> Job:
        return lambda: payments.refund(self.invoice.pk, **self.cleaned_data, actor=actor, now=self.now)

    def done(self) -> str:
        return f"A refund of {self.money(self.cleaned_data['amount'])} is recorded."


class WriteOffForm(SettlingForm):
    title, submit = "Write off", "Write it off"

    amount = AmountField(widget=forms.TextInput(attrs=NUMBER))
    reason = forms.CharField(max_length=payments.LONGEST_REASON, widget=REASON, help_text="For staff.")

    def set_up(self) -> None:
        if self.invoice.amount_due > 0:
            self.fields["amount"].initial = amount_text(self.invoice.amount_due, self.invoice.currency)
        self.fields["amount"].help_text = f"In {self.invoice.currency}; at most what is due."

    def job(self, actor: str) -> Job:
        return lambda: payments.write_off(self.invoice.pk, **self.cleaned_data, actor=actor, now=self.now)

    def done(self) -> str:
        return f"{self.money(self.cleaned_data['amount'])} is written off."

    def told(self) -> list[str]:
        return ["Nobody waits for it any more. A payment that comes after all takes its place."]


class ReasonForm(SettlingForm):
    needed = "invoices.add_creditnote"

    reason = forms.CharField(
        max_length=credit_notes.LONGEST_REASON, widget=REASON, help_text="The customer reads it, on the credit note."
    )


@dataclass(frozen=True, slots=True)
class LineField:
    """A line of the invoice with what was credited and is left of it, and its field, which a tax has none of."""

    name: str
    amount: str
    credited: str
    left: str
    is_tax: bool
    field: forms.BoundField | None


class CreditForm(ReasonForm):
    """By line; nothing in any line is the whole invoice."""

    title, submit = "Credit note", "Issue the credit note"

    def set_up(self) -> None:
        self.leftover: Sequence[LineLeft] = Leftover(self.invoice).lines
        for one in self.leftover:
            if one.left and not one.is_tax:
                attrs = NUMBER | {"aria-label": f"Credit of {one.name}"}
                self.fields[_field(one)] = AmountField(required=False, widget=forms.TextInput(attrs=attrs))
        self.line_names = [name for name in self.fields if name != "reason"]

    def line_fields(self) -> list[LineField]:
        return [
            LineField(
                one.name,
                self.money(one.line.amount),
                self.money(one.credited),
                self.money(one.left),
                one.is_tax,
                self[_field(one)] if _field(one) in self.fields else None,
            )
            for one in self.leftover
            if one.line.amount or one.left
        ]

    def amounts(self) -> dict[int, Decimal | None] | None:
        """What was typed, by position; None for the whole."""
        typed = {one.line.position: self.cleaned_data.get(_field(one)) for one in self.leftover}
        return {place: amount for place, amount in typed.items() if amount is not None} or None

    def job(self, actor: str) -> Job:
        return lambda: credit_notes.issue_credit_note(
            self.invoice.pk,
            reason=self.cleaned_data["reason"],
            amounts=self.amounts(),
            actor=actor,
            now=self.now,
        )

    def done(self) -> str:
        return "The credit note is issued."


def _field(one: LineLeft) -> str:
    return f"line{one.line.position}"


class VoidForm(ReasonForm):
    title, submit = "Make void", "Make it void"

    def job(self, actor: str) -> Job:
        return lambda: voiding.void_invoice(
            self.invoice.pk, reason=self.cleaned_data["reason"], actor=actor, now=self.now
        )

    def done(self) -> str:
        return f"Invoice {self.invoice.number} is void."

    def told(self) -> list[str]:
        return ["It can not be taken back. Its period has no invoice then, unless you issue another one."]


class ReissueForm(ReasonForm):
    title, submit = "Issue anew", "Issue it anew"

    def job(self, actor: str) -> Job:
        return lambda: voiding.reissue(self.invoice.pk, reason=self.cleaned_data["reason"], actor=actor, now=self.now)

    def done(self) -> str:
        return f"Invoice {self.invoice.number} is void, and another one is open for its period."

    def told(self) -> list[str]:
        return [
            "This invoice is void then, and another one is opened for its period: by the usage, promotions and taxes "
            "of now. It becomes final with the next closing, unless it is held or waits for approval."
        ]


FORMS: dict[str, type[SettlingForm]] = {
    "payment": PaymentForm,
    "refund": RefundForm,
    "write-off": WriteOffForm,
    "credit": CreditForm,
    "void": VoidForm,
    "reissue": ReissueForm,
}
