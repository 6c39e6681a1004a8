"""Where links may lead back to: what browsers could read in two ways is refused."""

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from portal.guests.return_urls import NotAnAddress, just_origin, origin_of
from portal.policy import may_return_to, portal_policy, set_portal_policy


class TestOrigins:
    @pytest.mark.parametrize(
        ("url", "origin"),
        [
            ("https://app.example", "https://app.example"),
            ("HTTPS://App.Example/Account?x=1#y", "https://app.example"),
            ("https://app.example:443/", "https://app.example"),
            ("http://localhost:8000/a", "http://localhost:8000"),
            ("http://app.example:80", "http://app.example"),
            ("https://app.example:8443", "https://app.example:8443"),
            ("https://192.0.2.7/a", "https://192.0.2.7"),
            ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443"),
            ("https://app.example/?next=https://evil.example/", "https://app.example"),
        ],
    )
    def test_of_an_address(self, url: str, origin: str) -> None:
        assert origin_of(url) == origin

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "app.example",
            "//app.example",
            "/account",
            "https:",
            "https://",
            "https:///app.example",
            "https:app.example",
            "https:/app.example",
            "https://:443/",
            "https://app.example:/",
            "https://app.example:x/",
            "https://app.example:99999/",
            "https://app..example/",
            "https://-app.example/",
            "https://app.example\\.evil.example/",
            "https:\\\\evil.example/",
            "https://app.example@evil.example/",
            "https://app.example%40evil.example/",
            "https://app.example /",
            "https://app.example/\t",
            "https://app.exämple/",
            "https://[::1/",
            "https://app.example#@evil.example:x/\\",
            "javascript:https://app.example/",
            "data:text/html,x",
            "ftp://app.example/",
            " https://app.example/",
            "https://*.example/",
            "https://app.example/\0",
        ],
    )
    def test_of_what_is_none(self, url: str) -> None:
        with pytest.raises(NotAnAddress):
            origin_of(url)

    @given(st.text(alphabet="htps:/\\@?#%.[]ax1é \t\n", max_size=30))
    def test_whatever_is_let_through_begins_with_its_origin(self, tail: str) -> None:
        for url in (tail, f"https://app.example{tail}"):
            try:
                origin = origin_of(url)
            except NotAnAddress:
                continue
            rest = url.lower().removeprefix(origin)
            assert rest != url.lower() or ":80" in url or ":443" in url
            if origin == "https://app.example":
                assert not rest or rest[0] in "/?#:"

    @pytest.mark.parametrize("text", ["https://app.example/account", "https://app.example/?a", "https://app.example#a"])
    def test_a_list_of_origins_has_no_paths(self, text: str) -> None:
        with pytest.raises(NotAnAddress):
            just_origin(text)


@pytest.mark.django_db
class TestPolicy:
    def test_what_is_listed_is_kept_as_browsers_write_it(self) -> None:
        set_portal_policy(
            changes={"return_origins": ["https://App.example/", "https://app.example:443", "http://localhost:9"]}
        )
        assert portal_policy().return_origins == ["https://app.example", "http://localhost:9"]
        assert may_return_to("https://app.example/x")
        assert not may_return_to("https://app.example.evil/x")
        assert not may_return_to("nonsense")
        assert not may_return_to("")

    @pytest.mark.parametrize(
        "texts", [["nonsense"], ["https://*.example"], [f"https://a{n}.example" for n in range(51)]]
    )
    def test_what_is_no_origin_is_refused(self, texts: list[str]) -> None:
        with pytest.raises(ValidationError) as refused:
            set_portal_policy(changes={"return_origins": texts})
        assert list(refused.value.message_dict) == ["return_origins"]
        assert portal_policy().return_origins == []

    def test_as_it_comes(self) -> None:
        policy = portal_policy()
        assert (policy.return_origins, policy.offers_read_keys) == ([], True)
