"""What every answer of the API carries."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control


def no_store(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Keeps the API's answers out of shared caches, which do not know that `X-API-KEY` tells customers apart."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path.startswith("/v1/"):
            patch_cache_control(response, private=True, no_store=True)
        return response

    return middleware
