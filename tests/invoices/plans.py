"""Plans with fees, terms and filters, made by the real services."""

from collections.abc import Iterable, Mapping
from typing import Any

from meters.models import Meter
from pricing.models import Plan, PlanVersion
from pricing.plans import activate, draft_version, set_fee, set_rate, set_terms

FREE = {"model": "per_unit", "unit_price": "0"}
ONE_EACH = {"model": "per_unit", "unit_price": "1"}


def fee(key: str, amount: Any = None, **fields: Any) -> dict[str, Any]:
    return {"key": key, "name": key.capitalize(), "amount": amount, **fields}


def version_with(
    plan: Plan,
    rates: Mapping[Meter, Mapping[str, Any] | Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]],
    *fees: Mapping[str, Any],
    prorated: bool = False,
    moves_existing: bool = True,
    **terms: Any,
) -> PlanVersion:
    """Activates the next version of a plan; rates are parameters, or pairs of a filter and parameters."""
    draft = draft_version(plan)
    for meter, found in rates.items():
        pairs = [({}, found)] if isinstance(found, Mapping) else found
        for where, parameters in pairs:
            set_rate(
                draft, product_item=meter.product_item, parameters=parameters, where=where or None, prorated=prorated
            )
    for one in fees:
        set_fee(draft, **one)
    if terms:
        set_terms(draft, **terms)
    activate(plan, moves_existing=moves_existing)
    return plan.versions.get(status=PlanVersion.Status.ACTIVE)


def plan_with(key: str, rates: Any, *fees: Mapping[str, Any], **terms: Any) -> Plan:
    """An active plan of one version."""
    plan = Plan.objects.create(key=key)
    version_with(plan, rates, *fees, **terms)
    plan.refresh_from_db()
    return plan
