"""Changes in plain words, as staff pages show them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import ForeignKey
from django.utils.dateparse import parse_datetime
from django.utils.text import capfirst

from meters.audit_log.actors import LABELS, Kind
from meters.audit_log.reading import columns_of, models_by_table
from meters.audit_log.tables import watched
from meters.models import AuditRow

NOTHING = "—"
# Longer values are cut; the API has them whole.
LONGEST = 300
# What people know a row by that is not watched itself.
_LABELS = {"auth_permission": ("codename",)}

Names = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Change:
    """Of one column. `is_same`: it is said beside the others, and did not change."""

    name: str
    before: str
    after: str
    is_same: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    row: AuditRow
    thing: str
    what: str
    belongs_to: str
    who: str
    whence: str
    at: datetime
    changes: tuple[Change, ...]


def entries_of(rows: Sequence[AuditRow]) -> list[Entry]:
    names = _names(rows)
    return [_entry(row, names) for row in rows]


def thing_words(table: str) -> str:
    """ "Plan version", "User-group relationship"."""
    model = models_by_table().get(table)
    return capfirst(str(model._meta.verbose_name)) if model else table


def _entry(row: AuditRow, names: Names) -> Entry:
    is_own = (row.owner_table, row.owner_id) == (row.table_name, row.object_id)
    owner = "" if is_own or not row.owner_id else _object(row.owner_table, row.owner_id, names)
    return Entry(
        row=row,
        thing=_object(row.table_name, row.object_id, names, row.label),
        what=str(AuditRow.Action(row.action).label),
        belongs_to=owner,
        who=row.who_name or LABELS[Kind(row.who_kind)],
        whence=_whence(row),
        at=row.at,
        changes=tuple(_changes(row, names)),
    )


def _whence(row: AuditRow) -> str:
    """ "Staff, 203.0.113.7", "Command, anna@billing-1", "Database user, psql, 10.0.0.3"."""
    by_name = row.who_id if row.who_kind in (Kind.COMMAND, Kind.DATABASE) else ""
    return ", ".join(part for part in (LABELS[Kind(row.who_kind)], by_name, row.address) if part)


def _object(table: str, pk: str, names: Names, label: str = "") -> str:
    known = label or names.get((table, pk)) or (f"#{pk}" if pk else "")
    return f"{thing_words(table)} {known}".strip()


def _changes(row: AuditRow, names: Names) -> Iterator[Change]:
    fields = columns_of(row.table_name)
    before, after = row.before or {}, row.after or {}
    for column in sorted({*before, *after} - {watched()[row.table_name].pk if row.table_name in watched() else ""}):
        field = fields.get(column)
        name = capfirst(str(field.verbose_name)) if field is not None else column
        was, is_now = (_value(side.get(column), field, names) for side in (before, after))
        is_same = row.action == AuditRow.Action.UPDATE and column not in before
        if (was, is_now) != (NOTHING, NOTHING):
            yield Change(name, was, is_now, is_same)


def _value(value: Any, field: "models.Field[Any, Any] | None", names: Names) -> str:
    if value in (None, "", [], {}):
        return NOTHING
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            text = ", ".join(f"{name}: {_part(part)}" for name, part in value.items())
        case list():
            text = ", ".join(map(_part, value))
        case Decimal():
            text = format(value, "f")
        case _:
            text = str(value)
    if field is not None:
        if isinstance(field, ForeignKey) and field.related_model is not None:
            return names.get((_table_of(field), text), f"#{text}")
        if isinstance(field, models.DateTimeField) and (moment := parse_datetime(text)):
            return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        text = str(dict(field.flatchoices).get(value, text)) if field.choices and isinstance(value, str | int) else text
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _part(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _names(rows: Iterable[AuditRow]) -> Names:
    """What people call the rows that these changes speak of, as they are called now: a query for each table."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        wanted[row.owner_table].add(row.owner_id)
        for column, field in columns_of(row.table_name).items():
            if isinstance(field, ForeignKey):
                for side in (row.before, row.after):
                    if side and side.get(column) is not None:
                        wanted[_table_of(field)].add(str(side[column]))
    found: dict[tuple[str, str], str] = {}
    for table, pks in wanted.items():
        model = models_by_table().get(table) or _others().get(table)
        label = _LABELS.get(table) or (watched()[table].label if table in watched() else ())
        if model is None or not label or not pks:
            continue
        known = model._default_manager.filter(pk__in=[pk for pk in pks if pk.isascii() and pk.isdigit()])
        for pk, *parts in known.values_list("pk", *label):
            found[table, str(pk)] = " ".join(str(part) for part in parts if part not in (None, ""))
    return {place: name for place, name in found.items() if name}


def _table_of(field: "ForeignKey[Any, Any]") -> str:
    return str(field.related_model._meta.db_table)


def _others() -> dict[str, type[models.Model]]:
    from django.contrib.auth.models import Permission

    return {"auth_permission": Permission}
