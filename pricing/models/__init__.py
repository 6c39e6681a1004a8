"""What is sold, at what price, to whom. Knows nothing of invoices."""

from pricing.models.assignments import (
    Assignment,
    AssignmentLog,
    AssignmentQuantity,
    AssignmentRule,
    AssignmentRuleCondition,
    next_position,
)
from pricing.models.billing import AppliedPromotion, BillingProfile, Promotion, TaxRate, next_promotion_position
from pricing.models.plans import Fee, Plan, PlanVersion, ProductItem, Rate, account_currency

__all__ = [
    "AppliedPromotion",
    "Assignment",
    "AssignmentLog",
    "AssignmentQuantity",
    "AssignmentRule",
    "AssignmentRuleCondition",
    "BillingProfile",
    "Fee",
    "Plan",
    "PlanVersion",
    "ProductItem",
    "Promotion",
    "Rate",
    "TaxRate",
    "account_currency",
    "next_position",
    "next_promotion_position",
]
