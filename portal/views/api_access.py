"""A customer's own API keys: seen, made, replaced and revoked by its owners, where the vendor offers that."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from meters.admin.base import add_errors
from meters.models import ApiKey
from portal.access import PortalRequest, for_customer, needs, visible_meters
from portal.own.read_key_forms import NewKeyForm, RotateForm
from portal.own.read_keys import (
    MOST_KEYS,
    ReadKey,
    create_read_key,
    find_own_key,
    read_key_log,
    read_keys,
    revoke_read_key,
    rotate_read_key,
)
from portal.policy import portal_policy
from portal.roles import Role

P = ParamSpec("P")
LOGGED = 20

read_or_write = require_http_methods(["GET", "HEAD", "POST"])


def where_offered(
    view: Callable[Concatenate[PortalRequest, P], HttpResponse],
) -> Callable[Concatenate[PortalRequest, P], HttpResponse]:
    """The page is there only where the vendor offers keys."""

    @wraps(view)
    def wrapped(request: PortalRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not portal_policy().offers_read_keys:
            raise Http404
        return view(request, *args, **kwargs)

    return wrapped


@require_safe
@for_customer
@where_offered
@needs(Role.OWNER)
def key_list(request: PortalRequest) -> HttpResponse:
    rows = read_keys(request.customer, now=timezone.now())
    context = {
        "rows": rows,
        "log": read_key_log(request.customer, most=LOGGED),
        "zone": request.customer.zone,
        "most": MOST_KEYS,
        "is_full": sum(row.can_rotate for row in rows) >= MOST_KEYS,
    }
    return render(request, "portal/api_access.html", context)


@read_or_write
@for_customer
@where_offered
@needs(Role.OWNER)
def add(request: PortalRequest) -> HttpResponse:
    form = NewKeyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        now = timezone.now()
        try:
            key, text = create_read_key(
                request.customer,
                name=form.cleaned_data["name"],
                expires_at=form.expires_at(now),
                actor=request.viewer.name,
                now=now,
            )
        except ValidationError as error:
            add_errors(form, error)
        else:
            return _show_once(request, key, text)
    return render(request, "portal/api_access_add.html", {"form": form}, status=422 if form.errors else 200)


@read_or_write
@for_customer
@where_offered
@needs(Role.OWNER)
def rotate(request: PortalRequest, pk: int) -> HttpResponse:
    row = _own(request, pk)
    if not row.can_rotate:
        messages.error(request, f"“{row.key.name}” opens nothing any more, or another key takes its place already.")
        return redirect("portal:api-access")
    form = RotateForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            key, text = rotate_read_key(
                request.customer, row.key, overlap=form.time(), actor=request.viewer.name, now=timezone.now()
            )
        except ValidationError as error:
            add_errors(form, error)
        else:
            row.key.refresh_from_db()
            return _show_once(request, key, text, old=row.key)
    context = {"form": form, "row": row, "zone": request.customer.zone}
    return render(request, "portal/api_access_rotate.html", context, status=422 if form.errors else 200)


@read_or_write
@for_customer
@where_offered
@needs(Role.OWNER)
def revoke(request: PortalRequest, pk: int) -> HttpResponse:
    row = _own(request, pk)
    if request.method == "POST":
        revoke_read_key(request.customer, row.key, actor=request.viewer.name, now=timezone.now())
        messages.success(request, f"The key “{row.key.name}” is revoked: it opens nothing any more.")
        return redirect("portal:api-access")
    return render(request, "portal/api_access_revoke.html", {"row": row, "zone": request.customer.zone})


def _show_once(request: PortalRequest, key: ApiKey, text: str, old: ApiKey | None = None) -> HttpResponse:
    """The only page that ever shows the key: the answer itself, as a page to go on to would have to keep it."""
    meter = next(iter(visible_meters(request.customer)), None)
    context = {
        "key": key,
        "text": text,
        "old": old if old is not None and old.expires_at and timezone.now() < old.expires_at else None,
        "meter": meter,
        "base": request.build_absolute_uri("/v1/"),
        "zone": request.customer.zone,
    }
    return render(request, "portal/api_access_shown.html", context)


def _own(request: PortalRequest, pk: int) -> ReadKey:
    row = find_own_key(request.customer, pk, now=timezone.now())
    if row is None:
        raise Http404
    return row
