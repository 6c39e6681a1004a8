"""Model fields that Django does not have."""

from typing import Any

from django.db import models


class NumericField(models.DecimalField):  # type: ignore[type-arg]
    """PostgreSQL's `numeric` without a fixed scale: what was sent is what is stored, to the last digit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 60)
        kwargs.setdefault("decimal_places", 20)
        super().__init__(*args, **kwargs)

    def db_type(self, connection: Any) -> str:
        return "numeric"
