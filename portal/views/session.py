"""Signing in with a password, and switching between the customers that one person may see."""

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from portal.access import PortalRequest, for_customer
from portal.people.members import SESSION_KEY
from portal.people.sign_in_forms import SignInForm, SwitchForm
from portal.sections import page_of


class SignIn(LoginView):
    template_name = "portal/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


@require_POST
def switch_customer(request: HttpRequest) -> HttpResponse:
    return _switch(request)


@for_customer
def _switch(request: PortalRequest) -> HttpResponse:
    """Goes on at the page of the same kind: what was open there is the other customer's."""
    form = SwitchForm(request.POST, customers=request.customers)
    if form.is_valid():
        request.session[SESSION_KEY] = form.cleaned_data["customer"].pk
    return redirect(page_of(request.POST.get("page", "")))
