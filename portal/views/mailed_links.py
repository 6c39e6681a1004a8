"""Coming in by a link from a mail: asked for, used once, or for a new password."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from portal.people.addresses import address_of
from portal.people.browser_sessions import end_sessions
from portal.people.forms import LinkForm, NewPasswordForm
from portal.people.lockout import unlock
from portal.people.mailed_links import LIFE, MOST_FOR, Kind, TooMany, ask_for_link, find_link, use_link
from portal.people.public_url import base_of

BACKEND = "django.contrib.auth.backends.ModelBackend"
read_or_write = require_http_methods(["GET", "HEAD", "POST"])


@read_or_write
@never_cache
def ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    return _ask(request, Kind.SIGN_IN)


@read_or_write
@never_cache
def ask_to_reset(request: HttpRequest) -> HttpResponse:
    return _ask(request, Kind.RESET)


def _ask(request: HttpRequest, kind: Kind) -> HttpResponse:
    """Answers the same whether or not anybody has the address, and does the same for it."""
    form = LinkForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"form": form, "is_reset": kind == Kind.RESET, "next": _next(request)}
    base = base_of(request)
    if not base:
        return render(request, "portal/link_ask.html", context | {"is_off": True}, status=503)
    if request.method != "POST":
        return render(request, "portal/link_ask.html", context)
    if not form.is_valid():
        return render(request, "portal/link_ask.html", context, status=422)
    try:
        ask_for_link(
            kind,
            address=form.cleaned_data["email"],
            base=base,
            next_page=_next(request),
            asked_from=address_of(request),
            now=timezone.now(),
        )
    except TooMany as error:
        return render(request, "portal/link_ask.html", context | {"until": error.until, "most": MOST_FOR}, status=429)
    return redirect("portal:password-reset-sent" if kind == Kind.RESET else "portal:sign-in-link-sent")


@require_safe
def sign_in_link_sent(request: HttpRequest) -> HttpResponse:
    return render(request, "portal/link_sent.html", {"minutes": int(LIFE.total_seconds() // 60)})


@require_safe
def password_reset_sent(request: HttpRequest) -> HttpResponse:
    return render(
        request, "portal/link_sent.html", {"minutes": settings.PASSWORD_RESET_TIMEOUT // 60, "is_reset": True}
    )


@read_or_write
@never_cache
@sensitive_variables("token")
def sign_in_by_link(request: HttpRequest, token: str) -> HttpResponse:
    """Asks first: what opens links to look at them, as mail servers do, does not use them up."""
    now = timezone.now()
    found = use_link(token, now=now) if request.method == "POST" else find_link(token, now=now)
    if found is None or found.user is None:
        return render(request, "portal/link_over.html", status=410)
    if request.method != "POST":
        return render(request, "portal/link_use.html", {"link": found})
    login(request, found.user, backend=BACKEND)
    unlock(found.user)
    return redirect(_local(request, found.next) or resolve_url(settings.LOGIN_REDIRECT_URL))


class SetPassword(PasswordResetConfirmView):
    template_name = "portal/password_reset.html"
    form_class = NewPasswordForm
    success_url = reverse_lazy("portal:sign-in")

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        assert self.user is not None
        end_sessions(self.user, now=timezone.now())
        unlock(self.user)
        messages.success(self.request, "Your new password is set. Sign in with it.")
        return answer

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


set_password = sensitive_post_parameters()(never_cache(SetPassword.as_view()))


def _next(request: HttpRequest) -> str:
    return _local(request, request.POST.get("next") or request.GET.get("next", ""))


def _local(request: HttpRequest, url: str) -> str:
    """The address if it is one of ours; else nothing."""
    if len(url) > 500 or "\0" in url:
        return ""
    is_ours = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if is_ours else ""
