"""Errors as problem documents (RFC 9457), with a stable `code` and, for input, a JSON pointer for each fault."""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, IntegrityError
from django.http import Http404, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from meters.decoding import escape
from meters.retention import EventsRetired
from meters.unavailable import in_short, unavailable

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Problem(exceptions.APIException):
    """An error to answer with: its status, its stable code, and a sentence for a person."""

    def __init__(self, status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.problem_code = code
        self.errors = errors
        self.wait: int | None = None


def invalid(pointer: str, detail: str, *, parameter: bool = False) -> Problem:
    """One fault of the input: in the body at `pointer`, or in the query parameter of that name."""
    where = {"parameter": pointer} if parameter else {"pointer": pointer}
    return Problem(400, "invalid", "The request is not valid.", [{**where, "detail": detail}])


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: every error of an API view leaves as a problem document; None passes on what is a bug."""
    known = _known(error)
    if known is None:
        return None
    # Who asks and how often is settled by classes that `rest_framework.views` imports, and those raise Problems.
    from rest_framework.views import set_rollback

    set_rollback()
    return Response(document(known), status=known.status_code, headers=_headers(known), content_type=MEDIA_TYPE)


def problem_response(error: Exception) -> HttpResponse:
    """The same outside of a view, where a middleware refuses a call. Raises what is a bug."""
    known = _known(error)
    if known is None:
        raise error
    headers = _headers(known)
    return JsonResponse(document(known), status=known.status_code, headers=headers, content_type=MEDIA_TYPE)


def _known(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, exceptions.APIException):
        return error
    if isinstance(error, EventsRetired):
        return Problem(410, "events_retired", str(error))
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, DjangoValidationError):
        return exceptions.ValidationError(_by_field(error))
    if lacking := unavailable(error):
        logger.error("the database does not answer: %s", in_short(error))
        problem = Problem(503, "database_unavailable", lacking.detail)
        problem.wait = lacking.retry_after - 1
        return problem
    if isinstance(error, DataError | UnicodeEncodeError):
        return Problem(400, "invalid", "The request has a value that cannot be stored or compared, such as a NUL.")
    if isinstance(error, IntegrityError):
        return Problem(409, "conflict", "Another request has just done the same. Read it, and decide again.")
    return None


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if isinstance(error, exceptions.AuthenticationFailed | exceptions.NotAuthenticated):
        headers["WWW-Authenticate"] = getattr(error, "auth_header", "")
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    return headers


def document(error: exceptions.APIException) -> dict[str, Any]:
    status = error.status_code
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if isinstance(error, exceptions.ValidationError):
        body |= {"code": "invalid", "detail": "The request is not valid."}
        body["errors"] = [
            {"pointer": _sendable(pointer), "detail": _sendable(str(detail))}
            for pointer, detail in _faults(error.detail)
        ]
        return body
    code = getattr(error, "problem_code", None) or error.get_codes()
    body |= {"code": code if isinstance(code, str) else error.default_code, "detail": str(error.detail)}
    if errors := getattr(error, "errors", None):
        body["errors"] = errors
    return body


def _sendable(text: str) -> str:
    """What a fault repeats of the input: JSON can name half of a character, which no answer can be written with."""
    return text.encode(errors="backslashreplace").decode()


def _faults(detail: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """DRF's nested errors, flat: each with the JSON pointer of the field it is about."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            below = pointer if name == "non_field_errors" else f"{pointer}/{escape(str(name))}"
            yield from _faults(inner, below)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            if isinstance(inner, dict | list):
                yield from _faults(inner, f"{pointer}/{index}")
            else:
                yield pointer, inner
    else:
        yield pointer, detail


def _by_field(error: DjangoValidationError) -> Any:
    if hasattr(error, "error_dict"):
        return {
            "non_field_errors" if name == "__all__" else name: messages for name, messages in error.message_dict.items()
        }
    return {"non_field_errors": error.messages}
