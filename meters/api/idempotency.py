"""`Idempotency-Key`: a call that changes something may be sent again, and is done once.

The row that claims the key, whatever the view does, and the answer are one transaction. So an answer that a client
never saw is there when it asks again, work that was undone left no answer behind, and a second request at the same
time waits for the first and gets its answer. What went wrong (400 and above) changed nothing and is not kept.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.utils import timezone

from meters import answers, keys
from meters.api.auth import count, needed_scope, sent_key
from meters.api.bodies import MAX_SMALL_BODY, declared_length
from meters.api.problems import Problem, problem_response
from meters.models import ApiKey, IdempotentRequest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")

GetResponse = Callable[[HttpRequest], HttpResponse]


def idempotency(get_response: GetResponse) -> GetResponse:
    """The middleware: the innermost one, so that nothing but the view is inside the transaction."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method not in MUTATING or not request.path_info.startswith("/v1/"):
            return get_response(request)
        try:
            # Of a body in chunks nothing would be read, and the call done as if nothing had been said.
            declared_length(request)
        except Problem as error:
            return problem_response(error)
        if HEADER not in request.headers:
            return get_response(request)
        try:
            return _once(request, get_response)
        except (Problem, OperationalError, InterfaceError) as error:
            return problem_response(error)

    return middleware


def idempotency_key(request: Any) -> str | None:
    """The header of a request, or None without one. Raises a Problem, 400, where it is no key."""
    key: str | None = request.headers.get(HEADER)
    if key is not None and not _PRINTABLE.fullmatch(key):
        raise Problem(400, "invalid_idempotency_key", f"{HEADER} is 1 to 200 printable ASCII characters.")
    return key


def _once(request: HttpRequest, get_response: GetResponse) -> HttpResponse:
    key = idempotency_key(request)
    assert key is not None
    api_key = _api_key(request)
    if api_key is None or not _is_kept(request):
        return get_response(request)
    count(request, api_key)
    fingerprint = _fingerprint(request)
    with transaction.atomic():
        row, is_new = answers.claim(api_key=api_key, key=key, fingerprint=fingerprint)
        if not is_new:
            return _replay(row, fingerprint)
        response = get_response(request)
        if response.status_code >= 400:
            transaction.set_rollback(True)
            return response
        row.status, row.body = response.status_code, response.content
        row.content_type = response.headers.get("Content-Type", "")
        row.save(update_fields=["status", "body", "content_type"])
        return response


def _api_key(request: HttpRequest) -> ApiKey | None:
    """Whose call it is. Without a key of ours the view refuses the call itself."""
    text = sent_key(request)
    api_key = None if text is None else keys.find(text)
    if api_key is not None:
        # Here and not in the transaction, which would keep the key's row locked until its end.
        keys.touch(api_key, now=timezone.now())
    return api_key


def _is_kept(request: HttpRequest) -> bool:
    """Whether the view changes something and leaves it to us to do so once."""
    try:
        view = getattr(resolve(request.path_info).func, "cls", None)
    except Resolver404:
        return False
    own = getattr(view, "keeps_own_repeats", False)
    return view is not None and not own and needed_scope(request.method or "", view) != ApiKey.Scope.READ


def _fingerprint(request: HttpRequest) -> bytes:
    if declared_length(request) > MAX_SMALL_BODY:
        raise Problem(413, "too_large", f"The body is larger than {MAX_SMALL_BODY:,} bytes; nothing was done.")
    made = hashlib.sha256()
    for part in (request.method or "", request.path_info, request.META.get("QUERY_STRING", "")):
        made.update(part.encode() + b"\0")
    made.update(request.body)
    return made.digest()


def _replay(row: IdempotentRequest, fingerprint: bytes) -> HttpResponse:
    if bytes(row.fingerprint) != fingerprint:
        detail = f"This {HEADER} was used for another request in the last 24 hours. Use a new one for each request."
        raise Problem(422, "idempotency_key_reused", detail)
    response = HttpResponse(bytes(row.body), status=row.status, content_type=row.content_type)
    response[REPLAYED] = "true"
    return response
