"""A customer's team: who is in it, in which role, and what was done to it.

Whoever changes it holds the customer's row, so that of two owners who demote each other one stays.
"""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from invoices.locking import lock_customer
from meters.models import Customer
from portal.models import Membership, TeamEvent
from portal.roles import Role

LONGEST = 500


class LastOwner(Exception):
    """Without this person nobody could manage the team."""


def members_of(customer: Customer) -> list[Membership]:
    """By role, then by name."""
    found = Membership.objects.filter(customer=customer).select_related("user")
    return sorted(found, key=lambda one: (list(Role).index(Role(one.role)), one.user.get_username().casefold()))


def person_words(user: User) -> str:
    """ "Anna Berg (anna@acme.example)"."""
    address = user.email or user.get_username()
    return f"{name} ({address})" if (name := user.get_full_name()) else address


def events_of(customer: Customer) -> QuerySet[TeamEvent]:
    """What was done, newest first."""
    return TeamEvent.objects.filter(customer=customer)


def log(customer: Customer, what: str, *, actor: str, now: datetime) -> None:
    TeamEvent.objects.create(customer=customer, at=now, actor=actor[:200], what=what[:LONGEST])


@transaction.atomic
def change_role(customer: Customer, member_id: int, role: Role, *, actor: str, now: datetime) -> Membership:
    """Raises Membership.DoesNotExist, and LastOwner."""
    member = _held(customer, member_id)
    if member.role == role:
        return member
    if role != Role.OWNER:
        _keep_an_owner(member)
    was = Role(member.role)
    member.role = role
    member.save(update_fields=["role"])
    log(customer, f"made {person_words(member.user)} {role.label}, who was {was.label}", actor=actor, now=now)
    return member


@transaction.atomic
def remove_member(
    customer: Customer, member_id: int, *, actor: str, now: datetime, by: User | None = None
) -> Membership:
    """Takes somebody out of the team; `by` is who does, as far as that has an account. What that person has open shows
    nothing more with the next request. Raises Membership.DoesNotExist, and LastOwner."""
    member = _held(customer, member_id)
    _keep_an_owner(member)
    member.delete()
    if member.user == by:
        what = f"left, who was {Role(member.role).label}"
    else:
        what = f"removed {person_words(member.user)}, who was {Role(member.role).label}"
    log(customer, what, actor=actor, now=now)
    return member


def _held(customer: Customer, member_id: int) -> Membership:
    lock_customer(customer.pk)
    # A statement of its own: it sees what was committed while this waited for the customer.
    return Membership.objects.select_related("user").get(customer=customer, pk=member_id)


def _keep_an_owner(member: Membership) -> None:
    """Owners whose account is closed do not count: they cannot come in."""
    others = Membership.objects.filter(customer=member.customer_id, role=Role.OWNER, user__is_active=True)
    if member.role == Role.OWNER and not others.exclude(pk=member.pk).exists():
        raise LastOwner
