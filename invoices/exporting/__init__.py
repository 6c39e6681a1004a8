"""A month of all invoices as one file."""
