"""Credits: grants, their ledger, what draws on them."""
