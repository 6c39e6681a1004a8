"""Staff pages of invoices: to look at and to have computed anew. Only services write them."""

from invoices.admin import customers, invoices

__all__ = ["customers", "invoices"]
