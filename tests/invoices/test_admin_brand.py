"""The staff page of the brand: what is typed, what it comes to, who may."""

import html
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from invoices.branding import brand
from invoices.models import BrandVersion
from tests.invoices.papers import text as pdf_text
from tests.invoices.pictures import picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_brand")]

PAGE = "/admin/invoices/brandversion/"
FORM = {
    "name": "Tollgate", "accent": "#4346d6", "support_url": "mailto:help@tollgate.example",
    "legal_footer": "HRB 1234", "seen": "0",
}  # fmt: skip


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def file(content: bytes = picture(), name: str = "logo.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, "image/png")


def text(response: Any) -> str:
    content = re.sub(r"<[^>]+>", " ", response.content.decode())
    return " ".join(html.unescape(content).split())


def test_it_is_saved_and_logged_by_name(staff: Client) -> None:
    page = staff.post(PAGE, FORM | {"logo": file()}, follow=True)
    assert "Saved. Pages have it within seconds." in text(page)
    assert "Saved by ada" in text(page)
    found = brand()
    assert (found.name, found.accent, found.has_logo) == ("Tollgate", "#4346d6", True)
    assert BrandVersion.objects.get().saved_by == "ada"
    assert "Changed: name, accent, logo" in LogEntry.objects.get().change_message
    assert "Tollgate" in text(staff.get("/admin/"))


def test_a_logo_stays_until_it_is_taken_away(staff: Client) -> None:
    staff.post(PAGE, FORM | {"logo": file(), "dark_logo": file(picture(colour=(255, 255, 255, 255)))})
    staff.post(PAGE, FORM | {"name": "Others", "seen": str(brand().version)})
    assert brand().has_logo
    staff.post(PAGE, FORM | {"no_dark_logo": "on", "seen": str(brand().version)})
    assert (brand().has_logo, brand().dark_logo_version) == (True, 0)
    staff.post(PAGE, FORM | {"no_logo": "on", "seen": str(brand().version)})
    assert not brand().has_logo


def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_saved(staff: Client) -> None:
    wrong = FORM | {"accent": "#ffd400", "support_url": "javascript:alert(1)", "logo": file(b"<svg onload=alert(1)>")}
    page = text(staff.post(PAGE, wrong))
    assert "The nearest colour that would do is #a58900." in text(staff.post(PAGE, FORM | {"accent": "#ffd400"}))
    assert "This is an SVG file, which can hold scripts." in page
    assert "Files have to be chosen again." in page
    assert "Write where people find help" in text(staff.post(PAGE, FORM | {"support_url": "javascript:alert(1)"}))
    assert not BrandVersion.objects.exists()


def test_who_comes_second_is_told_and_overwrites_nothing(staff: Client) -> None:
    staff.post(PAGE, FORM)
    page = staff.post(PAGE, FORM | {"name": "Mine"})
    assert "ada has saved another brand since you opened this page" in text(page)
    assert brand().name == "Tollgate"


def test_no_change_is_said(staff: Client) -> None:
    staff.post(PAGE, FORM)
    assert "Nothing has changed." in text(staff.post(PAGE, FORM | {"seen": str(brand().version)}, follow=True))


class TestPreview:
    def test_shows_what_is_typed_and_not_saved_in_both_schemes(self, staff: Client) -> None:
        page = staff.post(f"{PAGE}preview/", FORM | {"logo": file()})
        content = page.content.decode()
        assert "The accent: #4346d6 on light pages, #8284e3 on dark ones." in text(page)
        assert "brand-light" in content
        assert "brand-dark" in content
        assert "preview.css?accent=%234346d6" in content
        assert 'src="data:image/png;base64,' in content
        assert "HRB 1234" in content
        assert not BrandVersion.objects.exists()

    def test_says_what_would_be_refused(self, staff: Client) -> None:
        page = staff.post(f"{PAGE}preview/", FORM | {"accent": "#ffd400", "logo": file(b"GIF89a")})
        assert "#ffd400 is too pale to be seen on light pages" in text(page)
        assert "no PNG, JPEG or WebP picture" in text(page)
        assert "preview.css" not in page.content.decode()

    def test_has_its_colours_from_a_style_sheet(self, staff: Client) -> None:
        page = staff.get(f"{PAGE}preview.css", {"accent": "#4346d6"})
        assert page["Content-Type"] == "text/css; charset=utf-8"
        assert page.content.decode().startswith("@layer tokens{.brand-preview{--accent:light-dark(#4346d6,#8284e3);")
        for accent in ("", "red", "#ffd400", "#4346d6}*{x:y"):
            assert staff.get(f"{PAGE}preview.css", {"accent": accent}).content == b""

    def test_opens_a_mail_and_a_paper_of_what_is_typed(self, staff: Client) -> None:
        mail = staff.post(f"{PAGE}mail/", FORM | {"logo": file()})
        assert "img-src 'self' data:" in mail["Content-Security-Policy"]
        assert "script-src 'none'" in mail["Content-Security-Policy"]
        assert 'alt="Tollgate"' in mail.content.decode()
        assert "help@tollgate.example" in text(mail)
        paper = staff.post(f"{PAGE}paper.pdf", FORM | {"logo": file()})
        assert paper["Content-Type"] == "application/pdf"
        assert "Tollgate" in pdf_text(paper.content)
        assert "HRB 1234" in pdf_text(paper.content)

    @pytest.mark.parametrize("page", ["preview/", "mail/", "paper.pdf"])
    def test_is_only_posted(self, staff: Client, page: str) -> None:
        assert staff.get(PAGE + page).status_code == 405


class TestWhoMay:
    def client_with(self, *names: str) -> Client:
        user = User.objects.create_user("eve", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        client = Client()
        client.force_login(user)
        return client

    def test_who_may_look_sees_it_and_saves_nothing(self) -> None:
        viewer = self.client_with("view_brandversion")
        page = viewer.get(PAGE)
        assert page.status_code == 200
        assert 'value="Save"' not in page.content.decode()
        assert viewer.post(PAGE, FORM).status_code == 403
        assert viewer.post(f"{PAGE}preview/", FORM).status_code == 403
        assert not BrandVersion.objects.exists()

    def test_others_see_nothing(self) -> None:
        other = self.client_with("view_invoice")
        assert other.get(PAGE).status_code == 403
        assert other.get(f"{PAGE}preview.css").status_code == 403

    def test_strangers_are_sent_to_sign_in(self, client: Client) -> None:
        for page in ("", "preview.css"):
            assert "/login/" in client.get(PAGE + page)["Location"]
        assert "/login/" in client.post(PAGE, FORM)["Location"]

    def test_versions_are_not_deleted(self, staff: Client) -> None:
        staff.post(PAGE, FORM)
        row = BrandVersion.objects.get()
        assert staff.post(f"{PAGE}{row.pk}/delete/", {"post": "yes"}).status_code == 403
        assert staff.get(f"{PAGE}{row.pk}/change/")["Location"] == PAGE
