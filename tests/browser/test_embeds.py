"""Pieces of the portal in the pages of the pretend vendor's app, which is of another origin, and of another site: the
one is at 127.0.0.1, the other at localhost, so that a cookie would be a third party's."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Frame, Page, expect

from examples.vendor_app.server import VendorApp
from meters.keys import create_api_key
from meters.models import Customer
from portal.embedding.tokens import create_embed_token, revoke_embed_tokens
from pricing.models import Plan
from tests.browser.axe import OF_COLOURS, serious_faults
from tests.browser.conftest import NewPage
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 20_000  # as four pages at once may need them on a busy machine
VIEWS = {"charges": "Current charges", "usage": "API calls", "invoices": "Invoices", "plans": "Plans"}


@pytest.fixture
def acme(transactional_db: None) -> Customer:
    """12,300 calls today, which are $40.00."""
    calls = make_meter("ApiCalls", name="API calls", dimensions=["source"])
    plan = make_plan("Growth", {calls: STORY_RATE})
    other = make_plan("Bigger", {calls: STORY_RATE})
    Plan.objects.filter(pk=other.pk).update(offer=Plan.Offer.SHOWN)
    customer = make_customer("acme", name="Acme Corp")
    put_on(customer, plan, timezone.now().date().replace(day=1))
    send("acme", "ApiCalls", 12_300, source="crm")
    run_sweep()
    run_sweep()
    return customer


@pytest.fixture
def vendor(live_server, tmp_path: Path) -> Iterator[str]:  # type: ignore[no-untyped-def]
    """The pretend app, with a key of its own."""
    _, key = create_api_key(name="vendor", scopes=["write"])
    (tmp_path / "key").write_text(key)
    with serving(VendorApp(0, tollmeter=live_server.url, key_file=tmp_path / "key")) as url:
        yield url


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Pages with this content, of an origin that no token names."""
    (tmp_path / "pages").mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "pages")))
    with serving(server) as url:

        def page(content: str) -> str:
            (tmp_path / "pages" / "page.html").write_text(f"<!doctype html><link rel=icon href='data:,'>{content}")
            return f"{url}/page.html"

        yield page


class serving:  # noqa: N801 (a context manager)
    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.server = server
        self.thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *args: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def pieces(page: Page) -> dict[str, Frame]:
    """The four frames by view, with their figures in them."""
    found = {}
    for view, heading in VIEWS.items():
        frame = page.frame_locator(f"[data-view={view}] iframe")
        expect(frame.get_by_role("heading", level=1, name=heading)).to_be_visible(timeout=SECONDS)
        element = page.query_selector(f"[data-view={view}] iframe")
        assert element is not None
        content = element.content_frame()
        assert content is not None
        found[view] = content
    return found


def is_sized(frame: Frame) -> None:
    """As high as what is in it: nothing is cut off, nothing scrolls, nothing is empty below."""
    # A browser lays out nothing anew in a frame that is out of sight.
    frame.frame_element().scroll_into_view_if_needed()
    frame.wait_for_function("() => Math.abs(innerHeight - document.body.getBoundingClientRect().height) <= 1")
    assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_pieces_show_and_size_themselves_in_a_page_of_another_origin(
    new_page: NewPage, acme: Customer, vendor: str
) -> None:
    page = new_page(color_scheme="light")
    page.goto(vendor)
    frames = pieces(page)
    for frame in frames.values():
        is_sized(frame)
    expect(page.locator("iframe[aria-busy]")).to_have_count(0)
    charges = page.frame_locator("[data-view=charges] iframe")
    expect(charges.locator(".figures")).to_contain_text("$40.00")
    for view, frame in frames.items():
        assert serious_faults(frame) == [], view
    # Higher with what is opened in it, and lower again.
    closed = frames["charges"].evaluate("innerHeight")
    charges.get_by_text("Why").first.click()
    frames["charges"].wait_for_function("closed => innerHeight > closed + 40", arg=closed)
    is_sized(frames["charges"])
    charges.get_by_text("Why").first.click()
    frames["charges"].wait_for_function("closed => innerHeight === closed", arg=closed)
    # Chosen in a frame, by the keyboard, and still sized and live.
    usage = page.frame_locator("[data-view=usage] iframe")
    usage.get_by_label("Group by").select_option("source")
    usage.get_by_text("Show as a table").click()
    expect(usage.locator("table")).to_contain_text("crm")
    is_sized(frames["usage"])
    # A file, out of a frame in a sandbox.
    with page.expect_download() as download:
        page.frame_locator("[data-view=invoices] iframe").get_by_role("link", name="PDF").first.click()
    assert download.value.suggested_filename.endswith(".pdf")
    # Usage that comes in is shown without a reload.
    send("acme", "ApiCalls", 1_000, source="crm")
    run_sweep()
    expect(charges.locator(".figures")).to_contain_text("$45.00", timeout=SECONDS)
    # Dark and in the vendor's colour, chosen in the vendor's page.
    assert colours(frames["charges"]) == ("rgb(255, 255, 255)", "rgb(11, 107, 88)")
    page.get_by_label("Theme").select_option("dark")
    page.get_by_label("Violet").check()
    expect(charges.locator("html[data-theme=dark]")).to_have_count(1)
    for frame in pieces(page).values():
        frame.wait_for_load_state()
        background, accent = colours(frame)
        assert background == "rgb(27, 31, 29)"
        # Made paler, to be read on dark.
        assert accent == "rgb(159, 117, 245)"
        is_sized(frame)
        assert serious_faults(frame, OF_COLOURS) == []
    # On a phone nothing scrolls sideways, in the page or in a frame.
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    for frame in pieces(page).values():
        is_sized(frame)
    assert page.context.cookies() == []


