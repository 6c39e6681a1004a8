"""What people type about themselves and their team."""

from typing import Any

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from portal.roles import WORDS, Role

LONGEST_NAME = 150
GOOD_ENOUGH = "At least 8 characters, not only digits, and nothing that others guess."


class LinkForm(forms.Form):
    """Where a link is mailed to."""

    email = forms.EmailField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autocapitalize": "none"}),
    )


class InviteForm(forms.Form):
    email = forms.EmailField(
        label="E-mail", max_length=150, widget=forms.EmailInput(attrs={"autocomplete": "off", "autocapitalize": "none"})
    )
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.READ_ONLY)


class RoleForm(forms.Form):
    role = forms.ChoiceField(label="Role", choices=Role.choices)


def role_words() -> list[tuple[str, str]]:
    """Each role with what it allows."""
    return [(str(role.label), words) for role, words in WORDS.items()]


class JoinForm(SetPasswordForm):  # type: ignore[type-arg]
    """The name and the password of somebody who has no account yet. `user` is one that is not stored."""

    name = forms.CharField(
        label="Your name", max_length=LONGEST_NAME, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    field_order = ["name", "new_password1", "new_password2"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name_passwords(self, "Password")


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name_passwords(self, "New password")


class OwnPasswordForm(PasswordChangeForm):
    """Wrong tries of the old one are counted like those of a sign-in."""

    error_messages = PasswordChangeForm.error_messages | {
        "password_incorrect": "That is not the password that you have now.",
    }

    def __init__(self, user: User, request: HttpRequest, data: Any = None) -> None:
        super().__init__(user, data)
        self.request = request
        name_passwords(self, "New password")
        self.fields["old_password"].label = "Password that you have now"
        # The page has more to it than this form.
        self.fields["old_password"].widget.attrs.pop("autofocus", None)

    def clean_old_password(self) -> str:
        given: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.get_username(), password=given) != self.user:
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return given


class NameForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ["first_name", "last_name"]
        widgets = {
            "first_name": forms.TextInput(attrs={"autocomplete": "given-name"}),
            "last_name": forms.TextInput(attrs={"autocomplete": "family-name"}),
        }


def name_passwords(form: forms.Form, label: str) -> None:
    first, second = form.fields["new_password1"], form.fields["new_password2"]
    first.label, first.help_text = label, GOOD_ENOUGH
    second.label, second.help_text = f"{label} again", ""
