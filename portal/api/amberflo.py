"""Links into the portal, as Amberflo's clients ask for them: `POST /session`."""

from datetime import datetime, timedelta

import msgspec
from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from rest_framework.request import Request

from meters.api.amberflo_base import AmberfloView, answer, customer_called, fault, of_millis, parameters, read
from meters.models import ApiKey
from portal.guests.sessions import LONGEST, create_portal_session

EXPIRATION = "expirationEpochMilliSeconds"


class SessionIn(msgspec.Struct, forbid_unknown_fields=True):
    customer_id: str = msgspec.field(name="customerId")
    expiration: int | None = msgspec.field(name=EXPIRATION, default=None)
    return_url: str | None = msgspec.field(name="returnUrl", default=None)


class SessionView(AmberfloView):
    permissions = {"POST": "portal.add_portalsession"}
    theirs = {"expires_in": EXPIRATION, "return_url": "returnUrl"}

    def post(self, request: Request) -> HttpResponse:
        """Theirs last a day, or as long as is said. Ours do so as far as they may: at most LONGEST."""
        parameters(request, ())
        sent, now = read(request, SessionIn), timezone.now()
        customer = customer_called(sent.customer_id)
        assert isinstance(request.auth, ApiKey)
        _, text = create_portal_session(
            customer=customer,
            api_key=request.auth,
            life=min(_life(sent, now), LONGEST),
            return_url=sent.return_url or "",
            now=now,
        )
        path = reverse("portal:enter", args=[text])
        url = f"{settings.PUBLIC_URL}{path}" if settings.PUBLIC_URL else request.build_absolute_uri(path)
        return answer({"url": url, "sessionToken": text})


def _life(sent: SessionIn, now: datetime) -> timedelta:
    if sent.expiration is None:
        return LONGEST
    life = of_millis(sent.expiration, EXPIRATION) - now
    if life <= timedelta(0):
        raise fault(EXPIRATION, "This is over already.")
    return life
