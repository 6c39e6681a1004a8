"""Staff pages of invoices: to look at and to have computed anew. Only services write them."""

from invoices.admin import backtests, customers, invoices

__all__ = ["backtests", "customers", "invoices"]
