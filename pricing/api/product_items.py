"""`/v1/product-items`: the things sold. Each comes with a meter that is used for billing, and is renamed here."""

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, viewsets

from meters.api.examples import answered, asked
from pricing.api.examples import PRODUCT_ITEM
from pricing.api.plan_serializers import ProductItemSerializer
from pricing.models import ProductItem


@extend_schema_view(
    list=extend_schema(
        operation_id="list_product_items",
        description="Lists product items, retired ones too. In the order in which they were made, a page at a time.",
        examples=[answered(PRODUCT_ITEM)],
    ),
    retrieve=extend_schema(
        operation_id="get_product_item",
        description="Reads a product item, by the key of its meter.",
        examples=[answered(PRODUCT_ITEM)],
    ),
    partial_update=extend_schema(
        operation_id="update_product_item",
        description="Renames a product item; final invoices keep the name that they have. It is made with its meter, "
        "and retired when the meter is no longer used for billing.",
        examples=[asked({"name": "API calls"}), answered(PRODUCT_ITEM)],
    ),
)
class ProductItemViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.UpdateModelMixin, viewsets.GenericViewSet[ProductItem]
):
    """Product items, by the key of their meter."""

    queryset = ProductItem.objects.select_related("meter")
    serializer_class = ProductItemSerializer
    lookup_field = "meter__key"
    lookup_url_kwarg = "meter"
    lookup_value_regex = "[^/]+"
    http_method_names = ["get", "head", "options", "patch"]
