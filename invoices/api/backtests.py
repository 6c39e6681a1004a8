"""`/v1/plans/{key}/backtests`: what a version of a plan would have billed on usage that has been."""

from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from invoices.api.backtest_examples import BACKTEST, NEW_BACKTEST, ROW, WAITING
from invoices.backtests.backtest import DEFAULT_PERIODS, MOST_PERIODS, start_backtest
from invoices.backtests.reports import absorbed_by, change_of, distribution_of, percent_text
from invoices.models import Backtest, BacktestRow
from invoices.wake import wake_backtest
from meters.aggregation import plain
from meters.api.examples import answered, asked
from meters.api.pagination import CursorPagination
from meters.api.problems import Problem
from meters.api.serializers import ByKey, Strict
from meters.models import Customer
from pricing.api.fields import actor_of, below, query_of
from pricing.api.versions import KEY, PlanVersionMixin
from pricing.money import amount_text


class NewestFirst(CursorPagination):
    ordering = "-id"


class BinSerializer(serializers.Serializer[Any]):
    change = serializers.CharField(help_text="In words, of what was paid.")
    customers = serializers.IntegerField()


class TotalSerializer(serializers.Serializer[Any]):
    """All customers whose bills were in one currency, and would be in one."""

    currency_then = serializers.CharField()
    currency_now = serializers.CharField()
    customers = serializers.IntegerField()
    then = serializers.CharField()
    now = serializers.CharField()
    more = serializers.IntegerField(allow_null=True, help_text="How many pay more; null between currencies.")
    less = serializers.IntegerField(allow_null=True)
    same = serializers.IntegerField(allow_null=True)
    distribution = BinSerializer(many=True)


class AbsorptionSerializer(serializers.Serializer[Any]):
    """What the free tier of a product item takes, in units, then and now."""

    meter = serializers.CharField()
    used_then = serializers.CharField()
    free_then = serializers.CharField()
    used_now = serializers.CharField()
    free_now = serializers.CharField()
    share_now = serializers.CharField(allow_null=True, help_text="Of the usage, in percent.")
    worth_now = serializers.CharField(help_text="What the units free now would cost at the next price.")
    unpriced_now = serializers.CharField(help_text="Units that the version does not price.")


class NamedSerializer(serializers.Serializer[Any]):
    customers = serializers.IntegerField()
    periods = serializers.IntegerField(required=False)
    named = serializers.ListField(child=serializers.CharField(), help_text="Their keys, the first of them.")


class BacktestSerializer(serializers.ModelSerializer[Backtest]):
    """Amounts are before tax. What is found is empty until the status is `done`."""

    plan = serializers.CharField(source="plan.key")
    version = serializers.IntegerField(source="version.number")
    periods = serializers.IntegerField(help_text="How many of the last periods of each customer that were over.")
    total = serializers.IntegerField(help_text="Customers that it is about.")
    done = serializers.IntegerField(help_text="Those that are worked through.")
    totals = serializers.SerializerMethodField()
    free_tier = serializers.SerializerMethodField()
    without_periods = serializers.SerializerMethodField(help_text="Customers none of whose periods is over.")
    left_out = serializers.SerializerMethodField(
        help_text="Periods that end where the version's periods do not, so that nothing can be compared with them."
    )

    class Meta:
        model = Backtest
        fields = [
            "id",
            "plan",
            "version",
            "status",
            "periods",
            "total",
            "done",
            "error",
            "actor",
            "created_at",
            "started_at",
            "finished_at",
            "totals",
            "free_tier",
            "without_periods",
            "left_out",
        ]

    @extend_schema_field(TotalSerializer(many=True))
    def get_totals(self, backtest: Backtest) -> list[dict[str, Any]]:
        return [
            {
                **{name: total[name] for name in ("currency_then", "currency_now", "customers")},
                "then": amount_text(Decimal(total["then"]), total["currency_then"]),
                "now": amount_text(Decimal(total["now"]), total["currency_now"]),
                **{name: total.get(name) for name in ("more", "less", "same")},
                "distribution": [
                    {"change": words, "customers": customers} for words, customers in distribution_of(total)
                ],
            }
            for total in backtest.summary.get("totals", [])
        ]

    @extend_schema_field(AbsorptionSerializer(many=True))
    def get_free_tier(self, backtest: Backtest) -> list[dict[str, Any]]:
        if backtest.status != Backtest.Status.DONE:
            return []
        currency = backtest.prices["version"]["currency"]
        names = ("used_then", "free_then", "used_now", "free_now", "unpriced_now")
        return [
            {
                "meter": one.item.meter.key,
                **{name: plain(getattr(one, name)) for name in names},
                "share_now": None if one.share_now is None else percent_text(one.share_now),
                "worth_now": amount_text(one.worth_now, currency),
            }
            for one in absorbed_by(backtest)
        ]

    @extend_schema_field(NamedSerializer)
    def get_without_periods(self, backtest: Backtest) -> dict[str, Any]:
        return dict(backtest.summary.get("without_periods", {"customers": 0, "named": []}))

    @extend_schema_field(NamedSerializer)
    def get_left_out(self, backtest: Backtest) -> dict[str, Any]:
        return dict(backtest.summary.get("left_out", {"customers": 0, "periods": 0, "named": []}))


