"""Where webhooks may go: nowhere that only this server can reach, unless staff allow it."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from invoices.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from invoices.outbox import tell
from invoices.webhooks.delivering import send_due
from invoices.webhooks.endpoints import create_endpoint, update_endpoint
from invoices.webhooks.guard import RefusedAddress, check_address
from invoices.webhooks.sending import post
from invoices.webhooks.spreading import spread
from tests.invoices.receiver import Receiver, receiving

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
]
NEVER = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "fe80::1",
    "fe80::1%eth0",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "::ffff:0.0.0.0",
    "224.0.0.1",
    "239.255.255.250",
    "ff02::1",
    "240.0.0.1",
    "255.255.255.255",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    check_address(address, allow_private=False)
    check_address(address, allow_private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_unless_allowed(address: str) -> None:
    with pytest.raises(RefusedAddress, match="private network"):
        check_address(address, allow_private=False)
    check_address(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_always_refused(address: str) -> None:
    for allow_private in (False, True):
        with pytest.raises(RefusedAddress):
            check_address(address, allow_private=allow_private)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


LOOPBACK = ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "017700000001", "0x7f.1"]


@pytest.mark.parametrize("host", [*LOOPBACK, "[::ffff:127.0.0.1]"])
def test_nothing_is_sent_to_this_machine_however_it_is_written(receiver: Receiver, host: str) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    answer = post(url, headers={}, body="{}", allow_private=False)
    assert answer.status is None
    assert "is inside a private network" in answer.error
    assert not receiver.got
    assert post(url, headers={}, body="{}", allow_private=True).status == 200


@pytest.mark.parametrize("host", ["169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "10.0.0.1", "0.0.0.0", "[fe80::1]"])
def test_nothing_is_even_connected_to(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: Any, **__: Any) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr(socket, "create_connection", connect)
    answer = post(f"http://{host}:9/", headers={}, body="{}", allow_private=False)
    assert answer.status is None
    assert "private network" in answer.error or "are not sent to" in answer.error


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Has names stand for these addresses, one list after the other; answers which names are asked for."""
    asked: list[str] = []
    left = list(answers)
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        if not str(host).endswith(".example"):
            return real(host, port, *args, **kwargs)
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["fd00:ec2::254"]],
    ids=str,
)
def test_a_name_that_leads_inside_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    resolving(monkeypatch, addresses)
    answer = post(receiver.url.replace("127.0.0.1", "evil.example"), headers={}, body="{}", allow_private=False)
    assert answer.status is None
    assert not receiver.got


def test_what_was_looked_at_is_what_is_connected_to(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere when it is asked for again is not asked for again."""
    asked = resolving(monkeypatch, ["127.0.0.1"], ["203.0.113.1"])
    answer = post(receiver.url.replace("127.0.0.1", "twice.example"), headers={}, body="{}", allow_private=True)
    assert answer.status == 200
    assert asked == ["twice.example"]
    assert receiver.got[0].headers["host"].startswith("twice.example:")


def test_the_next_address_is_tried_where_one_does_not_answer(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    url = receiver.url.replace("127.0.0.1", "two.example")
    assert post(url, headers={}, body="{}", allow_private=True).status == 200


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = post("https://no-such-host.invalid/", headers={}, body="{}", allow_private=False)
    assert answer.status is None
    assert answer.error.startswith("No connection")


def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would connect to what it resolves itself."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(receiver.url, headers={}, body="{}", allow_private=True).status == 200


def test_tls_is_verified(receiver: Receiver) -> None:
    answer = post(receiver.url.replace("http:", "https:"), headers={}, body="{}", allow_private=True)
    assert answer.status is None
    assert not receiver.got


# --- What an endpoint can be ---


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://example.com", "https://example.com/"),
        ("  https://Example.COM:8443/a/b?c=d ", "https://example.com:8443/a/b?c=d"),
        ("https://bücher.example/hook", "https://xn--bcher-kva.example/hook"),
        ("https://[2606:4700:4700::1111]/x", "https://[2606:4700:4700::1111]/x"),
    ],
)
def test_urls_are_kept_as_they_are_connected_to(url: str, stored: str) -> None:
    assert create_endpoint(url=url).url == stored


@pytest.mark.django_db
@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "http://example.com/",
        "https://",
        "https:///path",
        "https://user:pass@example.com/",
        "https://user@example.com/",
        "https://example.com:99999/",
        "https://example.com:0/",
        "https://example.com:x/",
        "https://exa mple.com/",
        "https://example.com/a b",
        "https://example.com/ü",
        "https://example.com/#part",
        "https://example.com/a\r\nX-Evil: 1",
        "https://[::1/",
        "https://[::1]/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        "https://" + "a" * 64 + ".example/",
        "https://example.com/" + "a" * 500,
    ],
)
def test_what_is_no_address_of_the_internet_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        create_endpoint(url=url)
    assert set(refused.value.message_dict) == {"url"}
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.django_db
def test_inside_a_network_of_ones_own_any_name_and_http_will_do() -> None:
    for url in ("http://receiver:8000/hook", "http://127.0.0.1:9000/", "http://10.0.0.5/x"):
        assert create_endpoint(url=url, allow_private=True).url == url
    with pytest.raises(ValidationError):
        create_endpoint(url="http://169.254.169.254/", allow_private=True)


@pytest.mark.django_db
def test_an_endpoint_that_may_no_longer_go_inside_has_to_go_elsewhere() -> None:
    endpoint = create_endpoint(url="http://127.0.0.1:9000/", allow_private=True)
    with pytest.raises(ValidationError):
        update_endpoint(endpoint, changes={"allow_private": False})


@pytest.mark.django_db
@pytest.mark.parametrize("types", [["no.such"], "invoice.paid", [1], None], ids=str)
def test_types_are_those_there_are(types: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        create_endpoint(url="https://example.com/", types=types)
    assert set(refused.value.message_dict) == {"types"}


@pytest.mark.django_db
def test_types_are_kept_once_and_in_order() -> None:
    made = create_endpoint(url="https://example.com/", types=["invoice.paid", "invoice.finalized", "invoice.paid"])
    assert made.types == ["invoice.finalized", "invoice.paid"]


@pytest.mark.django_db
def test_a_refused_delivery_says_why_and_waits(receiver: Receiver) -> None:
    """An endpoint whose name has come to lead inside."""
    endpoint = create_endpoint(url="https://example.com/")
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(url=receiver.url)
    tell("credit.low", "customer:1", {}, timezone.now())
    spread()
    assert send_due() == 1
    assert not receiver.got
    assert "private network" in WebhookAttempt.objects.get().error
    assert WebhookDelivery.objects.get().status == WebhookDelivery.Status.WAITING
