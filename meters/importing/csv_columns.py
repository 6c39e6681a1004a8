"""The quick way from a table to its events: column by column, where all rows are as most are. Pure.

What is unusual in any way goes row by row (csv_rows.py), which says what is wrong. Both come to the same.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import repeat
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from meters.decoding import MAX_DIMENSIONS, MAX_ID, NUMBER, DimensionName, DimensionText, EventIn, Key

WITH_ZONE = re.compile(r".*([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NUMBERS = re.compile(rf"(?:{NUMBER.pattern}\n)*+", re.ASCII)
_TIMES = msgspec.json.Decoder(list[Annotated[datetime, Meta(tz=True)]])
_Texts = Annotated[dict[DimensionName, DimensionText], Meta(max_length=MAX_DIMENSIONS)]


def columns_of(text: str, delimiter: str, count: int) -> list[Sequence[str]] | None:
    """The columns of lines that have so many cells each; None where one has others. A cell that goes on over several
    lines loses their ends: see that there are as many rows as lines."""
    if '"' in text:
        try:
            rows = list(csv.reader(text.split("\n"), delimiter=delimiter, strict=True))
        except csv.Error:
            return None
        return list(zip(*rows, strict=True)) if set(map(len, rows)) == {count} else None
    text = text.replace("\r\n", "\n").removesuffix("\r")
    # A longer cell is none for the reader of rows.
    if "\r" in text or max(map(len, lines := text.split("\n"))) > csv.field_size_limit():
        return None
    # The end of each line as a cell of its own, so that it shows where it stands.
    cells = f"{text}\n".replace("\n", f"{delimiter}\n{delimiter}").split(delimiter)
    ends = cells[count :: count + 1]
    if len(cells) != len(lines) * (count + 1) + 1 or ends != ["\n"] * len(lines):
        return None
    del cells[-1]
    columns: list[Sequence[str]] = [cells[place :: count + 1] for place in range(count)]
    return None if count == 1 and "" in columns[0] else columns


def events_of(
    members: Mapping[str, Sequence[str]], dimensions: Mapping[str, Sequence[str]], *, utc: bool
) -> list[EventIn] | None:
    """The events of columns of texts, by the member and by the dimension. None where one may be none."""
    times, values = _times(members["time"], utc=utc), _values(members.get("value"))
    labels = _labels(dimensions, len(members["time"]))
    if times is None or values is None or labels is None:
        return None
    ids = members.get("id")
    if ids is not None and not (min(map(len, ids)) and max(map(len, ids)) <= MAX_ID):
        return None
    try:
        for name in ("customer", "meter"):
            msgspec.convert(list(set(members[name])), list[Key])
    except msgspec.ValidationError:
        return None
    # Members by their place, which is quicker by far.
    made = map(
        EventIn,
        members["customer"],
        members["meter"],
        repeat(UNSET) if ids is None else ids,
        times,
        values,
        repeat(UNSET),
        labels,
    )
    return list(made)


def _times(texts: Sequence[str], *, utc: bool) -> list[datetime] | None:
    if utc:
        texts = [text if WITH_ZONE.fullmatch(text) else f"{text}Z" for text in texts]
    joined = '","'.join(texts)
    if "\\" in joined or joined.count('"') != 2 * (len(texts) - 1):
        return None
    try:
        return _TIMES.decode(f'["{joined}"]')
    except msgspec.DecodeError:
        return None


def _values(texts: Sequence[str] | None) -> Iterable[Decimal | UnsetType] | None:
    if texts is None:
        return repeat(UNSET)
    different = set(texts)
    if "" in different or not _NUMBERS.fullmatch("\n".join(different) + "\n"):
        return None
    try:
        numbers = {text: Decimal(text) for text in different}
    except InvalidOperation:
        return None
    return [numbers[text] for text in texts]


def _labels(dimensions: Mapping[str, Sequence[str]], count: int) -> list[dict[str, str]] | None:
    if not dimensions:
        return [{} for _ in range(count)]
    names, columns = list(dimensions), list(dimensions.values())
    texts = list(zip(*columns, strict=True))
    # Most rows have the same few.
    made = {some: {name: text for name, text in zip(names, some, strict=True) if text} for some in set(texts)}
    try:
        msgspec.convert(list(made.values()), list[_Texts])
    except msgspec.ValidationError:
        return None
    return [made[some] for some in texts]
