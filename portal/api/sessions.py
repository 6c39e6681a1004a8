"""`/v1/customers/{key}/portal-sessions` and `/v1/portal-sessions`: links into the portal, and what became of them."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from meters.api.examples import answered, asked
from meters.api.serializers import ByKey, Strict
from meters.models import ApiKey, Customer
from portal.api.session_examples import NEW_SESSION, REVOKED, SESSION, WITH_URL
from portal.guests.return_urls import LONGEST as LONGEST_URL
from portal.guests.sessions import LIFE, LONGEST, SHORTEST, create_portal_session, revoke_portal_session, session_state
from portal.models import PortalSession
from portal.roles import Role
from pricing.api.fields import NewestFirst, actor_of, query_of

STATES = ("waiting", "active", "expired", "revoked")


class PortalSessionSerializer(serializers.ModelSerializer[PortalSession]):
    """A link into the portal, and the session that came of it."""

    customer = serializers.CharField(source="customer.key")
    member = serializers.CharField(allow_null=True, help_text="What you call the person, for logs.")
    invoice = serializers.SerializerMethodField(help_text="The number of the invoice that it begins with.")
    return_url = serializers.CharField(allow_null=True)
    state = serializers.SerializerMethodField(help_text="`waiting`: its link was not used yet.")
    created_by = serializers.CharField(source="api_key.name", help_text="The API key's name.")
    link_expires_at = serializers.DateTimeField(help_text="From then on the link opens nothing.")
    expires_at = serializers.DateTimeField(help_text="From then on the session opens nothing.")
    used_from = serializers.CharField(allow_null=True, help_text="The address that the link was used from.")
    revoked_by = serializers.CharField(allow_null=True)

    class Meta:
        model = PortalSession
        fields = [
            "id",
            "customer",
            "role",
            "member",
            "page",
            "invoice",
            "return_url",
            "state",
            "created_by",
            "created_at",
            "link_expires_at",
            "expires_at",
            "used_at",
            "used_from",
            "last_seen_at",
            "revoked_at",
            "revoked_by",
        ]

    def get_invoice(self, session: PortalSession) -> str | None:
        return session.invoice.number if session.invoice is not None else None

    def get_state(self, session: PortalSession) -> str:
        return session_state(session, now=timezone.now())

    def to_representation(self, instance: PortalSession) -> Any:
        shown = super().to_representation(instance)
        return shown | {name: shown[name] or None for name in ("member", "return_url", "revoked_by")}


class NewPortalSessionSerializer(PortalSessionSerializer):
    """A session with its link, which is told this once."""

    url = serializers.SerializerMethodField(help_text="Send the person's browser there. It works once.")

    class Meta(PortalSessionSerializer.Meta):
        fields = [*PortalSessionSerializer.Meta.fields, "url"]

    def get_url(self, session: PortalSession) -> str:
        url: str = self.context["url"]
        return url


class PortalSessionRequest(Strict):
    return_url = serializers.CharField(
        max_length=LONGEST_URL,
        required=False,
        allow_null=True,
        allow_blank=True,
        trim_whitespace=False,
        help_text="Where “Back” in the portal leads, such as https://app.example/account. Its origin is listed in the "
        "portal policy. Left out: there is no way back.",
    )
    page = serializers.ChoiceField(
        PortalSession.Page.choices, required=False, help_text="Where it begins; left out: overview."
    )
    invoice = serializers.CharField(
        max_length=100, required=False, allow_null=True, help_text="The number of an invoice to begin with."
    )
    expires_in = serializers.IntegerField(
        required=False,
        min_value=SHORTEST.seconds,
        max_value=LONGEST.seconds,
        help_text=f"Seconds from now until the session ends; left out: {LIFE.seconds:,}.",
    )
    role = serializers.ChoiceField(
        Role.choices,
        required=False,
        help_text="What the person may do; left out: read_only. With more you vouch for who it is.",
    )
    member = serializers.CharField(
        max_length=100,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="What you call the person, for logs.",
    )


class CustomerPortalSessionsView(APIView):
    """Links of one customer."""

    permissions = {"POST": "portal.add_portalsession"}

    @extend_schema(
        operation_id="create_portal_session",
        request=PortalSessionRequest,
        responses={201: NewPortalSessionSerializer},
        examples=[asked({}, "As it comes"), asked(NEW_SESSION), answered(WITH_URL, "201")],
    )
    def post(self, request: Request, key: str) -> Response:
        """Makes a link that opens the portal for one customer, once.

        Make it when the person asks for it, and send the browser to `url` with a redirect. There it is asked to press a
        button, and gets a session of this one customer in place of whatever it had, until `expires_at`. The link works
        for five minutes.
        """
        customer = get_object_or_404(Customer, key=key)
        form = PortalSessionRequest(data=request.data)
        form.is_valid(raise_exception=True)
        given = {name: value for name, value in form.validated_data.items() if value is not None}
        life = timedelta(seconds=given.pop("expires_in", LIFE.seconds))
        assert isinstance(request.auth, ApiKey)
        session, text = create_portal_session(
            customer=customer, api_key=request.auth, life=life, now=timezone.now(), **given
        )
        path = reverse("portal:enter", args=[text])
        url = f"{settings.PUBLIC_URL}{path}" if settings.PUBLIC_URL else request.build_absolute_uri(path)
        return Response(NewPortalSessionSerializer(session, context={"url": url}).data, status=201)


class PortalSessionQuery(Strict):
    customer = ByKey(queryset=Customer.objects.all(), required=False)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_portal_sessions",
        description="Lists portal sessions, newest first: of all customers or of one.",
        parameters=[OpenApiParameter("customer", str, description="Its key.")],
        examples=[answered(SESSION)],
    ),
    retrieve=extend_schema(
        operation_id="get_portal_session", description="Reads a portal session.", examples=[answered(SESSION)]
    ),
)
class PortalSessionViewSet(mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[PortalSession]):
    """Links into the portal, and the sessions that came of them."""

    permissions = {"revoke": "portal.change_portalsession"}
    queryset = PortalSession.objects.select_related("customer", "invoice", "api_key")
    serializer_class = PortalSessionSerializer
    pagination_class = NewestFirst
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[PortalSession]:
        sessions = super().get_queryset()
        return sessions.filter(**query_of(self.request, PortalSessionQuery)) if self.action == "list" else sessions

    @extend_schema(
        operation_id="revoke_portal_session",
        request=None,
        responses=PortalSessionSerializer,
        examples=[answered(REVOKED)],
    )
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, **_: Any) -> Response:
        """Ends a portal session, or takes its link back: from the next request on it opens nothing.

        One that is revoked already stays as it is.
        """
        session = revoke_portal_session(self.get_object(), actor=actor_of(request), now=timezone.now())
        return Response(PortalSessionSerializer(session).data)
