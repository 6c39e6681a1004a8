"""What changes from one version of a plan to another, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pricing.explain import describe_rate
from pricing.models import Fee, PlanVersion, ProductItem, Rate
from pricing.plan_words import describe_fee, describe_terms, rate_name
from pricing.version_contents import in_order, key_of

ADDED, REMOVED, CHANGED = "added", "removed", "changed"

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Difference:
    """`kind` is added, removed or changed; `before` and `after` are lines of words, none for what is not there."""

    kind: str
    subject: str
    before: list[str]
    after: list[str]


@dataclass(frozen=True, slots=True)
class _Said:
    """What is said of one thing. Two are the same where the facts are, whatever the words."""

    subject: str
    words: list[str]
    facts: object


def differences(before: PlanVersion | None, after: PlanVersion) -> list[Difference]:
    """From `before`, or from nothing, to `after`: terms, then product items by name, then which of their rates comes
    first where that is another one, then fees in order.

    Words are those of each version's own currency, so a change of currency changes all amounts.
    """
    return [
        *_compare(_terms(before), _terms(after)),
        *sorted(_compare(_rates(before), _rates(after)), key=lambda difference: difference.subject.lower()),
        *(_order(before, after) if before else []),
        *_compare(_fees(before), _fees(after)),
    ]


def _compare(before: Mapping[Key, _Said], after: Mapping[Key, _Said]) -> list[Difference]:
    found = []
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if old is None and new is not None:
            found.append(Difference(ADDED, new.subject, [], new.words))
        elif new is None and old is not None:
            found.append(Difference(REMOVED, old.subject, old.words, []))
        elif old is not None and new is not None and old.facts != new.facts:
            found.append(Difference(CHANGED, new.subject, old.words, new.words))
    return found


def _terms(version: PlanVersion | None) -> dict[str, _Said]:
    if version is None:
        return {}
    return {name: _Said(name, [words], words) for name, words in describe_terms(version)}


def _rates(version: PlanVersion | None) -> dict[object, _Said]:
    if version is None:
        return {}
    return {key_of(rate): _rate(rate, version) for rate in version.rates.select_related("product_item__meter")}


def _rate(rate: Rate, version: PlanVersion) -> _Said:
    unit = rate.product_item.meter.unit
    words = describe_rate(rate.parsed, unit=unit, currency=version.currency)
    if rate.prorated:
        words.append("Included units and tiers shrink with a shorter period")
    return _Said(rate_name(rate), words, (rate.parameters, rate.prorated, version.currency))


def _order(before: PlanVersion, after: PlanVersion) -> list[Difference]:
    """The rates, of those that both versions have, that are looked at in another order, by product item."""
    both = {key_of(rate) for rate in before.rates.all()} & {key_of(rate) for rate in after.rates.all()}
    old, new = (
        [rate for rate in in_order(version.rates.select_related("product_item")) if key_of(rate) in both]
        for version in (before, after)
    )
    moved: dict[ProductItem, tuple[list[str], list[str]]] = {}
    for was, now in zip(old, new, strict=True):
        if key_of(was) != key_of(now):
            names = moved.setdefault(was.product_item, ([], []))
            names[0].append(rate_name(was))
            names[1].append(rate_name(now))
    return [Difference(CHANGED, f"Which rate of {item} comes first", *names) for item, names in moved.items()]


def _fees(version: PlanVersion | None) -> dict[str, _Said]:
    return {fee.key: _fee(fee, version) for fee in version.fees.all()} if version is not None else {}


def _fee(fee: Fee, version: PlanVersion) -> _Said:
    facts = (fee.name, fee.kind, fee.amount, fee.percent, fee.quantity, fee.unit, fee.prorated)
    currency = "" if fee.kind == Fee.Kind.PERCENT else version.currency
    return _Said(f"Fee {fee.name}", [f"{fee.name}: {describe_fee(fee, version.currency)}"], (facts, currency))
