"""A person's own second factor in the admin: set up, asked for, replaced; and where that person is signed in.

`config.admin` mounts these pages. Those that take what a stolen browser must not do ask for a code that is fresh.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from axes.handlers.proxy import AxesProxyHandler
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from meters.admin.base import add_errors, instant
from portal.people.browser_sessions import end_session, end_sessions, sessions_of, this_session
from portal.people.lockout import locked_out, unlock
from portal.staff import second_factor, verified
from portal.staff.second_factor import device_of

P = ParamSpec("P")
View = Callable[..., HttpResponse]

# Of the session: the secret of a device that is being set up.
NEW_KEY = "second-factor-new"
LONGEST_CODE = 40
read_or_write = require_http_methods(["GET", "HEAD", "POST"])

CODE_ATTRS = {
    "autocomplete": "one-time-code",
    "autocapitalize": "none",
    "spellcheck": "false",
    "autofocus": True,
    "class": "one-time-code",
}


class CodeForm(forms.Form):
    code = forms.CharField(max_length=LONGEST_CODE, widget=forms.TextInput(attrs=CODE_ATTRS))


class AppCodeForm(forms.Form):
    code = forms.CharField(
        label="The code that the app shows now",
        max_length=LONGEST_CODE,
        widget=forms.TextInput(attrs=CODE_ATTRS | {"inputmode": "numeric"}),
    )


def urls(site: admin.AdminSite) -> list[Any]:
    pages: dict[str, tuple[str, View]] = {
        "": ("second_factor", overview),
        "code/": ("second_factor_code", give_code),
        "set-up/": ("second_factor_set_up", set_up),
        "set-up/picture.svg": ("second_factor_picture", set_up_picture),
        "recovery-codes/": ("second_factor_codes", recovery_codes),
        "replace/": ("second_factor_replace", replace),
        "remove/": ("second_factor_remove", remove),
        "sessions/end-others/": ("second_factor_end_others", end_others),
        "sessions/<str:session_id>/end/": ("second_factor_end_one", end_one),
    }
    return [
        path(f"second-factor/{where}", site.admin_view(view), name=name, kwargs={"site": site})
        for where, (name, view) in pages.items()
    ]


def whole(view: Callable[Concatenate[HttpRequest, User, admin.AdminSite, P], HttpResponse]) -> View:
    """For a session that lacks nothing; another one is sent to what it lacks."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, site: admin.AdminSite, **kwargs: Any) -> HttpResponse:
        if (lacks := verified.missing(request)) is not None:
            return redirect("admin:second_factor_code" if lacks == "code" else "admin:second_factor_set_up")
        assert isinstance(request.user, User)
        return view(request, request.user, site, *args, **kwargs)

    return wrapped


