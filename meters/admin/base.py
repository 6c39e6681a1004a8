"""What the staff pages of all apps share."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import models, transaction
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from meters.words import instant_words

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline
    ModelForm = forms.ModelForm
else:
    # Generic for the type checker only; at run time `ModelAdmin[Meter]` is `ModelAdmin`.
    class _Subscriptable:
        def __class_getitem__(cls, item: object) -> type:
            return cls

    class ModelAdmin(_Subscriptable, admin.ModelAdmin):
        def get_changelist_instance(self, request: HttpRequest) -> Any:
            # Django takes every field's name as a filter, and the database no NUL; what is searched for it looks at.
            if any("\0" in text for name, texts in request.GET.lists() if name != SEARCH_VAR for text in texts):
                raise IncorrectLookupParameters
            return super().get_changelist_instance(request)

    class TabularInline(_Subscriptable, admin.TabularInline):
        pass

    class ModelForm(_Subscriptable, forms.ModelForm):
        pass


class KeepsRows:
    """Rows that history points at: nobody deletes them, whatever their permissions."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(KeepsRows):
    """Rows that only services write: staff look, and neither add, change nor delete."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ServiceForm(ModelForm[Any]):
    """A model form that a service validates and writes, so that its rules show beside the fields.

    The service is the last step of validation, inside the transaction that the admin holds around the request; the
    page that uses the form has no inlines, which could still refuse the request after the service has written.
    """

    def call_service(self) -> models.Model:
        """Calls the service with `cleaned_data` and answers the row. ValidationErrors go to their fields."""
        raise NotImplementedError

    def _post_clean(self) -> None:
        if self.errors:
            return
        try:
            with transaction.atomic():
                self.instance = self.call_service()
        except ValidationError as error:
            add_errors(self, error)


class ServiceAdmin:
    """For a page whose form is a ServiceForm: the row is written already when the admin comes to save it."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        pass


def add_errors(form: forms.BaseForm, error: ValidationError) -> None:
    """Puts a service's refusal beside the fields it names; what names none of the form's goes to the top."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for name, errors in error.error_dict.items():
        form.add_error(name if name != NON_FIELD_ERRORS and name in form.fields else None, errors)


def require(allowed: bool) -> None:
    if not allowed:
        raise PermissionDenied


def messages_of(error: ValidationError) -> str:
    return " ".join(error.messages)


def chip(label: str, kind: str) -> SafeString:
    """A status in a coloured pill. `kind`: good, busy, quiet or bad."""
    return format_html('<span class="chip chip-{}">{}</span>', kind, label)


def instant(moment: datetime | None) -> str:
    """ "2 Dec 2026, 14:02 UTC": one way to write a moment on all staff pages."""
    return instant_words(moment, ZoneInfo("UTC")) if moment else ""


def number(value: Decimal) -> str:
    """A quantity with thousands separators and no trailing zeros."""
    text = format(value, ",f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def link(url: str, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)
