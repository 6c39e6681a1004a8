"""Who is asking: API keys in `Authorization: Bearer KEY` or `X-API-KEY`, what they open, and how often."""

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from meters import keys, rate_limit
from meters.api.permissions import needed_permissions
from meters.api.problems import Problem
from meters.audit_log import actors
from meters.models import ApiKey, Customer
from meters.staff_roles import StaffRole, allows

if TYPE_CHECKING:
    from rest_framework.views import APIView


class ApiKeyAuthentication(BaseAuthentication):
    """Answers `(None, ApiKey)`: a key stands for a server, not for a person."""

    def authenticate(self, request: Request | HttpRequest) -> tuple[None, ApiKey] | None:
        text = sent_key(request)
        if text is None:
            return None
        key = keys.find(text)
        if key is None:
            detail = "This API key does not exist, is revoked or has expired."
            raise AuthenticationFailed(detail, code="invalid_api_key")
        actors.become(actors.Kind.KEY, key.pk, str(key))
        keys.touch(key, now=timezone.now())
        return None, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="tollmeter"'


def sent_key(request: Request | HttpRequest) -> str | None:
    meta: dict[str, str] = request.META
    scheme, _, text = meta.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip()
    return meta.get("HTTP_X_API_KEY") or None


class HasScope(BasePermission):
    """What a key opens.

    Its scopes must hold the one that the view names for the method, in `scopes`; by default `read` for reading and
    `write` for the rest. A key of one customer is refused unless the view names the method, or the action of a view
    set, in `customer_keys`; such a view asks `customer_of(request)` and answers with that customer's data alone.
    The key's role must have the permissions that the call needs, which are those of the same thing in the admin.
    """

    def has_permission(self, request: Request | HttpRequest, view: "APIView") -> bool:
        key = getattr(request, "auth", None)
        if not isinstance(key, ApiKey):
            return False
        scope = needed_scope(request.method or "", view)
        if scope not in key.scopes:
            self.message = f"This API key lacks the scope {scope!r}."
            self.code = "missing_scope"
            return False
        if key.customer_id is not None and not _serves_customer_keys(request, view):
            self.message = "This API key is of one customer, and this call is not for such keys."
            self.code = "restricted_api_key"
            return False
        # A key of an owner may do what its scopes open: nothing more is looked at as events come in.
        if key.role != StaffRole.OWNER:
            return self._role_allows(request, view, key)
        return True

    def _role_allows(self, request: Request | HttpRequest, view: "APIView", key: ApiKey) -> bool:
        needed = needed_permissions(request.method or "", view)
        missing = ["(that of an owner)"] if needed is None else [one for one in needed if not allows(key.role, one)]
        if missing:
            self.message = f"The role of this API key, {key.role!r}, lacks the permission {missing[0]}."
            self.code = "missing_permission"
        return not missing


def needed_scope(method: str, view: Any) -> str:
    scopes: dict[str, str] = getattr(view, "scopes", {})
    reading = method in ("GET", "HEAD", "OPTIONS")
    return scopes.get(method) or (ApiKey.Scope.READ.value if reading else ApiKey.Scope.WRITE.value)


def _serves_customer_keys(request: Request | HttpRequest, view: Any) -> bool:
    served = getattr(view, "customer_keys", ())
    method = "GET" if request.method == "HEAD" else request.method
    return method in served or getattr(view, "action", None) in served


def customer_of(request: Request) -> Customer | None:
    """The customer that the request's key is restricted to, without a query; None: the key is of all customers."""
    return request.auth.customer if isinstance(request.auth, ApiKey) else None


def require_customer(request: Request, key: str) -> None:
    """Raises a Problem, 403, where the request's key is of another customer than the one with this key."""
    own = customer_of(request)
    if own is not None and own.key != key:
        # Whether the other one exists is not theirs to know.
        raise Problem(403, "forbidden_customer", f"This API key is of the customer {own.key!r} and of no other.")


class KeyRateLimit(BaseThrottle):
    """Holds a key to its requests a second, wherever they arrive."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        if isinstance(request.auth, ApiKey) and not getattr(request._request, "is_counted", False):
            count(request._request, request.auth)
        return True


def count(request: HttpRequest, key: ApiKey) -> None:
    """Counts the request against its key's limit, once. Raises a Problem, 429, with the seconds to wait."""
    request.is_counted = True  # type: ignore[attr-defined]
    limit = rate_limit.limit_of(key)
    if limit is None:
        return
    wait = rate_limit.take(f"key:{key.pk}", limit=limit)
    if wait:
        error = Problem(429, "rate_limited", f"This API key may send {limit:,} requests a second. Wait, and go on.")
        # The handler rounds up by adding one.
        error.wait = (wait - 1) // 1_000_000
        raise error
