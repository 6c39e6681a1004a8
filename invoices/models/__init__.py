"""Documents: open invoices follow usage, final ones never change; and what settles, watches and tells of them."""

from invoices.models.backtests import Backtest, BacktestRow
from invoices.models.brand import BrandImage, BrandVersion
from invoices.models.documents import Correction, Invoice, InvoiceEvent, InvoiceLine, NumberSeries
from invoices.models.failing import FailingWork
from invoices.models.outgoing import (
    Mail,
    MailSetting,
    OutboxEvent,
    PersonalMail,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from invoices.models.policy import BillingPolicy, PlanPolicy
from invoices.models.settling import CreditEntry, CreditGrant, CreditNote, CreditNoteLine, CreditRule, Payment
from invoices.models.watching import Alert, AlertFiring, AuditFinding, AuditRun, Export

__all__ = [
    "Alert",
    "AlertFiring",
    "AuditFinding",
    "AuditRun",
    "Backtest",
    "BacktestRow",
    "BillingPolicy",
    "BrandImage",
    "BrandVersion",
    "Correction",
    "CreditEntry",
    "CreditGrant",
    "CreditNote",
    "CreditNoteLine",
    "CreditRule",
    "Export",
    "FailingWork",
    "Invoice",
    "InvoiceEvent",
    "InvoiceLine",
    "Mail",
    "MailSetting",
    "NumberSeries",
    "OutboxEvent",
    "Payment",
    "PersonalMail",
    "PlanPolicy",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
]
