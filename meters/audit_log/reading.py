"""Reads of the audit log: what happened to one object, and the list of everything.

Who may not see a kind of thing does not see what happened to it either: every read is told the tables that may be seen.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime

from meters.audit_log.tables import watched
from meters.models import AuditRow


@dataclass(frozen=True, slots=True)
class AuditQuery:
    table: str = ""
    object_id: str = ""
    who: str = ""
    request_id: str = ""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """`older`: the cursor of what follows; None: nothing does."""

    rows: list[AuditRow]
    older: str | None


@cache
def models_by_table() -> dict[str, type[models.Model]]:
    """The models of the tables that are watched."""
    found: dict[str, Any] = {str(one._meta.db_table): one for one in apps.get_models(include_auto_created=True)}
    return {table: found[table] for table in watched() if table in found}


def columns_of(table: str) -> "dict[str, models.Field[Any, Any]]":
    """The fields of a table that is watched, by their columns."""
    model = models_by_table().get(table)
    return {str(field.column): field for field in model._meta.concrete_fields} if model else {}


@cache
def permissions_by_table() -> dict[str, str]:
    """What it takes to see a table. One between two others goes with the one that it is a field of."""
    return {table: _permission(model) for table, model in models_by_table().items()}


def _permission(model: type[models.Model]) -> str:
    # Django's own types call it a truth value; it is the model that has the field, or False.
    created_for: Any = model._meta.auto_created
    model = created_for or model
    return f"{model._meta.app_label}.view_{model._meta.model_name}"


def tables_seen(may: Callable[[str], bool]) -> frozenset[str]:
    """The tables whose changes somebody sees who `may` do so much, by permissions."""
    return frozenset(table for table, permission in permissions_by_table().items() if may(permission))


def history_of(
    table: str, object_id: str, *, seen: Collection[str], limit: int, before: int | None = None
) -> list[AuditRow]:
    """What happened to an object and to what belongs to it, the newest first, of rows older than `before`.

    Two walks along an index, of the object and of what belongs to it.
    """
    rows = AuditRow.objects.filter(table_name__in=seen)
    if before is not None:
        rows = rows.filter(id__lt=before)
    own = rows.filter(table_name=table, object_id=object_id)
    owned = rows.filter(owner_table=table, owner_id=object_id)
    # An object that belongs to nothing is its own owner.
    found = {row.pk: row for part in (own, owned) for row in part.order_by("-id")[:limit]}
    return sorted(found.values(), key=lambda row: -row.pk)[:limit]


def page(query: AuditQuery, *, seen: Collection[str], limit: int, cursor: str | None = None) -> AuditPage:
    """A page of the changes that were asked for, the newest first. Raises ValidationError."""
    rows = rows_of(query, seen=seen)
    if cursor:
        at, pk = _place(cursor)
        rows = rows.filter(Q(at__lt=at) | Q(at=at, id__lt=pk), at__lte=at)
    found = list(rows.order_by("-at", "-id")[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    return AuditPage(found, f"{found[-1].at.isoformat()}_{found[-1].pk}" if more else None)


def rows_of(query: AuditQuery, *, seen: Collection[str]) -> QuerySet[AuditRow]:
    """Of each filter there is an index in the order of time, or it is of one object."""
    rows = AuditRow.objects.all()
    if query.table:
        rows = rows.filter(table_name=query.table)
    # What may not be seen is left out, without a word where all may be.
    if set(watched()) - set(seen):
        rows = rows.filter(table_name__in=seen)
    exact: dict[str, Any] = {
        "object_id": query.object_id,
        "who_name": query.who,
        "request_id": query.request_id,
        "at__gte": query.start,
        "at__lt": query.end,
    }
    return rows.filter(**{name: value for name, value in exact.items() if value})


def _place(cursor: str) -> tuple[datetime, int]:
    text, _, number = cursor.partition("_")
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not (number.isascii() and number.isdigit() and len(number) < 19):
        raise ValidationError("This cursor is not one of ours.")
    return at, int(number)
