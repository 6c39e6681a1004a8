"""The quick way from a table to its events: column by column, where all rows are as most are. Pure.

What is unusual in any way goes row by row (csv_rows.py), which says what is wrong. Both come to the same.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import repeat
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from meters.decoding import MAX_DIMENSIONS, MAX_ID, NUMBER, DimensionName, DimensionText, EventIn, Key

WITH_ZONE = re.compile(r".*([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NUMBERS = re.compile(rf"(?:{NUMBER.pattern}\n)*+", re.ASCII)
_Time = Annotated[datetime, Meta(tz=True)]
_Labels = Annotated[dict[DimensionName, DimensionText], Meta(max_length=MAX_DIMENSIONS)]
_KINDS: dict[str, Any] = {
    "id": Annotated[str, Meta(min_length=1, max_length=MAX_ID)],
    "customer": Key,
    "meter": Key,
    "time": _Time,
    "value": str,
}


class Table:
    """What the cells of each row are: members of an event and dimensions by their places, `same` for all rows."""

    def __init__(
        self, count: int, members: Mapping[str, int], dimensions: Mapping[str, int], same: Mapping[str, str], utc: bool
    ) -> None:
        self._members, self._dimensions, self._same, self._utc = members, dimensions, same, utc
        # A column of JSON, or one that is two members, is unusual.
        self._is_usual = members.keys() | same.keys() <= _KINDS.keys() and len({*members.values()}) == len(members)
        # What is left out is only looked at by the reader of rows, which takes cells so long.
        kinds: list[Any] = [Annotated[str, Meta(max_length=csv.field_size_limit())]] * count
        for place in dimensions.values():
            kinds[place] = DimensionText
        for member, place in members.items():
            kinds[place] = str if utc and member == "time" else _KINDS.get(member, str)
        self._rows: Any = list[tuple[tuple(kinds)]]  # type: ignore[misc]

    def events(self, text: str, delimiter: str) -> list[EventIn] | None:
        """The events of these lines, of which each is a row. None where one of them may be none."""
        rows = _cells(text, delimiter) if self._is_usual else None
        if not rows:
            return None
        try:
            columns = list(zip(*msgspec.convert(rows, self._rows), strict=True))
            members = {member: columns[place] for member, place in self._members.items()}
            for member, same in self._same.items():
                if member not in members:
                    members[member] = (msgspec.convert(same, _KINDS[member]),) * len(rows)
                elif "" in members[member]:
                    return None
            if self._utc and "time" in self._members:
                members["time"] = _in_utc(members["time"])
            values = _values(members.get("value"))
            labels = _labels({name: columns[place] for name, place in self._dimensions.items()}, len(rows))
        except (msgspec.ValidationError, InvalidOperation):
            return None
        if values is None:
            return None
        ids = members.get("id", repeat(UNSET))
        # Members by their place, which is quicker by far.
        made = map(EventIn, members["customer"], members["meter"], ids, members["time"], values, repeat(UNSET), labels)
        return list(made)


def _cells(text: str, delimiter: str) -> list[list[str]] | None:
    """The cells of lines, as the reader of rows finds them; None where that must be asked."""
    text = text.replace("\r\n", "\n").removesuffix("\r")
    if "\r" in text:
        return None
    if '"' in text:
        try:
            return list(csv.reader(io.StringIO(f"{text}\n", newline="\n"), delimiter=delimiter, strict=True))
        except csv.Error:
            return None
    rows = [line.split(delimiter) for line in text.split("\n")]
    # To the reader of rows an empty line is none.
    return None if [""] in rows else rows


def _in_utc(texts: Sequence[str]) -> tuple[datetime, ...]:
    with_zone = [text if WITH_ZONE.fullmatch(text) else f"{text}Z" for text in texts]
    return tuple(msgspec.convert(with_zone, list[_Time]))


def _values(texts: Sequence[str] | None) -> Iterable[Decimal | UnsetType] | None:
    if texts is None:
        return repeat(UNSET)
    different = set(texts)
    if not _NUMBERS.fullmatch("\n".join(different) + "\n"):
        return None
    numbers = {text: Decimal(text) for text in different}
    return map(numbers.__getitem__, texts)


def _labels(dimensions: Mapping[str, Sequence[str]], count: int) -> Iterable[dict[str, str]]:
    if not dimensions:
        return ({} for _ in range(count))
    rows = list(zip(*dimensions.values(), strict=True))
    # Most rows have the same few.
    made = {texts: {name: text for name, text in zip(dimensions, texts, strict=True) if text} for texts in set(rows)}
    msgspec.convert(list(made.values()), list[_Labels])
    return map(made.__getitem__, rows)
