"""Pages for frames of the vendor's app: what a token opens, where and for how long; and that nothing else does."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.contrib.staticfiles import finders
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from invoices.alerting.budgets import set_budget
from invoices.models import Invoice
from meters.models import Customer, Meter
from portal.embedding import urls as embed_urls
from portal.embedding.tokens import VIEWS, create_embed_token, revoke_embed_tokens
from portal.models import EmbedToken
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_rate, set_terms
from tests.factories import make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.portal.conftest import NOW

ORIGIN = "https://app.example"
# Every address of pages in frames, out of the table that serves them. A colour's style sheet holds nothing of anybody.
ADDRESSES = sorted(str(pattern.name) for pattern in embed_urls.urlpatterns if pattern.name != "embed-accent")
PAGES = [name for name in ADDRESSES if name != "embed-invoice-pdf"]
HTMX = {"HX-Request": "true", "HX-Target": "live"}


def address(name: str, invoice: Invoice) -> str:
    return reverse(f"portal:{name}", args=[invoice.pk] if name == "embed-invoice-pdf" else [])


def make_token(customer: Customer, *, origins: tuple[str, ...] = (ORIGIN,), **fields: Any) -> str:
    given = {"views": VIEWS, "now": NOW, **fields}
    return create_embed_token(customer=customer, origins=origins, actor="test", **given)[1]


def opened(path: str, token: str, /, headers: dict[str, str] | None = None, **query: str) -> Any:
    return Client().get(path, {"token": token, **query}, headers=headers)


def ancestors(response: HttpResponse) -> list[str]:
    found = re.search(r"frame-ancestors ([^;]+)", response["Content-Security-Policy"])
    assert found is not None
    return found[1].split()


def assert_shows_nothing(response: Any) -> None:
    text = response.content.decode()
    assert "Acme" not in text
    assert "API calls" not in text
    assert "$" not in text
    assert not response.cookies


@pytest.fixture
def token(acme: Customer) -> str:
    return make_token(acme)


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_token_opens_a_page_for_its_origins_alone(name: str, acme: Customer, october: Invoice) -> None:
    token = make_token(acme, origins=(ORIGIN, "http://localhost:8001"))
    response = opened(address(name, october), token)
    assert response.status_code == 200
    assert ancestors(response) == [ORIGIN, "http://localhost:8001"]
    assert "X-Frame-Options" not in response
    # In all else the policy is that of every page.
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    # Neither is the token told to anybody by the page's address, nor is the page kept.
    assert response["Referrer-Policy"] == "no-referrer"
    assert set(response["Cache-Control"].split(", ")) == {"private", "no-store"}


def test_pages_of_the_portal_are_in_no_frame_as_before(owner: Client) -> None:
    response = owner.get("/")
    assert ancestors(response) == ["'none'"]
    assert response["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("name", ADDRESSES)
def test_strangers_see_nothing(
    name: str, acme: Customer, globex: Customer, october: Invoice, stranger: Client, owner: Client
) -> None:
    page = address(name, october)
    good = make_token(acme)
    for token in ("", "x", "tme_", "tme_" + "a" * 43, good[:-1], good + "x", good.upper(), "tme_\0", "ü" * 200):
        response = opened(page, token)
        assert response.status_code == 403, token
        assert ancestors(response) == ["'none'"]
        assert response["X-Frame-Options"] == "DENY"
        assert_shows_nothing(response)
    # Neither is a session asked for, nor does one help, be it the customer's own.
    for client in (stranger, owner):
        assert client.get(page).status_code == 403
    # Another customer's token shows that customer's.
    response = opened(page, make_token(globex))
    assert response.status_code == (404 if name == "embed-invoice-pdf" else 200)
    assert_shows_nothing_of_acme(response)


def assert_shows_nothing_of_acme(response: Any) -> None:
    text = response.content.decode()
    assert "Acme" not in text
    assert "12,300" not in text
    assert "$40.00" not in text


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_token_that_has_ended_says_so_where_it_was_shown(name: str, acme: Customer, october: Invoice) -> None:
    page = address(name, october)
    token = make_token(acme, life=timedelta(minutes=1))
    with time_machine.travel(NOW + timedelta(seconds=59), tick=False):
        assert opened(page, token).status_code == 200
    with time_machine.travel(NOW + timedelta(seconds=60), tick=False):
        response = opened(page, token)
    assert response.status_code == 401
    assert "This session has ended" in response.content.decode()
    assert "data-ended" in response.content.decode()
    # Its own origins still see it, so that they can be told; nobody else does.
    assert ancestors(response) == [ORIGIN]
    assert f'data-origins="{ORIGIN}"' in response.content.decode()
    assert_shows_nothing(response)
    revoked = make_token(acme)
    assert opened(page, revoked).status_code == 200
    assert revoke_embed_tokens(acme, now=NOW) == 2
    assert opened(page, revoked).status_code == 401


@pytest.mark.parametrize("name", PAGES)
def test_figures_are_asked_for_again_with_the_token_until_it_has_ended(
    name: str, acme: Customer, october: Invoice
) -> None:
    token = make_token(acme)
    page = opened(address(name, october), token, theme="dark", accent="7a3ff2").content.decode()
    if polled := re.search(r'hx-get="([^"]+)" hx-trigger="every', page):
        again = polled[1].replace("&amp;", "&")
        assert again.startswith(f"{address(name, october)}?token={token}&theme=dark&accent=7a3ff2")
        part = Client().get(again, headers=HTMX)
        assert part.status_code == 200
        assert "<html" not in part.content.decode()
        # The fragment is what the page includes.
        assert _squeezed(part.content.decode()) in _squeezed(page)
    revoke_embed_tokens(acme, now=NOW)
    part = opened(address(name, october), token, headers=HTMX)
    assert part.status_code == 286  # which ends the asking
    assert "This session has ended" in part.content.decode()
    assert_shows_nothing(part)


def _squeezed(html: str) -> str:
    return re.sub(r"\s+", "", html)


def test_a_token_opens_what_it_names(acme: Customer, october: Invoice) -> None:
    allowed = {"embed-usage": "usage", "embed-charges": "charges", "embed-plans": "plans"}
    allowed |= {"embed-invoices": "invoices", "embed-invoice-pdf": "invoices"}
    assert set(allowed) == set(ADDRESSES)
    for view in VIEWS:
        token = make_token(acme, views=[view])
        for name in ADDRESSES:
            response = opened(address(name, october), token)
            assert response.status_code == (200 if allowed[name] == view else 403)
            if response.status_code == 403:
                assert ancestors(response) == [ORIGIN]
                assert "cannot be shown here" in response.content.decode()
                assert "data-ended" not in response.content.decode()
                assert_shows_nothing(response)


@pytest.mark.parametrize("name", ADDRESSES)
def test_no_cookie_is_read_or_set_and_nothing_is_written(
    name: str, token: str, october: Invoice, owner: Client, django_assert_max_num_queries: Any
) -> None:
    """Also not those of somebody who is signed in to the portal with the same browser."""
    before = dict(owner.cookies)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = owner.get(address(name, october), {"token": token})
    assert response.status_code == 200
    assert not response.cookies
    assert owner.cookies == before
    request = response.wsgi_request
    assert not hasattr(request, "session")
    assert not hasattr(request, "user")
    assert not any("django_session" in query["sql"] or "auth_user" in query["sql"] for query in queries)
    assert not any(query["sql"].lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")) for query in queries)
    assert "Cookie" not in response.get("Vary", "")
    for method in ("post", "put", "patch", "delete"):
        assert getattr(owner, method)(f"{address(name, october)}?token={token}").status_code == 405


@pytest.mark.parametrize(("name", "most"), [("charges", 24), ("usage", 9), ("invoices", 5), ("plans", 14)])
def test_queries(name: str, most: int, token: str, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(most):
        assert opened(f"/embed/{name}", token).status_code == 200


@pytest.mark.parametrize("name", PAGES)
def test_a_page_with_all_that_it_loads_is_below_150_kb(name: str, token: str, october: Invoice) -> None:
    response = opened(address(name, october), token, accent="7a3ff2")
    text = response.content.decode()
    size = len(response.content)
    loaded = re.findall(r'(?:href|src)="(/[^"]+\.(?:css|js)[^"]*)"', text)
    assert len(loaded) >= 8
    for path in loaded:
        if path.startswith(settings.STATIC_URL):
            found = finders.find(path.removeprefix(settings.STATIC_URL))
            assert isinstance(found, str)
            with open(found, "rb") as file:
                size += len(file.read())
        else:
            size += len(Client().get(path).content)
    assert size < 150_000
    # Nothing is inline, and nothing comes from elsewhere.
    assert " style=" not in text
    assert not re.search(r"<script(?! [^>]*src=)|<style|https?://(?!app\.example|www\.w3\.org)", text)


def test_charges(token: str, acme: Customer, november: Invoice) -> None:
    set_budget(acme, amount="60", currency="USD", actor="test", now=NOW)
    text = opened("/embed/charges", token).content.decode()
    for words in (
        "Charges so far",
        "$40.00",
        "Estimate",
        "Projected",
        "Next invoice",
        "12,300",
        "calls",
        "Why",
        "Budget $60.00",
    ):
        assert words in text
    # Its links would lead to pages that no frame may show.
    assert not re.findall(r'<a [^>]*href="(?!/embed/|\?)', text)


def test_two_plans_in_two_currencies(acme: Customer, calls: Meter, november: Invoice) -> None:
    seats = make_meter("Seats")
    tokyo = Plan.objects.create(key="Tokyo")
    set_terms(draft_version(tokyo), currency="JPY")
    parameters = {"model": "per_unit", "unit_price": "120"}
    set_rate(draft_version(tokyo), product_item=seats.product_item, parameters=parameters)
    activate(tokyo)
    put_on(acme, tokyo, date(2026, 11, 1))
    send("acme", "Seats", 7, time=datetime(2026, 11, 17, 9, tzinfo=UTC))
    run_sweep()
    run_sweep()
    token = make_token(acme)
    text = opened("/embed/charges", token).content.decode()
    for words in ("$40.00", "¥840", "Growth", "Tokyo", "1–30 Nov 2026"):
        assert words in text
    assert "¥840" in opened("/embed/invoices", token).content.decode()
    assert opened("/embed/plans", token).content.decode().count("Your plan") == 2


def test_usage_is_asked_for_as_on_the_usage_page(token: str) -> None:
    text = opened("/embed/usage", token).content.decode()
    assert "12,300" in text
    assert 'name="token"' in text
    text = opened("/embed/usage", token, group="source", view="cumulative", period="2026-10").content.decode()
    assert "6,000" in text
    assert "12,300" not in text
    assert opened("/embed/usage", token, headers=HTMX).status_code == 200
    assert opened("/embed/usage", token, headers=HTMX, period="2026-10").status_code == 286  # it moves no more
    text = opened("/embed/usage", token, measure="cost", compare="previous").content.decode()
    assert "$40.00" in text
    assert f'hx-get="/embed/usage?token={token}&amp;period=2026-11&amp;meter=ApiCalls&amp;measure=cost' in text
    # What is no choice is left out: who looks at it has not written it.
    wrong = opened("/embed/usage", token, meter="x", group="y", period="2026-99", view="z")
    assert wrong.status_code == 200
    assert "12,300" in wrong.content.decode()
    swapped = opened("/embed/usage", token, headers={"HX-Request": "true", "HX-Target": "embed"}, group="source")
    assert "<html" not in swapped.content.decode()
    assert "<form" in swapped.content.decode()


def test_invoices(token: str, acme: Customer, october: Invoice, november: Invoice) -> None:
    text = opened("/embed/invoices", token, theme="light").content.decode()
    assert text.index("Running") < text.index(october.number)
    assert f'href="/embed/invoices/{october.pk}.pdf?token={token}&amp;theme=light"' in text
    pdf = opened(f"/embed/invoices/{october.pk}.pdf", token)
    assert pdf.content.startswith(b"%PDF")
    assert pdf["Content-Disposition"].startswith("attachment")
    assert opened("/embed/invoices/999999.pdf", token).status_code == 404


def test_invoices_come_a_page_at_a_time(growth: Plan) -> None:
    customer = make_customer("acme", name="Acme Corp")
    put_on(customer, growth, date(2026, 1, 1))
    for _ in range(3):
        run_sweep()
    token = make_token(customer)
    first = opened("/embed/invoices", token).content.decode()
    assert "Running" in first
    assert f"?token={token}&amp;page=2" in first
    second = opened("/embed/invoices", token, page="2").content.decode()
    assert "Running" not in second
    assert f'hx-get="/embed/invoices?token={token}&amp;page=2"' in second
    assert opened("/embed/invoices", token, page="x").status_code == 200
    # What does not move is not asked for again and again.
    assert opened("/embed/invoices", token, headers=HTMX).status_code == 200
    assert opened("/embed/invoices", token, headers=HTMX, page="2").status_code == 286
    assert opened("/embed/charges", token, headers=HTMX).status_code == 200


def test_plans_shows_ones_own_and_those_on_offer(token: str, calls: Meter) -> None:
    for key, offer in (("Bigger", Plan.Offer.SHOWN), ("Secret", Plan.Offer.NONE)):
        plan = make_plan(key, {calls: {"model": "per_unit", "unit_price": "0.0004"}})
        Plan.objects.filter(pk=plan.pk).update(offer=offer)
    text = opened("/embed/plans", token).content.decode()
    assert text.index("Growth") < text.index("Your plan") < text.index("Bigger")
    assert "Secret" not in text
    assert "5,000 calls free" in text
    assert "$0.0004 per call" in text


def test_before_there_is_anything(db: None, clock: object) -> None:
    token = make_token(make_customer("new", name="New"))
    for name, words in (
        ("charges", "No plan yet"),
        ("usage", "No usage yet"),
        ("invoices", "No invoices yet"),
        ("plans", "No plan yet"),
    ):
        response = opened(f"/embed/{name}", token)
        assert response.status_code == 200
        assert words in response.content.decode()


def test_theme_and_accent(token: str) -> None:
    page = opened("/embed/charges", token).content.decode()
    assert '<meta name="color-scheme" content="light dark">' in page
    assert "accent.css" not in page
    page = opened("/embed/charges", token, theme="dark", accent="#7A3FF2").content.decode()
    assert '<html lang="en" data-theme="dark">' in page
    assert '<meta name="color-scheme" content="dark">' in page
    assert '<link rel="stylesheet" href="/embed/accent.css?c=7a3ff2">' in page
    # What is no colour is left out, however it tries to be more.
    for bad in ("7a3ff", "red", "7a3ff2;}", "7a3ff2\n", "</style>", "٧a3ff2", "7a3ff2ff", "#", "##7a3ff2"):
        page = opened("/embed/charges", token, theme="purple", accent=bad).content.decode()
        assert "accent.css" not in page
        assert "data-theme" not in page
        assert Client().get("/embed/accent.css", {"c": bad}).status_code == 400


def test_the_style_sheet_of_a_colour(db: None) -> None:
    client = Client()
    response = client.get("/embed/accent.css", {"c": "7a3ff2"})
    assert response["Content-Type"].startswith("text/css")
    assert "--accent:light-dark(#7a3ff2,#" in response.content.decode()
    assert "max-age" in response["Cache-Control"]
    assert not response.cookies
    # One that nobody could read on white is darkened.
    pale = re.search(r"--accent:light-dark\((#\w+)", client.get("/embed/accent.css", {"c": "ffee00"}).content.decode())
    assert pale is not None
    assert pale[1] != "#ffee00"
    assert client.post("/embed/accent.css").status_code == 405
    assert client.get("/embed/accent.css").status_code == 400


def test_only_the_hash_of_a_token_is_kept_and_old_ones_are_forgotten(acme: Customer) -> None:
    token = make_token(acme)
    row = EmbedToken.objects.get()
    assert token not in str(vars(row))
    assert len(bytes(row.digest)) == 32
    make_token(acme, now=NOW + timedelta(hours=24, minutes=15))
    assert EmbedToken.objects.filter(pk=row.pk).exists()  # its page can still say that it has ended
    make_token(acme, now=NOW + timedelta(hours=24, minutes=16))
    assert not EmbedToken.objects.filter(pk=row.pk).exists()


def test_our_own_script_is_small_and_has_a_stable_address() -> None:
    found = finders.find("embed/tollmeter-embed.js")
    assert isinstance(found, str)
    with open(found) as file:
        text = file.read()
    assert len(text.encode()) < 4096
    assert '"*"' not in text
    assert "innerHTML" not in text


def test_a_new_years_page_in_another_zone(calls: Meter, growth: Plan) -> None:
    """Days of a bill are those of the customer's zone."""
    with time_machine.travel(datetime(2026, 12, 31, 20, tzinfo=UTC), tick=False):
        customer = make_customer("kol", name="Kol", time_zone="Asia/Kolkata")
        put_on(customer, growth, date(2026, 12, 1))
        send("kol", "ApiCalls", 700, time=datetime(2026, 12, 31, 19, tzinfo=UTC))
        run_sweep()
        run_sweep()
        token = make_token(customer, now=datetime(2026, 12, 31, 20, tzinfo=UTC))
        assert "1–31 Jan 2027" in opened("/embed/charges", token).content.decode()
        usage = opened("/embed/usage", token).content.decode()
    assert "1–31 Jan 2027 (Asia/Kolkata)" in usage
    assert "700" in usage
