"""Staff who look at the portal as a customer sees it: begun from the admin, for an hour at most, and written down."""

from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db import transaction

from meters.keys import LAST_USED_STEP
from meters.models import Customer
from portal.models import StaffView

LIFE = timedelta(hours=1)
PERMISSION = "portal.view_as_customer"
LONGEST_PATH = 500


def may_look(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the person may look at the portal as customers do."""
    return isinstance(user, User) and user.is_active and user.is_staff and user.has_perm(PERMISSION)


def start_look(*, staff: User, customer: Customer, address: str | None, came_from: str, now: datetime) -> StaffView:
    """Raises PermissionDenied."""
    if not may_look(staff):
        raise PermissionDenied
    return StaffView.objects.create(
        staff=staff,
        staff_name=staff.get_username(),
        customer=customer,
        started_at=now,
        started_from=address,
        came_from=came_from if len(came_from) <= LONGEST_PATH else "",
        ends_at=now + LIFE,
        last_seen_at=now,
    )


def find_look(pk: object) -> StaffView | None:
    """The look that a browser holds, also one that is over."""
    found = StaffView.objects.select_related("customer")
    return found.filter(pk=pk).first() if isinstance(pk, int) else None


def keep_looking(look: StaffView, user: AbstractBaseUser | AnonymousUser, *, now: datetime) -> bool:
    """Whether the look goes on with this request of the person; if not, it is ended."""
    if look.ended_at is not None:
        return False
    if look.staff_id != user.pk or not may_look(user):
        end_look(look, StaffView.End.NOT_ALLOWED, now=now)
        return False
    if look.ends_at <= now:
        end_look(look, StaffView.End.TIME, now=look.ends_at)
        return False
    last = look.last_seen_at
    if last is None or abs(now - last) > LAST_USED_STEP:
        StaffView.objects.filter(pk=look.pk, last_seen_at=last).update(last_seen_at=now)
    return True


@transaction.atomic
def end_look(look: StaffView, end: StaffView.End, *, now: datetime) -> None:
    """Ends the look. One that is over stays as it ended."""
    end_at = min(now, look.ends_at)
    if StaffView.objects.filter(pk=look.pk, ended_at=None).update(ended_at=end_at, end=end):
        look.ended_at, look.end = end_at, end
