"""`/v1/plans/{key}/versions`: what a plan costs from one activation to the next. Only the draft can be changed."""

from typing import Any

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
    inline_serializer,
)
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from meters.api.examples import answered, asked
from meters.api.pagination import CursorPagination
from meters.api.problems import Problem
from meters.api.serializers import Strict
from pricing.api.examples import DIFFERENCES, DRAFT, TERMS, VERSION
from pricing.api.fields import of_the_whole, query_of
from pricing.api.plan_serializers import VersionSerializer
from pricing.differences import Difference, differences
from pricing.models import Fee, Plan, PlanVersion, Rate
from pricing.plans import discard_draft, draft_version
from pricing.private_plans import drop_own_terms

RATES = Rate.objects.select_related("product_item__meter", "plan_version__plan")
VERSIONS = PlanVersion.objects.select_related("plan").prefetch_related(
    Prefetch("rates", queryset=RATES), Prefetch("fees", queryset=Fee.objects.order_by("id"))
)
KEY = OpenApiParameter("key", str, OpenApiParameter.PATH, description="Of the plan.")
NAME = OpenApiParameter(
    "version",
    str,
    OpenApiParameter.PATH,
    description="Its number, `draft` or `active`. One that is no draft refuses changes: 409 `version_frozen`.",
)
DRAFT_NAME = "draft"


class NewestVersionFirst(CursorPagination):
    ordering = "-number"


class PlanVersionMixin:
    """Finds the version that a path names. Views use it for what is inside of a version too."""

    kwargs: dict[str, Any]

    def get_plan(self) -> Plan:
        return get_object_or_404(Plan, key=self.kwargs["key"])

    def get_version(self, name: str | None = None) -> PlanVersion:
        """The version of that number, the draft or the active one. Raises NotFound."""
        name = self.kwargs["version"] if name is None else name
        versions = VERSIONS.filter(plan__key=self.kwargs["key"])
        if name in (DRAFT_NAME, "active"):
            found = versions.filter(status=name).first()
        else:
            found = versions.filter(number=int(name)).first() if name.isascii() and name.isdigit() else None
        if found is None:
            raise NotFound(f"This plan has no version {name!r}.")
        return found

    def get_draft(self) -> PlanVersion:
        """The version of the path, where it can be changed. Raises NotFound, and a Problem, 409, where it is frozen."""
        return self._changeable(self.get_version())

    def begin_draft(self) -> PlanVersion:
        """The same; a draft that there is not yet is begun."""
        if self.kwargs["version"] != DRAFT_NAME:
            return self.get_draft()
        return VERSIONS.get(pk=draft_version(self.get_plan()).pk)

    def _changeable(self, version: PlanVersion) -> PlanVersion:
        if not version.is_draft:
            detail = f"Version {version.number} is frozen. Change the draft: writing to the version 'draft' begins one."
            raise Problem(409, "version_frozen", detail)
        return version


class DifferencesQuery(Strict):
    against = serializers.CharField(
        required=False,
        help_text="A number, `draft` or `active`. Without it: the active version for a draft, else the one before.",
    )


class DropTermsSerializer(Strict):
    """Which of a private plan's own terms to give up."""

    terms = serializers.ListField(
        child=serializers.ChoiceField(PlanVersion.TERMS), default=list, help_text="Empty: all that are its own."
    )


