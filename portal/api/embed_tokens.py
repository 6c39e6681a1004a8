"""`/v1/customers/{key}/embed-tokens`: what opens pieces of the portal in frames of the vendor's own app."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from meters.api.examples import answered, asked
from meters.api.serializers import Strict
from meters.models import Customer
from portal.embedding.origins import MOST_ORIGINS, NotAnOrigin, origin_of
from portal.embedding.tokens import LIFE, LONGEST, SHORTEST, VIEWS, create_embed_token, revoke_embed_tokens
from portal.models import EmbedToken
from pricing.api.fields import actor_of

NEW_TOKEN = {"origins": ["https://app.example"], "views": ["usage", "charges"], "expires_in": 900}
TOKEN_TEXT = "tme_kq3rN0eJr7Gx2Yc5oQwDq0bP6f1mVt8uXzA4hLs9WnE"  # noqa: S105 (an example, of nothing)
TOKEN: dict[str, Any] = {
    "id": 12,
    "customer": "acme",
    "token": TOKEN_TEXT,
    "origins": ["https://app.example"],
    "views": ["usage", "charges"],
    "urls": {
        "usage": f"https://billing.example/embed/usage?token={TOKEN_TEXT}",
        "charges": f"https://billing.example/embed/charges?token={TOKEN_TEXT}",
    },
    "created_at": "2026-11-18T14:02:00Z",
    "expires_at": "2026-11-18T14:17:00Z",
}


class OriginField(serializers.CharField):
    """ "https://app.example", and nothing that only looks like it."""

    def to_internal_value(self, data: Any) -> str:
        try:
            return origin_of(super().to_internal_value(data))
        except NotAnOrigin as error:
            raise serializers.ValidationError(str(error)) from error


class NewEmbedTokenSerializer(Strict):
    origins = serializers.ListField(
        child=OriginField(max_length=300, trim_whitespace=False),
        min_length=1,
        max_length=MOST_ORIGINS,
        help_text="Of the pages that show it in a frame: exact, `https://host` or `https://host:port`; http is taken "
        "of localhost alone.",
    )
    views = serializers.ListField(
        child=serializers.ChoiceField(EmbedToken.View.choices),
        required=False,
        min_length=1,
        help_text="What it opens. Left out: all.",
    )
    expires_in = serializers.IntegerField(
        required=False,
        min_value=SHORTEST.seconds,
        max_value=LONGEST.seconds,
        help_text=f"In seconds; left out: {LIFE.seconds}.",
    )


class EmbedTokenSerializer(serializers.ModelSerializer[EmbedToken]):
    """A token with its text, which is told this once."""

    customer = serializers.CharField(source="customer.key")
    token = serializers.SerializerMethodField()
    views = serializers.ListField(child=serializers.ChoiceField(EmbedToken.View.choices))
    urls = serializers.SerializerMethodField(help_text="What to open in a frame, by view.")

    class Meta:
        model = EmbedToken
        fields = ["id", "customer", "token", "origins", "views", "urls", "created_at", "expires_at"]

    def get_token(self, token: EmbedToken) -> str:
        text: str = self.context["text"]
        return text

    def get_urls(self, token: EmbedToken) -> dict[str, str]:
        base = settings.PUBLIC_URL or self.context["request"].build_absolute_uri("/").rstrip("/")
        query = urlencode({"token": self.context["text"]})
        return {view: f"{base}{reverse(f'portal:embed-{view}')}?{query}" for view in token.views}


def _customer(key: str) -> Customer:
    # What cannot be stored is nobody's key.
    if "\0" in key:
        raise NotFound
    return get_object_or_404(Customer, key=key)


@extend_schema_view(
    post=extend_schema(
        operation_id="create_embed_token",
        description="Makes a token that opens pages of a customer in frames of pages of the origins named, for a "
        "while. The answer holds it; it is not told again. Make one each time that a page of yours is opened.",
        request=NewEmbedTokenSerializer,
        responses={201: EmbedTokenSerializer},
        examples=[asked(NEW_TOKEN), answered(TOKEN, "201")],
    ),
    delete=extend_schema(
        operation_id="revoke_embed_tokens",
        description="Ends all tokens of a customer: from the next request on they open nothing.",
        responses={204: None},
    ),
)
class EmbedTokensView(APIView):
    """Tokens of pages in frames. A key of one customer makes none."""

    permissions = {"POST": "portal.add_embedtoken", "DELETE": "portal.change_embedtoken"}

    def post(self, request: Request, key: str) -> Response:
        customer = _customer(key)
        form = NewEmbedTokenSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked_for = form.validated_data
        token, text = create_embed_token(
            customer=customer,
            origins=asked_for["origins"],
            views=asked_for.get("views", VIEWS),
            life=timedelta(seconds=asked_for["expires_in"]) if "expires_in" in asked_for else LIFE,
            actor=actor_of(request),
            now=timezone.now(),
        )
        shown = EmbedTokenSerializer(token, context={"request": request, "text": text})
        return Response(shown.data, status=201)

    def delete(self, request: Request, key: str) -> Response:
        revoke_embed_tokens(_customer(key), now=timezone.now())
        return Response(status=204)


@extend_schema_view(
    delete=extend_schema(
        operation_id="revoke_embed_token",
        description="Ends a token: from the next request on it opens nothing.",
        responses={204: None},
    )
)
class EmbedTokenView(APIView):
    """One token, by the id that it was made with."""

    permissions = {"DELETE": "portal.change_embedtoken"}

    def delete(self, request: Request, key: str, pk: int) -> Response:
        if not revoke_embed_tokens(_customer(key), pk=pk, now=timezone.now()):
            raise NotFound
        return Response(status=204)
