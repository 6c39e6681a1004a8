"""`/v1/billing-policy` and `/v1/plans/{key}/billing`: grace, days of payment, approval, numbers, late usage."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from invoices.api.policy_examples import PLAN_POLICY, POLICY
from invoices.models import BillingPolicy, PlanPolicy
from invoices.policy import billing_policy
from invoices.policy_changes import next_numbers, set_billing_policy, set_plan_policy
from meters.api.examples import answered, asked
from meters.api.serializers import NumberField
from pricing.api.fields import Settable
from pricing.models import Plan

KEY = OpenApiParameter("key", str, OpenApiParameter.PATH, description="The plan's.")


class BillingPolicySerializer(Settable, serializers.ModelSerializer[BillingPolicy]):
    """How the account bills."""

    late_ignored_below = NumberField(
        required=False,
        help_text="A period's corrections that come to less than this, either way, wait until they are more.",
    )
    next_invoice_number = serializers.SerializerMethodField(help_text="By the policy and the time of the answer.")
    next_credit_note_number = serializers.SerializerMethodField()

    class Meta:
        model = BillingPolicy
        fields = [
            "grace_hours",
            "payment_days",
            "needs_approval",
            "invoice_numbers",
            "credit_note_numbers",
            "late_usage",
            "late_ignored_below",
            "seller_name",
            "seller_address",
            "seller_tax_id",
            "paper_footer",
            "next_invoice_number",
            "next_credit_note_number",
        ]

    def get_next_invoice_number(self, policy: BillingPolicy) -> str:
        return self._next(policy)["invoice_numbers"]

    def get_next_credit_note_number(self, policy: BillingPolicy) -> str:
        return self._next(policy)["credit_note_numbers"]

    def _next(self, policy: BillingPolicy) -> dict[str, str]:
        patterns = {name: getattr(policy, name) for name in ("invoice_numbers", "credit_note_numbers")}
        return next_numbers(patterns, timezone.now())


class PlanPolicySerializer(Settable, serializers.ModelSerializer[PlanPolicy]):
    """What a plan has in place of the account's policy. Null: as the account."""

    class Meta:
        model = PlanPolicy
        fields = ["grace_hours", "payment_days", "needs_approval"]


class BillingPolicyView(APIView):
    """How the account bills."""

    permissions = {"GET": "invoices.view_billingpolicy", "PATCH": "invoices.change_billingpolicy"}

    @extend_schema(operation_id="get_billing_policy", responses=BillingPolicySerializer, examples=[answered(POLICY)])
    def get(self, request: Request) -> Response:
        """Reads how the account bills: grace time, days of payment, approval, numbers, what becomes of late usage."""
        return Response(_policy_json())

    @extend_schema(
        operation_id="update_billing_policy",
        request=BillingPolicySerializer(partial=True),
        responses=BillingPolicySerializer,
        examples=[asked({"payment_days": 30}), answered(POLICY | {"payment_days": 30})],
    )
    def patch(self, request: Request) -> Response:
        """Changes how the account bills. Fields that are not sent stay as they are.

        The grace time counts for invoices that are opened, or whose period is moved, from now on; numbers, days of
        payment and what is printed of the seller for those that become final from now on; approval for all that are
        not final.
        """
        form = BillingPolicySerializer(billing_policy(), data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        set_billing_policy(changes=form.validated_data, now=timezone.now())
        return Response(_policy_json())


class PlanPolicyView(APIView):
    """What a plan has in place of the account's policy."""

    permissions = {"GET": "invoices.view_billingpolicy", "PATCH": "invoices.change_billingpolicy"}

    @extend_schema(
        operation_id="get_plan_billing",
        parameters=[KEY],
        responses=PlanPolicySerializer,
        examples=[answered(PLAN_POLICY)],
    )
    def get(self, request: Request, key: str) -> Response:
        """Reads what a plan has in place of the account's billing policy."""
        return Response(PlanPolicySerializer(_plan_policy(get_object_or_404(Plan, key=key))).data)

    @extend_schema(
        operation_id="update_plan_billing",
        parameters=[KEY],
        request=PlanPolicySerializer(partial=True),
        responses=PlanPolicySerializer,
        examples=[asked({"grace_hours": 72, "payment_days": 30}), answered(PLAN_POLICY)],
    )
    def patch(self, request: Request, key: str) -> Response:
        """Changes what a plan has in place of the account's billing policy. Null: as the account.

        It is of this plan alone: private plans that were made of it have their own. From when on it counts is as with
        the account's.
        """
        plan = get_object_or_404(Plan, key=key)
        form = PlanPolicySerializer(_plan_policy(plan), data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        return Response(PlanPolicySerializer(set_plan_policy(plan, changes=form.validated_data)).data)


def _plan_policy(plan: Plan) -> PlanPolicy:
    return PlanPolicy.objects.filter(plan=plan).first() or PlanPolicy(plan=plan)


def _policy_json() -> Any:
    return BillingPolicySerializer(billing_policy()).data
