"""Which Django permissions a call of the API needs: those of the same thing in the admin."""

from typing import Any

# What the actions of view sets need of their model.
VERBS = {
    "list": "view",
    "retrieve": "view",
    "create": "add",
    "update": "change",
    "partial_update": "change",
    "destroy": "delete",
}


def needed_permissions(method: str, view: Any) -> tuple[str, ...] | None:
    """What the call needs, as `app.codename`; None: nobody has said, so it is for owners.

    A view names them by its methods, or a view set by its actions (`create`, or `POST payments` where an action has
    several methods), in `permissions`, several with spaces between them. Reading, adding, changing and deleting the
    model of a view set needs no word.
    """
    if method == "OPTIONS" or not _is_served(method, view):
        return ()
    method = "GET" if method == "HEAD" else method
    action = getattr(view, "action", None)
    named: dict[str, str] = getattr(view, "permissions", {})
    if (said := named.get(f"{method} {action}") or named.get(action or method)) is not None:
        return tuple(said.split())
    queryset = getattr(view, "queryset", None)
    if action in VERBS and queryset is not None:
        meta = queryset.model._meta
        return (f"{meta.app_label}.{VERBS[action]}_{meta.model_name}",)
    return None


def _is_served(method: str, view: Any) -> bool:
    """Where it is not, it is answered so behind this."""
    actions: dict[str, str] | None = getattr(view, "action_map", None)
    name = "get" if method == "HEAD" else method.lower()
    return name in actions if actions is not None else hasattr(view, name)
