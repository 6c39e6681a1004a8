"""The brand: one for pages, mails and papers; changed by versions, and kept by what was issued."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client

from invoices import branding
from invoices.brand_changes import set_brand
from invoices.branding import Brand, brand
from invoices.logos import logo_of
from invoices.mailing.contents import MailContent
from invoices.mailing.mails import rendered
from invoices.models import BrandImage, BrandVersion, MailSetting
from invoices.policy_changes import set_billing_policy
from tests.invoices.november import NOW
from tests.invoices.pictures import picture
from tests.racing import race

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_brand")]

LOGO, DARK_LOGO = logo_of(picture()), logo_of(picture(colour=(255, 255, 255, 255)))
BRAND = {
    "name": "Tollgate",
    "accent": "#4346d6",
    "support_url": "https://help.tollgate.example/billing?from=mail",
    "legal_footer": "Tollgate GmbH, Berlin\r\nHRB 1234",
}
SETTING = MailSetting(kind=MailSetting.Kind.INVOICE_FINALIZED)


def saved(seen: int | None = None, **changes: Any) -> BrandVersion:
    return set_brand(changes=changes, by="ada", now=NOW, seen=seen)


def refused(**changes: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as error:
        saved(**changes)
    assert not BrandVersion.objects.exists()
    return error.value.message_dict


class TestWhatItIs:
    def test_without_one_it_is_the_installations_name(self, settings: Any) -> None:
        assert brand() == Brand("AwesomeIntegration")
        settings.COMPANY_NAME = "Others"
        assert brand().name == "Others"

    def test_the_name_is_the_brands_else_the_sellers_else_the_installations(self) -> None:
        set_billing_policy(changes={"seller_name": "Sellers GmbH"}, now=NOW)
        assert brand().name == "Sellers GmbH"
        saved(accent="#4346d6")
        assert brand().name == "Sellers GmbH"
        saved(name="Tollgate")
        assert brand().name == "Tollgate"

    def test_all_of_it(self) -> None:
        row = saved(**BRAND, logo=LOGO, dark_logo=DARK_LOGO)
        assert row.logo is not None
        found = brand()
        assert (found.name, found.accent, found.version) == ("Tollgate", "#4346d6", row.pk)
        assert (found.has_logo, found.logo_version, found.dark_logo_version) == (True, row.logo_id, row.dark_logo_id)
        assert (found.logo_width, found.logo_height) == (240, 60)
        assert found.legal_lines == ["Tollgate GmbH, Berlin", "HRB 1234"]
        assert found.support_words == "help.tollgate.example/billing"

    def test_it_is_asked_for_once_in_a_few_seconds(self, monkeypatch: Any, django_assert_num_queries: Any) -> None:
        saved(**BRAND)
        monkeypatch.setattr(branding, "LIVE_SECONDS", 3)
        with django_assert_num_queries(1):
            assert [brand().name for _ in range(3)] == ["Tollgate"] * 3

    def test_a_page_that_says_the_database_is_gone_still_has_a_name(self, client: Client) -> None:
        saved(**BRAND)
        assert brand().name == "Tollgate"
        with transaction.atomic():
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1/0")
            except Exception:
                assert brand().name == "Tollgate"
            transaction.set_rollback(True)

    @pytest.mark.django_db(transaction=True)
    def test_a_process_that_saves_it_has_it_at_once(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(branding, "LIVE_SECONDS", 1000)
        assert brand().name == "AwesomeIntegration"
        saved(name="Tollgate")
        assert brand().name == "Tollgate"
        set_billing_policy(changes={"seller_name": "Sellers GmbH"}, now=NOW)
        saved(name="")
        assert brand().name == "Sellers GmbH"


class TestSaving:
    def test_a_change_is_another_version_and_the_old_one_stays(self) -> None:
        first = saved(**BRAND, logo=LOGO)
        second = saved(name="Others")
        assert second.pk > first.pk
        assert (second.accent, second.logo_id, second.saved_by) == ("#4346d6", first.logo_id, "ada")
        assert BrandVersion.objects.get(pk=first.pk).name == "Tollgate"

    def test_a_logo_is_kept_once_and_can_be_taken_away(self) -> None:
        saved(logo=LOGO)
        saved(logo=None)
        assert not brand().has_logo
        saved(logo=LOGO, dark_logo=LOGO)
        assert BrandImage.objects.count() == 1

    def test_no_change_is_no_version(self) -> None:
        first = saved(**BRAND, logo=LOGO)
        assert saved(**BRAND, logo=LOGO) == first
        assert BrandVersion.objects.count() == 1

    @pytest.mark.parametrize("table", ["invoices_brandversion", "invoices_brandimage"])
    def test_the_database_keeps_versions_as_they_are(self, table: str) -> None:
        saved(**BRAND, logo=LOGO)
        for statement in (f"UPDATE {table} SET id = id + 1", f"DELETE FROM {table}"):
            refusal = pytest.raises(IntegrityError, match="only ever added to")
            with refusal, transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement)

    def test_who_comes_second_is_told(self) -> None:
        first = saved(**BRAND, seen=0)
        saved(name="Others", seen=first.pk)
        with pytest.raises(ValidationError, match="ada has saved another brand since you opened this page"):
            saved(name="Mine", seen=first.pk)
        with pytest.raises(ValidationError, match="ada has saved another brand"):
            saved(name="Mine", seen=0)
        assert brand().name == "Others"

    @pytest.mark.django_db(transaction=True)
    def test_of_two_at_once_one_is_told(self) -> None:
        jobs = [lambda name=name: saved(name=name, seen=0) for name in ("Tollgate", "Others")]
        assert [type(error) for error in race(*jobs)] == [ValidationError]
        assert BrandVersion.objects.count() == 1

    def test_all_faults_are_told_at_once(self) -> None:
        assert set(refused(name="x" * 101, accent="red", support_url="ftp://x", legal_footer="x" * 601)) == {
            "name", "accent", "support_url", "legal_footer",
        }  # fmt: skip

    @pytest.mark.parametrize("name", ["A\nBcc: eve@evil.example", "A\r\nX: y", "A\0", "A\u2028B", "A\u202eB", "A\tB"])
    def test_a_name_is_one_line(self, name: str) -> None:
        assert refused(name=name)["name"] == ["A name is one line of letters that are seen."]

    @pytest.mark.parametrize(
        ("accent", "words"),
        [("red", "six digits"), ("#fff", "six digits"), ("#ffd400", "nearest colour that would do is #a58900"),
         ("#4346d6;}*{display:none}", "six digits")],
    )  # fmt: skip
    def test_an_accent_is_a_colour_that_can_be_read(self, accent: str, words: str) -> None:
        assert words in refused(accent=accent)["accent"][0]

    @pytest.mark.parametrize(
        "url",
        ["javascript:alert(1)", "http://help.example", "https://", "https://user:pw@evil.example", "//evil.example",
         "data:text/html,x", "mailto:nobody", "mailto:", "https://a.example/\"onclick=x", "https://a.example/ b",
         "https://a.example/\nBcc: x", "mailto:a@b.example\r\nBcc: c@d.example", "https://[::1", "help"],
    )  # fmt: skip
    def test_a_support_link_is_a_page_or_an_address(self, url: str) -> None:
        assert "https://example.com/help, or mailto:" in refused(support_url=url)["support_url"][0]

    @pytest.mark.parametrize(
        "url", ["https://help.example", "https://help.example:8443/a?b=c#d", "mailto:help@tollgate.example",
                "mailto:help@tollgate.example?subject=Bill"],
    )  # fmt: skip
    def test_these_are(self, url: str) -> None:
        assert saved(support_url=url).support_url == url

    def test_a_logo_for_dark_pages_alone_is_refused(self) -> None:
        assert "none for light ones" in refused(dark_logo=LOGO)["dark_logo"][0]

    def test_what_is_not_known_is_refused(self) -> None:
        assert refused(css="x")["css"] == ["This is not known here."]


class TestInMails:
    CONTENT = MailContent(subject="Bill from Tollgate", intro="Hi", url="https://x.example/", url_text="See it")

    def test_it_has_logo_colours_and_foot(self, settings: Any) -> None:
        settings.PUBLIC_URL = "https://billing.tollgate.example"
        row = saved(**BRAND, logo=LOGO, dark_logo=DARK_LOGO)
        _, text, html = rendered(SETTING, self.CONTENT)
        url = f"https://billing.tollgate.example/brand/logo?v={row.logo_id}"
        assert f'<img src="{url}" alt="Tollgate" width="128" height="32"' in html
        assert f'srcset="https://billing.tollgate.example/brand/logo?v={row.dark_logo_id}"' in html
        assert "#4346d6" in html
        assert "HRB 1234" in html
        for said in (text, html):
            assert "https://help.tollgate.example/billing?from=mail" in said
            assert "https://billing.tollgate.example/settings/" in said
            assert "HRB 1234" in said
        assert text.rstrip().endswith("HRB 1234")

    def test_without_an_address_of_its_own_the_name_stands_for_the_logo(self) -> None:
        saved(**BRAND, logo=LOGO)
        _, text, html = rendered(SETTING, self.CONTENT)
        assert "<img" not in html
        assert "<b>Tollgate</b>" in html
        assert "settings" not in text

    def test_the_foot_of_an_installation_without_a_brand_is_empty(self) -> None:
        _, text, html = rendered(SETTING, self.CONTENT)
        assert 'class="foot"' not in html
        assert text.rstrip().endswith("AwesomeIntegration")

    def test_what_goes_to_staff_says_nothing_of_choosing(self, settings: Any) -> None:
        settings.PUBLIC_URL = "https://billing.tollgate.example"
        saved(**BRAND)
        content = MailContent(subject="Alert", intro="Hi", is_for_staff=True)
        for said in rendered(SETTING, content):
            assert "settings" not in said
            assert "HRB" not in said

    def test_what_somebody_waits_for_says_nothing_of_choosing(self, settings: Any) -> None:
        settings.PUBLIC_URL = "https://billing.tollgate.example"
        saved(**BRAND)
        _, text, html = rendered(MailSetting(kind="sign_in_link"), self.CONTENT)
        assert "/settings/" not in text + html
        assert "HRB 1234" in text

    def test_no_name_adds_a_header(self) -> None:
        """A brand's name is one line; a seller's, which may have come before that rule, becomes one."""
        set_billing_policy(changes={"seller_name": "A\nBcc: eve@evil.example"}, now=NOW)
        subject, _, _ = rendered(SETTING, MailContent(subject=f"Invoice from {brand().name}", intro=""))
        assert subject == "Invoice from A Bcc: eve@evil.example"

    def test_a_name_is_no_markup(self) -> None:
        saved(name="<b>&</b>", legal_footer="<script>x</script>")
        _, _, html = rendered(SETTING, self.CONTENT)
        assert "<script>" not in html
        assert "&lt;b&gt;&amp;&lt;/b&gt;" in html
