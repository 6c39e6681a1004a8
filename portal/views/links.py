"""The vendor's link: used by a press of a button, and what it opened left again."""

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import redirect, render, resolve_url
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.guests.looking_on import end_look
from portal.guests.seeing import LINK_KEY, forget_guest, look_of, return_url_of, session_of
from portal.guests.sessions import Caller, LinkRefused, exchange, look_at_link, revoke_portal_session
from portal.models import PortalSession, StaffView
from portal.people.addresses import address_of, agent_of


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def enter(request: HttpRequest, token: str) -> HttpResponse:
    """Asks for a press of a button, and then exchanges the link for a session.

    Whatever looks at addresses before people do (scanners of mails, previews, browsers that load ahead) would use the
    link up if looking were enough. It does not press buttons.
    """
    now = timezone.now()
    try:
        if request.method != "POST":
            return render(request, "portal/enter.html", {"session": look_at_link(token, now=now)})
        session = exchange(token, caller=Caller(address_of(request), agent_of(request)), now=now)
    except LinkRefused as refusal:
        return _refused(request, refusal)
    # Nothing of what the browser had stays: neither who was signed in, nor the key, nor a form that is still open.
    logout(request)
    rotate_token(request)
    request.session[LINK_KEY] = session.pk
    request.session.set_expiry(max(1, int((session.expires_at - now).total_seconds())))
    return redirect(first_page(session))


def first_page(session: PortalSession) -> str:
    if session.invoice is not None:
        return resolve_url("portal:invoice", session.invoice.pk)
    return resolve_url(f"portal:{session.page}")


def _refused(request: HttpRequest, refusal: LinkRefused) -> HttpResponse:
    session = refusal.session
    if session is not None:
        held = session_of(request)
        if held is not None and held.pk == session.pk:
            # Whoever goes back to it, or presses twice, has what it opened.
            return redirect(first_page(session))
    context = {"words": refusal.words, "return_url": return_url_of(session) if session is not None else ""}
    return render(request, "portal/link_refused.html", context, status=410 if session is not None else 404)


@never_cache
@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Ends what the vendor's link opened, or a look of staff."""
    now = timezone.now()
    if look := look_of(request):
        end_look(look, StaffView.End.LEFT, now=now)
        forget_guest(request)
        return redirect(look.came_from or "admin:index")
    session = session_of(request)
    if session is None:
        forget_guest(request)
        return redirect("portal:overview")
    revoke_portal_session(session, actor=session.viewer_name, now=now)
    logout(request)
    return render(request, "portal/left.html", {"return_url": return_url_of(session)})
