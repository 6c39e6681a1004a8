"""What every page keeps to: the content security policy, and a page of its own for every fault."""

import re

import pytest
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.views import defaults

from invoices.models import Invoice

INLINE = re.compile(
    r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)|\shx-on|hx-vals=.js:|hx-trigger=\"[^\"]*\[",
    re.IGNORECASE,
)
PAGES = [
    "/",
    "/usage/",
    "/usage/?group=source",
    "/usage/?meter=Nope",
    "/invoices/",
    "/statement/",
    "/statement/?currency=Nope",
    "/plan/",
    "/plan/?of=Nope&f-x=1",
    "/plan/comparison/",
    "/alerts/",
    "/alerts/add/",
    "/alerts/add/?kind=budget",
    "/alerts/add/?kind=Nope",
    "/invoices/{pk}/",
    "/invoices/{pk}/lines/1/",
    "/team/",
    "/team/leave/",
    "/account/",
    "/no-such-page/",
]


def check(content: str) -> None:
    assert not (found := INLINE.search(content)), found
    assert content.count("<h1") == 1
    ids = re.findall(r'\sid="([^"]+)"', content)
    assert len(ids) == len(set(ids)), sorted(one for one in ids if ids.count(one) > 1)
    for label in re.findall(r'<label for="([^"]+)"', content):
        assert label in ids
    assert '<meta name="viewport"' in content
    assert 'class="skip" href="#main"' in content


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_nothing_inline(page: str, owner: Client, november: Invoice) -> None:
    answer = owner.get(page.format(pk=november.pk))
    check(answer.content.decode())
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    "page",
    [
        "/sign-in/",
        "/sign-in/link/",
        "/sign-in/link/sent/",
        "/sign-in/link/made-up/",
        "/password-reset/",
        "/password-reset/sent/",
        "/password-reset/x/made-up/",
        "/join/made-up/",
    ],
)
def test_a_page_to_come_in_by_has_nothing_inline(page: str, client: Client, db: None) -> None:
    answer = client.get(page)
    check(answer.content.decode())
    assert "script-src 'self'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("page", ["/", "/usage/", "/plan/", "/invoices/{pk}/"])
def test_what_htmx_calls_is_also_a_link(page: str, owner: Client, november: Invoice) -> None:
    """Without JavaScript, each address that a fragment comes from can be followed."""
    triggers = {"every 3s", "every 30s", "submit", "submit, change target:.at-once"}
    content = owner.get(page.format(pk=november.pk)).content.decode()
    calls = re.findall(r'hx-get="([^"]+)"', content)
    assert calls
    for call in calls:
        assert f'href="{call}"' in content
    assert set(re.findall(r'hx-trigger="([^"]+)"', content)) <= triggers


def test_faults_have_pages(rf: RequestFactory, db: None) -> None:
    request: HttpRequest = rf.get("/")
    fault = Exception("secret detail")
    answers = {
        400: defaults.bad_request(request, SuspiciousOperation("secret detail")),
        403: defaults.permission_denied(request, fault),
        404: defaults.page_not_found(request, fault),
        500: defaults.server_error(request),
    }
    for status, answer in answers.items():
        content = answer.content.decode()
        assert answer.status_code == status
        assert "secret detail" not in content
        check(content)


def test_a_form_without_its_token_has_a_page() -> None:
    answer = Client(enforce_csrf_checks=True).post("/sign-out/")
    assert answer.status_code == 403
    check(answer.content.decode())
