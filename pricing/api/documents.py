"""`/v1/plans/{key}/document`: a plan as one document, in JSON or YAML, for prices under version control."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from meters.api.bodies import BoundedJSONParser, declared_length
from meters.api.examples import answered, asked
from meters.api.negotiation import Negotiation
from meters.api.problems import Problem
from meters.api.serializers import Strict
from pricing.api.examples import APPLIED_DOCUMENT, DOCUMENT
from pricing.api.fields import WHOLE, activator_of, put, query_of
from pricing.api.plan_serializers import VersionSerializer
from pricing.api.versions import DIFFERENCE, KEY, VERSIONS, difference_json
from pricing.document_text import DocumentFault, read_text, write_text
from pricing.documents import apply_plan, export_plan
from pricing.models import Plan

YAML = "application/yaml"
# Reading YAML takes time: this much of it up to five seconds, JSON of the same length a moment.
MAX_YAML = 128 * 1024


class YamlParser(BaseParser):
    media_type = YAML

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        if declared_length(parser_context["request"]) > MAX_YAML:
            raise Problem(413, "too_large", f"The document is larger than {MAX_YAML:,} bytes; nothing was done.")
        try:
            return read_text(stream.read().decode(), "yaml")
        except (DocumentFault, UnicodeDecodeError) as error:
            raise ParseError(f"The body is no YAML that can be read: {error}") from error


class YamlRenderer(JSONRenderer):
    """Stands for YAML where the answer's type is chosen. What it renders are problem documents, which stay JSON."""

    media_type = YAML


class ApplyQuery(Strict):
    activate = serializers.BooleanField(default=False, help_text="Activate the new version at once.")
    moves_existing = serializers.BooleanField(
        default=True, help_text="With `activate`: whether customers on the plan get it with their next period."
    )
    dry_run = serializers.BooleanField(default=False, help_text="Only say what would change.")


class NoQuery(Strict):
    """Exporting has no parameters."""


class PlanDocumentView(APIView):
    """A plan as one document."""

    permissions = {"GET": "pricing.view_plan", "POST": "pricing.add_plan pricing.change_plan"}
    content_negotiation_class = Negotiation
    parser_classes = [BoundedJSONParser, YamlParser]
    renderer_classes = [JSONRenderer, YamlRenderer]

    @extend_schema(
        operation_id="export_plan",
        parameters=[KEY],
        responses={(200, "application/json"): OpenApiTypes.OBJECT, (200, YAML): OpenApiTypes.STR},
        examples=[
            OpenApiExample("JSON", DOCUMENT, response_only=True, media_type="application/json"),
            OpenApiExample("YAML", write_text(DOCUMENT, "yaml"), response_only=True, media_type=YAML),
        ],
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        """Exports a plan as one document: its names, and the terms, rates and fees of its active version.

        Of a plan that was never active it is the draft; of a private plan what is the customer's own. With `Accept:
        application/yaml` it comes as YAML.
        """
        query_of(request, NoQuery)
        document = export_plan(get_object_or_404(Plan, key=key))
        if request.accepted_media_type == YAML:
            return HttpResponse(write_text(document, "yaml"), content_type=YAML)
        return Response(document)

    @extend_schema(
        operation_id="apply_plan",
        parameters=[KEY, ApplyQuery],
        request={"application/json": OpenApiTypes.OBJECT, YAML: OpenApiTypes.STR},
        responses=inline_serializer(
            "AppliedPlan",
            {
                "dry_run": serializers.BooleanField(),
                "differences": DIFFERENCE,
                "version": VersionSerializer(allow_null=True),
            },
        ),
        examples=[asked(DOCUMENT, "A document"), answered(APPLIED_DOCUMENT)],
    )
    def post(self, request: Request, key: str) -> Response:
        """Makes a plan what a document says, in JSON or YAML; and the plan itself, if there is none with that key.

        What is new becomes the plan's draft, in place of what the draft said, and with `activate` its active version.
        Answers with what changes against the active version. Where nothing does, nothing is done.
        """
        choice = query_of(request, ApplyQuery)
        document = _document(request.data, key)
        with _faults():
            applied = apply_plan(document, **choice, actor=activator_of(request))
        version = applied.version and VERSIONS.get(pk=applied.version.pk)
        return Response(
            {
                "dry_run": choice["dry_run"],
                "differences": [difference_json(one) for one in applied.differences],
                "version": version and VersionSerializer(version).data,
            }
        )


def _document(sent: Any, key: str) -> dict[str, Any]:
    if not isinstance(sent, dict) or not sent:
        # An empty one would empty the plan.
        raise serializers.ValidationError("The document must be an object, and not an empty one.")
    document = {"key": key} | sent
    if document["key"] != key:
        raise serializers.ValidationError({"key": f"The address is that of the plan {key!r}."})
    return document


@contextmanager
def _faults() -> Iterator[None]:
    """Turns paths into pointers: `rates[0].parameters.tiers[1].up_to` is at /rates/0/parameters/tiers/1/up_to."""
    try:
        yield
    except ValidationError as error:
        faults: dict[str, Any] = {}
        for path, messages in error.message_dict.items():
            put(faults, WHOLE.get(path, tuple(re.findall(r"[^.\[\]]+", path))), messages)
        raise serializers.ValidationError(faults) from error
