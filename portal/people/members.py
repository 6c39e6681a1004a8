"""People who sign in: which customers they see, and in which role."""

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from meters.models import Customer
from portal.models import Membership
from portal.roles import Role
from portal.viewers import Sight, Viewer

# Of the session: the customer that a person of several has switched to.
SESSION_KEY = "portal-customer"


def seen_by_member(request: HttpRequest) -> Sight | HttpResponse | None:
    """What who is signed in sees: looked up at each request, so that a membership that ends, ends at once."""
    if not isinstance(request.user, User):
        return None
    return member_sight(request, request.user) or render(request, "portal/no_customer.html", status=403)


def member_sight(request: HttpRequest, user: User) -> Sight | None:
    found = Membership.objects.filter(user=user).select_related("customer").order_by("customer__key")
    memberships = {one.customer: one for one in found}
    if not memberships:
        return None
    customers = tuple(memberships)
    chosen = request.session.get(SESSION_KEY)
    customer = next((one for one in customers if one.pk == chosen), customers[0])
    own = memberships[customer]
    viewer = Viewer(user.get_username(), Role(own.role), user, time_zone=own.time_zone)
    return Sight(viewer, customer, customers)


def member_addresses(customer: Customer, kind: str = "") -> list[str]:
    """The addresses of the people who may see a customer; with a kind of mail, of those who have not refused it."""
    members = Membership.objects.filter(customer=customer, user__is_active=True).exclude(user__email="")
    if kind:
        members = members.exclude(unwanted_mails__contains=[kind])
    return list(members.order_by("pk").values_list("user__email", flat=True))
