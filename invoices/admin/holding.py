"""What staff do to an invoice that is not final, on its page: hold, release, approve, make final."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from invoices import holding
from invoices.models import Invoice
from meters.admin.base import instant, messages_of
from pricing.money import format_money


@dataclass(frozen=True, slots=True)
class HoldingPanel:
    """How it goes on with a live invoice, in sentences, and the buttons that change that: action and label."""

    invoice: Invoice
    sentences: list[str]
    buttons: list[tuple[str, str]]
    may_hold: bool


def holding_panel(invoice: Invoice, *, lacks_approval: bool, may: bool) -> HoldingPanel | None:
    """`may`: whether the person may do something about it. None for what is final or void."""
    if not invoice.is_live:
        return None
    is_over = timezone.now() >= invoice.period_end
    told = []
    if invoice.held_at is not None:
        told.append(f"Held since {instant(invoice.held_at)}: {invoice.hold_reason}")
    if lacks_approval:
        told.append("It waits for approval." if is_over else "Once its period is over it waits for approval.")
    if invoice.approved_at is not None:
        told.append(f"Approved {instant(invoice.approved_at)} by {invoice.approved_by or 'Tollmeter'}.")
    if invoice.held_at is None and not lacks_approval:
        told.append("It becomes final by itself when its grace time is over.")
    buttons = []
    if invoice.held_at is not None:
        buttons.append(("release", "Release"))
    if lacks_approval and is_over:
        buttons.append(("approve", "Approve"))
    if is_over and invoice.held_at is None and not lacks_approval:
        buttons.append(("finalize", "Make final now"))
    return HoldingPanel(invoice, told, buttons if may else [], may)


def do_hold(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, invoice: Invoice, action: str) -> None:
    """Does one of `ACTIONS`, and tells what came of it."""
    try:
        done = ACTIONS[action](invoice.pk, request)
    except ValidationError as error:
        model_admin.message_user(request, messages_of(error), messages.ERROR)
    else:
        model_admin.log_change(request, invoice, done)
        model_admin.message_user(request, done, messages.SUCCESS)


def _hold(pk: int, request: HttpRequest) -> str:
    holding.hold(pk, reason=request.POST.get("reason", ""), actor=_name(request))
    return "Held: it does not become final until it is released."


def _release(pk: int, request: HttpRequest) -> str:
    return f"Released: {_goes_on(holding.release(pk, actor=_name(request)))}"


def _approve(pk: int, request: HttpRequest) -> str:
    return f"Approved: {_goes_on(holding.approve(pk, actor=_name(request)))}"


def _finalize(pk: int, request: HttpRequest) -> str:
    made = holding.finalize_now(pk, actor=_name(request))
    return f"Invoice {made.number} is final: {format_money(made.total, made.currency)}."


def _goes_on(invoice: Invoice) -> str:
    if invoice.held_at is not None:
        return "it is held all the same."
    if holding.waits_for_approval(invoice):
        return "it waits for approval."
    if invoice.closes_at <= timezone.now():
        return "it becomes final within seconds."
    return f"it becomes final at the end of its grace time, {instant(invoice.closes_at)}."


def _name(request: HttpRequest) -> str:
    return request.user.get_username()


ACTIONS: dict[str, Callable[[int, HttpRequest], str]] = {
    "hold": _hold,
    "release": _release,
    "approve": _approve,
    "finalize": _finalize,
}
