"""The brand on the portal's pages, and what they load of it."""

from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone

from invoices.brand_changes import set_brand
from invoices.branding import Brand
from invoices.logos import logo_of
from invoices.models import BrandVersion
from tests.invoices.pictures import picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_brand")]

BRAND = {
    "name": "Tollgate",
    "accent": "#4346d6",
    "support_url": "https://help.example",
    "legal_footer": "HRB 1\nBerlin",
}
FOR_EVER = "public, max-age=31536000, immutable"


def brand(**changes: Any) -> BrandVersion:
    return set_brand(changes=changes, by="ada", now=timezone.now())


@pytest.fixture
def branded() -> BrandVersion:
    dark = picture(colour=(255, 255, 255, 255))
    return brand(**BRAND, logo=logo_of(picture()), dark_logo=logo_of(dark))


class TestPages:
    def test_have_logo_colours_support_and_legal_footer(self, branded: BrandVersion, owner: Client) -> None:
        page = owner.get("/").content.decode()
        assert f'src="/brand/logo?v={branded.logo_id}" alt="Tollgate" width="112" height="28"' in page
        assert f'srcset="/brand/logo?v={branded.dark_logo_id}"' in page
        assert f'<link rel="stylesheet" href="/brand.css?v={branded.pk}">' in page
        assert '<a href="https://help.example" rel="noopener">Help and support</a>' in page
        assert "HRB 1<br>Berlin" in page
        assert "· Tollgate</title>" in page

    def test_of_errors_and_of_signing_in_have_them_too(self, branded: BrandVersion, client: Client) -> None:
        for url, status in (("/sign-in/", 200), ("/nothing-here/", 404)):
            page = client.get(url)
            assert page.status_code == status
            assert "https://help.example" in page.content.decode()
            assert "HRB 1" in page.content.decode()
        assert "https://help.example" in render_to_string("500.html")

    def test_without_a_brand_are_as_they_were(self, owner: Client) -> None:
        page = owner.get("/").content.decode()
        assert "<strong>AwesomeIntegration</strong>" in page
        assert "brand.css" not in page
        assert "brand-foot" not in page

    def test_a_logo_for_light_pages_alone_stands_on_white_in_the_dark(self, owner: Client) -> None:
        brand(logo=logo_of(picture()))
        assert '<img class="plate"' in owner.get("/").content.decode()

    def test_a_name_is_no_markup(self, owner: Client) -> None:
        brand(name="<b>x</b>", legal_footer="<i>y</i>")
        page = owner.get("/").content.decode()
        assert "<b>x" not in page
        assert "<i>y" not in page

    def test_have_nothing_inline(self, branded: BrandVersion, owner: Client) -> None:
        page = owner.get("/")
        assert "style=" not in page.content.decode()
        assert "style-src 'self'" in page["Content-Security-Policy"]


class TestTheLogo:
    def test_is_for_everybody_and_for_ever(self, branded: BrandVersion, client: Client) -> None:
        answer = client.get("/brand/logo", {"v": branded.logo_id})
        assert answer.content == bytes(branded.logo.content)  # type: ignore[union-attr]
        assert answer["Content-Type"] == "image/png"
        assert answer["Cache-Control"] == FOR_EVER
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer
        assert "Cookie" not in answer.get("Vary", "")

    def test_of_an_old_version_is_still_there_for_mails_that_show_it(
        self, branded: BrandVersion, client: Client
    ) -> None:
        brand(logo=None, dark_logo=None)
        assert client.get("/brand/logo", {"v": branded.logo_id}).status_code == 200
        assert client.get("/brand/logo").status_code == 404

    def test_of_now_is_not_kept_for_long(self, branded: BrandVersion, client: Client) -> None:
        answer = client.get("/brand/logo")
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "public, max-age=60"

    @pytest.mark.parametrize("version", ["999", "1e3", "-1", "٣", "9" * 30, "99999999999999999999", "x", "1 OR 1=1"])
    def test_that_there_is_not_is_not_found_or_that_of_now(self, version: str, client: Client) -> None:
        assert client.get("/brand/logo", {"v": version}).status_code == 404

    def test_is_only_read(self, branded: BrandVersion, client: Client) -> None:
        assert client.post("/brand/logo").status_code == 405
        assert client.post("/brand.css").status_code == 405


class TestTheStyleSheet:
    def test_has_the_tokens_of_a_version_for_ever(self, branded: BrandVersion, client: Client) -> None:
        brand(accent="#000000")
        answer = client.get("/brand.css", {"v": branded.pk})
        assert answer["Content-Type"] == "text/css; charset=utf-8"
        assert answer["Cache-Control"] == FOR_EVER
        css = answer.content.decode()
        assert css.startswith("@layer tokens{:root{--accent:light-dark(#4346d6,#8284e3);")
        assert "--on-accent:light-dark(#ffffff,#0c1a16);" in css

    def test_of_no_version_has_those_of_now_and_not_for_long(self, branded: BrandVersion, client: Client) -> None:
        for query in ({}, {"v": "999999"}, {"v": "x"}):
            answer = client.get("/brand.css", query)
            assert "#4346d6" in answer.content.decode()
            assert answer["Cache-Control"] == "public, max-age=60"

    def test_of_a_brand_without_an_accent_is_empty(self, client: Client) -> None:
        row = brand(name="Tollgate")
        assert client.get("/brand.css", {"v": row.pk}).content == b""
        assert client.get("/brand.css").content == b""


@pytest.mark.parametrize(
    ("size", "shown"), [((240, 60), (112, 28)), ((640, 20), (180, 5)), ((16, 16), (16, 16)), ((16, 144), (3, 28))]
)
def test_a_logo_keeps_its_shape(size: tuple[int, int], shown: tuple[int, int]) -> None:
    of = Brand("x", has_logo=True, logo_width=size[0], logo_height=size[1])
    assert of.logo_size(height=28, width=180) == shown
