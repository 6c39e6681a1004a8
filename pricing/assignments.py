"""Who is on which plan, from when, and why. Whatever is done is logged with who, or which rule, did it.

Lock order: the customer, then its plans by id, then the assignment. None of the locks keeps rows from being added that
refer to what is locked, so invoices that are opened meanwhile do not wait here.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from meters.models import Customer
from meters.periods import local_date
from meters.words import day_words
from pricing.inputs import number, sensible_day
from pricing.models import Assignment, AssignmentLog, AssignmentQuantity, AssignmentRule, Fee, Plan
from pricing.money import format_quantity
from pricing.overlaps import Prices, check_assignment
from pricing.rules import default_plan, matching_rule
from pricing.signals import many_assigned
from pricing.version_choice import cycle_of, is_charged_by, running_period, version_for, versions_of

MAX_BACK, MAX_AHEAD = timedelta(days=5 * 366), timedelta(days=3650)
NOW, PERIOD_END = "now", "period_end"
# How many rows one statement stores.
AT_ONCE = 1000


@transaction.atomic
def assign(
    *,
    customer: Customer,
    plan: Plan,
    starts_on: date,
    ends_on: date | None = None,
    anchor_on: date | None = None,
    source: str = Assignment.Source.STAFF,
    rule: AssignmentRule | None = None,
    without_trial: bool = False,
    actor: str = "",
) -> Assignment:
    """Puts a customer on a plan from the day `starts_on`, up to but not including `ends_on`.

    Anniversary periods count from `anchor_on`, or else from the start. One product item is priced by at most one
    assignment of a customer at a time. The lock on the customer keeps two requests from each seeing the other's
    absence, the locks on its plans keep new versions from being activated meanwhile. Raises ValidationError by field.
    """
    customer = _lock_customer(customer, plan)
    plan = Plan.objects.get(pk=plan.pk)
    beside = _assignments_of(customer)
    assignment = check_new(
        customer=customer,
        plan=plan,
        starts_on=starts_on,
        ends_on=ends_on,
        anchor_on=anchor_on,
        source=source,
        rule=rule,
        without_trial=without_trial,
        beside=beside,
        prices=Prices([plan.pk, *(one.plan_id for one in beside)]),
    )
    assignment.save()
    _log_of_new(assignment, actor).save()
    return assignment


def check_new(
    *,
    customer: Customer,
    plan: Plan,
    starts_on: date,
    ends_on: date | None,
    anchor_on: date | None,
    source: str,
    rule: AssignmentRule | None = None,
    without_trial: bool = False,
    beside: Sequence[Assignment],
    prices: Prices,
) -> Assignment:
    """The assignment that `assign` makes, not saved yet. Raises ValidationError by field.

    `beside`: the customer's other assignments in the order of their days; `prices`: of their plans and of this one.
    """
    _check_days(starts_on, ends_on, anchor_on)
    _check_plan(customer, plan)
    assignment = Assignment(
        customer=customer,
        plan=plan,
        time_zone=_billing_zone(customer, starts_on, ends_on, beside),
        starts_on=starts_on,
        ends_on=ends_on,
        anchor_on=anchor_on,
        source=source,
        rule=rule,
        goes_on=_goes_on(plan, starts_on, beside),
        without_trial=without_trial,
        created_at=prices.made_at(plan.pk, timezone.now()),
    )
    check_assignment(assignment, prices.of_new(plan.pk), beside, prices, field="plan")
    return assignment


@transaction.atomic
def store_new(assignments: Sequence[Assignment], *, actor: str) -> None:
    """Stores what `check_new` has let pass in a few statements, under the locks that it was checked under.

    They are not saved one by one, so no invoice is opened here: the sweep finds that they lack some.
    """
    Assignment.objects.bulk_create(assignments, batch_size=AT_ONCE)
    AssignmentLog.objects.bulk_create([_log_of_new(one, actor) for one in assignments], batch_size=AT_ONCE)
    many_assigned.send(sender=Assignment, assignments=assignments)


@transaction.atomic
def end(
    assignment: Assignment, *, ends_on: date | None, source: str = Assignment.Source.STAFF, actor: str = ""
) -> Assignment:
    """Ends an assignment, moves its end, or takes it back (None): `ends_on` is the first day no longer on the plan.

    One that ends on the day that it starts is taken back altogether. Raises ValidationError by field, also where the
    end moves into another assignment for the same product item.
    """
    assignment = hold(assignment)
    if ends_on is not None and ends_on < assignment.starts_on:
        raise ValidationError({"ends_on": "The end is not before the start."})
    return _set_end(assignment, ends_on, source=source, actor=actor)


@transaction.atomic
def change_plan(
    assignment: Assignment,
    *,
    plan: Plan,
    when: str | date,
    without_trial: bool = False,
    source: str = Assignment.Source.STAFF,
    actor: str = "",
) -> Assignment:
    """Ends an assignment and puts its customer on another plan from that day on, and answers the new assignment.

    `when` is "now" (the customer's today), "period_end" (the end of the running period) or a day. The new assignment
    has the end that the old one had, where its periods were counted from an anchor, that one, and the quantities of
    the fees that the new plan has too, also those that are said of the old one later on. On the first day of an
    assignment, or before it, the new one takes its place altogether; the old one is left without any day.

    Raises ValidationError by field.
    """
    assignment = hold(assignment, plan)
    day = _day_of_change(assignment, when)
    if plan.pk == assignment.plan_id:
        raise ValidationError({"plan": f"{assignment.customer} is on {plan} already."})
    ends_on = assignment.ends_on
    if ends_on is not None and ends_on <= day:
        raise ValidationError({"when": f"{assignment.plan} ends on {day_words(ends_on)} already."})
    if day < assignment.starts_on:
        raise ValidationError({"when": f"{assignment.plan} begins on {day_words(assignment.starts_on)}."})
    try:
        _set_end(assignment, day, source=source, actor=actor)
        new = assign(
            customer=assignment.customer,
            plan=plan,
            starts_on=day,
            ends_on=ends_on,
            anchor_on=kept_anchor(assignment),
            source=source,
            without_trial=without_trial,
            actor=actor,
        )
    except ValidationError as error:
        # Whatever is wrong with a day, also for invoices that are final, is wrong with when.
        raise ValidationError(
            {"plan" if field == "plan" else "when": texts for field, texts in error.message_dict.items()}
        ) from None
    new.continues = assignment
    # Not by `save`, which would open its invoices once more.
    Assignment.objects.filter(pk=new.pk).update(continues=assignment)
    if ends_on is not None:
        # What was to come after the old one comes after the new one.
        assignment.continued_by.filter(starts_on=ends_on).exclude(pk=new.pk).update(continues=new)
    _take_quantities(assignment, new)
    return new


def kept_anchor(assignment: Assignment) -> date | None:
    """The anchor that the periods of the next plan keep; months of the calendar are the same from wherever they are
    counted."""
    version = version_for(assignment, timezone.now())
    cycle = cycle_of(version, assignment) if version else None
    return assignment.anchor if cycle is not None and (cycle.anniversary or cycle.count > 1) else None


@transaction.atomic
def set_quantity(
    assignment: Assignment,
    *,
    fee_key: str,
    quantity: object,
    starts_on: date,
    source: str = Assignment.Source.STAFF,
    actor: str = "",
) -> AssignmentQuantity:
    """Says how many of a fee (seats, for example) a customer has from the day `starts_on` on, in place of the fee's
    own quantity. A day that has a quantity already gets this one. A planned change of plan takes it over, but for days
    that the next assignment has quantities of its own for. Raises ValidationError by field."""
    assignment = hold(assignment)
    amount = number(quantity, "quantity")
    fee = Fee.objects.filter(plan_version__in=versions_of(assignment), key=fee_key).order_by("-plan_version").first()
    if fee is None:
        raise ValidationError({"fee_key": f"{assignment.plan} has no fee with this key."})
    if fee.kind == Fee.Kind.PERCENT:
        raise ValidationError({"fee_key": f"{fee} is a percentage, which has no quantity."})
    if starts_on < assignment.starts_on or (assignment.ends_on is not None and starts_on >= assignment.ends_on):
        raise ValidationError({"starts_on": f"{assignment.plan} is {_span_words_of(assignment)}."})
    sensible_day(starts_on, "starts_on")
    found = assignment.quantities.filter(fee_key=fee_key, starts_on=starts_on).first()
    if found is not None and found.quantity == amount and not found.is_taken_over:
        return found
    entry = found or AssignmentQuantity(assignment=assignment, fee_key=fee_key, starts_on=starts_on)
    entry.quantity, entry.is_taken_over = amount, False
    entry.save()
    _log(assignment, AssignmentLog.Kind.QUANTITY, source, actor, _quantity_words(fee, entry))
    for taken in _pass_on(assignment):
        if taken.fee_key == fee_key:
            _log(taken.assignment, AssignmentLog.Kind.QUANTITY, source, actor, _quantity_words(fee, taken))
    return entry


@transaction.atomic
def onboard(customer: Customer, *, now: datetime | None = None) -> Assignment | None:
    """Gives a new customer its plan: of the first rule that matches it, or else the default plan.

    It counts from the start of the day on which the customer came, in its zone, so what it used until a worker takes it
    in is charged too. Where no plan fits there is none; a second call does nothing.
    """
    now = now or timezone.now()
    customer = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    if customer.onboarded_at is not None:
        return None
    customer.onboarded_at = now
    customer.save(update_fields=["onboarded_at"])
    if customer.assignments.exists():
        return None  # staff were faster
    came = max(local_date(customer.created_at, customer.zone), timezone.now().date() - MAX_BACK)
    starts_on = min(came, local_date(now, customer.zone))
    if rule := matching_rule(customer):
        return assign(customer=customer, plan=rule.plan, starts_on=starts_on, source=Assignment.Source.RULE, rule=rule)
    default = default_plan()
    if default is None:
        AssignmentLog.objects.create(
            customer=customer,
            kind=AssignmentLog.Kind.UNMATCHED,
            source=Assignment.Source.RULE,
            detail="On no plan: no rule matches, and there is no default plan",
        )
        return None
    return assign(customer=customer, plan=default, starts_on=starts_on, source=Assignment.Source.DEFAULT)


def pending_customers(limit: int) -> list[Customer]:
    """Customers nobody has taken in yet: discovered by their first event. Uses customer_not_onboarded."""
    return list(Customer.objects.filter(onboarded_at=None).order_by("id")[:limit])


def _lock_customer(customer: Customer, *plans: Plan) -> Customer:
    """The customer, held with all of its plans and with `plans`."""
    customer = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    concerned = Plan.objects.filter(Q(pk__in=[plan.pk for plan in plans]) | Q(assignments__customer=customer))
    list(Plan.objects.select_for_update(no_key=True).filter(pk__in=concerned.values("pk")).order_by("pk"))
    return customer


def hold(assignment: Assignment, *plans: Plan) -> Assignment:
    """The assignment as it is now, held with its customer, its plans and `plans`."""
    _lock_customer(assignment.customer, *plans)
    locked = Assignment.objects.select_for_update(no_key=True, of=("self",)).select_related("customer", "plan")
    return locked.get(pk=assignment.pk)


def _set_end(assignment: Assignment, ends_on: date | None, *, source: str, actor: str) -> Assignment:
    if ends_on == assignment.ends_on:
        return assignment
    sensible_day(ends_on, "ends_on")
    before, assignment.ends_on = assignment.ends_on, ends_on
    if before is not None and (ends_on is None or ends_on > before):
        beside = [one for one in _assignments_of(assignment.customer) if one.pk != assignment.pk]
        prices = Prices([assignment.plan_id, *(one.plan_id for one in beside)])
        check_assignment(assignment, prices.of(assignment), beside, prices, field="ends_on")
    assignment.save(update_fields=["ends_on"])
    if ends_on is None:
        _log(assignment, AssignmentLog.Kind.REOPENED, source, actor, f"On {assignment.plan} without an end again")
    elif ends_on == assignment.starts_on:
        _log(assignment, AssignmentLog.Kind.ENDED, source, actor, f"Not on {assignment.plan} for any day")
    else:
        _log(assignment, AssignmentLog.Kind.ENDED, source, actor, f"On {assignment.plan} until {day_words(ends_on)}")
    return assignment


def _take_quantities(old: Assignment, new: Assignment) -> list[AssignmentQuantity]:
    """Gives an assignment the quantities that count for the one before, now and on later days, but for days that it has
    quantities of its own for; answers those that it did not have."""
    counted = Fee.objects.filter(plan_version__in=versions_of(new)).exclude(kind=Fee.Kind.PERCENT)
    wanted: dict[tuple[str, date], Decimal] = {}
    # In order of days, so that of those before the first day the last one stays.
    for entry in old.quantities.filter(fee_key__in=counted.values("key")).order_by("starts_on"):
        wanted[entry.fee_key, max(entry.starts_on, new.starts_on)] = entry.quantity
    there = {(entry.fee_key, entry.starts_on): entry for entry in new.quantities.all()}
    taken = []
    for (key, day), quantity in wanted.items():
        found = there.get((key, day))
        if found is not None and (not found.is_taken_over or found.quantity == quantity):
            continue
        entry = found or AssignmentQuantity(assignment=new, fee_key=key, starts_on=day, is_taken_over=True)
        entry.quantity = quantity
        # One by one, as each save tells the invoices.
        entry.save()
        taken.append(entry)
    return taken


def _pass_on(assignment: Assignment) -> list[AssignmentQuantity]:
    """Gives the quantities of an assignment to what continues it and has yet to begin; answers those that changed."""
    taken: list[AssignmentQuantity] = []
    if assignment.ends_on is None:
        return taken
    for following in assignment.continued_by.filter(starts_on=assignment.ends_on).order_by("pk"):
        if local_date(timezone.now(), following.zone) < following.starts_on:
            taken += _take_quantities(assignment, following)
            taken += _pass_on(following)
    return taken


def _quantity_words(fee: Fee, entry: AssignmentQuantity) -> str:
    return f"{fee}: {format_quantity(entry.quantity)} {fee.unit}".rstrip() + f" from {day_words(entry.starts_on)}"


def _check_days(starts_on: date, ends_on: date | None, anchor_on: date | None) -> None:
    """Raises ValidationError for a start that is a slip of the pen: it would make an invoice for every period since."""
    today = timezone.now().date()
    earliest, latest = today - MAX_BACK, today + MAX_AHEAD
    if not earliest <= starts_on <= latest:
        raise ValidationError({"starts_on": f"The start is from {earliest} to {latest}."})
    if ends_on is not None and ends_on <= starts_on:
        raise ValidationError({"ends_on": "The end is the first day no longer on the plan, and after the start."})
    sensible_day(ends_on, "ends_on")
    sensible_day(anchor_on, "anchor_on")


def _check_plan(customer: Customer, plan: Plan) -> None:
    if plan.status != Plan.Status.ACTIVE:
        raise ValidationError({"plan": f"{plan} is not active."})
    if plan.customer_id is not None and plan.customer_id != customer.pk:
        raise ValidationError({"plan": f"{plan.key} is a plan of {plan.customer} only."})


def _day_of_change(assignment: Assignment, when: str | date) -> date:
    now = timezone.now()
    if isinstance(when, date):
        sensible_day(when, "when")
        return when
    if when == NOW:
        return max(local_date(now, assignment.zone), assignment.starts_on)
    if when == PERIOD_END:
        period = running_period(assignment, now)
        if period is None:
            raise ValidationError({"when": f"{assignment.plan} is {_span_words_of(assignment)}."})
        return local_date(period.end, assignment.zone)
    raise ValidationError({"when": "This is now, period_end or a day."})


def _assignments_of(customer: Customer) -> list[Assignment]:
    """In the order of their days."""
    return list(Assignment.objects.filter(customer=customer).select_related("plan").order_by("starts_on", "pk"))


def _billing_zone(customer: Customer, starts_on: date, ends_on: date | None, beside: Sequence[Assignment]) -> str:
    """The zone of the customer; right behind another assignment that one's, or else that of one beside it or right
    after it, so that periods neither overlap nor leave a gap where the customer's zone has changed."""
    near = starts_on - timedelta(days=2)
    before = [one for one in beside if one.ends_on is not None and near <= one.ends_on <= starts_on]
    if before:
        return max(before, key=lambda one: (one.ends_on, one.ends_on != one.starts_on)).time_zone
    for other in beside:
        if (other.ends_on is None or other.ends_on > starts_on) and (ends_on is None or other.starts_on <= ends_on):
            return other.time_zone
    return customer.zone.key


def _goes_on(plan: Plan, starts_on: date, beside: Sequence[Assignment]) -> bool:
    """Whether somebody who begins on a private plan has had the beginning of its base: days of that were charged."""
    if not plan.is_private or plan.beginning_settled:
        return False
    return any(is_charged_by(one, starts_on) for one in beside if one.plan_id == plan.base_id)


def _log_of_new(assignment: Assignment, actor: str) -> AssignmentLog:
    span = _span_words(assignment.starts_on, assignment.ends_on)
    return _entry(
        assignment,
        AssignmentLog.Kind.ASSIGNED,
        assignment.source,
        actor,
        f"On {assignment.plan} {span}",
        assignment.rule,
    )


def _log(assignment: Assignment, kind: str, source: str, actor: str, detail: str) -> None:
    _entry(assignment, kind, source, actor, detail).save()


def _entry(
    assignment: Assignment, kind: str, source: str, actor: str, detail: str, rule: AssignmentRule | None = None
) -> AssignmentLog:
    return AssignmentLog(
        customer=assignment.customer,
        assignment=assignment,
        kind=kind,
        source=source,
        rule=rule,
        rule_words=str(rule)[:400] if rule else "",
        actor=actor[:150],
        detail=detail[:500],
    )


def _span_words(starts_on: date, ends_on: date | None) -> str:
    until = "" if ends_on is None else f" until {day_words(ends_on)}"
    return f"from {day_words(starts_on)}{until}"


def _span_words_of(assignment: Assignment) -> str:
    return _span_words(assignment.starts_on, assignment.ends_on)
