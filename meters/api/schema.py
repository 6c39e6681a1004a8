"""What the OpenAPI document says of every call and cannot find out by itself: who may, what goes wrong, repeating."""

import re
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

from meters.api.auth import needed_scope
from meters.api.idempotency import HEADER, MUTATING, REPLAYED
from meters.api.permissions import needed_permissions
from meters.api.problems import MEDIA_TYPE
from meters.models import ApiKey
from meters.staff_roles import StaffRole, allows

PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457). `code` is stable; `title` and `detail` are for people.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "Each fault of the input: where it is, as a JSON pointer or a parameter, and what is wrong.",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {"type": "string"},
                    "parameter": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
RETRY_AFTER = {"description": "The whole seconds to wait.", "schema": {"type": "integer"}}
# By status: the name, what it means, and examples of (title, code, detail).
PROBLEMS: dict[str, tuple[str, str, list[tuple[str, str, str]]]] = {
    "400": (
        "BadRequest",
        "The request is not valid; `errors` names the fields.",
        [("Bad Request", "invalid", "The request is not valid.")],
    ),
    "401": (
        "Unauthorized",
        "No API key, or none that opens anything.",
        [("Unauthorized", "invalid_api_key", "This API key does not exist, is revoked or has expired.")],
    ),
    "403": (
        "Forbidden",
        "The API key is not for this.",
        [
            ("Forbidden", "missing_scope", "This API key lacks the scope 'write'."),
            ("Forbidden", "restricted_api_key", "This API key is of one customer, and this call is not for such keys."),
            ("Forbidden", "forbidden_customer", "This API key is of the customer 'acme' and of no other."),
            (
                "Forbidden",
                "missing_permission",
                "The role of this API key, 'support', lacks the permission pricing.change_plan.",
            ),
        ],
    ),
    "404": (
        "NotFound",
        "There is none, or none that this API key may see.",
        [("Not Found", "not_found", "Not found.")],
    ),
    "406": (
        "NotAcceptable",
        "The `Accept` header takes none of the types that there are.",
        [("Not Acceptable", "not_acceptable", "The answer can be application/json or text/csv.")],
    ),
    "409": (
        "Conflict",
        "Another request was faster.",
        [("Conflict", "conflict", "Another request has just done the same. Read it, and decide again.")],
    ),
    "411": (
        "LengthRequired",
        "The body came without a `Content-Length`.",
        [("Length Required", "length_required", "Send the body with a Content-Length, not in chunks.")],
    ),
    "413": (
        "TooLarge",
        "The body is larger than is taken.",
        [("Content Too Large", "too_large", "The body is larger than 1,048,576 bytes; nothing was done.")],
    ),
    "415": (
        "UnsupportedMediaType",
        "The body is of a type or packing that is not read here.",
        [("Unsupported Media Type", "unsupported_media_type", 'Unsupported media type "text/plain" in request.')],
    ),
    "422": (
        "KeyReused",
        "The `Idempotency-Key` belongs to another request.",
        [
            (
                "Unprocessable Entity",
                "idempotency_key_reused",
                "This Idempotency-Key was used for another request in the last 24 hours. "
                "Use a new one for each request.",
            )
        ],
    ),
    "429": (
        "TooManyRequests",
        "More requests a second than this API key may send.",
        [("Too Many Requests", "rate_limited", "This API key may send 50 requests a second. Wait, and go on.")],
    ),
    "503": (
        "Unavailable",
        "The database cannot do it at the moment. Nothing was done; send the same again.",
        [("Service Unavailable", "database_unavailable", "The database does not answer. Try again in a moment.")],
    ),
}
IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "1 to 200 printable ASCII characters, new for each request. Sent again with the same key within 24 "
    f"hours, the request is not done again: it gets the first answer, with `{REPLAYED}: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "example": "6f1c1a52-1a55-4f2e-9a0a-2f5f6e7d8c9b",
}
SPARE_IDS = IDEMPOTENCY_KEY | {
    "description": "1 to 200 printable ASCII characters, new for each request. Events without an `id` get one made of "
    "it and of their position, so that a request that is sent again counts once.",
}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tells the OpenAPI document of the two headers; either of them is enough."""

    target_class = "meters.api.auth.ApiKeyAuthentication"
    name = ["bearer", "apiKey"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[str]]]:
        return [{"bearer": []}, {"apiKey": []}]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer tm_...`"},
            {"type": "apiKey", "in": "header", "name": "X-API-KEY", "description": "The same API key."},
        ]


class ApiSchema(AutoSchema):
    """The schema of each call: what its view says, and what holds for all."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        description = operation.get("description", "").strip()
        operation.setdefault("summary", re.split(r"[.:;](?:\s|$)", description, maxsplit=1)[0].replace("`", ""))
        operation["description"] = f"{description}\n\n{self._who_may()}"
        changes = self.method in MUTATING and needed_scope(self.method, self.view) != ApiKey.Scope.READ
        own_repeats = getattr(self.view, "keeps_own_repeats", False)
        responses = operation["responses"]
        if changes:
            header = SPARE_IDS if own_repeats else IDEMPOTENCY_KEY
            operation.setdefault("parameters", []).append(header)
        if changes and not own_repeats:
            replayed = {"description": "`true`: the answer to an earlier request.", "schema": {"type": "string"}}
            for status, answer in responses.items():
                if status.startswith("2"):
                    answer.setdefault("headers", {})[REPLAYED] = replayed
        pages = any(parameter["name"] == "cursor" for parameter in operation.get("parameters", []))
        statuses = ["400", "401", "403", "406", "429", "503"]
        # A cursor that is none of ours is the page of no list.
        statuses += ["404"] if pages or "{" in self.path else []
        statuses += ["411"] if self.method in MUTATING else []
        statuses += ["413", "415"] if "requestBody" in operation else []
        statuses += ["409", "422"] if changes and not own_repeats else []
        # What a view says of reading that may come too early, or of a path that may mean two things.
        conflicts: tuple[str, ...] = getattr(self.view, "conflicts", ())
        statuses += ["409"] if {self.method, getattr(self.view, "action", None)} & {*conflicts} else []
        for status in statuses:
            responses.setdefault(status, self._problem(status))
        for status, answer in responses.items():
            if not answer.get("description") and "$ref" not in answer:
                answer["description"] = "Done." if status.startswith("2") else "Refused."
        operation["responses"] = dict(sorted(responses.items()))
        return operation

    def _who_may(self) -> str:
        scope = needed_scope(self.method, self.view)
        served = set(getattr(self.view, "customer_keys", ()))
        own = bool(served & {self.method, getattr(self.view, "action", None)})
        customers = "A key of one customer sees and sends its own." if own else "Not for keys of one customer."
        return f"Scope `{scope}`. {customers} {self._roles()}"

    def _roles(self) -> str:
        needed = needed_permissions(self.method, self.view)
        able = [role for role in StaffRole if needed is not None and all(allows(role, one) for one in needed)]
        if len(able) == len(StaffRole):
            return "For every role."
        return f"Role {', '.join(f'`{role}`' for role in able or [StaffRole.OWNER])}."

    def _problem(self, status: str) -> dict[str, Any]:
        name, description, examples = PROBLEMS[status]
        problem = self._component("Problem", ResolvedComponent.SCHEMA, PROBLEM)
        answer: dict[str, Any] = {
            "description": description,
            "content": {
                MEDIA_TYPE: {
                    "schema": problem.ref,
                    "examples": {code: {"value": _example(status, *each)} for each in examples for code in [each[1]]},
                }
            },
        }
        if status in ("429", "503"):
            answer["headers"] = {"Retry-After": RETRY_AFTER}
        ref: dict[str, Any] = self._component(name, ResolvedComponent.RESPONSE, answer).ref
        return ref

    def _component(self, name: str, kind: str, schema: dict[str, Any]) -> Any:
        component = ResolvedComponent(name=name, type=kind, schema=schema, object=name)  # type: ignore[no-untyped-call]
        self.registry.register_on_missing(component)
        return component


def _example(status: str, title: str, code: str, detail: str) -> dict[str, Any]:
    example = {"type": "about:blank", "title": title, "status": int(status), "code": code, "detail": detail}
    if code == "invalid":
        example["errors"] = [{"pointer": "/key", "detail": "This field is required."}]
    return example
