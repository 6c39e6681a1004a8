"""Whose a request is, and from where. Asking costs nothing before something is written."""

from collections.abc import Callable

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.utils.functional import LazyObject, empty

from meters.addresses import address_of
from meters.audit_log.actors import Actor, Kind, Who, begin, end

NOBODY: Who = (Kind.VISITOR, "", "")


class RequestActor(Actor):
    """Whoever the views found out (`actors.become`), or else who is signed in, as far as somebody has looked."""

    __slots__ = ("_request",)

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(NOBODY)
        self._request = request

    @property
    def who(self) -> Who:
        return self._who if self._who is not NOBODY else _signed_in(self._request)

    def told(self) -> str:
        self.address = self.address or address_of(self._request) or ""
        return super().told()


def acting(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        token = begin(RequestActor(request))
        try:
            return get_response(request)
        finally:
            end(token)

    return middleware


def _signed_in(request: HttpRequest) -> Who:
    """Without looking anybody up: that would be a query, amid the one that asks."""
    user = request.__dict__.get("user")
    if isinstance(user, LazyObject) and user.__dict__.get("_wrapped", empty) is empty:
        return NOBODY
    if user is None or not user.is_authenticated:
        return NOBODY
    assert isinstance(user, AbstractBaseUser)
    kind = Kind.STAFF if getattr(user, "is_staff", False) else Kind.PERSON
    return kind, str(user.pk), user.get_username()
