"""A person's own account: name, password, where it is signed in. It belongs to no customer."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from portal.access import PersonRequest, for_person
from portal.people.browser_sessions import end_session, end_sessions, sessions_of, this_session
from portal.people.forms import NameForm, OwnPasswordForm

read_or_write = require_http_methods(["GET", "HEAD", "POST"])


@read_or_write
@for_person
def account(request: PersonRequest) -> HttpResponse:
    return _page(request)


@read_or_write
@for_person
def name(request: PersonRequest) -> HttpResponse:
    if request.method != "POST":
        return redirect("portal:account")
    # Not the one of the request: what is wrong with it is shown nowhere but beside its field.
    form = NameForm(request.POST, instance=User.objects.get(pk=request.person.pk))
    if not form.is_valid():
        return _page(request, name_form=form)
    form.save()
    messages.success(request, "Your name is saved.")
    return redirect("portal:account")


@sensitive_post_parameters()
@read_or_write
@for_person
def password(request: PersonRequest) -> HttpResponse:
    if request.method != "POST":
        return redirect("portal:account")
    form = OwnPasswordForm(request.person, request, request.POST)
    if not form.is_valid():
        return _page(request, password_form=form)
    form.save()
    update_session_auth_hash(request, request.person)
    ended = end_sessions(request.person, now=timezone.now(), but=this_session(request))
    said = "Your new password is set."
    if ended:
        said += f" You are signed out of {ended} other browser{'s' if ended > 1 else ''}."
    messages.success(request, said)
    return redirect("portal:account")


@read_or_write
@for_person
def end_one(request: PersonRequest, session_id: str) -> HttpResponse:
    if request.method == "POST":
        if "\0" in session_id or not end_session(request.person, session_id):
            raise Http404
        if session_id != this_session(request):
            messages.success(request, "That browser is signed out.")
    return redirect("portal:account")


@read_or_write
@for_person
def end_others(request: PersonRequest) -> HttpResponse:
    if request.method == "POST":
        ended = end_sessions(request.person, now=timezone.now(), but=this_session(request))
        many = f"{ended} other browser{'s' if ended > 1 else ''}" if ended else "every other browser"
        messages.success(request, f"You are signed out of {many}.")
    return redirect("portal:account")


def _page(
    request: PersonRequest, *, name_form: NameForm | None = None, password_form: OwnPasswordForm | None = None
) -> HttpResponse:
    customer = getattr(request, "customer", None)
    context = {
        "zone": customer.zone if customer else "UTC",
        "name_form": name_form or NameForm(instance=request.person),
        "password_form": password_form or OwnPasswordForm(request.person, request),
        "sessions": sessions_of(request.person, now=timezone.now(), this=this_session(request)),
        "memberships": request.person.memberships.select_related("customer"),
    }
    return render(request, "portal/account.html", context, status=422 if name_form or password_form else 200)
