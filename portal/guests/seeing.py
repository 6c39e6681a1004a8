"""Who sees a customer without being its member: those who came by the vendor's link, and staff who look on.

A browser is one of these or a member, never two: a link takes the place of whatever was there, and signing in takes
the place of both. What is over stays over until one of these happens, so nobody slips from one customer to another.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_cache_control

from portal.guests import looking_on
from portal.guests.sessions import find_session, session_state, touch_session
from portal.models import PortalSession, StaffView
from portal.policy import may_return_to
from portal.roles import Role
from portal.viewers import Kind, Sight, Viewer

LINK_KEY = "portal-link"
LOOK_KEY = "portal-look"
# What staff who look on may send: all that ends it. What is their own they see once they have left.
LEAVING = ("leave", "sign-out")
THEIR_OWN = ("account",)
READING = ("GET", "HEAD", "OPTIONS")


def seen_by_link(request: HttpRequest) -> Sight | HttpResponse | None:
    """What who came by the vendor's link sees: the session is looked at with each request."""
    if LINK_KEY not in request.session:
        return None
    now, session = timezone.now(), session_of(request)
    state = "expired" if session is None else session_state(session, now=now)
    return_url = "" if session is None else return_url_of(session)
    if session is None or state != "active":
        return over(request, {"is_revoked": state == "revoked", "return_url": return_url})
    touch_session(session, now=now)
    request.return_url = return_url  # type: ignore[attr-defined]
    viewer = Viewer(session.viewer_name, Role(session.role), kind=Kind.LINK, link=session.pk)
    return Sight(viewer, session.customer, (session.customer,))


def seen_by_staff(request: HttpRequest) -> Sight | HttpResponse | None:
    """What staff see who look at the portal as a customer does; whether they still may is asked at each request."""
    if LOOK_KEY not in request.session:
        return None
    look = look_of(request)
    if look is None or not looking_on.keep_looking(look, request.user, now=timezone.now()):
        return over(request, {"look": look, "is_look": True})
    request.look = look  # type: ignore[attr-defined]
    viewer = Viewer(f"{look.staff_name} (staff)", Role.READ_ONLY, kind=Kind.STAFF)
    return Sight(viewer, look.customer, (look.customer,))


def session_of(request: HttpRequest) -> PortalSession | None:
    """The session by a link that the browser holds, also one that is over."""
    return find_session(request.session.get(LINK_KEY))


def look_of(request: HttpRequest) -> StaffView | None:
    """The look that the browser holds, also one that is over."""
    return looking_on.find_look(request.session.get(LOOK_KEY))


def return_url_of(session: PortalSession) -> str:
    """Where the session leads back to, as long as the vendor has that listed; else nothing."""
    return session.return_url if may_return_to(session.return_url) else ""


def forget_guest(request: HttpRequest) -> None:
    """Has the browser be no guest any more."""
    for key in (LINK_KEY, LOOK_KEY):
        request.session.pop(key, None)


def over(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Says that it is over; a fragment's request has the whole page say so."""
    if getattr(request, "htmx", False):
        return HttpResponse(status=403, headers={"HX-Refresh": "true"})
    return render(request, "portal/over.html", context, status=403)


class OnlyLooking:
    """The middleware that keeps staff who look on from their own account, and from sending anything but that they
    leave: in front of all views of the portal, so that none has to think of it.
    """

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> HttpResponse | None:
        match = request.resolver_match
        if match is None or match.app_name != "portal" or match.url_name in LEAVING:
            return None
        is_own = (match.url_name or "").startswith(THEIR_OWN)
        if request.method in READING and not is_own:
            return None
        # Pages in frames have no session.
        if LOOK_KEY not in getattr(request, "session", {}):
            return None
        look = look_of(request)
        request.look = look  # type: ignore[attr-defined]
        response = render(request, "portal/only_looking.html", {"look": look, "is_own": is_own}, status=403)
        patch_cache_control(response, private=True, no_store=True)
        return response
