"""What the serializers and views of pricing share: fields, who acts, and faults of rates as pointers."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from meters.api.pagination import CursorPagination
from meters.api.serializers import DayField, Named, Strict
from meters.models import ApiKey
from pricing.models import ProductItem
from pricing.rates import RateError

# Of the query string; they are the paginator's.
PAGING = frozenset({"limit", "cursor"})
# What services say of a plan or of its version, where these are in the path and not in the body.
WHOLE: Mapping[str, tuple[str, ...]] = {"version": (), "plan": ()}


class Settable(Strict):
    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {models.DateField: DayField}

    # Refuses members that only answers have, unless they are sent back as they are: whoever sends another `status` or
    # other `rates` means something by it, and would not learn that nothing came of it.

    def to_internal_value(self, data: Any) -> Any:
        told = [name for name, field in self.fields.items() if field.read_only and isinstance(data, dict)]
        if sent := [name for name in told if name in data]:
            now = {} if self.instance is None else self.to_representation(self.instance)
            if others := [name for name in sent if name not in now or now[name] != data[name]]:
                raise serializers.ValidationError(dict.fromkeys(others, "This is not set here."))
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.STR)
class ItemByKey(Named):
    """A product item, named by the key of its meter."""

    default_error_messages = {"does_not_exist": "There is no product item of a meter with the key {value!r}."}

    def __init__(self, **kwargs: Any) -> None:
        if not kwargs.get("read_only"):
            kwargs.setdefault("queryset", ProductItem.objects.select_related("meter"))
        super().__init__(slug_field="meter__key", **kwargs)


class KeyOf(serializers.SlugRelatedField[Any]):
    """The key of what a row points at, in answers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="key", read_only=True, **kwargs)


class NewestFirst(CursorPagination):
    ordering = "-id"


class ByPosition(CursorPagination):
    """In the order of `position`; of several at one, the older first."""

    def get_ordering(self, *args: Any) -> tuple[str, ...]:
        return "position", "id"


def actor_of(request: Request) -> str:
    """Who did it, for the log: the name of the API key."""
    return request.auth.name if isinstance(request.auth, ApiKey) else ""


def activator_of(request: Request) -> str:
    """Who activated a version, as it is kept with it."""
    name = actor_of(request)
    return f"API key {name}" if name else ""


def query_of(request: Request, form: type[Strict]) -> dict[str, Any]:
    """The parameters of a list, but for those of its pages. Raises ValidationError, also for ones there are not."""
    fields = form().fields
    sent: dict[str, Any] = {}
    for name, texts in request.query_params.lists():
        if name in PAGING:
            continue
        many = isinstance(fields.get(name), serializers.ListField | serializers.ManyRelatedField)
        if len(texts) > 1 and not many:
            raise serializers.ValidationError({name: "Give it once."})
        sent[name] = texts if many else texts[0]
    query = form(data=sent)
    query.unknown = "There is no such parameter."
    query.is_valid(raise_exception=True)
    found: dict[str, Any] = query.validated_data
    return found


@contextmanager
def below(names: Mapping[str, tuple[str, ...]]) -> Iterator[None]:
    """Passes on a refusal by field with some of the fields elsewhere: `{"model": ("parameters", "model")}`.

    The place `()` is the whole request.
    """
    try:
        yield
    except ValidationError as error:
        if not hasattr(error, "error_dict"):
            raise
        moved: dict[str, Any] = {}
        for name, messages in error.message_dict.items():
            put(moved, names.get(name, () if name == "__all__" else (name,)), messages)
        raise serializers.ValidationError(moved) from error


@contextmanager
def of_the_whole() -> Iterator[None]:
    """Passes on a refusal as one of the whole request: what the path names cannot be done that with."""
    try:
        yield
    except ValidationError as error:
        raise serializers.ValidationError(error.messages) from error


@contextmanager
def rate_faults() -> Iterator[None]:
    """Turns what is wrong with a rate into pointers: `tiers[1].up_to` is at /parameters/tiers/1/up_to."""
    try:
        with below({**WHOLE, "model": ("parameters", "model")}):
            yield
    except RateError as error:
        fault: dict[str, Any] = {}
        path = ("parameters", *re.findall(r"[^.\[\]]+", error.path))
        put(fault, path, [f"{error.path or 'The rate'} {error.message}."])
        raise serializers.ValidationError(fault) from error


def put(tree: dict[str, Any], place: tuple[str, ...], messages: list[str]) -> None:
    """Adds faults to a tree of them, at their place. What has no place is of the whole request."""
    for name in place:
        tree = tree.setdefault(name, {})
    tree["non_field_errors"] = messages
