"""Form fields in which staff type what is stored as JSON or as an array."""

import json
import re
import zoneinfo
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from meters.aggregation import plain


class NamesField(forms.CharField):
    """Names with commas between them: "source, target"."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list):
            return value
        names = [name.strip() for name in str(value or "").split(",")]
        return [name for name in names if name]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial) != self.to_python(data))


class TraitsField(forms.CharField):
    """Names with text values, one `name=value` a line."""

    widget = forms.Textarea(attrs={"rows": 4, "cols": 60, "placeholder": "product=integration\ncountry=de"})

    def prepare_value(self, value: Any) -> Any:
        return lines_of(value) if isinstance(value, Mapping) else value

    def to_python(self, value: Any) -> Any:
        return dict(value) if isinstance(value, Mapping) else traits_of(str(value or ""))

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(initial or {}) != self.to_python(data))
        except ValidationError:
            return True


def lines_of(traits: Mapping[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in sorted(traits.items()))


def traits_of(text: str) -> dict[str, str]:
    """The traits that lines of `name=value` name. Raises ValidationError with the number of the faulty line."""
    traits: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise ValidationError(f"Line {number}: write it as name=value.")
        if name in traits:
            raise ValidationError(f"Line {number}: {name} is there already.")
        traits[name] = value
    return traits


def can_be_typed(traits: Mapping[str, str]) -> bool:
    """Whether the lines say all of it: a value with a line break can only have come through the API."""
    try:
        return traits_of(lines_of(traits)) == dict(traits)
    except ValidationError:
        return False


class NumberField(forms.DecimalField):
    """A number of any length, typed and shown without exponent. Empty: `empty_value`."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "class": "number-input"})

    def __init__(self, *, empty_value: Decimal | None = None, **kwargs: Any) -> None:
        self.empty_value = empty_value
        super().__init__(required=False, max_digits=60, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return plain(value) if isinstance(value, Decimal) else value

    def clean(self, value: Any) -> Decimal | None:
        number: Decimal | None = super().clean(value)
        return self.empty_value if number is None else number


class ConditionsField(forms.CharField):
    """Dimensions with the texts that count, a line each: `region = eu, us`. Text with a comma or a sign of its own, or
    no text, stands in quotes, as JSON has it: `name = "Miller, Smith", ""`."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 60, "placeholder": "region = eu, us", "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        return condition_lines(value) if isinstance(value, Mapping) else value

    def to_python(self, value: Any) -> Any:
        return dict(value) if isinstance(value, Mapping) else conditions_of(str(value or ""))

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(initial or {}) != self.to_python(data))
        except ValidationError:
            return True


_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^",=]*?)\s*([,=]|\Z)')
_BARE = re.compile(r"[^\s\",=](?:[^\n\r\x00-\x1f\",=]*[^\s\",=])?")


def condition_lines(conditions: Mapping[str, Iterable[str]]) -> str:
    return "\n".join(f"{_quoted(name)} = {', '.join(map(_quoted, texts))}" for name, texts in conditions.items())


def conditions_of(text: str) -> dict[str, list[str]]:
    """The conditions that such lines say. Raises ValidationError with the number of the faulty line."""
    conditions: dict[str, list[str]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        name, *texts = _tokens(line.strip(), number)
        if name in conditions:
            raise ValidationError(f"Line {number}: {name} is there already; write all its texts in one line.")
        conditions[name] = list(dict.fromkeys(texts))
    return conditions


def _tokens(line: str, number: int) -> list[str]:
    """The dimension and its texts."""
    fault = ValidationError(f'Line {number}: write it as region = eu, us, and a text with signs in it in "quotes".')
    tokens: list[str] = []
    position, expected = 0, "="
    while True:
        match = _TOKEN.match(line, position)
        if match is None or match[2] not in (expected, "") or (match[2] == "" and not tokens):
            raise fault
        token = _unquoted(match[1], fault)
        if not is_storable(token):
            raise ValidationError(f"Line {number}: this text cannot be stored.")
        tokens.append(token)
        position, expected = match.end(), ","
        if match[2] == "":
            return tokens


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold the text: no NUL, and no half of a surrogate pair (from "\\ud800" in JSON)."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _unquoted(token: str, fault: ValidationError) -> str:
    if not token.startswith('"'):
        if not token:
            raise fault
        return token
    try:
        return str(json.loads(token))
    except ValueError:
        raise fault from None


def _quoted(text: str) -> str:
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def time_zone_choices() -> list[tuple[str, str]]:
    names = sorted(name for name in zoneinfo.available_timezones() if name not in ("localtime", "Factory"))
    return [("", f"The account's ({settings.ACCOUNT_TIME_ZONE})"), *((name, name) for name in names)]