DIFFERENCE = inline_serializer(
    "PlanDifference",
    {
        "kind": serializers.ChoiceField(["added", "removed", "changed"]),
        "subject": serializers.CharField(),
        "before": serializers.ListField(child=serializers.CharField()),
        "after": serializers.ListField(child=serializers.CharField()),
    },
    many=True,
)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_plan_versions",
        description="Lists the versions of a plan, newest first.",
        parameters=[KEY],
        examples=[answered(VERSION)],
    ),
    retrieve=extend_schema(
        operation_id="get_plan_version",
        description="Reads a version: its terms, rates and fees.",
        parameters=[KEY, NAME],
        examples=[answered(VERSION)],
    ),
)
class VersionViewSet(PlanVersionMixin, mixins.ListModelMixin, viewsets.GenericViewSet[PlanVersion]):
    """The versions of a plan, newest first."""

    permissions = {
        "list": "pricing.view_plan",
        "retrieve": "pricing.view_plan",
        "differences": "pricing.view_plan",
        "create": "pricing.change_plan",
        "partial_update": "pricing.change_plan",
        "destroy": "pricing.change_plan",
        "drop_terms": "pricing.change_plan",
    }
    queryset = VERSIONS
    serializer_class = VersionSerializer
    pagination_class = NewestVersionFirst

    def get_queryset(self) -> QuerySet[PlanVersion]:
        return VERSIONS.filter(plan=self.get_plan())

    @extend_schema(
        operation_id="create_plan_version",
        request=None,
        parameters=[KEY],
        responses={
            200: OpenApiResponse(VersionSerializer, "There was a draft already."),
            201: OpenApiResponse(VersionSerializer, "Begun."),
        },
        examples=[answered(DRAFT), answered(DRAFT, "201")],
    )
    def create(self, request: Request, **_: Any) -> Response:
        """Begins a new version: a draft with the prices and terms of the newest one.

        Where there is a draft already, it is the answer.
        """
        with transaction.atomic():
            plan = get_object_or_404(Plan.objects.select_for_update(), key=self.kwargs["key"])
            is_new = not plan.versions.filter(status=PlanVersion.Status.DRAFT).exists()
            draft = draft_version(plan)
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(self._json(draft), code)

    def retrieve(self, request: Request, **_: Any) -> Response:
        return Response(self.get_serializer(self.get_version()).data)

    @extend_schema(
        operation_id="update_plan_version", parameters=[KEY, NAME], examples=[asked(TERMS), answered(DRAFT | TERMS)]
    )
    @transaction.atomic
    def partial_update(self, request: Request, **_: Any) -> Response:
        """Changes the terms of a draft: currency, interval, trial, minimum, commitment.

        Fields that are not sent stay as they are. `draft` is begun where there is none. In a private plan a changed
        term is the customer's own from then on.
        """
        draft = self.begin_draft()
        form = self.get_serializer(draft, data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        form.save()
        return Response(self._json(draft))

    @extend_schema(operation_id="discard_plan_version", parameters=[KEY, NAME], responses={204: None})
    def destroy(self, request: Request, **_: Any) -> Response:
        """Throws a draft away. What customers have stays as it is."""
        draft = self.get_draft()
        with of_the_whole():
            discard_draft(draft.plan)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="drop_term_overrides",
        parameters=[KEY, NAME],
        request=DropTermsSerializer,
        examples=[asked({"terms": ["minimum"]}), answered(DRAFT)],
    )
    def drop_terms(self, request: Request, **_: Any) -> Response:
        """Gives up the customer's own terms in the draft of a private plan for those of the base plan.

        Terms that belong together go together: interval with alignment, minimum with commitment.
        """
        form = DropTermsSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        with of_the_whole():
            draft = drop_own_terms(self.get_draft(), *form.validated_data["terms"])
        return Response(self._json(draft))

    @extend_schema(
        operation_id="get_plan_differences",
        parameters=[KEY, NAME, DifferencesQuery],
        responses=inline_serializer(
            "PlanDifferences",
            {
                "from": serializers.IntegerField(allow_null=True, help_text="The number of the version compared with."),
                "to": serializers.IntegerField(),
                "differences": DIFFERENCE,
            },
        ),
        examples=[answered(DIFFERENCES)],
    )
    def differences(self, request: Request, **_: Any) -> Response:
        """Tells what a version changes against another one, in words."""
        after = self.get_version()
        against = query_of(request, DifferencesQuery).get("against")
        before = self._one_before(after) if against is None else self.get_version(against)
        found = [difference_json(one) for one in differences(before, after)]
        return Response({"from": before and before.number, "to": after.number, "differences": found})

    def _one_before(self, version: PlanVersion) -> PlanVersion | None:
        earlier = VERSIONS.filter(plan=version.plan, number__lt=version.number).order_by("-number")
        if version.is_draft:
            earlier = earlier.filter(status=PlanVersion.Status.ACTIVE)
        return earlier.first()

    def _json(self, version: PlanVersion) -> Any:
        return self.get_serializer(VERSIONS.get(pk=version.pk)).data


def difference_json(one: Difference) -> dict[str, Any]:
    return {"kind": str(one.kind), "subject": one.subject, "before": list(one.before), "after": list(one.after)}
