"""`/v1/credits` and what belongs to it: prepaid money of customers, its ledger, and when it is low."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from invoices.api.credit_examples import BALANCE, CREDIT, ENTRY, NEW_CREDIT, NEW_RULE, RULE, VOIDED
from invoices.models import CreditEntry, CreditGrant, CreditRule, Invoice
from invoices.prepaid.balances import balances_of, previews_of, with_left
from invoices.prepaid.credits import grant_credits, void_grant
from invoices.prepaid.rules import drop_credit_rule, set_credit_rule
from meters.api.auth import customer_of, require_customer
from meters.api.examples import answered, asked
from meters.api.serializers import ByKey, NumberField, Strict
from meters.models import Customer
from pricing.api.fields import ItemByKey, KeyOf, NewestFirst, Settable, actor_of, of_the_whole, query_of
from pricing.money import amount_text

# What is for the vendor's own people, and not in answers to a key of one customer.
INTERNAL = ("actor", "note")


class _Shown(serializers.ModelSerializer[Any]):
    # Amounts are written with the decimals of their currency.

    def to_representation(self, instance: Any) -> Any:
        shown = super().to_representation(instance)
        request = self.context.get("request")
        if request is not None and customer_of(request) is not None:
            for name in INTERNAL:
                shown.pop(name, None)
        return shown


class CreditSerializer(_Shown):
    """A grant of prepaid money. What is left of it is the sum of its entries."""

    customer = KeyOf()
    amount = serializers.SerializerMethodField(help_text="What was granted.")
    left = serializers.SerializerMethodField(help_text="What is left of it, good now or not.")
    price_paid = serializers.SerializerMethodField(help_text="What the customer paid for it, in the same currency.")
    product_items = ItemByKey(many=True, read_only=True)
    actor = serializers.CharField(help_text="Who granted it; not in answers to a key of one customer.")

    class Meta:
        model = CreditGrant
        fields = [
            "id",
            "customer",
            "name",
            "currency",
            "amount",
            "left",
            "price_paid",
            "priority",
            "starts_at",
            "expires_at",
            "product_items",
            "source",
            "reference",
            "voided_at",
            "actor",
            "created_at",
        ]

    def get_amount(self, grant: CreditGrant) -> str:
        return amount_text(grant.amount, grant.currency)

    def get_left(self, grant: Any) -> str:
        return amount_text(grant.left, grant.currency)

    def get_price_paid(self, grant: CreditGrant) -> str:
        return amount_text(grant.price_paid, grant.currency)


class NewCreditSerializer(Strict):
    """Prepaid money for a customer. Amounts are in whole minor units of the currency."""

    customer = ByKey(queryset=Customer.objects.all())
    name = serializers.CharField(max_length=200, help_text="What the customer reads.")
    currency = serializers.CharField(max_length=3)
    amount = NumberField()
    price_paid = NumberField(required=False, help_text="What the customer paid for it; left out: nothing.")
    priority = serializers.IntegerField(
        required=False, min_value=0, max_value=32767, help_text="The lowest is drawn first; left out: 50."
    )
    starts_at = serializers.DateTimeField(required=False, help_text="Left out: now.")
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="From this moment on it is no longer good; left out: for ever good."
    )
    product_items = ItemByKey(
        many=True,
        required=False,
        help_text="It pays for no more than these, named by the keys of their meters; none: for everything.",
    )
    reference = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        help_text="Your own id of it, unique to the customer: sent again it grants nothing more.",
    )

    def get_fields(self) -> dict[str, Any]:
        sources = [CreditGrant.Source.API.value, CreditGrant.Source.TOP_UP.value]
        # A field of this name would hide an attribute of serializers.
        return super().get_fields() | {"source": serializers.ChoiceField(sources, default=sources[0])}


class VoidCreditSerializer(Strict):
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, help_text="Kept in the ledger.")


class CreditQuery(Strict):
    customer = ByKey(queryset=Customer.objects.all(), required=False)
    currency = serializers.CharField(max_length=3, required=False)
    reference = serializers.CharField(max_length=200, required=False)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_credits",
        description="Lists grants of prepaid credit, newest first.",
        parameters=[CreditQuery],
        examples=[answered(CREDIT)],
    ),
    retrieve=extend_schema(
        operation_id="get_credit", description="Reads a grant, with what is left of it.", examples=[answered(CREDIT)]
    ),
)
class CreditViewSet(mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[CreditGrant]):
    """Prepaid credit of customers, in grants."""

    permissions = {"void": "invoices.change_creditgrant"}
    queryset = CreditGrant.objects.all()
    serializer_class = CreditSerializer
    pagination_class = NewestFirst
    lookup_value_regex = "[0-9]{1,18}"
    customer_keys = {"list", "retrieve"}

    def get_queryset(self) -> QuerySet[CreditGrant]:
        grants = with_left(super().get_queryset()).select_related("customer")
        shown = grants.prefetch_related("product_items__meter")
        found: QuerySet[CreditGrant] = _own(self.request, shown, CreditQuery, self.action)
        return found

    @extend_schema(
        operation_id="create_credit",
        request=NewCreditSerializer,
        responses={201: CreditSerializer, 200: CreditSerializer},
        examples=[asked(NEW_CREDIT), answered(CREDIT, "201"), answered(CREDIT, "200", "Granted before")],
    )
    def create(self, request: Request, **_: Any) -> Response:
        """Grants a customer credit, which pays invoices when they become final.

        With a `reference` that was granted before it answers 200 with that grant, and grants nothing.
        """
        form = NewCreditSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        grant, is_new = grant_credits(**form.validated_data, actor=actor_of(request))
        return self._answer(grant, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)

    @extend_schema(
        operation_id="void_credit",
        request=VoidCreditSerializer,
        examples=[asked({"reason": "Paid back"}), answered(VOIDED)],
    )
    @action(detail=True, methods=["post"])
    def void(self, request: Request, **_: Any) -> Response:
        """Takes back what is left of a grant. What it has paid stays paid."""
        form = VoidCreditSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        with of_the_whole():
            grant = void_grant(self.get_object(), **form.validated_data, actor=actor_of(request))
        return self._answer(grant, status.HTTP_200_OK)

    def _answer(self, grant: CreditGrant, code: int) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=grant.pk)).data, code)


class EntrySerializer(_Shown):
    """A movement of a grant. The entries of a grant sum to what is left of it."""

    customer = serializers.CharField(source="grant.customer.key")
    credit = serializers.IntegerField(source="grant_id", help_text="The grant.")
    currency = serializers.CharField(source="grant.currency")
    amount = serializers.SerializerMethodField(help_text="Granted and returned are above zero, the others below.")
    left = serializers.SerializerMethodField(help_text="What was left of the grant after it.")
    invoice = serializers.IntegerField(source="invoice_id", allow_null=True)
    invoice_number = serializers.CharField(source="invoice.number", default=None, allow_null=True)
    actor = serializers.CharField(help_text="Empty: Tollmeter itself. Not in answers to a key of one customer.")
    note = serializers.CharField(help_text="Not in answers to a key of one customer.")

    class Meta:
        model = CreditEntry
        fields = [
            "id",
            "customer",
            "credit",
            "kind",
            "currency",
            "amount",
            "left",
            "invoice",
            "invoice_number",
            "at",
            "actor",
            "note",
        ]

    def get_amount(self, entry: CreditEntry) -> str:
        return amount_text(entry.amount, entry.grant.currency)

    def get_left(self, entry: CreditEntry) -> str:
        return amount_text(entry.balance, entry.grant.currency)


class EntryQuery(Strict):
    customer = ByKey(queryset=Customer.objects.all(), required=False, source="grant__customer")
    credit = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1, source="grant")
    invoice = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    kind = serializers.ChoiceField(CreditEntry.Kind.choices, required=False)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_credit_entries",
        description="Lists the ledger of prepaid credits, newest first: of a customer, a grant or an invoice.",
        parameters=[
            OpenApiParameter("customer", str, description="Its key."),
            OpenApiParameter("credit", int, description="A grant."),
            OpenApiParameter("invoice", int, description="What an invoice drew and gave back."),
            OpenApiParameter("kind", str, enum=CreditEntry.Kind.values),
        ],
        examples=[answered(ENTRY)],
    )
)
class CreditEntryViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[CreditEntry]):
    """The ledger of prepaid credits."""

    queryset = CreditEntry.objects.select_related("grant__customer", "invoice")
    serializer_class = EntrySerializer
    pagination_class = NewestFirst
    customer_keys = {"list"}

    def get_queryset(self) -> QuerySet[CreditEntry]:
        entries = super().get_queryset()
        found: QuerySet[CreditEntry] = _own(self.request, entries, EntryQuery, self.action, "grant__customer")
        return found


def _own(request: Request, rows: "QuerySet[Any]", form: type[Strict], action: str, name: str = "customer") -> Any:
    """What a key may see of these rows, and of that what the query string asks for."""
    own = customer_of(request)
    if own is not None:
        rows = rows.filter(**{name: own.pk})
    if action != "list":
        return rows
    if own is not None:
        require_customer(request, request.query_params.get("customer", own.key))
    return rows.filter(**query_of(request, form))


# --- Things of a customer ---

CUSTOMER = OpenApiParameter("customer", str, OpenApiParameter.PATH, description="Its key.")


class ExpiringSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    amount = serializers.CharField()


class BalanceSerializer(serializers.Serializer[Any]):
    """What a customer has in a currency."""

    currency = serializers.CharField()
    amount = serializers.CharField(help_text="What is good now.")
    restricted = serializers.CharField(help_text="The part of it that is for some product items only.")
    pending = serializers.CharField(help_text="What is good from a later moment on; not in `amount`.")
    expires_next = ExpiringSerializer(allow_null=True)


class DrawnSerializer(serializers.Serializer[Any]):
    credit = serializers.IntegerField()
    name = serializers.CharField()
    amount = serializers.CharField()


class CreditEstimateSerializer(serializers.Serializer[Any]):
    """What credits would pay of an invoice that is not final, as it is now."""

    invoice = serializers.IntegerField()
    currency = serializers.CharField()
    amount = serializers.CharField()
    drawn = DrawnSerializer(many=True)


class CreditBalanceSerializer(serializers.Serializer[Any]):
    customer = serializers.CharField()
    balances = BalanceSerializer(many=True, help_text="By currency.")
    estimates = CreditEstimateSerializer(
        many=True, help_text="Of the running invoices; the balances do not count them."
    )


class CreditBalanceView(APIView):
    """What a customer has in credits."""

    permissions = {"GET": "invoices.view_creditgrant"}
    customer_keys = ("GET",)

    @extend_schema(
        operation_id="get_credit_balance",
        parameters=[CUSTOMER],
        responses=CreditBalanceSerializer,
        examples=[answered(BALANCE)],
    )
    def get(self, request: Request, customer: str) -> Response:
        """Reads what a customer has in prepaid credits, by currency, and what its running invoices would draw of it.

        The estimates are of the end of each invoice's grace time: credits that expire before then are not in them.
        """
        require_customer(request, customer)
        found = get_object_or_404(Customer, key=customer)
        now = timezone.now()
        return Response({"customer": found.key, "balances": _balances(found, now), "estimates": _estimates(found, now)})


def _balances(customer: Customer, now: Any) -> list[dict[str, Any]]:
    shown = []
    for one in balances_of(customer, now):
        names = ("amount", "restricted", "pending")
        row: dict[str, Any] = {name: amount_text(getattr(one, name), one.currency) for name in names}
        expiring = {"at": one.expires_at, "amount": amount_text(one.expiring, one.currency)}
        row |= {"currency": one.currency, "expires_next": expiring if one.expires_at else None}
        shown.append(dict(BalanceSerializer(row).data))
    return shown


def _estimates(customer: Customer, now: Any) -> list[dict[str, Any]]:
    previews = previews_of([customer.pk], now)
    currencies = dict(Invoice.objects.filter(pk__in=previews).values_list("pk", "currency"))
    return [
        {
            "invoice": invoice,
            "currency": currencies[invoice],
            "amount": amount_text(preview.amount, currencies[invoice]),
            "drawn": [
                {"credit": grant.pk, "name": grant.name, "amount": amount_text(amount, currencies[invoice])}
                for grant, amount in preview.drawn
            ],
        }
        for invoice, preview in sorted(previews.items())
    ]


class CreditRuleSerializer(Settable):
    """When a customer's credit is low: what is left once its running invoices are paid is below an amount."""

    customer = serializers.CharField(source="customer.key", read_only=True)
    currency = serializers.CharField(max_length=3)
    low_below = NumberField()
    top_up = NumberField(
        required=False, allow_null=True, help_text="What the event `credit.low` asks for. Null: it only tells."
    )
    is_low = serializers.SerializerMethodField()
    told_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="Since when it is low. Null: it is not."
    )

    @extend_schema_field(serializers.BooleanField())
    def get_is_low(self, rule: CreditRule) -> bool:
        return rule.told_at is not None


