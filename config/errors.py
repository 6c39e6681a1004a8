"""The answers to what no view answers: problem documents where programs ask, pages elsewhere."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from config.dropins import is_dropin


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return _problem(HTTPStatus.BAD_REQUEST, "bad_request", "The request cannot be understood.")
    return defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_api(request):
        return _problem(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if _is_api(request):
        detail = "Something went wrong in Tollmeter. Sending the same request again is safe for events with an id."
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail)
    return defaults.server_error(request)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/v1/") or is_dropin(request.path)


def _problem(status: HTTPStatus, code: str, detail: str) -> JsonResponse:
    body = {"type": "about:blank", "title": status.phrase, "status": int(status), "code": code, "detail": detail}
    return JsonResponse(body, status=status, content_type="application/problem+json")
