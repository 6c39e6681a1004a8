"""What the tests of the API of pricing share."""

from collections.abc import Callable
from typing import Any

from rest_framework.test import APIClient

Api = Callable[..., APIClient]
DRAFT = "/v1/plans/Basic/versions/draft"


def pointers(answer: Any) -> set[str]:
    """Where the faults of a refused request are."""
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return {error["pointer"] for error in answer.json()["errors"]}


def ok(answer: Any, status: int = 200) -> Any:
    """The answer's body, where all went well."""
    assert answer.status_code == status, answer.content
    return answer.json()
