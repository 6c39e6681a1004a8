"""Which tables of `pricing` the audit log watches: all of them."""

from meters.audit_log.tables import Owner, Watched

_OF_VERSION = Owner("plan_version_id", "pricing_plan", through="pricing_planversion", id_there="plan_id")

WATCHED = (
    Watched("pricing_productitem", label=("name",)),
    Watched("pricing_plan", label=("key",)),
    Watched("pricing_planversion", label=("number",), owner=Owner("plan_id", "pricing_plan")),
    Watched("pricing_rate", owner=_OF_VERSION),
    Watched("pricing_fee", label=("key",), owner=_OF_VERSION),
    Watched("pricing_assignmentrule", label=("position",)),
    Watched(
        "pricing_assignmentrulecondition", label=("trait", "value"), owner=Owner("rule_id", "pricing_assignmentrule")
    ),
    Watched("pricing_assignment", owner=Owner("customer_id", "meters_customer")),
    Watched("pricing_assignmentquantity", label=("fee_key",), owner=Owner("assignment_id", "pricing_assignment")),
    # A log of its own, beside the rows that it tells of: it is only to be added to.
    Watched("pricing_assignmentlog", owner=Owner("customer_id", "meters_customer"), added=False),
    Watched("pricing_promotion", label=("key",)),
    Watched("pricing_promotion_product_items", owner=Owner("promotion_id", "pricing_promotion")),
    Watched("pricing_appliedpromotion", owner=Owner("customer_id", "meters_customer")),
    Watched("pricing_taxrate", label=("key",)),
    Watched("pricing_billingprofile", pk="customer_id", owner=Owner("customer_id", "meters_customer")),
    # Whose profile it is: its id is the customer's.
    Watched("pricing_billingprofile_tax_rates", owner=Owner("billingprofile_id", "meters_customer")),
)

NOT_WATCHED: dict[str, str] = {}