class RowSerializer(serializers.ModelSerializer[BacktestRow]):
    """What one customer's span of time came to, and would have come to."""

    customer = serializers.CharField(source="customer.key")
    assignment = serializers.IntegerField(source="assignment_id")
    amount_then = serializers.SerializerMethodField()
    amount_now = serializers.SerializerMethodField()
    change = serializers.SerializerMethodField(help_text="Null between currencies.")
    change_percent = serializers.SerializerMethodField(help_text="Null where nothing was paid.")

    class Meta:
        model = BacktestRow
        fields = [
            "customer",
            "assignment",
            "period_start",
            "period_end",
            "currency_then",
            "amount_then",
            "currency_now",
            "amount_now",
            "change",
            "change_percent",
        ]

    def get_amount_then(self, row: BacktestRow) -> str:
        return amount_text(row.amount_then, row.currency_then)

    def get_amount_now(self, row: BacktestRow) -> str:
        return amount_text(row.amount_now, row.currency_now)

    def get_change(self, row: BacktestRow) -> str | None:
        change, _ = change_of(row)
        return None if change is None else amount_text(change, row.currency_now)

    def get_change_percent(self, row: BacktestRow) -> str | None:
        _, percent = change_of(row)
        return None if percent is None else percent_text(percent)


class NewBacktestSerializer(Strict):
    version = serializers.CharField(
        max_length=20, required=False, help_text="A number, `draft` or `active`. Left out: the newest of the two."
    )
    periods = serializers.IntegerField(min_value=1, max_value=MOST_PERIODS, default=DEFAULT_PERIODS)


class RowsQuery(Strict):
    customer = ByKey(queryset=Customer.objects.all(), required=False)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_backtests",
        description="Lists the backtests of a plan, newest first. The last twenty are kept.",
        parameters=[KEY],
        examples=[answered(BACKTEST)],
    ),
    retrieve=extend_schema(
        operation_id="get_backtest",
        description="Reads a backtest: how far it is, and what it found.",
        parameters=[KEY],
        examples=[answered(BACKTEST)],
    ),
)
class BacktestViewSet(
    PlanVersionMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Backtest]
):
    """The backtests of a plan."""

    permissions = {"rows": "invoices.view_backtest"}
    conflicts = ("rows",)
    queryset = Backtest.objects.all()
    serializer_class = BacktestSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Backtest]:
        return Backtest.objects.filter(plan=self.get_plan()).select_related("plan", "version")

    @extend_schema(
        operation_id="create_backtest",
        parameters=[KEY],
        request=NewBacktestSerializer,
        responses={201: BacktestSerializer},
        examples=[asked(NEW_BACKTEST), answered(WAITING, "201")],
    )
    def create(self, request: Request, **_: Any) -> Response:
        """Starts a backtest: the bills of the last periods of the plan's customers, by the version's prices.

        It works on the prices as they are now. Read it again until its status is `done` or `failed`.
        """
        plan = self.get_plan()
        form = NewBacktestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        version = self._version(form.validated_data.get("version"))
        with below({}):
            started = start_backtest(
                plan=plan, version=version, periods=form.validated_data["periods"], actor=actor_of(request)
            )
        wake_backtest(started.pk)
        return Response(self.get_serializer(started).data, status.HTTP_201_CREATED)

    def _version(self, name: str | None) -> Any:
        try:
            return None if name is None else self.get_version(name)
        except NotFound as error:
            raise serializers.ValidationError({"version": [str(error.detail)]}) from error

    @extend_schema(
        operation_id="list_backtest_rows",
        parameters=[KEY, RowsQuery],
        responses=RowSerializer(many=True),
        examples=[answered(ROW)],
        filters=False,
    )
    def rows(self, request: Request, **_: Any) -> Response:
        """Lists what each customer's periods came to, and would have come to, in the order they were computed.

        A row is a period, or a span of several where the version cuts time in another way. All amounts are before tax.
        There are rows when the backtest is `done`; before that, and of one that failed, the answer is 409.
        """
        backtest = get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])
        if backtest.status != Backtest.Status.DONE:
            raise Problem(409, "not_done", f"The backtest is {backtest.status}; it has rows when it is done.")
        rows = BacktestRow.objects.filter(backtest=backtest, **query_of(request, RowsQuery)).select_related("customer")
        paginator = CursorPagination()
        page = paginator.paginate_queryset(rows, request, self)
        return paginator.get_paginated_response(RowSerializer(page, many=True).data)
