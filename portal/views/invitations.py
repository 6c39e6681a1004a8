"""Joining a team by the link of an invitation: as somebody who has an account, or with a new one."""

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from portal.models import Invitation, Membership
from portal.people.accounts import is_of
from portal.people.forms import JoinForm
from portal.people.invitations import NotOpen, accept, accept_as_new, find_invitation, has_account, is_open
from portal.people.members import SESSION_KEY
from portal.roles import Role
from portal.views.mailed_links import BACKEND


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters()
@sensitive_variables("token")
def join(request: HttpRequest, token: str) -> HttpResponse:
    """Who holds the link may read mails at the address, so it says what became of the invitation; a link that never
    was one says no more than that."""
    invitation = find_invitation(token)
    if invitation is None or not is_open(invitation, now=timezone.now()):
        return render(request, "portal/invitation_over.html", {"invitation": invitation}, status=410)
    if isinstance(request.user, User):
        if not is_of(request.user, invitation.email):
            return _page(request, invitation, "wrong person", status=403)
        return _join_as(request, invitation, token, request.user)
    if has_account(invitation):
        return _page(request, invitation, "has account")
    return _join_as_new(request, invitation, token)


def _join_as(request: HttpRequest, invitation: Invitation, token: str, user: User) -> HttpResponse:
    if request.method != "POST":
        return _page(request, invitation, "right person")
    try:
        member = accept(token, user, now=timezone.now())
    except NotOpen:
        return render(request, "portal/invitation_over.html", {"invitation": find_invitation(token)}, status=410)
    return _welcome(request, member)


def _join_as_new(request: HttpRequest, invitation: Invitation, token: str) -> HttpResponse:
    # What a password must not be like: the name and the address.
    named = User(username=invitation.email, email=invitation.email, first_name=request.POST.get("name", "")[:150])
    form = JoinForm(named, request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return _page(request, invitation, "new person", form, status=422 if form.errors else 200)
    name, password = form.cleaned_data["name"], form.cleaned_data["new_password1"]
    try:
        member = accept_as_new(token, name=name, password=password, now=timezone.now())
    except NotOpen:
        return redirect("portal:join", token)
    login(request, member.user, backend=BACKEND)
    return _welcome(request, member)


def _welcome(request: HttpRequest, member: Membership) -> HttpResponse:
    request.session[SESSION_KEY] = member.customer_id
    messages.success(request, f"Welcome. You see {member.customer} as {Role(member.role).label}.")
    return redirect("portal:overview")


def _page(
    request: HttpRequest, invitation: Invitation, case: str, form: JoinForm | None = None, status: int = 200
) -> HttpResponse:
    context = {"invitation": invitation, "role": Role(invitation.role), "case": case, "form": form}
    return render(request, "portal/invitation.html", context, status=status)
