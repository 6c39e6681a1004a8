"""Webhooks: what is told is sent, signed, in order, until it is taken."""

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone
from standardwebhooks.webhooks import WebhookVerificationError

from invoices.models import OutboxEvent, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from invoices.outbox import tell, tell_throttled
from invoices.tasks.webhooks import forget_old_webhooks, send_webhooks
from invoices.webhooks import delivering, sending
from invoices.webhooks.delivering import give_up_old, replay, send_due
from invoices.webhooks.endpoints import create_endpoint, rotate_secret, update_endpoint
from invoices.webhooks.signing import new_secret, signed_headers
from invoices.webhooks.spreading import forget_old, spread
from tests.invoices.receiver import Got, Receiver, receiving
from tests.racing import race

pytestmark = pytest.mark.django_db

LOW = "credit.low"
STATUS = WebhookDelivery.Status


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def endpoint(receiver: Receiver) -> WebhookEndpoint:
    return create_endpoint(url=receiver.url, allow_private=True)


def say(text: str = "", about: str = "customer:1", event: str = LOW, now: datetime | None = None) -> None:
    tell(event, about, {"text": text}, now or timezone.now())


def texts(receiver: Receiver) -> list[str]:
    return [got.message["data"]["text"] for got in receiver.got]


def the_delivery() -> WebhookDelivery:
    return WebhookDelivery.objects.get()


def go(now: datetime | None = None) -> int:
    spread(now=now)
    return send_due(now=now)


# --- Sent and signed ---


