"""Staff pages of what is sold, at what price, to whom."""

from pricing.admin import (
    assignment_log,
    assignments,
    customers,
    meters,
    plans,
    product_items,
    promotions,
    rules,
    taxes,
)

__all__ = [
    "assignment_log",
    "assignments",
    "customers",
    "meters",
    "plans",
    "product_items",
    "promotions",
    "rules",
    "taxes",
]
