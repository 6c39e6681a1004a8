"""Whose account a name or an address is."""

from django.contrib.auth.models import User
from django.db.models import Q

# Accounts of one address that get a link each.
MOST = 5


def account_named(name: str) -> User | None:
    """The account of a user name, or of an e-mail address where exactly one account has it."""
    users = User.objects.filter(is_active=True)
    if exact := users.filter(username=name).first():
        return exact
    found = users.filter(email__iexact=name)[:MOST] if "@" in name else users.none()
    # The database takes a dotless i for an i. Wrong passwords are counted by the name: what is one here is one there.
    named = [user for user in found if user.email.casefold() == name.casefold()]
    return named[0] if len(named) == 1 else None


def accounts_of(address: str) -> list[User]:
    """The accounts that are reached at this address, or are called by it and reached at another one."""
    mine = Q(email__iexact=address) | Q(username__iexact=address)
    return list(User.objects.filter(mine, is_active=True).exclude(email="").order_by("pk")[:MOST])


def is_of(user: User, address: str) -> bool:
    return address.casefold() in (user.email.casefold(), user.get_username().casefold())


def is_taken(address: str) -> bool:
    """Whether an account has this address, also one that is closed."""
    return User.objects.filter(Q(email__iexact=address) | Q(username__iexact=address)).exists()
