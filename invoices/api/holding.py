"""`POST /v1/invoices/{id}/hold`, `/release`, `/approve`, `/finalize`: what is done to invoices that are not final."""

from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from invoices import holding
from invoices.api.examples import INVOICE
from invoices.models import Invoice
from meters.api.examples import answered, asked
from meters.api.serializers import Strict
from pricing.api.fields import actor_of

if TYPE_CHECKING:
    from rest_framework.viewsets import GenericViewSet

    _Base = GenericViewSet[Invoice]
else:
    _Base = object

HELD = INVOICE | {"held_at": "2026-11-22T14:30:00Z", "hold_reason": "The customer asked about a price."}
IN_GRACE = INVOICE | {"status": "grace"}
FINAL = INVOICE | {
    "status": "final",
    "number": "2026-0001",
    "due_on": "2026-12-15",
    "finalized_at": "2026-12-01T08:00:00Z",
}


class HoldSerializer(Strict):
    reason = serializers.CharField(max_length=holding.LONGEST_REASON, help_text="For staff; customers do not see it.")


class HoldingActions(_Base):
    """Joined to the view set of invoices."""

    @extend_schema(
        operation_id="hold_invoice",
        request=HoldSerializer,
        examples=[asked({"reason": "The customer asked about a price."}), answered(HELD)],
    )
    @action(detail=True, methods=["post"])
    def hold(self, request: Request, **_: Any) -> Response:
        """Keeps an invoice from becoming final until it is released. It goes on following usage.

        Holding it again changes the reason.
        """
        form = HoldSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        return self._answer(holding.hold(self.get_object().pk, **form.validated_data, actor=actor_of(request)))

    @extend_schema(operation_id="release_invoice", request=None, examples=[answered(INVOICE)])
    @action(detail=True, methods=["post"])
    def release(self, request: Request, **_: Any) -> Response:
        """Lets a held invoice go on. Where its grace time is over already, it becomes final within seconds."""
        return self._answer(holding.release(self.get_object().pk, actor=actor_of(request)))

    @extend_schema(
        operation_id="approve_invoice",
        request=None,
        examples=[answered(IN_GRACE | {"approved_at": "2026-12-01T08:00:00Z"})],
    )
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, **_: Any) -> Response:
        """Approves an invoice whose period is over, where the policy asks for that: it becomes final when its grace
        time is over, or within seconds where it is already.
        """
        return self._answer(holding.approve(self.get_object().pk, actor=actor_of(request)))

    @extend_schema(operation_id="finalize_invoice", request=None, examples=[answered(FINAL)])
    @action(detail=True, methods=["post"])
    def finalize(self, request: Request, **_: Any) -> Response:
        """Makes an invoice final before its grace time is over. Usage of its period that comes in later is late.

        Its period must be over, and it is neither held nor waiting for approval.
        """
        return self._answer(holding.finalize_now(self.get_object().pk, actor=actor_of(request)))

    def _answer(self, invoice: Invoice) -> Response:
        """As it is now, with its lines."""
        return Response(self.get_serializer(self.get_queryset().get(pk=invoice.pk)).data)
