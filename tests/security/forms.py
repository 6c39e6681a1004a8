"""The forms of a page, as a browser would send them."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

TYPED = {"text", "number", "email", "url", "search", "tel", "date", "time", "datetime-local", "textarea", "password"}


@dataclass(slots=True)
class Field:
    name: str
    kind: str
    value: str = ""
    is_on: bool = True
    choices: list[str] = field(default_factory=list)
    is_number: bool = False

    @property
    def is_typed(self) -> bool:
        return self.kind in TYPED


@dataclass(slots=True)
class Form:
    action: str
    method: str
    fields: list[Field] = field(default_factory=list)

    def data(self) -> dict[str, Any]:
        """What is sent when nothing is typed: of several with one name the list of their values."""
        found: dict[str, Any] = {}
        for one in self.fields:
            if one.is_on and one.name and one.kind not in ("file", "button", "reset", "submit"):
                found[one.name] = [*found.get(one.name, []), one.value]
        submit = next((one for one in self.fields if one.kind == "submit" and one.name), None)
        if submit is not None:
            found[submit.name] = [submit.value]
        found.pop("csrfmiddlewaretoken", None)
        return found

    @property
    def names(self) -> set[str]:
        return {one.name for one in self.fields}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select: Field | None = None
        self._area: Field | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(own.get("action", ""), own.get("method", "get").lower())
            self.forms.append(self._form)
        if self._form is None or "disabled" in own:
            return
        name = own.get("name", "")
        if tag in ("input", "button"):
            kind = own.get("type", "text" if tag == "input" else "submit").lower()
            is_on = kind not in ("checkbox", "radio") or "checked" in own
            value = own.get("value", "on" if kind in ("checkbox", "radio") else "")
            is_number = kind == "number" or own.get("inputmode") in ("decimal", "numeric")
            self._form.fields.append(Field(name, kind, value, is_on, is_number=is_number))
        elif tag == "textarea":
            self._area = Field(name, "textarea")
            self._form.fields.append(self._area)
        elif tag == "select":
            self._select = Field(name, "select", is_on="multiple" not in own)
            self._form.fields.append(self._select)
        elif tag == "option" and self._select is not None:
            self._select.choices.append(own.get("value", ""))
            if "selected" in own or len(self._select.choices) == 1:
                self._select.value = own.get("value", "")
                self._select.is_on = self._select.is_on or "selected" in own

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area.value += data.removeprefix("\n") if not self._area.value else data


def forms_of(page: str) -> list[Form]:
    reader = _Reader()
    # What is around them is most of a page.
    for form in re.findall(r"<form\b.*?</form>", page, re.DOTALL):
        reader.feed(form)
    return reader.forms
