"""`/v1/assignment-rules`: which plan a new customer gets, and what they would give those that are there."""

from typing import Any, cast

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from meters.api.examples import answered, resource_docs
from meters.api.pagination import CursorPagination
from meters.api.serializers import ByKey, Strict, TraitsField
from meters.models import Customer
from pricing.api.customer_examples import NEW_RULE, RULE, TRIED
from pricing.api.fields import ByPosition, Settable, query_of
from pricing.models import AssignmentRule, Plan
from pricing.rules import Tried, save_rule, try_rules

MAX_NAMED = 100


class RuleSerializer(Settable, serializers.ModelSerializer[AssignmentRule]):
    """Which plan a new customer gets that all of it fits."""

    plan = ByKey(queryset=Plan.objects.all())
    conditions = TraitsField(required=False, help_text="Traits that the customer must all have, with their values.")

    class Meta:
        model = AssignmentRule
        fields = ["id", "position", "plan", "customer_source", "conditions", "enabled"]

    def to_representation(self, instance: AssignmentRule) -> dict[str, Any]:
        conditions = {condition.trait: condition.value for condition in instance.conditions.all()}
        return {
            "id": instance.pk,
            "position": instance.position,
            "plan": instance.plan.key,
            "customer_source": instance.customer_source,
            "conditions": conditions,
            "enabled": instance.enabled,
        }

    def create(self, validated_data: dict[str, Any]) -> AssignmentRule:
        return save_rule(changes=validated_data)

    def update(self, instance: AssignmentRule, validated_data: dict[str, Any]) -> AssignmentRule:
        return save_rule(instance, changes=validated_data)


class TryQuery(Strict):
    customer = serializers.ListField(
        child=serializers.CharField(), required=False, max_length=MAX_NAMED, help_text="Keys; left out: all customers."
    )


TRIED_SCHEMA = inline_serializer(
    "TriedRule",
    {
        "customer": serializers.CharField(),
        "rule": serializers.IntegerField(allow_null=True, help_text="The first one that fits; null: none."),
        "plan": serializers.CharField(allow_null=True, help_text="Of the rule, or the default plan."),
        "current": serializers.ListField(child=serializers.CharField(), help_text="The plans that it is on."),
    },
    many=True,
)


@extend_schema_view(
    **resource_docs(
        "assignment_rule",
        {
            "list": "Lists assignment rules, in the order in which they are tried.",
            "retrieve": "Reads an assignment rule.",
            "create": "Creates an assignment rule. A new customer is put on the plan of the first enabled rule all of "
            "whose conditions hold, else on the default plan.",
            "update": "Changes an assignment rule; `conditions` are replaced as a whole. Customers that are on a plan "
            "stay on it.",
        },
        RULE,
        NEW_RULE,
        {"enabled": False},
    )
    | {
        "destroy": extend_schema(
            operation_id="delete_assignment_rule",
            description="Deletes an assignment rule. What it assigned stays.",
            responses={204: None},
        )
    }
)
class RuleViewSet(viewsets.ModelViewSet[AssignmentRule]):
    """Assignment rules, in their order."""

    permissions = {"try_on": "pricing.view_assignmentrule meters.view_customer pricing.view_assignment"}
    queryset = AssignmentRule.objects.select_related("plan").prefetch_related("conditions")
    serializer_class = RuleSerializer
    pagination_class = ByPosition
    lookup_value_regex = "[0-9]{1,18}"
    http_method_names = ["get", "head", "options", "post", "patch", "delete"]

    @extend_schema(
        operation_id="try_assignment_rules", parameters=[TryQuery], responses=TRIED_SCHEMA, examples=[answered(TRIED)]
    )
    @action(detail=False, methods=["get"], url_path="try", pagination_class=CursorPagination)
    def try_on(self, request: Request) -> Response:
        """Tries the rules on customers that are there, without effect: which rule fits, and which plan that is.

        A page of customers at a time, in the order in which they came.
        """
        customers: QuerySet[Customer] = Customer.objects.all()
        if (keys := query_of(request, TryQuery).get("customer")) is not None:
            customers = customers.filter(key__in=keys)
            if missing := sorted(set(keys) - set(customers.values_list("key", flat=True))):
                raise serializers.ValidationError({"customer": f"There is none with the key {missing[0]!r}."})
        page: Any = self.paginate_queryset(cast(Any, customers))
        return self.get_paginated_response([_tried_json(tried) for tried in try_rules(page)])


def _tried_json(tried: Tried) -> dict[str, Any]:
    return {
        "customer": tried.customer.key,
        "rule": tried.rule and tried.rule.pk,
        "plan": tried.plan and tried.plan.key,
        "current": [plan.key for plan in tried.current],
    }
