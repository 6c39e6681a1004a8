"""Which tables of `invoices` the audit log watches."""

from meters.audit_log.tables import Owner, Watched

_OF_INVOICE = Owner("invoice_id", "invoices_invoice")
_OF_CUSTOMER = Owner("customer_id", "meters_customer")

WATCHED = (
    Watched(
        "invoices_invoice",
        label=("number",),
        owner=_OF_CUSTOMER,
        # What says that it is to be computed, and when it was: recalculation writes these all the time.
        left_out=("usage_version", "usage_at", "is_stale", "follows_clock", "computed_at", "rerated_version"),
        # An estimate follows usage; what is issued stays.
        quiet=("subtotal", "total"),
        updated="OLD.number <> '' AND ROW(OLD.subtotal, OLD.total) IS DISTINCT FROM ROW(NEW.subtotal, NEW.total)",
        said=("total", "currency"),
    ),
    Watched("invoices_payment", label=("kind", "amount"), owner=_OF_INVOICE),
    Watched("invoices_creditnote", label=("number",), owner=_OF_INVOICE),
    Watched("invoices_creditnoteline", label=("name",), owner=Owner("credit_note_id", "invoices_creditnote")),
    Watched("invoices_creditgrant", label=("name",), owner=_OF_CUSTOMER),
    Watched("invoices_creditgrant_product_items", owner=Owner("creditgrant_id", "invoices_creditgrant")),
    Watched("invoices_creditentry", label=("kind", "amount"), owner=Owner("grant_id", "invoices_creditgrant")),
    Watched("invoices_creditrule", pk="customer_id", owner=_OF_CUSTOMER, left_out=("told_at",)),
    Watched("invoices_billingpolicy"),
    Watched("invoices_planpolicy", pk="plan_id", owner=Owner("plan_id", "pricing_plan")),
    Watched(
        "invoices_numberseries",
        label=("series", "year"),
        # Counting on is no change: the numbers stand on the documents.
        quiet=("last",),
        updated="NEW.last IS DISTINCT FROM OLD.last + 1",
    ),
    Watched("invoices_brandversion", label=("name",)),
    Watched("invoices_brandimage", label=("digest",), hidden=("content",)),
    Watched("invoices_mailsetting", pk="kind", label=("kind",)),
    Watched("invoices_webhookendpoint", label=("url",), hidden=("secret", "old_secret")),
    Watched("invoices_alert", label=("name",), owner=_OF_CUSTOMER),
    # A log of its own, beside the rows that it tells of: it is only to be added to.
    Watched("invoices_invoiceevent", label=("kind",), owner=_OF_INVOICE, added=False),
)

_WORK = "a worker's own work, which says who asked for it"
_GOES_OUT = "what goes out because of changes that are watched"

NOT_WATCHED = {
    "invoices_invoiceline": "computed anew while an invoice is open; then the database refuses every change, and "
    "`audit_invoices` computes them again",
    "invoices_correction": "computed anew from usage",
    "invoices_backtest": _WORK,
    "invoices_backtestrow": _WORK,
    "invoices_export": _WORK,
    "invoices_auditrun": _WORK,
    "invoices_auditfinding": _WORK,
    "invoices_failingwork": "work that fails again and again, with its last error",
    "invoices_outboxevent": _GOES_OUT,
    "invoices_webhookdelivery": _GOES_OUT,
    "invoices_webhookattempt": _GOES_OUT,
    "invoices_mail": _GOES_OUT,
    "invoices_alertfiring": _GOES_OUT,
}