def test_what_is_told_is_sent_once_signed_as_the_library_expects(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    say("Grüße, 東京")
    assert go() == 1
    assert go() == 0
    [got] = receiver.got
    assert got.verified(endpoint.secret) == got.message
    assert got.message["data"] == {"text": "Grüße, 東京"}
    assert got.message["type"] == LOW
    assert got.message["timestamp"].endswith("Z")
    event = OutboxEvent.objects.get()
    assert got.headers["webhook-id"] == event.message_id
    assert event.message_id.startswith("msg_")
    assert got.headers["content-type"] == "application/json"
    delivery = the_delivery()
    assert (delivery.status, delivery.attempts, delivery.next_try_at) == (STATUS.DELIVERED, 1, None)
    [attempt] = delivery.tries.all()
    assert (attempt.body, attempt.status_code, attempt.error) == (got.body, 200, "")


def test_the_tasks_do_it_by_the_clock(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    for number in range(12):
        say(str(number))
    send_webhooks()
    assert texts(receiver) == [str(number) for number in range(12)]
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        forget_old_webhooks()
    assert not OutboxEvent.objects.exists()


def test_another_secret_or_another_body_is_not_verified(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    say("hello")
    go()
    [got] = receiver.got
    with pytest.raises(WebhookVerificationError):
        got.verified(new_secret())
    got.body = got.body.replace("hello", "hullo")
    with pytest.raises(WebhookVerificationError):
        got.verified(endpoint.secret)


def test_a_signature_is_the_one_of_the_specification() -> None:
    """HMAC-SHA256 of `id.timestamp.body` with the decoded secret, here by hand."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    at = datetime.fromtimestamp(1614265330, tz=UTC)
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}', [secret])
    assert headers["webhook-timestamp"] == "1614265330"
    # As the libraries' own tests have it.
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    text = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    by_hand = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), text, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(by_hand).decode()}"


def test_secrets_are_long_and_never_the_same() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(base64.b64decode(one.removeprefix("whsec_"))) == 32 for one in secrets)


def test_only_endpoints_that_want_a_type_get_it(receiver: Receiver) -> None:
    create_endpoint(url=f"{receiver.url}/paid", allow_private=True, types=["invoice.paid"])
    create_endpoint(url=f"{receiver.url}/both", allow_private=True, types=["credit.low", "invoice.paid"])
    create_endpoint(url=f"{receiver.url}/off", allow_private=True, enabled=False)
    say("low")
    say("paid", event="invoice.paid")
    while go():
        pass
    sent = sorted((got.path, got.type) for got in receiver.got)
    assert sent == [("/hook/both", "credit.low"), ("/hook/both", "invoice.paid"), ("/hook/paid", "invoice.paid")]


def test_nothing_is_written_where_nobody_wants_it(receiver: Receiver) -> None:
    say()
    assert not OutboxEvent.objects.exists()
    create_endpoint(url=receiver.url, allow_private=True, types=["invoice.paid"])
    say()
    assert not OutboxEvent.objects.exists()


def test_an_endpoint_gets_what_happens_after_it_was_made(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    say("early")
    late = create_endpoint(url=f"{receiver.url}/late", allow_private=True)
    say("late")
    while go():
        pass
    assert sorted((got.path, got.message["data"]["text"]) for got in receiver.got) == [
        ("/hook", "early"),
        ("/hook", "late"),
        ("/hook/late", "late"),
    ]
    assert late.deliveries.count() == 1


def test_what_is_undone_was_not_told(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    with transaction.atomic():
        say("undone")
        assert OutboxEvent.objects.count() == 1
        transaction.set_rollback(True)
    assert go() == 0
    assert not receiver.got


def test_an_unknown_event_is_a_mistake_of_the_code(endpoint: WebhookEndpoint) -> None:
    with pytest.raises(ValueError, match="no such thing"):
        say(event="no such thing")


def test_a_body_that_is_too_long_goes_without_its_data(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    say("ü" * 40_000)
    go()
    [got] = receiver.got
    assert got.verified(endpoint.secret)["data"] == {"about": "customer:1", "is_left_out": True}


# --- In order ---


def test_events_of_one_object_come_in_their_order(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    for number in range(5):
        say(f"a{number}", "customer:1")
        say(f"b{number}", "customer:2")
    rounds = 0
    while go():
        rounds += 1
    assert rounds == 5
    for customer in "ab":
        assert [text for text in texts(receiver) if text[0] == customer] == [f"{customer}{n}" for n in range(5)]


def test_one_that_waits_holds_up_its_own_object_and_endpoint_only(receiver: Receiver) -> None:
    first = create_endpoint(url=f"{receiver.url}/bad", allow_private=True)
    create_endpoint(url=f"{receiver.url}/good", allow_private=True)
    refusing = ["a0"]

    def answer(got: Got) -> Any:
        bad = got.path.endswith("bad") and got.message["data"]["text"] in refusing
        return (500 if bad else 200, {}, "")

    receiver.answer = answer
    for text, about in (("a0", "customer:1"), ("a1", "customer:1"), ("b0", "customer:2")):
        say(text, about)
    now = timezone.now()
    while go(now):
        pass
    sent = [(got.path, got.message["data"]["text"]) for got in receiver.got]
    assert ("/hook/bad", "a1") not in sent
    assert {("/hook/bad", "b0"), ("/hook/good", "a0"), ("/hook/good", "a1"), ("/hook/good", "b0")} <= set(sent)
    refusing.clear()
    now += timedelta(seconds=10)
    while go(now):
        pass
    bad = [got.message["data"]["text"] for got in receiver.got if got.path == "/hook/bad"]
    assert [text for text in bad if text[0] == "a"] == ["a0", "a0", "a1"]
    assert not first.deliveries.exclude(status=STATUS.DELIVERED).exists()


def test_one_that_is_given_up_makes_way(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    receiver.answer = lambda got: (500 if got.message["data"]["text"] == "first" else 200, {}, "")
    say("first")
    say("second")
    now = timezone.now()
    for _ in range(100):
        go(now)
        now += timedelta(hours=3)
    assert [delivery.status for delivery in WebhookDelivery.objects.order_by("id")] == [STATUS.FAILED, STATUS.DELIVERED]
    assert texts(receiver)[-1] == "second"


# --- Tried again ---


def test_it_is_tried_again_for_three_days_ever_more_rarely(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    receiver.answer = (500, {}, "no")
    start = timezone.now()
    say()
    now = start
    moments: list[timedelta] = []
    ids = set()
    while go(now):
        moments.append(now - start)
        ids.add(receiver.got[-1].headers["webhook-id"])
        delivery = the_delivery()
        if delivery.status == STATUS.FAILED:
            break
        assert delivery.next_try_at is not None
        assert delivery.next_try_at > now
        assert not send_due(now=delivery.next_try_at - timedelta(seconds=1))
        now = delivery.next_try_at
    assert the_delivery().status == STATUS.FAILED
    assert len(ids) == 1
    assert len({got.body for got in receiver.got}) == 1
    assert timedelta(days=2.5) < moments[-1] <= timedelta(days=3)
    waits = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
    assert timedelta(seconds=4) <= waits[0] <= timedelta(seconds=6)
    assert all(longer > shorter * 0.7 for shorter, longer in zip(waits, waits[1:], strict=False))
    assert max(waits) <= timedelta(hours=6.7)
    assert 15 <= len(moments) <= 30
    assert the_delivery().tries.count() == len(moments)
    assert not go(now + timedelta(days=10))


def test_jitter_spreads_what_failed_together(endpoint: WebhookEndpoint) -> None:
    now = timezone.now()
    delivery = WebhookDelivery(endpoint=endpoint, attempts=5, created_at=now)
    found = {delivering.next_try(delivery, sending.Answer(500), now) for _ in range(200)}
    assert len(found) > 20
    assert all(timedelta(minutes=27) <= at - now <= timedelta(minutes=33) for at in found if at)


def test_a_busy_receiver_says_when_to_come_back(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    receiver.answer = (503, {"Retry-After": "600"}, "")
    now = timezone.now()
    say()
    say(about="customer:2")
    go(now)
    first, second = WebhookDelivery.objects.order_by("id")
    assert first.next_try_at == second.next_try_at == now + timedelta(seconds=600)
    receiver.answer = (500, {"Retry-After": "600"}, "")
    go(now + timedelta(seconds=601))
    assert WebhookDelivery.objects.filter(next_try_at__lt=now + timedelta(seconds=900)).count() == 2


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_taken(receiver: Receiver, endpoint: WebhookEndpoint, status: int) -> None:
    receiver.answer = (status, {}, "")
    say()
    go()
    assert the_delivery().status == STATUS.DELIVERED


@pytest.mark.parametrize("status", [300, 304, 400, 401, 404, 409, 429, 500, 503])
def test_anything_else_is_tried_again(receiver: Receiver, endpoint: WebhookEndpoint, status: int) -> None:
    receiver.answer = (status, {}, "")
    say()
    go()
    assert the_delivery().status == STATUS.WAITING
    assert WebhookAttempt.objects.get().status_code == status


def test_gone_switches_the_endpoint_off(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    receiver.answer = (410, {}, "bye")
    say("one")
    say("two")
    now = timezone.now()
    go(now)
    endpoint.refresh_from_db()
    assert not endpoint.enabled
    assert not go(now + timedelta(days=1))
    assert len(receiver.got) == 1
    first, second = WebhookDelivery.objects.order_by("id")
    assert (first.status, second.status) == (STATUS.FAILED, STATUS.WAITING)
    say("three")
    assert OutboxEvent.objects.count() == 2
    assert give_up_old(now=now + timedelta(days=2)) == 0
    assert give_up_old(now=now + timedelta(days=4)) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, endpoint: WebhookEndpoint, status: int) -> None:
    receiver.answer = (status, {"Location": receiver.url + "/elsewhere"}, "")
    say()
    go()
    assert [got.path for got in receiver.got] == ["/hook"]
    attempt = WebhookAttempt.objects.get()
    assert (attempt.status_code, attempt.error) == (status, f"Answered with {status}: redirects are not followed.")
    assert the_delivery().status == STATUS.WAITING


def test_of_an_answer_the_beginning_is_kept(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    receiver.answer = (500, {}, "x\0" + "y" * 100_000)
    say()
    go()
    answer = WebhookAttempt.objects.get().answer
    assert answer == "x�" + "y" * 2046


def test_nobody_there(endpoint: WebhookEndpoint, receiver: Receiver) -> None:
    update_endpoint(endpoint, changes={"url": "http://127.0.0.1:1/hook"})
    say()
    say(about="customer:2")
    now = timezone.now()
    go(now)
    tries = WebhookAttempt.objects.all()
    assert {one.status_code for one in tries} == {None}
    assert all(one.error.startswith("No connection") for one in tries)


def test_one_that_does_not_answer_is_left_alone_with_the_rest_for_a_minute(
    endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    update_endpoint(endpoint, changes={"url": "http://127.0.0.1:1/hook"})
    for number in range(15):
        say(about=f"customer:{number}")
    now = timezone.now()
    assert go(now) == delivering.MOST_OF_ONE
    assert go(now + timedelta(seconds=3)) == 0
    assert WebhookDelivery.objects.filter(attempts=0, next_try_at=now + delivering.PAUSE).count() == 5


@pytest.mark.parametrize(("seconds", "drip"), [(3, 0), (0, 0.2)], ids=["silent", "dripping"])
def test_one_that_takes_too_long_is_left(
    receiver: Receiver, endpoint: WebhookEndpoint, seconds: float, drip: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drop now and then does not keep it waiting: the time is that of the whole try."""
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 1)
    receiver.seconds, receiver.drip = seconds, drip
    receiver.answer = (200, {}, "z" * 100)
    say()
    begun = time.monotonic()
    go()
    assert time.monotonic() - begun < 2.5
    attempt = WebhookAttempt.objects.get()
    if drip:
        # Its head had come, and the head is what counts.
        assert (attempt.status_code, the_delivery().status) == (200, STATUS.DELIVERED)
    else:
        assert (attempt.status_code, attempt.error) == (None, "No answer within 1 seconds.")
        assert the_delivery().status == STATUS.WAITING


def test_a_slow_one_does_not_hold_up_the_others_of_its_batch(receiver: Receiver) -> None:
    for number in range(3):
        create_endpoint(url=f"{receiver.url}/{number}", allow_private=True)
    receiver.seconds = 0.5
    say()
    begun = time.monotonic()
    assert go() == 3
    assert time.monotonic() - begun < 1.2


# --- Replayed ---


def test_a_delivery_can_be_sent_once_more(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    say()
    go()
    later = timezone.now() + timedelta(days=20)
    replay(the_delivery().pk, now=later)
    assert go(later) == 1
    assert len({(got.headers["webhook-id"], got.body) for got in receiver.got}) == 1
    assert len(receiver.got) == 2
    assert (the_delivery().status, the_delivery().attempts) == (STATUS.DELIVERED, 2)
    # One that old is tried once, and given up.
    receiver.answer = (500, {}, "")
    replay(the_delivery().pk, now=later)
    assert go(later) == 1
    assert the_delivery().status == STATUS.FAILED


def test_nothing_is_replayed_to_an_endpoint_that_is_off(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    say()
    go()
    update_endpoint(endpoint, changes={"enabled": False})
    with pytest.raises(ValidationError, match="switched off"):
        replay(the_delivery().pk)
    with pytest.raises(WebhookDelivery.DoesNotExist):
        replay(0)


# --- Secrets ---


def test_both_secrets_sign_while_they_overlap(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    old = endpoint.secret
    now = timezone.now()
    fresh = rotate_secret(endpoint, overlap_hours=1, now=now)
    assert fresh.secret != old
    say("during")
    go(now)
    during = receiver.got[-1]
    assert during.headers["webhook-signature"].count("v1,") == 2
    assert during.verified(old) == during.verified(fresh.secret)
    say("behind", about="customer:2")
    go(now + timedelta(hours=1))
    behind = receiver.got[-1]
    assert behind.headers["webhook-signature"].count("v1,") == 1


def test_a_secret_that_leaked_ends_at_once(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    old = endpoint.secret
    fresh = rotate_secret(endpoint, overlap_hours=0)
    say()
    go()
    [got] = receiver.got
    got.verified(fresh.secret)
    with pytest.raises(WebhookVerificationError):
        got.verified(old)


@pytest.mark.parametrize("hours", [-1, 721])
def test_an_overlap_is_of_a_month_at_most(endpoint: WebhookEndpoint, hours: int) -> None:
    with pytest.raises(ValidationError) as refused:
        rotate_secret(endpoint, overlap_hours=hours)
    assert "overlap_hours" in refused.value.message_dict


# --- Throttled ---


def test_one_throttled_event_waits_for_each_object(endpoint: WebhookEndpoint) -> None:
    now = timezone.now()
    for seconds in (0, 10, 59):
        tell_throttled("invoice.updated", ["invoice:1", "invoice:2"], now + timedelta(seconds=seconds))
    assert OutboxEvent.objects.count() == 2
    assert spread(now=now + timedelta(seconds=59)) == 0
    assert spread(now=now + timedelta(seconds=60)) == 2
    tell_throttled("invoice.updated", ["invoice:1"], now + timedelta(seconds=61))
    assert OutboxEvent.objects.filter(spread_at=None).count() == 1


# --- Kept, and removed ---


def test_the_log_is_kept_for_a_month(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    now = timezone.now()
    say("one")
    go(now)
    say("two", about="customer:2")
    receiver.answer = (500, {}, "")
    go(now)
    assert forget_old(now=now + timedelta(days=29)) == 0
    # What still waits stays.
    assert forget_old(now=now + timedelta(days=31)) == 1
    assert [event.data for event in OutboxEvent.objects.all()] == [{"text": "two"}]
    assert WebhookDelivery.objects.count() == 1


# --- Several workers ---


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_once(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    for number in range(30):
        say(f"{number % 10}:{number}", about=f"customer:{number % 10}")
    receiver.seconds = 0.02

    def work() -> None:
        idle = 0
        while idle < 20:
            spread(most=7)
            idle = 0 if send_due(most=4) else idle + 1
            time.sleep(0.01)

    assert race(work, work, work) == []
    assert sorted(texts(receiver)) == sorted(f"{number % 10}:{number}" for number in range(30))
    for customer in range(10):
        own = [text for text in texts(receiver) if text.startswith(f"{customer}:")]
        assert own == [f"{customer}:{number}" for number in range(30) if number % 10 == customer]
    assert not WebhookDelivery.objects.exclude(status=STATUS.DELIVERED, attempts=1).exists()


@pytest.mark.django_db(transaction=True)
def test_one_worker_at_a_time_waits_for_receivers(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    say()
    say(about="customer:2")
    spread()
    receiver.seconds = 0.3
    taken: list[int] = []
    assert race(*[lambda: taken.append(send_due(most=1, alone=True))] * 2) == []
    assert sorted(taken) == [0, 1]


@pytest.mark.django_db(transaction=True)
def test_what_is_being_sent_is_not_replayed(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    say()
    spread()
    receiver.seconds = 0.5
    pk = the_delivery().pk

    def ask() -> None:
        while not receiver.got:
            time.sleep(0.01)
        replay(pk)

    [raised] = race(send_due, ask)
    assert raised.messages == ["It is being sent at this moment."]  # type: ignore[attr-defined]


DYING = """
import django
django.setup()
from invoices.webhooks.delivering import send_due
send_due()
"""


@pytest.mark.django_db(transaction=True)
def test_what_a_worker_held_when_it_was_killed_is_sent_by_another(
    receiver: Receiver, endpoint: WebhookEndpoint
) -> None:
    say("once more")
    spread()
    receiver.seconds = 5
    url = connection.settings_dict
    database = f"postgresql://{url['USER']}:{url['PASSWORD']}@{url['HOST']}:{url['PORT']}/{url['NAME']}"
    worker = subprocess.Popen(
        [sys.executable, "-c", DYING],
        env=os.environ | {"DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "config.settings"},
    )
    try:
        deadline = time.monotonic() + 30
        while not receiver.got and time.monotonic() < deadline:
            time.sleep(0.02)
        assert receiver.got, "the worker never came"
        assert send_due() == 0
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    receiver.seconds = 0
    deadline = time.monotonic() + 10
    while not send_due() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (the_delivery().status, the_delivery().attempts) == (STATUS.DELIVERED, 1)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert json.loads(receiver.got[-1].body)["data"] == {"text": "once more"}


@pytest.mark.django_db(transaction=True)
def test_an_update_that_is_being_worked_on_is_not_told_before_it_is_there(endpoint: WebhookEndpoint) -> None:
    """A bill relies on the event that waits already: that must not go out, with figures of before, meanwhile."""
    now = timezone.now()
    with transaction.atomic():
        tell_throttled("invoice.updated", ["invoice:1"], now - timedelta(minutes=2))
    spread_meanwhile: list[int] = []
    with transaction.atomic():
        tell_throttled("invoice.updated", ["invoice:1"], now)
        assert race(lambda: spread_meanwhile.append(spread(now=now))) == []
        assert OutboxEvent.objects.count() == 1
    assert spread_meanwhile == [0]
    assert spread(now=now) == 1
