"""Staff pages of what is sold, at what price, to whom."""

from pricing.admin import assignments, customers, meters, plans, product_items, rules

__all__ = ["assignments", "customers", "meters", "plans", "product_items", "rules"]
