"""Who is asking: API keys in `Authorization: Bearer KEY` or `X-API-KEY`, and what their scopes open."""

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from meters import keys
from meters.models import ApiKey

if TYPE_CHECKING:
    from rest_framework.views import APIView


class ApiKeyAuthentication(BaseAuthentication):
    """Answers `(None, ApiKey)`: a key stands for a server, not for a person."""

    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        text = _sent_key(request)
        if text is None:
            return None
        key = keys.find(text)
        if key is None:
            raise AuthenticationFailed("This API key does not exist or is revoked.", code="invalid_api_key")
        keys.touch(key, now=timezone.now())
        return None, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="tollmeter"'


def _sent_key(request: Request) -> str | None:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip()
    return request.headers.get("X-API-KEY") or None


class HasScope(BasePermission):
    """The key's scopes must hold the one that the view names for the method, in `scopes`; by default `read` for
    reading and `write` for the rest."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        key = request.auth
        if not isinstance(key, ApiKey):
            return False
        scope = needed_scope(request.method or "", view)
        self.message = f"This API key lacks the scope {scope!r}."
        self.code = "missing_scope"
        return scope in key.scopes


def needed_scope(method: str, view: Any) -> str:
    scopes: dict[str, str] = getattr(view, "scopes", {})
    reading = method in ("GET", "HEAD", "OPTIONS")
    return scopes.get(method) or (ApiKey.Scope.READ.value if reading else ApiKey.Scope.WRITE.value)