class CreditRuleView(APIView):
    """When a customer's credit is low."""

    permissions = {
        "GET": "invoices.view_creditrule",
        "PUT": "invoices.change_creditrule",
        "DELETE": "invoices.change_creditrule",
    }

    @extend_schema(
        operation_id="get_credit_rule",
        parameters=[CUSTOMER],
        responses=CreditRuleSerializer,
        examples=[answered(RULE)],
    )
    def get(self, request: Request, customer: str) -> Response:
        """Reads when a customer's credit is low, and whether it is. 404: there is no rule."""
        rule = get_object_or_404(CreditRule.objects.select_related("customer"), customer__key=customer)
        return Response(CreditRuleSerializer(rule).data)

    @extend_schema(
        operation_id="set_credit_rule",
        parameters=[CUSTOMER],
        request=CreditRuleSerializer,
        responses=CreditRuleSerializer,
        examples=[asked(NEW_RULE), answered(RULE)],
    )
    def put(self, request: Request, customer: str) -> Response:
        """Sets when a customer's credit is low, and how much more to ask for then.

        It is told once, as the event `credit.low`, and again only after it was above. Taking money is yours to do;
        grant what came with `POST /v1/credits`.
        """
        found = get_object_or_404(Customer, key=customer)
        form = CreditRuleSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        return Response(CreditRuleSerializer(set_credit_rule(found, **form.validated_data)).data)

    @extend_schema(operation_id="drop_credit_rule", parameters=[CUSTOMER], request=None, responses={204: None})
    def delete(self, request: Request, customer: str) -> Response:
        """Drops the rule of a customer: its credit is never low."""
        found = get_object_or_404(Customer, key=customer)
        if not CreditRule.objects.filter(customer=found).exists():
            raise Http404
        drop_credit_rule(found)
        return Response(status=status.HTTP_204_NO_CONTENT)
