"""What tests of staff pages say again and again."""

from typing import Any


def text(response: Any) -> str:
    return str(response.content.decode())


def words(response: Any) -> str:
    """The page with every run of blanks and line ends as one blank."""
    return " ".join(text(response).split())


def faults(response: Any, form: str = "form") -> dict[str, list[str]]:
    """What the page's form refuses, by field."""
    assert response.status_code == 200, response.status_code
    found = response.context[form]
    return {name: list(errors) for name, errors in getattr(found, "form", found).errors.items()}
