"""A plan as one document, for keeping prices in version control: exported, changed by hand, and applied.

A document has the plan's names, terms, rates and fees, all numbers as decimal text. That of a private plan names its
base plan and its customer, and has what is the customer's own; the rest is the base plan's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from meters.aggregation import plain
from meters.models import Customer
from pricing.differences import CHANGED, Difference, differences
from pricing.document_reading import Faults, PlanDocument, at, read_document
from pricing.drafts import restore
from pricing.inputs import check_row
from pricing.models import Fee, Plan, PlanVersion, Rate
from pricing.plans import activate as activate_plan
from pricing.plans import active_version, draft_version, lock_plan, set_fee, set_rate, set_terms
from pricing.private_plans import drop_own_terms, make_private, set_follows_base
from pricing.version_contents import RateKey, key_of, place_rates, rate_key, same_contents


@dataclass(frozen=True, slots=True)
class Applied:
    """What a document changes. `version`: the draft, or active version, that says it now; None where no price changes
    and in a dry run."""

    plan: Plan
    differences: list[Difference]
    version: PlanVersion | None


def export_plan(plan: Plan, *, version: PlanVersion | None = None) -> dict[str, Any]:
    """The document of a version of a plan: of the active one if none is said, or else of its draft."""
    version = version or active_version(plan) or plan.versions.order_by("number").last()
    document: dict[str, Any] = {"key": plan.key, "name": plan.name, "description": plan.description}
    if plan.offer != Plan.Offer.NONE:
        document["offer"] = plan.offer
    if plan.base is not None and plan.customer is not None:
        document |= {"base": plan.base.key, "customer": plan.customer.key, "follows_base": plan.follows_base}
    if version is None:
        return document | {"rates": [], "fees": []}
    if not plan.is_private:
        document["currency"] = version.currency
    for name in version.overridden_terms if plan.is_private else PlanVersion.TERMS:
        value = getattr(version, name)
        document[name] = (
            plain(value) if name in ("minimum", "commitment", "overage_factor") and value is not None else value
        )
    rates = version.rates.select_related("product_item__meter").order_by("product_item__meter__key", "position", "id")
    document["rates"] = [_rate_document(rate) for rate in rates if rate.is_override or not plan.is_private]
    document["fees"] = [_fee_document(fee) for fee in version.fees.all() if fee.is_override or not plan.is_private]
    return document


def apply_plan(
    document: Mapping[str, Any],
    *,
    activate: bool = False,
    moves_existing: bool = True,
    dry_run: bool = False,
    actor: str = "",
) -> Applied:
    """Makes a plan what a document says, and the plan itself if there is none with its key.

    What is new becomes the plan's draft, in place of what the draft said before, and is active at once where
    `activate` says so. Where the active version says the same already nothing is done, and a draft stays as it is; a
    dry run does and leaves nothing either. Differences are those from the active version.

    Raises ValidationError by the path of the fault (`rates[0].parameters.unit_price`).
    """
    wanted = read_document(document)
    with transaction.atomic():
        applied = _apply(wanted, activate=activate, moves_existing=moves_existing, actor=actor)
        if dry_run:
            transaction.set_rollback(True)
            applied = replace(applied, version=None)
    return applied


def _apply(wanted: PlanDocument, *, activate: bool, moves_existing: bool, actor: str) -> Applied:
    plan, changed = _plan_of(wanted, actor)
    active = active_version(plan)
    with transaction.atomic():
        draft = draft_version(plan)
        _fill(draft, wanted)
        draft = PlanVersion.objects.select_related("plan").get(pk=draft.pk)
        if active is not None and same_contents(draft, active):
            # Whatever was in the draft is there again.
            transaction.set_rollback(True)
            return Applied(plan, changed, None)
    changed += differences(active, draft)
    if activate:
        draft = activate_plan(plan, moves_existing=moves_existing, actor=actor)
    return Applied(Plan.objects.get(pk=plan.pk), changed, draft)


def _plan_of(wanted: PlanDocument, actor: str) -> tuple[Plan, list[Difference]]:
    """The plan that a document is about, made if there is none, with its names as the document says."""
    plan = Plan.objects.filter(key=wanted.key).first()
    if plan is None:
        if wanted.base:
            plan = _make_private(wanted)
        else:
            check_row(Plan(key=wanted.key), unique=False)
            plan, _ = Plan.objects.get_or_create(key=wanted.key)
    if plan.base is not None:
        # It is older: plans are held by id.
        lock_plan(plan.base)
    plan = lock_plan(plan)
    if ((plan.base and plan.base.key) or "") != wanted.base:
        raise ValidationError({"base": f"The base of a plan never changes; {plan.key} has {plan.base or 'none'}."})
    if ((plan.customer and plan.customer.key) or "") != wanted.customer:
        raise ValidationError({"customer": f"{plan.key} is a plan of {plan.customer}."})
    changed = []
    for name in ("name", "description"):
        before, after = getattr(plan, name), getattr(wanted, name)
        if before != after:
            setattr(plan, name, after)
            changed.append(Difference(CHANGED, name.capitalize(), [before] if before else [], [after] if after else []))
    if plan.offer != wanted.offer:
        before, after = str(plan.get_offer_display()), str(Plan.Offer(wanted.offer).label)
        plan.offer = wanted.offer
        changed.append(Difference(CHANGED, "Offered to customers", [before], [after]))
    if changed:
        check_row(plan)
        plan.save(update_fields=["name", "description", "offer"])
    if plan.is_private and plan.follows_base != wanted.follows_base:
        words = {True: "Follows its base plan", False: "Stays as it is"}
        changed.append(Difference(CHANGED, "Base plan", [words[plan.follows_base]], [words[wanted.follows_base]]))
        set_follows_base(plan, follows=wanted.follows_base, actor=actor)
    return plan, changed


def _make_private(wanted: PlanDocument) -> Plan:
    base = Plan.objects.filter(key=wanted.base).first()
    customer = Customer.objects.filter(key=wanted.customer).first()
    if base is None:
        raise ValidationError({"base": "There is no plan with this key."})
    if customer is None:
        raise ValidationError({"customer": "There is no customer with this key."})
    return make_private(base, customer=customer, follows_base=wanted.follows_base, key=wanted.key)


def _fill(draft: PlanVersion, wanted: PlanDocument) -> None:
    """Makes a draft what a document says. Of a private plan's only what is the customer's own. Raises ValidationError
    with the faults of all its terms, rates and fees."""
    private, faults = draft.plan.is_private, Faults()
    if private and (left_out := [name for name in draft.overridden_terms if name not in wanted.terms]):
        drop_own_terms(draft, *left_out)
    with faults.collected():
        set_terms(draft, **({} if private else wanted.default_terms), **wanted.terms)
    rates = {rate_key(rate.item.pk, rate.where) for rate in wanted.rates}
    fees = {fee["key"] for fee in wanted.fees}
    rows: list[Rate | Fee] = [*draft.rates.select_related("product_item"), *draft.fees.all()]
    for row in rows:
        if key_of(row) not in rates | fees and (row.is_override or not private):
            restore(row)
    for index, rate in enumerate(wanted.rates):
        with faults.collected(), at(f"rates[{index}]", {"model": "parameters.model"}):
            set_rate(
                draft, product_item=rate.item, parameters=rate.parameters, where=rate.where, prorated=rate.prorated
            )
    for index, fee in enumerate(wanted.fees):
        with faults.collected(), at(f"fees[{index}]"):
            set_fee(draft, **fee)
    faults.raise_if_any()
    _order_as_said(draft, [rate_key(rate.item.pk, rate.where) for rate in wanted.rates])


def _order_as_said(draft: PlanVersion, said: Sequence[RateKey]) -> None:
    """Places the rates of a draft as a document lists them; in a private plan only those that its base does not have,
    as the others stand in the order of the base."""
    rows = list(draft.rates.order_by("position", "id"))
    base = active_version(draft.plan.base) if draft.plan.base else None
    of_base = {key_of(rate) for rate in base.rates.all()} if base else set()
    moving = {key_of(row) for row in rows if base is None or row.is_override} - of_base
    following = iter([key for key in said if key in moving])
    place_rates(draft, [next(following) if key_of(row) in moving else key_of(row) for row in rows])


def _rate_document(rate: Rate) -> dict[str, Any]:
    document: dict[str, Any] = {"product_item": rate.product_item.meter.key}
    if rate.where:
        document["where"] = {name: rate.where[name] for name in sorted(rate.where)}
    if rate.prorated:
        document["prorated"] = True
    # In the order in which they are read, not in that of the database.
    return document | {"parameters": rate.parsed.parameters()}


def _fee_document(fee: Fee) -> dict[str, Any]:
    document: dict[str, Any] = {"key": fee.key, "name": fee.name, "kind": fee.kind}
    if fee.kind == Fee.Kind.PERCENT:
        return document | {"percent": plain(fee.percent or fee.quantity)}
    assert fee.amount is not None
    document |= {"amount": plain(fee.amount), "quantity": plain(fee.quantity)}
    if fee.unit:
        document["unit"] = fee.unit
    return document | ({"prorated": fee.prorated} if fee.kind == Fee.Kind.RECURRING else {})
