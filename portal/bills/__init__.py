"""The overview, and the pages of invoices."""
