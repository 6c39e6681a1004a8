"""A customer's account: balance, documents, what runs."""
