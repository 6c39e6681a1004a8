"""The page of alerts and the budget."""
