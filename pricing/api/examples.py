"""Examples of the OpenAPI document for product items, plans and what is in them."""

PRODUCT_ITEM = {
    "meter": "ApiCalls",
    "name": "API calls",
    "unit": "calls",
    "created_at": "2026-11-02T09:30:00Z",
    "retired_at": None,
}
PLAN = {
    "key": "AwesomeIntegrationApi",
    "name": "Awesome Integration API",
    "description": "",
    "status": "active",
    "is_default": True,
    "offer": "shown",
    "base": None,
    "customer": None,
    "follows_base": None,
    "active_version": 1,
    "draft_version": None,
    "created_at": "2026-11-02T09:30:00Z",
}
NEW_PLAN = {name: PLAN[name] for name in ("key", "name")}
CREATED_PLAN = PLAN | {
    "status": "draft",
    "is_default": False,
    "offer": "none",
    "active_version": None,
    "draft_version": 1,
}
PRIVATE_PLAN = PLAN | {
    "key": "AwesomeIntegrationApi.acme",
    "status": "draft",
    "is_default": False,
    "offer": "none",
    "base": "AwesomeIntegrationApi",
    "customer": "acme",
    "follows_base": True,
    "active_version": None,
    "draft_version": 1,
}
RATE = {
    "id": 31,
    "product_item": "ApiCalls",
    "where": {},
    "parameters": {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"},
    "prorated": False,
    "is_override": False,
    "in_words": ["5,000 calls free.", "Then $5.00 for every 1,000 calls; a started block counts in full."],
}
NEW_RATE = {name: RATE[name] for name in ("product_item", "where", "parameters")}
TIERS = {
    "model": "graduated",
    "tiers": [
        {"up_to": "10000", "unit_price": "0.005", "flat_fee": "10"},
        {"up_to": None, "unit_price": "0.003"},
    ],
    "minimum": "20",
}
FEE = {
    "key": "seats",
    "name": "Seats",
    "kind": "recurring",
    "amount": "9.5",
    "percent": None,
    "quantity": "3",
    "unit": "seats",
    "prorated": True,
    "is_override": False,
}
NEW_FEE = {name: FEE[name] for name in ("key", "name", "amount", "quantity", "unit")}
SUPPORT_FEE = {"key": "support", "name": "Support", "kind": "percent", "percent": "10"}
VERSION = {
    "plan": "AwesomeIntegrationApi",
    "number": 1,
    "status": "active",
    "currency": "USD",
    "interval": "month",
    "interval_count": 1,
    "alignment": "calendar",
    "trial_days": 14,
    "minimum": "20",
    "commitment": None,
    "overage_factor": "1",
    "moves_existing": True,
    "overridden_terms": [],
    "created_at": "2026-11-02T09:30:00Z",
    "activated_at": "2026-11-02T10:00:00Z",
    "activated_by": "API key billing",
    "rates": [RATE],
    "fees": [FEE],
}
DRAFT = VERSION | {"number": 2, "status": "draft", "activated_at": None, "activated_by": ""}
TERMS = {"trial_days": 14, "minimum": "20"}
DIFFERENCES = {
    "from": 1,
    "to": 2,
    "differences": [
        {
            "kind": "changed",
            "subject": "ApiCalls",
            "before": ["5,000 calls free.", "Then $5.00 for every 1,000 calls; a started block counts in full."],
            "after": ["5,000 calls free.", "Then $6.00 for every 1,000 calls; a started block counts in full."],
        }
    ],
}
DOCUMENT = {
    "key": "AwesomeIntegrationApi",
    "name": "Awesome Integration API",
    "description": "",
    "currency": "USD",
    "interval": "month",
    "interval_count": 1,
    "alignment": "calendar",
    "trial_days": 14,
    "minimum": "20",
    "commitment": None,
    "overage_factor": "1",
    "rates": [{"product_item": "ApiCalls", "parameters": RATE["parameters"]}],
    "fees": [
        {
            "key": "seats",
            "name": "Seats",
            "kind": "recurring",
            "amount": "9.5",
            "quantity": "3",
            "unit": "seats",
            "prorated": True,
        }
    ],
}
APPLIED_DOCUMENT = {"dry_run": False, "differences": DIFFERENCES["differences"], "version": DRAFT}
