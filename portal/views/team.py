"""A customer's team: seen by everybody in it, changed by owners."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from portal.access import PortalRequest, for_customer, needs
from portal.models import Invitation, Membership
from portal.people.forms import InviteForm, RoleForm, role_words
from portal.people.invitations import NotOpen, invite, is_open, open_invitations, revoke, send_again
from portal.people.members import SESSION_KEY
from portal.people.public_url import base_of
from portal.people.team import LastOwner, change_role, events_of, members_of, person_words, remove_member
from portal.roles import Role

SHOWN_EVENTS = 50
LAST_OWNER = "is the only owner, and a team needs one. Make somebody else an owner first."
NO_ADDRESS = "Invitations cannot be mailed, as this installation does not know its own address. Ask who runs it."

read_or_write = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@for_customer
def team(request: PortalRequest) -> HttpResponse:
    return _page(request)


@read_or_write
@for_customer
@needs(Role.OWNER)
def send_invitation(request: PortalRequest) -> HttpResponse:
    # Who had to sign in before it comes back without what was sent.
    if request.method != "POST":
        return redirect("portal:team")
    form = InviteForm(request.POST)
    base = base_of(request)
    if not base:
        form.add_error(None, NO_ADDRESS)
    if form.is_valid():
        email, role = form.cleaned_data["email"], Role(form.cleaned_data["role"])
        try:
            invite(request.customer, email=email, role=role, base=base, actor=request.viewer.name, now=timezone.now())
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, f"An invitation is on its way to {email}.")
            return redirect("portal:team")
    return _page(request, form)


@read_or_write
@for_customer
@needs(Role.OWNER)
def resend_invitation(request: PortalRequest, pk: int) -> HttpResponse:
    if request.method == "POST":
        base = base_of(request)
        try:
            if not base:
                raise ValidationError(NO_ADDRESS)
            sent = send_again(request.customer, pk, base=base, actor=request.viewer.name, now=timezone.now())
        except Invitation.DoesNotExist:
            raise Http404 from None
        except ValidationError as error:
            messages.error(request, error.messages[0])
        except NotOpen:
            messages.error(request, "That invitation is not open any more.")
        else:
            messages.success(request, f"The invitation is on its way to {sent.email} again. The link before it ends.")
    return redirect("portal:team")


@read_or_write
@for_customer
@needs(Role.OWNER)
def revoke_invitation(request: PortalRequest, pk: int) -> HttpResponse:
    if request.method == "POST":
        try:
            gone = revoke(request.customer, pk, actor=request.viewer.name, now=timezone.now())
        except Invitation.DoesNotExist:
            raise Http404 from None
        except NotOpen:
            messages.error(request, "That invitation is not open any more.")
        else:
            messages.success(request, f"The invitation of {gone.email} is revoked: its link opens nothing.")
    return redirect("portal:team")


@read_or_write
@for_customer
@needs(Role.OWNER)
def member_role(request: PortalRequest, pk: int) -> HttpResponse:
    form = RoleForm(request.POST)
    if request.method == "POST":
        if not form.is_valid():
            messages.error(request, "Choose one of the roles.")
            return redirect("portal:team")
        role = Role(form.cleaned_data["role"])
        try:
            member = change_role(request.customer, pk, role, actor=request.viewer.name, now=timezone.now())
        except Membership.DoesNotExist:
            raise Http404 from None
        except LastOwner:
            messages.error(request, f"{_name(request, pk)} {LAST_OWNER}")
        else:
            messages.success(request, f"{person_words(member.user)} is {role.label} now.")
    return redirect("portal:team")


@read_or_write
@for_customer
@needs(Role.OWNER)
def remove(request: PortalRequest, pk: int) -> HttpResponse:
    """Asks first."""
    return _remove(request, pk)


@read_or_write
@for_customer
def leave(request: PortalRequest) -> HttpResponse:
    """Everybody may, but for the last owner. Asks first."""
    own = Membership.objects.filter(customer=request.customer, user=request.viewer.user).first()
    if request.viewer.user is None or own is None:
        raise Http404
    return _remove(request, own.pk)


def _remove(request: PortalRequest, pk: int) -> HttpResponse:
    member = get_object_or_404(Membership.objects.select_related("user"), customer=request.customer, pk=pk)
    is_self = member.user == request.viewer.user
    context: dict[str, Any] = {"member": member, "person": person_words(member.user), "is_self": is_self}
    if request.method != "POST":
        return render(request, "portal/team_remove.html", context)
    actor, by = request.viewer.name, request.viewer.user
    try:
        remove_member(request.customer, pk, actor=actor, by=by, now=timezone.now())
    except Membership.DoesNotExist:
        raise Http404 from None
    except LastOwner:
        return render(request, "portal/team_remove.html", context | {"is_last_owner": True}, status=422)
    if is_self:
        request.session.pop(SESSION_KEY, None)
        messages.success(request, f"You left the team of {request.customer}.")
        return redirect("portal:overview")
    messages.success(request, f"{context['person']} is removed, and sees nothing of {request.customer} any more.")
    return redirect("portal:team")


def _name(request: PortalRequest, pk: int) -> str:
    member = Membership.objects.select_related("user").filter(customer=request.customer, pk=pk).first()
    return "This person" if member is None else person_words(member.user)


def _page(request: PortalRequest, form: InviteForm | None = None) -> HttpResponse:
    now = timezone.now()
    events = list(events_of(request.customer)[: SHOWN_EVENTS + 1])
    context = {
        "members": members_of(request.customer),
        "invitations": [(one, is_open(one, now=now)) for one in open_invitations(request.customer)],
        "form": form or InviteForm(),
        "roles": Role,
        "role_words": role_words(),
        "events": events[:SHOWN_EVENTS],
        "has_older": len(events) > SHOWN_EVENTS,
        "zone": request.customer.zone,
    }
    return render(request, "portal/team.html", context, status=422 if form else 200)
