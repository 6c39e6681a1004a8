"""Credits on the pages of a customer, a grant and an invoice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from invoices.models import CreditEntry, CreditGrant, CreditRule, Invoice
from invoices.prepaid.balances import balances_of, drawn_of, previews_of, with_left
from invoices.prepaid.words import entry_words, items_words, signed, state_of
from meters.admin.base import chip, instant
from meters.models import Customer
from pricing.money import format_money

SHOWN = 20


@dataclass(frozen=True, slots=True)
class GrantRow:
    grant: CreditGrant
    chip: SafeString
    left: str
    amount: str
    items: str
    until: str


@dataclass(frozen=True, slots=True)
class BalanceRow:
    amount: str
    restricted: str
    pending: str
    expiring: str
    expires: str


@dataclass(frozen=True, slots=True)
class EntryRow:
    entry: CreditEntry
    at: str
    words: str
    amount: str
    left: str


@dataclass(frozen=True, slots=True)
class CreditPanel:
    balances: Sequence[BalanceRow]
    grants: Sequence[GrantRow]
    is_cut: bool
    rule: CreditRule | None
    rule_words: str
    may_grant: bool
    may_set_rule: bool


def credit_panel(request: HttpRequest, customer: Customer) -> CreditPanel | None:
    """None for who may not see credits."""
    may = request.user.has_perm
    if not may("invoices.view_creditgrant"):
        return None
    grants = with_left(CreditGrant.objects.filter(customer=customer)).prefetch_related("product_items")
    rows = credit_rows(list(grants.order_by("-id")[: SHOWN + 1]))
    rule = CreditRule.objects.filter(customer=customer).first()
    return CreditPanel(
        balances=_balances(customer),
        grants=rows[:SHOWN],
        is_cut=len(rows) > SHOWN,
        rule=rule,
        rule_words=_rule_words(rule),
        may_grant=may("invoices.add_creditgrant"),
        may_set_rule=may("invoices.change_creditrule"),
    )


def _balances(customer: Customer) -> list[BalanceRow]:
    return [
        BalanceRow(
            amount=format_money(one.amount, one.currency),
            restricted=format_money(one.restricted, one.currency) if one.restricted else "",
            pending=format_money(one.pending, one.currency) if one.pending else "",
            expiring=format_money(one.expiring, one.currency) if one.expires_at else "",
            expires=instant(one.expires_at),
        )
        for one in balances_of(customer, timezone.now())
    ]


def _rule_words(rule: CreditRule | None) -> str:
    if rule is None:
        return "Nobody is told when it is low."
    asked = f", asking for {format_money(rule.top_up, rule.currency)}" if rule.top_up is not None else ""
    told = f" Told {instant(rule.told_at)}." if rule.told_at else ""
    return f"Told when less than {format_money(rule.low_below, rule.currency)} is left{asked}.{told}"


def credit_rows(grants: Sequence[Any]) -> list[GrantRow]:
    """Grants, each with its `left`."""
    now = timezone.now()
    states = [state_of(grant, now) for grant in grants]
    return [
        GrantRow(
            grant=grant,
            chip=chip(state.words, state.kind),
            left=format_money(grant.left, grant.currency),
            amount=format_money(grant.amount, grant.currency),
            items=items_words(grant),
            until=instant(grant.expires_at) or "no end",
        )
        for grant, state in zip(grants, states, strict=True)
    ]


def ledger_rows(grant: CreditGrant) -> list[EntryRow]:
    """The entries of a grant, oldest first, each with what was left after it."""
    entries = grant.entries.select_related("invoice").order_by("id")
    currency = grant.currency
    return [
        EntryRow(
            entry=entry,
            at=instant(entry.at),
            words=entry_words(entry),
            amount=signed(entry.amount, currency),
            left=format_money(entry.balance, currency),
        )
        for entry in entries
    ]


@dataclass(frozen=True, slots=True)
class InvoiceCredits:
    """What credits pay of an invoice: drawn, or, while it is not final, an estimate."""

    rows: Sequence[tuple[CreditGrant, str]]
    total: str
    is_estimate: bool
    becomes: str


def invoice_credits(request: HttpRequest, invoice: Invoice) -> InvoiceCredits | None:
    """None where there is nothing to say, or for who may not see credits."""
    if not request.user.has_perm("invoices.view_creditgrant"):
        return None
    currency = invoice.currency
    if not invoice.is_live:
        drawn = drawn_of(invoice)
        rows = [(grant, format_money(amount, currency)) for grant, amount in drawn]
        total = format_money(invoice.credits_applied, currency)
        return InvoiceCredits(rows, total, is_estimate=False, becomes="") if rows else None
    if invoice.total < 0:
        becomes = format_money(invoice.total.copy_negate(), currency)
        return InvoiceCredits([], "", is_estimate=True, becomes=becomes)
    preview = previews_of([invoice.customer_id], timezone.now()).get(invoice.pk)
    if preview is None or not preview.amount:
        return None
    rows = [(grant, format_money(amount, currency)) for grant, amount in preview.drawn]
    return InvoiceCredits(rows, format_money(preview.amount, currency), is_estimate=True, becomes="")