def fresh(
    view: Callable[Concatenate[HttpRequest, User, admin.AdminSite, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, User, admin.AdminSite, P], HttpResponse]:
    """Behind `whole`: for a person who has just given a code."""

    @wraps(view)
    def wrapped(
        request: HttpRequest, user: User, site: admin.AdminSite, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponse:
        if not verified.is_fresh(request, now=timezone.now()):
            messages.info(request, "Give a code first: it is some time since you did. Then do it again.")
            return redirect("admin:second_factor_code")
        return view(request, user, site, *args, **kwargs)

    return wrapped


@require_safe
@whole
def overview(request: HttpRequest, user: User, site: admin.AdminSite) -> HttpResponse:
    device = device_of(user)
    context = {
        "title": "Your sign-in",
        "device": device,
        "since": instant(device.created_at) if device else "",
        "last_used": instant(device.last_used_at) if device else "",
        "codes_left": second_factor.codes_left(device) if device else 0,
        "is_required": second_factor.is_required(),
        "sessions": [
            (one, instant(one.since), instant(one.last_seen_at))
            for one in sessions_of(user, now=timezone.now(), this=this_session(request))
        ],
    }
    return _page(request, site, "overview", context)


@sensitive_post_parameters("code")
@read_or_write
def give_code(request: HttpRequest, site: admin.AdminSite) -> HttpResponse:
    """Asks for a code: after the password, and again before something grave."""
    user = request.user
    assert isinstance(user, User)
    if device_of(user) is None:
        return redirect("admin:second_factor")
    form = CodeForm(request.POST if request.method == "POST" else None)
    credentials = {"username": user.get_username()}
    request.is_second_factor = True  # type: ignore[attr-defined]
    if request.method == "POST" and not AxesProxyHandler.is_allowed(request, credentials):
        return locked_out(request, credentials=credentials)
    if request.method == "POST" and form.is_valid():
        now = timezone.now()
        device, verdict = second_factor.verify(user, form.cleaned_data["code"], now=now)
        if device is not None:
            verified.note_verified(request, device, now=now)
            unlock(user)
            if verdict.left is not None:
                messages.warning(request, f"That recovery code is used up. Codes that are left: {verdict.left}.")
            return redirect(_next(request))
        if verdict.until is not None:
            seconds = max(1, -int((now - verdict.until).total_seconds() // 1))
            form.add_error("code", f"Wait {_wait_words(seconds)}: after wrong codes none is looked at for a while.")
        else:
            form.add_error("code", "That is not the code of now, or it was used already. Wait for the next one.")
            user_login_failed.send(sender=__name__, credentials=credentials, request=request)
    context = {"title": "Second factor", "form": form, "next": _next(request)}
    return _page(request, site, "code", context, status=422 if form.errors else 200)


@sensitive_post_parameters("code")
@read_or_write
def set_up(request: HttpRequest, site: admin.AdminSite) -> HttpResponse:
    """The secret of a new device, and a code of it to confirm that the app has it."""
    user = request.user
    assert isinstance(user, User)
    if not _may_set_up(request, user):
        return redirect("admin:second_factor")
    secret = request.session.setdefault(NEW_KEY, second_factor.new_secret())
    form = AppCodeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        now = timezone.now()
        try:
            device, codes = second_factor.enrol(
                user, secret, form.cleaned_data["code"], now=now, but=this_session(request)
            )
        except ValidationError as error:
            add_errors(form, error)
        else:
            del request.session[NEW_KEY]
            verified.note_verified(request, device, now=now)
            _log(user, "Set up a second factor.")
            return _page(request, site, "codes", {"title": "Recovery codes", "codes": codes, "next": _next(request)})
    context = {
        "title": "Set up a second factor",
        "form": form,
        "secret": second_factor.secret_text(secret),
        "address": second_factor.enrolment_url(user, secret),
        "next": _next(request),
        "is_required": second_factor.is_required(),
        "replaces": device_of(user) is not None,
    }
    return _page(request, site, "set_up", context, status=422 if form.errors else 200)


@require_safe
def set_up_picture(request: HttpRequest, site: admin.AdminSite) -> HttpResponse:
    user, secret = request.user, request.session.get(NEW_KEY)
    assert isinstance(user, User)
    if secret is None or not _may_set_up(request, user):
        raise Http404
    image = second_factor.picture(second_factor.enrolment_url(user, secret))
    return HttpResponse(image, content_type="image/svg+xml", headers={"Cache-Control": "no-store, private"})


@require_POST
@whole
@fresh
def recovery_codes(request: HttpRequest, user: User, site: admin.AdminSite) -> HttpResponse:
    device = device_of(user)
    if device is None:
        return redirect("admin:second_factor")
    codes = second_factor.new_codes(device)
    _log(user, "Made new recovery codes.")
    return _page(request, site, "codes", {"title": "Recovery codes", "codes": codes, "next": _next(request)})


@require_POST
@whole
@fresh
def replace(request: HttpRequest, user: User, site: admin.AdminSite) -> HttpResponse:
    """Begins with another device; the one that there is stays until the other one is confirmed."""
    request.session[NEW_KEY] = second_factor.new_secret()
    return redirect("admin:second_factor_set_up")


@require_POST
@whole
@fresh
def remove(request: HttpRequest, user: User, site: admin.AdminSite) -> HttpResponse:
    if second_factor.is_required():
        messages.error(request, "Staff need a second factor here. Replace it by another one.")
    elif second_factor.remove_device(user, now=timezone.now(), but=this_session(request)):
        _log(user, "Removed the second factor.")
        messages.success(request, "Your second factor is removed. You sign in by password alone.")
    return redirect("admin:second_factor")


@require_POST
@whole
def end_one(request: HttpRequest, user: User, site: admin.AdminSite, session_id: str) -> HttpResponse:
    if "\0" in session_id or not end_session(user, session_id):
        raise Http404
    messages.success(request, "That browser is signed out.")
    return redirect("admin:second_factor")


@require_POST
@whole
def end_others(request: HttpRequest, user: User, site: admin.AdminSite) -> HttpResponse:
    ended = end_sessions(user, now=timezone.now(), but=this_session(request))
    messages.success(request, f"Other browsers that are signed out: {ended}.")
    return redirect("admin:second_factor")


def _may_set_up(request: HttpRequest, user: User) -> bool:
    """Without a device anybody who has signed in; with one, who has shown it, and has asked for another."""
    if device_of(user) is None:
        return True
    return verified.missing(request) is None and NEW_KEY in request.session


def _page(
    request: HttpRequest, site: admin.AdminSite, name: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Before the second factor is shown, the page says nothing of what is behind it."""
    around = site.each_context(request)
    if verified.missing(request) is not None:
        around |= {"available_apps": [], "is_nav_sidebar_enabled": False, "is_outside": True}
    return TemplateResponse(request, f"admin/second_factor/{name}.html", {**around, **context}, status=status)


def _next(request: HttpRequest) -> str:
    """Where to go on: an address of ours, or the page of the factor."""
    url = request.POST.get("next") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if url and is_ours and len(url) <= 500 and "\0" not in url else reverse("admin:second_factor")


def _log(user: User, what: str) -> None:
    LogEntry.objects.log_actions(user.pk, [user], CHANGE, what, single_object=True)


def _wait_words(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    return f"{-(-seconds // 60)} minutes"
