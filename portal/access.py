"""Which customer a request sees: the one place that answers it, by asking each kind of visitor."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import urlencode
from django_htmx.middleware import HtmxDetails

from invoices.due import lacks_approval
from invoices.models import Invoice
from meters.audit_log import actors
from meters.metering import is_used_by
from meters.models import Customer, Meter
from portal.guests.seeing import seen_by_link, seen_by_staff
from portal.people.members import seen_by_member
from portal.roles import Role
from portal.viewers import Kind, Sight, Viewer
from pricing.models import Rate

P = ParamSpec("P")

# Who may look at a customer, one kind after the other: each is asked whether the request is one of its own. The first
# that answers decides, by what is seen or by a page that says why there is nothing to see.
KINDS: tuple[Callable[[HttpRequest], Sight | HttpResponse | None], ...] = (seen_by_staff, seen_by_link, seen_by_member)


class PortalRequest(HttpRequest):
    """A request of a `viewer` who may see `customer`, and switch to any of `customers`."""

    htmx: HtmxDetails
    user: User
    viewer: Viewer
    customer: Customer
    customers: tuple[Customer, ...]


def for_customer(
    view: Callable[Concatenate[PortalRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Lets a view see one customer, `request.customer`, and keeps what it answers out of every cache."""

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        response = _answer(request, *args, **kwargs)
        patch_cache_control(response, private=True, no_store=True)
        patch_vary_headers(response, ["HX-Request"])
        return response

    def _answer(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        sight = sight_of(request)
        if not isinstance(sight, Sight):
            return sight
        set_sight(request, sight)
        return view(request, *args, **kwargs)  # type: ignore[arg-type]

    return wrapped


class PersonRequest(HttpRequest):
    """A request of a `person` who is signed in, about their own account."""

    htmx: HtmxDetails
    person: User


def for_person(
    view: Callable[Concatenate[PersonRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Lets a view see the account of who is signed in, `request.person`, also of who sees no customer. What lies
    around it is the customer that is seen otherwise."""

    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        response = _answer(request, *args, **kwargs) if isinstance(request.user, User) else _to_sign_in(request)
        patch_cache_control(response, private=True, no_store=True)
        return response

    def _answer(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        sight = sight_of(request)
        if isinstance(sight, Sight):
            set_sight(request, sight)
        request.person = request.user  # type: ignore[attr-defined]
        return view(request, *args, **kwargs)  # type: ignore[arg-type]

    return wrapped


def sight_of(request: HttpRequest) -> Sight | HttpResponse:
    """What the request may see; else the page that is shown in place of it."""
    for seen_by in KINDS:
        if (found := seen_by(request)) is not None:
            return found
    return _to_sign_in(request)


def set_sight(request: HttpRequest, sight: Sight) -> None:
    viewer = sight.viewer
    request.viewer = viewer  # type: ignore[attr-defined]
    if viewer.kind is Kind.LINK:
        actors.become(actors.Kind.GUEST, viewer.link or "", viewer.name)
    elif viewer.user is not None:
        actors.become(actors.Kind.PERSON, viewer.user.pk, viewer.user.get_username())
    request.customer = sight.customer  # type: ignore[attr-defined]
    request.customers = sight.customers  # type: ignore[attr-defined]


def needs(
    role: Role,
) -> Callable[
    [Callable[Concatenate[PortalRequest, P], HttpResponse]], Callable[Concatenate[PortalRequest, P], HttpResponse]
]:
    """Behind `for_customer`: keeps a view to those whose role allows what `role` does."""

    def keep(
        view: Callable[Concatenate[PortalRequest, P], HttpResponse],
    ) -> Callable[Concatenate[PortalRequest, P], HttpResponse]:
        @wraps(view)
        def wrapped(request: PortalRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.viewer.role.may(role):
                return render(request, "portal/not_allowed.html", {"needed": role}, status=403)
            return view(request, *args, **kwargs)

        wrapped.needs = role  # type: ignore[attr-defined]
        return wrapped

    return keep


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """The sign-in page; a fragment's request is answered so that the browser goes there as a whole."""
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]
    if not htmx:
        return redirect_to_login(request.get_full_path())
    page = htmx.current_url_abs_path or resolve_url("portal:overview")
    sign_in = f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': page})}"
    return HttpResponse(status=401, headers={"HX-Redirect": sign_in})


def wants_fragment(request: PortalRequest) -> bool:
    """Whether htmx asks for a part of the page; what it asks for to go back in the history is a whole one."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def visible_invoices(customer: Customer) -> QuerySet[Invoice]:
    """The customer's invoices, newest period first. One voided before it had a number was never a document.

    `is_checked`: its period is over, and staff have something to do before it becomes final.
    """
    return (
        Invoice.objects.filter(customer=customer)
        .exclude(status=Invoice.Status.VOID, number="")
        .annotate(is_checked=Q(status=Invoice.Status.GRACE) & (Q(held_at__isnull=False) | lacks_approval()))
        .select_related("customer", "plan_version__plan")
    )


def visible_meters(customer: Customer) -> list[Meter]:
    """The meters that the customer has usage of, or a plan with a price for; the others are not its business."""
    priced = Rate.objects.filter(product_item__meter_id=OuterRef("pk"), plan_version__invoices__customer=customer)
    return list(Meter.objects.filter(is_used_by(customer) | Exists(priced)).order_by("key"))
