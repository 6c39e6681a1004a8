"""A page with one form that calls one service: it asks, puts a refusal beside the fields, and tells what was done."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import resolve, reverse

from meters.admin.base import add_errors

Crumb = tuple[str, str]
# Of a message that the page of a plan shows at its draft, where one that has changed it lands.
AT_DRAFT = "at-draft"


def form_page(
    model_admin: "admin.ModelAdmin[Any]",
    request: HttpRequest,
    *,
    form: forms.Form,
    save: Callable[[], str],
    concerns: models.Model,
    title: str,
    submit: str,
    crumbs: Sequence[Crumb],
    back: str,
    template: str = "admin/pricing/form_page.html",
    **context: Any,
) -> HttpResponse:
    """`save` calls the service with the form's `cleaned_data` and answers what it did, in words.

    What it did is kept in the admin's log of the row that it `concerns`.
    """
    if request.method == "POST" and form.is_valid():
        try:
            done = save()
        except ValidationError as error:
            add_errors(form, error)
        else:
            model_admin.log_change(request, concerns, done)
            tags = AT_DRAFT if back.endswith("#draft") else ""
            model_admin.message_user(request, done, messages.SUCCESS, extra_tags=tags)
            return HttpResponseRedirect(back)
    shown = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "form": form,
        "submit": submit,
        "crumbs": [app_crumb(crumbs), *crumbs],
        "back": back,
        **context,
    }
    return TemplateResponse(request, template, shown)


def date_input(**attributes: Any) -> forms.DateInput:
    """The browser's own date field; its value is always written 2026-12-31."""
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", **attributes})


def app_crumb(crumbs: Sequence[Crumb]) -> Crumb:
    """The page of the app that the first of the crumbs, a list, belongs to."""
    app = apps.get_app_config(str(resolve(crumbs[0][1]).url_name).partition("_")[0])
    return str(app.verbose_name), reverse("admin:app_list", args=[app.label])


def list_crumb(model: type[models.Model]) -> Crumb:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    return str(model._meta.verbose_name_plural).capitalize(), reverse(name)


def row_crumb(row: models.Model) -> Crumb:
    return str(row), change_url(row)


def change_url(row: models.Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def posted(request: HttpRequest) -> Any:
    """What a form is bound to: nothing before it is sent."""
    return request.POST if request.method == "POST" else None