def colours(frame: Frame) -> tuple[str, str]:
    background, accent = frame.evaluate(
        """() => { const probe = document.body.appendChild(document.createElement("i"));
        probe.setAttribute("class", "button primary");
        const found = [getComputedStyle(document.body).backgroundColor, getComputedStyle(probe).backgroundColor];
        probe.remove(); return found; }"""
    )
    return background, accent


def test_a_session_that_ends_is_renewed_by_the_vendors_page(
    new_page: NewPage, acme: Customer, vendor: str, complaints: list[str]
) -> None:
    page = new_page()
    page.goto(vendor)
    frames = pieces(page)
    before = {view: frame.url for view, frame in frames.items()}
    for frame in frames.values():
        is_sized(frame)
    revoke_embed_tokens(acme, now=timezone.now())
    # The charges notice by themselves.
    changed = "url => document.querySelector('[data-view=charges] iframe').src !== url"
    page.wait_for_function(changed, arg=before["charges"])
    again = pieces(page)
    assert again["charges"].url != before["charges"]
    is_sized(again["charges"])
    expect(page.frame_locator("[data-view=charges] iframe").locator(".figures")).to_contain_text("$40.00")
    # Where the vendor's server gives none, the frame says calmly that it is over.
    page.route("**/embed-session*", lambda route: route.abort())
    revoke_embed_tokens(acme, now=timezone.now())
    ended = page.frame_locator("[data-view=charges] iframe").get_by_role("heading", name="This session has ended")
    expect(ended).to_be_visible(timeout=SECONDS)
    is_sized(again["charges"])
    # Which is all that the browser says of it.
    assert all("ERR_FAILED" in text and "/embed-session" in text for text in complaints)
    complaints.clear()


def test_a_page_of_an_origin_that_is_not_named_shows_and_hears_nothing(
    new_page: NewPage,
    acme: Customer,
    live_server,  # type: ignore[no-untyped-def]
    vendor: str,
    elsewhere: Callable[[str], str],
    complaints: list[str],
) -> None:
    _, token = create_embed_token(customer=acme, origins=[vendor], actor="test", now=timezone.now())
    url = f"{live_server.url}/embed/charges?token={token}"
    script = f"{live_server.url}/static/embed/tollmeter-embed.js"
    mount = f"TollmeterEmbed.mount('#place', {{url: '{url}', onMessage: (message) => heard.push(message.type)}})"
    thief = new_page()
    thief.goto(
        elsewhere(f"<div id=place></div><script src='{script}'></script><script>heard = []; piece = {mount}</script>")
    )
    # After five seconds in which nothing is heard.
    thief.wait_for_function("() => heard.length")
    assert thief.evaluate("heard") == ["silent"]
    assert thief.evaluate("piece.frame.getAttribute('aria-busy')") == "true"
    (frame,) = thief.frames[1:]
    assert frame.url.startswith("chrome-error:")
    assert any(f"frame-ancestors {vendor}" in text for text in complaints)
    assert all(f"frame-ancestors {vendor}" in text or "postMessage" in text for text in complaints)
    complaints.clear()
    # A window of its own is open to whoever has the token, and speaks to nobody.
    thief.goto(elsewhere("<script>heard = []; addEventListener('message', (event) => heard.push(event.data))</script>"))
    with thief.expect_popup() as opened:
        thief.evaluate(f"popup = open({url!r}), 1")
    expect(opened.value.get_by_role("heading", name="Current charges")).to_be_visible()
    thief.evaluate("popup.postMessage({tollmeter: 'hello'}, '*')")
    thief.wait_for_timeout(300)
    assert thief.evaluate("heard") == []
    opened.value.close()


def test_the_script_believes_tollmeters_frame_alone(
    new_page: NewPage,
    acme: Customer,
    live_server,
    vendor: str,  # type: ignore[no-untyped-def]
) -> None:
    page = new_page()
    page.goto(vendor)
    frames = pieces(page)
    for frame in frames.values():
        is_sized(frame)
    height = frames["plans"].evaluate("innerHeight")
    page.evaluate("postMessage({tollmeter: 'size', height: 5000}, '*')")
    # Of Tollmeter's origin, and of another frame than the one it is about.
    frames["invoices"].evaluate("parent.postMessage({tollmeter: 'size', height: 777}, '*')")
    page.wait_for_function("() => document.querySelector('[data-view=invoices] iframe').style.height === '777px'")
    assert frames["plans"].evaluate("innerHeight") == height
    # What is sent to a frame by another window than the one around it is not answered.
    heard = page.evaluate(
        """async () => { const heard = []; addEventListener("message", ({data}) => heard.push(data));
        const frame = document.querySelector("[data-view=plans] iframe").contentWindow;
        frame.postMessage({tollmeter: "goodbye"}, "*"); frame.postMessage("hello", "*"); frame.postMessage(null, "*");
        await new Promise((done) => setTimeout(done, 200)); return heard; }"""
    )
    assert heard == []
    # A new address has to be of the same origin.
    refused = page.evaluate(
        """() => { const piece = mounted[0];
        try { piece.update({url: "https://elsewhere.example/"}); } catch (error) { return error.message; } }"""
    )
    assert "another origin" in refused
