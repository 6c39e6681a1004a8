"""What settles a final invoice, on its page: what is paid, credited and due, and the pages that change it.

Each of those asks, then shows what will happen, by doing it in a transaction that is undone, and does it when it is
confirmed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone

from invoices.admin.settling_forms import FORMS, CreditForm, SettlingForm
from invoices.locking import lock_invoice
from invoices.models import CreditNote, Invoice, Payment
from invoices.settling.settlement import days_over, is_overdue, local_day
from invoices.settling.voiding import check_reissue
from invoices.states import MoneyState, money_state
from meters.admin.base import add_errors, instant, require
from meters.words import day_words, period_words
from pricing.admin.form_page import change_url, list_crumb, row_crumb
from pricing.money import format_money

STATE_CHIPS = {
    "estimate": "busy",
    "due": "busy",
    "overdue": "bad",
    "partly": "busy",
    "paid": "good",
    "written_off": "quiet",
    "void": "quiet",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of how an invoice stands; `then` only where something is about to change."""

    label: str
    now: str
    then: str = ""

    @property
    def is_changed(self) -> bool:
        return self.then not in ("", self.now)


@dataclass(frozen=True, slots=True)
class SettlingPanel:
    invoice: Invoice
    state: MoneyState
    state_chip: str
    due: str
    figures: Sequence[Figure]
    payments: Sequence[tuple[Payment, str, str]]
    notes: Sequence[tuple[CreditNote, str, str]]
    buttons: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What will happen: the figures before and after, the credit note that comes of it, and what is opened."""

    figures: Sequence[Figure]
    note: Sequence[tuple[str, str]]
    note_total: str
    opened: str


def settling_panel(invoice: Invoice, request: HttpRequest, now: datetime | None = None) -> SettlingPanel | None:
    """None for what has no number: nothing is due of it."""
    if not invoice.number:
        return None
    now = now or timezone.now()
    day = local_day(invoice, now)
    state = money_state(invoice, day)
    due = day_words(invoice.due_on) if invoice.due_on and invoice.status == Invoice.Status.FINAL else ""
    if is_overdue(invoice, day):
        days = days_over(invoice, day)
        due = f"{due}, {days} day{'' if days == 1 else 's'} ago"
    may = request.user.has_perm
    return SettlingPanel(
        invoice=invoice,
        state=state,
        state_chip=STATE_CHIPS[state.kind],
        due=due,
        figures=[Figure(label, amount) for label, amount in _standing(invoice)],
        payments=[
            (payment, day_words(payment.paid_on), format_money(payment.amount, invoice.currency))
            for payment in invoice.payments.all()
        ],
        notes=[
            (note, instant(note.issued_at), format_money(note.total, invoice.currency))
            for note in invoice.credit_notes.all()
        ],
        buttons=[(action, FORMS[action].title) for action in _possible(invoice) if may(FORMS[action].needed)],
    )


def _possible(invoice: Invoice) -> list[str]:
    """What can be done to an invoice as it stands."""
    is_final = invoice.status == Invoice.Status.FINAL
    possible = ["payment"]
    if invoice.paid > 0:
        possible.append("refund")
    if is_final and invoice.amount_due > 0:
        possible.append("write-off")
    if is_final and invoice.total > invoice.credited:
        possible.append("credit")
    if is_final:
        possible.append("void")
    try:
        check_reissue(invoice)
    except ValidationError:
        return possible
    return [*possible, "reissue"]


def _standing(invoice: Invoice) -> list[tuple[str, str]]:
    """Label and amount of all that makes up what is due."""
    money = partial(format_money, currency=invoice.currency)
    due = invoice.amount_due
    return [
        ("Total", money(invoice.total)),
        ("Prepaid credits", money(invoice.credits_applied.copy_negate())),
        ("Credit notes", money(invoice.credited.copy_negate())),
        ("Paid", money(invoice.paid.copy_negate())),
        ("Written off", money(invoice.written_off.copy_negate())),
        ("Amount due", f"{money(due.copy_negate())} owed back" if due < 0 else money(due)),
    ]


class SettlingPages:
    """The pages, for the admin of invoices: `settling_view` with the name of an action."""

    def settling_view(self: Any, request: HttpRequest, pk: int, action: str) -> HttpResponse:
        form_class = FORMS[action]
        require(self.has_view_permission(request) and request.user.has_perm(form_class.needed))
        now = timezone.now()
        found: Invoice | None = Invoice.objects.filter(pk=pk).first()
        if found is None or not found.number:
            raise Http404
        invoice = found
        actor = request.user.get_username()
        form = form_class(request.POST if request.method == "POST" else None, invoice=invoice, now=now)
        outcome = None
        if request.method == "POST" and "edit" not in request.POST and form.is_valid():
            if "seen" in request.POST:
                new = _do(form, actor, request.POST["seen"])
                if new is not None:
                    done: HttpResponse = self._settled(request, form, invoice, new)
                    return done
            if not form.errors:
                outcome = _try(form, actor)
            if outcome is not None and "seen" in request.POST:
                form.add_error(None, "The invoice has changed since you looked: see what comes of it now.")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": form.title,
            "subtitle": f"{invoice} of {invoice.customer}",
            "form": form,
            "lines": form.line_fields() if isinstance(form, CreditForm) else None,
            "invoice": invoice,
            "figures": [Figure(label, amount) for label, amount in _standing(invoice)],
            "outcome": outcome,
            "seen": _seen(invoice),
            "crumbs": [list_crumb(Invoice), row_crumb(invoice)],
            "back": change_url(invoice),
        }
        return TemplateResponse(request, "admin/invoices/invoice/settle.html", context)

    def _settled(self: Any, request: HttpRequest, form: SettlingForm, invoice: Invoice, new: object) -> HttpResponse:
        self.log_change(request, invoice, form.done())
        self.message_user(request, form.done(), messages.SUCCESS)
        if isinstance(new, Invoice):
            return HttpResponseRedirect(change_url(new))
        return HttpResponseRedirect(change_url(invoice))


def _seen(invoice: Invoice) -> str:
    """What staff saw of an invoice when they decided; a second click finds another one."""
    moved = (invoice.credits_applied, invoice.credited, invoice.paid, invoice.written_off)
    rows = invoice.payments.count(), invoice.credit_notes.count()
    return "/".join([invoice.status, *(f"{amount.normalize():f}" for amount in moved), *map(str, rows)])


def _do(form: SettlingForm, actor: str, seen: str) -> object | None:
    """Does it, where the invoice is still as it was seen. What the service refuses stands in the form."""
    try:
        with transaction.atomic():
            if _seen(lock_invoice(form.invoice.pk)) != seen:
                return None
            return form.job(actor)()
    except ValidationError as error:
        add_errors(form, error)
        return None


class _Undone(Exception):
    """Ends a transaction without a trace."""


def _try(form: SettlingForm, actor: str) -> Outcome | None:
    """What would come of it; None, with the refusal in the form, where nothing would."""
    outcomes: list[Outcome] = []
    last_note = form.invoice.credit_notes.aggregate(last=Max("pk"))["last"] or 0
    try:
        with transaction.atomic():
            new = form.job(actor)()
            outcomes.append(_outcome(form.invoice, last_note, new))
            raise _Undone
    except _Undone:
        return outcomes[0]
    except ValidationError as error:
        add_errors(form, error)
        return None


def _outcome(before: Invoice, last_note: int, new: object) -> Outcome:
    after = Invoice.objects.get(pk=before.pk)
    figures = [
        Figure(label, amount, then)
        for (label, amount), (_, then) in zip(_standing(before), _standing(after), strict=True)
    ]
    money = partial(format_money, currency=before.currency)
    note = after.credit_notes.filter(pk__gt=last_note).first()
    opened = ""
    if isinstance(new, Invoice) and new.pk != before.pk:
        opened = f"{period_words(new.period, new.zone)}: {money(new.total)}, as of now."
    return Outcome(
        figures=figures,
        note=[(line.name, money(line.amount)) for line in note.lines.all()] if note else [],
        note_total=money(note.total) if note else "",
        opened=opened,
    )
