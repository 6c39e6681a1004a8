"""`/v1/customers` and `/v1/meters`: create, read, update, list. Nothing is deleted: usage and bills point at them."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_view
from rest_framework import mixins, viewsets

from meters.api.auth import customer_of
from meters.api.examples import CUSTOMER_DOCS, METER_DOCS
from meters.api.serializers import CustomerSerializer, MeterSerializer
from meters.models import Customer, Meter


@extend_schema_view(**CUSTOMER_DOCS)
class CustomerViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.ListModelMixin,
    viewsets.GenericViewSet[Customer],
):
    """Customers, by your own key of them."""

    queryset = Customer.objects.all()
    serializer_class = CustomerSerializer
    lookup_field = "key"
    lookup_value_regex = ".+"  # a key is the vendor's own and may hold a slash
    http_method_names = ["get", "head", "options", "post", "patch"]
    customer_keys = {"retrieve"}

    def get_queryset(self) -> QuerySet[Customer]:
        own = customer_of(self.request)
        customers = super().get_queryset()
        return customers if own is None else customers.filter(pk=own.pk)


@extend_schema_view(**METER_DOCS)
class MeterViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.ListModelMixin,
    viewsets.GenericViewSet[Meter],
):
    """Meters, by their key. One that is used for billing has a product item at once."""

    queryset = Meter.objects.all()
    serializer_class = MeterSerializer
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    http_method_names = ["get", "head", "options", "post", "patch"]
    customer_keys = {"list", "retrieve"}
