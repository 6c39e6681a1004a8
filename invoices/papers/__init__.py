"""Invoices, credit notes and statements on paper: what stands on one (`paper`), and its PDF file (`pdf`)."""
