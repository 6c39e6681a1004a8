"""The prices that a backtest tries, kept with it: a draft may change, or go, while staff read the result."""

from decimal import Decimal
from typing import Any

from django.db.models import Field, Model

from invoices.pricing_of import PricedRate, PricedVersion
from meters.aggregation import plain
from pricing.models import Fee, PlanVersion
from pricing.rates import parse_rate

FEE_FIELDS = ("key", "name", "kind", "amount", "percent", "quantity", "unit", "prorated", "is_override")
VERSION_FIELDS = ("number", "currency", *PlanVersion.TERMS)


def prices_of(priced: PricedVersion) -> dict[str, Any]:
    """Everything of a version that moves a bill, as JSON; numbers are texts."""
    return {
        "version": {name: _json(getattr(priced.version, name)) for name in VERSION_FIELDS},
        "rates": [
            {
                "product_item": item,
                "where": {name: list(texts) for name, texts in rate.where.items()},
                "parameters": rate.rate.parameters(),
                "prorated": rate.prorated,
            }
            for item, rates in priced.rates.items()
            for rate in rates
        ],
        "fees": [{name: _json(getattr(fee, name)) for name in FEE_FIELDS} for fee in priced.fees],
    }


def version_of(prices: dict[str, Any], version: PlanVersion) -> PricedVersion:
    """What `prices_of` gave, as a version to compute bills by. It is not stored; `version` says which one it is."""
    tried = PlanVersion(pk=version.pk, plan=version.plan)
    for name, value in prices["version"].items():
        setattr(tried, name, _field(PlanVersion, name).to_python(value))
    rates: dict[int, list[PricedRate]] = {}
    for one in prices["rates"]:
        where = {name: tuple(texts) for name, texts in one["where"].items()}
        rate = PricedRate(parse_rate(one["parameters"]), where, one["prorated"])
        rates.setdefault(one["product_item"], []).append(rate)
    fees = []
    for one in prices["fees"]:
        fee = Fee(plan_version=tried)
        for name, value in one.items():
            setattr(fee, name, _field(Fee, name).to_python(value))
        fees.append(fee)
    return PricedVersion(version=tried, rates={item: tuple(some) for item, some in rates.items()}, fees=tuple(fees))


def _field(model: type[Model], name: str) -> "Field[Any, Any]":
    found = model._meta.get_field(name)
    assert isinstance(found, Field)
    return found


def _json(value: Any) -> Any:
    return plain(value) if isinstance(value, Decimal) else value
