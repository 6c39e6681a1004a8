"""Lists page by cursor: stable while rows come in, and as fast on the last page as on the first."""

from typing import Any

from rest_framework import pagination
from rest_framework.response import Response


class CursorPagination(pagination.CursorPagination):
    """`{"data": [...], "next": url or null}`; the page size is `limit`, at most 100."""

    page_size = 25
    page_size_query_param = "limit"
    max_page_size = 100
    ordering = "id"

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "next": self.get_next_link(), "previous": self.get_previous_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        properties = {"data": schema, "next": link, "previous": link}
        return {"type": "object", "required": ["data", "next", "previous"], "properties": properties}
