"""The answers to what no view answers: problem documents where programs ask, pages elsewhere."""

import logging
import sys
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults

from config.dropins import is_dropin
from meters.unavailable import Unavailable, in_short, unavailable

logger = logging.getLogger(__name__)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return _problem(HTTPStatus.BAD_REQUEST, "bad_request", "The request cannot be understood.")
    return defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return _problem(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Wherever the fault was, in a view or around it. What the database cannot do at the moment is no fault of ours."""
    if lacking := unavailable(error := sys.exc_info()[1]):
        assert error is not None
        return _unavailable(request, error, lacking)
    if _is_api(request):
        detail = "Something went wrong in Tollmeter. Sending the same request again is safe for events with an id."
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail)
    return defaults.server_error(request)


def _unavailable(request: HttpRequest, error: BaseException, lacking: Unavailable) -> HttpResponse:
    logger.error("the database does not answer: %s", in_short(error))
    response: HttpResponse
    if _is_api(request):
        response = _problem(HTTPStatus.SERVICE_UNAVAILABLE, "database_unavailable", lacking.detail)
    else:
        response = HttpResponse(render_to_string("503.html"), status=HTTPStatus.SERVICE_UNAVAILABLE)
    response["Retry-After"] = str(lacking.retry_after)
    # Said above, in a line. Django would say it with all the calls that led there, for every request of an outage.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/v1/") or is_dropin(request.path)


def _problem(status: HTTPStatus, code: str, detail: str) -> JsonResponse:
    body = {"type": "about:blank", "title": status.phrase, "status": int(status), "code": code, "detail": detail}
    return JsonResponse(body, status=status, content_type="application/problem+json")
