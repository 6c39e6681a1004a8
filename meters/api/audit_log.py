"""`GET /v1/audit-log`: who changed what, when and from where, before and after."""

from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, viewsets

from meters.aggregation import plain
from meters.api.examples import answered
from meters.api.pagination import CursorPagination
from meters.api.serializers import Strict
from meters.audit_log.reading import AuditQuery, columns_of, rows_of, tables_seen
from meters.models import ApiKey, AuditRow
from meters.staff_roles import allows

ROW = {
    "id": 1204,
    "at": "2026-11-23T09:12:40.018233Z",
    "action": "update",
    "table": "pricing_plan",
    "object": "5",
    "label": "AwesomeIntegrationApi",
    "owner": {"table": "pricing_plan", "object": "5"},
    "before": {"name": "Awesome"},
    "after": {"name": "Awesome Integration API"},
    "actor": {"kind": "staff", "id": "3", "name": "anna"},
    "address": "203.0.113.7",
    "request_id": "6f1c1a521a554f2e9a0a2f5f6e7d8c9b",
    "transaction": 88120,
    "position": 1187,
    "hash": "9f2b6c0de5a1f7c8b3d4e6a7081923456789abcdef0123456789abcdef012345",
}
VALUES = {"type": "object", "additionalProperties": {}, "nullable": True}


class NewestFirst(CursorPagination):
    def get_ordering(self, *args: Any) -> tuple[str, ...]:
        return "-at", "-id"


class OwnerSerializer(serializers.Serializer[AuditRow]):
    table = serializers.CharField(source="owner_table")
    object = serializers.CharField(source="owner_id")


class ActorSerializer(serializers.Serializer[AuditRow]):
    kind = serializers.CharField(source="who_kind")
    id = serializers.CharField(source="who_id")
    name = serializers.CharField(source="who_name")


class AuditRowSerializer(serializers.ModelSerializer[AuditRow]):
    """A row of a table that was added, changed or removed."""

    at = serializers.DateTimeField(default_timezone=UTC, help_text="By the clock of the database.")
    table = serializers.CharField(source="table_name")
    object = serializers.CharField(source="object_id", help_text="The id of the row.")
    owner = OwnerSerializer(source="*", help_text="What it belongs to; itself, where that is nothing.")
    before = serializers.SerializerMethodField(
        help_text="Of a change the columns that changed, else all that have a value. Secrets are never told."
    )
    after = serializers.SerializerMethodField()
    actor = ActorSerializer(source="*")
    transaction = serializers.IntegerField(help_text="The same for all that was changed at once.")
    position = serializers.IntegerField(allow_null=True, help_text="Its place in the chain; null: not sealed yet.")
    hash = serializers.SerializerMethodField(help_text="SHA-256 of the chain up to it, in hexadecimal.")

    class Meta:
        model = AuditRow
        fields = [
            *("id", "at", "action", "table", "object", "label", "owner", "before", "after"),
            *("actor", "address", "request_id", "transaction", "position", "hash"),
        ]
        extra_kwargs = {"label": {"help_text": "What people knew it by."}}

    @extend_schema_field(VALUES)
    def get_before(self, row: AuditRow) -> dict[str, Any] | None:
        return _values(row.table_name, row.before)

    @extend_schema_field(VALUES)
    def get_after(self, row: AuditRow) -> dict[str, Any] | None:
        return _values(row.table_name, row.after)

    @extend_schema_field({"type": "string", "nullable": True})
    def get_hash(self, row: AuditRow) -> str | None:
        return bytes(row.hash).hex() if row.hash is not None else None


class AuditQuerySerializer(Strict):
    table = serializers.CharField(required=False, max_length=63)
    object = serializers.CharField(required=False, max_length=200, help_text="The id of the row; needs `table`.")
    actor = serializers.CharField(required=False, max_length=200, help_text="The whole name.")
    request_id = serializers.CharField(required=False, max_length=64)
    to = serializers.DateTimeField(required=False, default_timezone=UTC, help_text="Not included.")

    unknown = "There is no such parameter."

    def get_fields(self) -> Any:
        # `from` is a word of the language, so it cannot be an attribute.
        return super().get_fields() | {"from": serializers.DateTimeField(required=False, default_timezone=UTC)}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "object" in attrs and "table" not in attrs:
            raise serializers.ValidationError({"table": "Say which table the object is a row of."})
        return attrs


@extend_schema_view(
    list=extend_schema(
        operation_id="list_audit_log",
        description="Lists who changed what, when and from where, the newest first. Of things that the role of the API "
        "key may not see it has nothing.",
        parameters=[AuditQuerySerializer],
        examples=[answered(ROW)],
    )
)
class AuditLogViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[AuditRow]):
    """The audit log."""

    queryset = AuditRow.objects.all()
    serializer_class = AuditRowSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[AuditRow]:
        asked = {name: text for name, text in self.request.query_params.items() if name not in ("limit", "cursor")}
        query = AuditQuerySerializer(data=asked)
        query.is_valid(raise_exception=True)
        data: Mapping[str, Any] = query.validated_data
        key = self.request.auth
        assert isinstance(key, ApiKey)
        return rows_of(
            AuditQuery(
                table=data.get("table", ""),
                object_id=data.get("object", ""),
                who=data.get("actor", ""),
                request_id=data.get("request_id", ""),
                start=data.get("from"),
                end=data.get("to"),
            ),
            seen=tables_seen(lambda permission: allows(key.role, permission)),
        )


def _values(table: str, values: dict[str, Any] | None) -> dict[str, Any] | None:
    """Numbers are decimal text; ids and counts are not numbers of that kind."""
    if values is None:
        return None
    columns = columns_of(table)
    return {name: _value(columns.get(name), value) for name, value in values.items()}


def _value(field: "models.Field[Any, Any] | None", value: Any) -> Any:
    return plain(Decimal(value)) if isinstance(field, models.DecimalField) and value is not None else value
