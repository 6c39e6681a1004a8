"""Lists page by cursor: stable while rows come in, and as fast on the last page as on the first."""

from typing import Any

from rest_framework import pagination
from rest_framework.exceptions import NotFound
from rest_framework.response import Response


class CursorPagination(pagination.CursorPagination):
    """`{"data": [...], "next": url or null}`; the page size is `limit`, at most 100."""

    page_size = 25
    page_size_query_param = "limit"
    max_page_size = 100
    ordering = "id"

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> Any:
        try:
            return super().paginate_queryset(queryset, request, view)
        except ValueError as error:
            raise NotFound("This cursor is not one of ours.") from error

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "next": self.get_next_link(), "previous": self.get_previous_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        following = link | {"example": "https://billing.example/v1/meters?cursor=cD0yNQ%3D%3D"}
        properties = {"data": schema, "next": following, "previous": link | {"example": None}}
        return {"type": "object", "required": ["data", "next", "previous"], "properties": properties}
