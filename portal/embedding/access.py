"""Who may see a page in a frame, and where: the one place that answers it, from the token in the address.

Nothing else is asked: no cookie, no session, no person. What is answered names the origins that may have it in a frame.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec

from csp.constants import NONE
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseStopPolling
from django_htmx.middleware import HtmxDetails

from meters.models import Customer
from portal.embedding.look import EmbedLook
from portal.embedding.tokens import find_embed_token, has_ended
from portal.models import EmbedToken

P = ParamSpec("P")


class EmbedRequest(HttpRequest):
    """A request that a token opened. `kept` are the parameters that every address in the frame goes on with."""

    htmx: HtmxDetails
    token: EmbedToken
    customer: Customer
    embed_look: EmbedLook
    kept: dict[str, str]


EmbedView = Callable[Concatenate[EmbedRequest, P], HttpResponse]


def for_token(name: EmbedToken.View) -> Callable[[EmbedView[P]], Callable[Concatenate[HttpRequest, P], HttpResponse]]:
    """Lets a view see the customer of the request's token, where the token opens `name` and has not ended."""

    def keep(view: EmbedView[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @wraps(view)
        @require_safe
        def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            text = request.GET.get("token", "")
            token = find_embed_token(text)
            look = EmbedLook.of(request.GET.dict())
            request.embed_look = look  # type: ignore[attr-defined]
            if token is None:
                return _guard(_refusal(request, 403), ())
            request.token = token  # type: ignore[attr-defined]
            if has_ended(token, now=timezone.now()):
                return _guard(_refusal(request, 401), token.origins)
            if name not in token.views:
                return _guard(_refusal(request, 403), token.origins)
            request.customer = token.customer  # type: ignore[attr-defined]
            request.kept = {"token": text, **look.asked}  # type: ignore[attr-defined]
            return _guard(view(request, *args, **kwargs), token.origins)  # type: ignore[arg-type]

        wrapped.opens_with = name  # type: ignore[attr-defined]
        return wrapped

    return keep


def _refusal(request: HttpRequest, status: int) -> HttpResponse:
    """A page that says so; to a page that asks for its figures again, that it is over, which is the end of asking."""
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]
    context = {"has_ended": status == 401 or bool(htmx)}
    if htmx:
        return render(request, "portal/embed/_ended.html", context, status=HttpResponseStopPolling.status_code)
    return render(request, "portal/embed/ended.html", context, status=status)


def _guard(response: HttpResponse, origins: Sequence[str]) -> HttpResponse:
    """Only pages of these origins may have it in a frame. It is kept nowhere, and its address, which has the token in
    it, is told nobody."""
    response._csp_replace = {"frame-ancestors": list(origins) or [NONE]}  # type: ignore[attr-defined]
    # That header knows no origins, and would keep them all out.
    response.xframe_options_exempt = bool(origins)
    response["Referrer-Policy"] = "no-referrer"
    patch_cache_control(response, private=True, no_store=True)
    patch_vary_headers(response, ["HX-Request"])
    return response
