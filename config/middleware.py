"""What lies around the views: of pages all that Django offers, of the API only what it uses.

An API server that sends single events pays for every layer at each one of them, and the API has no use for sessions,
forms or a content security policy. Pages in frames of another app know no person: they are opened by a token, so that
no cookie is read or set there.
"""

from collections.abc import Callable
from typing import Any

from axes.middleware import AxesMiddleware
from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.template.response import SimpleTemplateResponse
from django_htmx.middleware import HtmxMiddleware
from django_otp.middleware import OTPMiddleware
from whitenoise.middleware import WhiteNoiseMiddleware

from config.dropins import is_dropin

API = "/v1/"
EVENTS = "/v1/events"
# The pages among the API's addresses.
API_PAGES = ("/v1/docs",)
EMBEDS = "/embed/"


def is_api(path: str) -> bool:
    """Whether programs ask there, and no browsers."""
    return path.startswith(API) or is_dropin(path)


def no_store(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Keeps the API's answers out of shared caches, which do not know that `X-API-KEY` tells customers apart."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if is_api(request.path_info):
            response["Cache-Control"] = "no-store, private"
        return response

    return middleware


def straight_to_events(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Takes events that come in straight to their view, past the layers behind this one and the search through the
    addresses. With an Idempotency-Key they take the usual way, where it is looked at."""
    # Here, as the models that it uses are not there before the apps are.
    from meters.api.events import EventsView

    view = EventsView.as_view()

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info == EVENTS and request.method == "POST" and "HTTP_IDEMPOTENCY_KEY" not in request.META:
            response: HttpResponse = view(request)
            # A refusal is REST framework's, and not written out yet.
            if isinstance(response, SimpleTemplateResponse):
                response.render()
            return response
        return get_response(request)

    return middleware


class _OfPages:
    """In front of a middleware: lets calls of the API pass it by."""

    get_response: Callable[[HttpRequest], Any]

    def __call__(self, request: HttpRequest) -> Any:
        path = request.path_info
        if is_api(path) and not path.startswith(API_PAGES):
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]


class _OfPeople(_OfPages):
    """In front of a middleware about whoever is signed in: lets pages in frames pass it by, too."""

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith(EMBEDS):
            return self.get_response(request)
        return super().__call__(request)


class StaticFiles(_OfPages, WhiteNoiseMiddleware):  # type: ignore[misc]
    pass


class ContentSecurityPolicy(_OfPages, CSPMiddleware):
    pass


class Sessions(_OfPeople, SessionMiddleware):
    pass


class Csrf(_OfPeople, CsrfViewMiddleware):
    pass


class Users(_OfPeople, AuthenticationMiddleware):
    pass


class Verified(_OfPeople, OTPMiddleware):  # type: ignore[misc]
    """Knows by which device the session has shown a second factor, if it has."""


class Messages(_OfPeople, MessageMiddleware):
    pass


class Frames(_OfPages, XFrameOptionsMiddleware):
    pass


class Htmx(_OfPages, HtmxMiddleware):
    pass


class Lockouts(_OfPages, AxesMiddleware):  # type: ignore[misc]
    """Puts its own answer in place of a sign-in that is refused."""
