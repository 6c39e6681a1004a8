"""Who looks at a customer: what every kind of visitor comes to."""

from dataclasses import dataclass
from enum import Enum
from zoneinfo import ZoneInfo

from django.contrib.auth.models import User

from meters.models import Customer
from portal.roles import Role


class Kind(Enum):
    MEMBER = "member"
    LINK = "link"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks, and in which role. `name` is what logs say of what they do; `user` is their own account, which only
    members have here: who came by a link of the vendor's has none, and staff who look on use none."""

    name: str
    role: Role
    user: User | None = None
    kind: Kind = Kind.MEMBER
    time_zone: str = ""
    # The id of the link that a guest came by.
    link: int | None = None

    @property
    def zone(self) -> ZoneInfo | None:
        """In which moments are shown, where who looks has chosen one; None: in that of what they are of."""
        return ZoneInfo(self.time_zone) if self.time_zone else None

    def zone_beside(self, customer: Customer) -> ZoneInfo:
        """In which moments are shown to who looks at this customer."""
        return self.zone or customer.zone

    @property
    def may_bill(self) -> bool:
        return self.role.may(Role.BILLING)

    @property
    def may_own(self) -> bool:
        return self.role.may(Role.OWNER)


@dataclass(frozen=True, slots=True)
class Sight:
    """That `viewer` sees `customer`, and may switch to any of `customers`."""

    viewer: Viewer
    customer: Customer
    customers: tuple[Customer, ...] = ()
