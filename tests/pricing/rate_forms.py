"""What staff type into the form of a rate."""

from typing import Any

from django.http import QueryDict


def typed(*tiers: dict[str, str], where: tuple[dict[str, str], ...] = (), **fields: Any) -> QueryDict:
    """The form as it is sent, with these rows of tiers and of conditions."""
    data = QueryDict(mutable=True)
    for prefix, rows in {"tiers": tiers, "where": where}.items():
        data.update({f"{prefix}-TOTAL_FORMS": str(len(rows)), f"{prefix}-INITIAL_FORMS": "0"})
        for number, row in enumerate(rows):
            data.update({f"{prefix}-{number}-{name}": value for name, value in row.items()})
    data.update({name: str(value) for name, value in fields.items()})
    return data


def tier(up_to: str = "", unit_price: str = "", flat_fee: str = "", **more: str) -> dict[str, str]:
    return {"up_to": up_to, "unit_price": unit_price, "flat_fee": flat_fee} | more


def condition(dimension: str = "", texts: str = "", **more: str) -> dict[str, str]:
    return {"dimension": dimension, "texts": texts} | more
