"""Staff pages of invoices: to look at and to have computed anew. Only services write them."""

from invoices.admin import (
    alerts,
    audits,
    backtests,
    brand,
    credit_grants,
    credit_notes,
    customers,
    exports,
    failing,
    invoices,
    mails,
    policy,
    webhooks,
)

__all__ = [
    "alerts",
    "audits",
    "backtests",
    "brand",
    "credit_grants",
    "credit_notes",
    "customers",
    "exports",
    "failing",
    "invoices",
    "mails",
    "policy",
    "webhooks",
]
