"""What Celery calls: thin, each calls a service."""

from invoices.tasks import audits, backtests, bills, exports, mails, prepaid, signs, webhooks

__all__ = ["audits", "backtests", "bills", "exports", "mails", "prepaid", "signs", "webhooks"]
