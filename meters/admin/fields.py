"""Form fields in which staff type what is stored as JSON or as an array."""

import zoneinfo
from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError


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


def time_zone_choices() -> list[tuple[str, str]]:
    names = sorted(name for name in zoneinfo.available_timezones() if name not in ("localtime", "Factory"))
    return [("", f"The account's ({settings.ACCOUNT_TIME_ZONE})"), *((name, name) for name in names)]
