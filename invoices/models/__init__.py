"""Documents: open invoices follow usage, final ones never change."""

from invoices.models.backtests import Backtest, BacktestRow
from invoices.models.documents import Invoice, InvoiceEvent, InvoiceLine, NumberSeries

__all__ = ["Backtest", "BacktestRow", "Invoice", "InvoiceEvent", "InvoiceLine", "NumberSeries"]
