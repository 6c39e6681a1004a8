"""What stands in a line of the log, and what never does: nothing that somebody sent, and no secret."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from celery.exceptions import Retry
from django.core.exceptions import DisallowedHost, ImproperlyConfigured, ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.http import HttpRequest, StreamingHttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path

from config.logs import logging_settings
from config.watching import discreet
from config.watching.logs import JsonFormatter, StandardError, TextFormatter
from config.watching.requests import BrokenOff, watching
from meters import request_id
from meters.models import Customer
from tests.factories import make_customer

SECRET = "s3cr3t-Of-Anna"


class Written:
    """What is logged, as JSON and as text."""

    def __init__(self) -> None:
        self.json, self.text = io.StringIO(), io.StringIO()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.json.getvalue().splitlines()]

    @property
    def everything(self) -> str:
        return self.json.getvalue() + self.text.getvalue()


@pytest.fixture
def written() -> Iterator[Written]:
    """Everything down to the last detail, of each logger."""
    made = Written()
    handlers: list[logging.Handler] = [StandardError(made.json), StandardError(made.text)]
    handlers[0].setFormatter(JsonFormatter())
    handlers[1].setFormatter(TextFormatter())
    loggers = [logging.getLogger(name) for name in ("", "tollmeter.access", "tollmeter.tasks", "django.request")]
    levels = [logger.level for logger in loggers]
    for handler in handlers:
        loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel("DEBUG")
    yield made
    for handler in handlers:
        loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


class TestLines:
    def test_a_line_is_an_object(self, written: Written) -> None:
        with request_id.of("seen"):
            logging.getLogger("meters.test").warning("%s of %d were\nnot stored: ünlucky", "two", 3)
        (event,) = written.events
        assert event.pop("time")[10:] == written.text.getvalue()[10:24]
        assert event == {
            "level": "WARNING",
            "logger": "meters.test",
            "message": "two of 3 were not stored: ünlucky",
            "request_id": "seen",
        }
        assert "meters.test: two of 3 were not stored: ünlucky [request_id=seen]\n" in written.text.getvalue()

    @pytest.mark.parametrize("at", [0.0, 1764000000.9996, 1764000000.0, 1764000059.5])
    def test_times_are_in_utc_and_in_milliseconds(self, at: float) -> None:
        record = logging.LogRecord("x", logging.INFO, "", 0, "", None, None)
        record.created = at
        shown = datetime.fromisoformat(json.loads(JsonFormatter().format(record))["time"])
        assert shown.tzinfo == UTC
        assert timedelta(0) <= datetime.fromtimestamp(at, UTC) - shown < timedelta(milliseconds=1)

    def test_a_message_that_does_not_fit_its_values_is_told_without_them(self) -> None:
        record = logging.LogRecord("meters.test", logging.INFO, "", 0, "%d of them", (SECRET,), None)
        assert discreet.message(record) == "%d of them"

    def test_levels(self) -> None:
        levels = {name: one["level"] for name, one in logging_settings("DEBUG", "json", access=True)["loggers"].items()}
        assert levels["meters"] == levels["tollmeter"] == "DEBUG"
        assert levels["celery"] == levels["httpx"] == "WARNING"
        assert levels["tollmeter.access"] == "INFO"
        # What is below quotes bodies, headers and parameters.
        assert logging_settings("DEBUG", "json")["root"]["level"] == "INFO"
        assert logging_settings("ERROR", "json")["loggers"]["celery"]["level"] == "ERROR"
        assert logging_settings("INFO", "json", access=False)["loggers"]["tollmeter.access"]["level"] == "CRITICAL"


def fails_on_a_number() -> None:
    int(SECRET)


def fails_on_a_cause() -> None:
    try:
        {}[SECRET]
    except KeyError as error:
        raise ValidationError({"email": f"{SECRET} is taken"}) from error


def fails_on_a_context() -> None:
    try:
        int(SECRET)
    except ValueError:
        raise LookupError(SECRET)  # noqa: B904


def fails_without_end() -> None:
    def deeper(secret: str) -> None:
        deeper(secret)

    deeper(SECRET)


def fails_with_notes() -> None:
    error = ExceptionGroup(SECRET, [ValueError(SECRET)])
    error.add_note(SECRET)
    raise error


@pytest.mark.parametrize(
    ("fails", "told"),
    [
        (fails_on_a_number, "ValueError"),
        (fails_on_a_cause, "django.core.exceptions.ValidationError\n\nwhich came of\n\n"),
        (fails_on_a_context, "LookupError\n\nwhich came of\n\n"),
        (fails_without_end, "RecursionError"),
        (fails_with_notes, "ExceptionGroup"),
    ],
)
def test_of_an_exception_its_type_and_its_places_are_told(
    fails: Callable[[], None], told: str, written: Written
) -> None:
    try:
        fails()
    except Exception as error:
        logging.getLogger("meters.test").exception("it failed: %s", error)
        logging.getLogger("meters.test").error(error)
        logging.getLogger("meters.test").error("as a name: %(error)s", {"error": error})
    assert told in written.events[0]["error"]
    assert f"in {fails.__name__}" in written.events[0]["error"]
    assert written.events[0]["error"].count("\n") < 200
    assert SECRET not in written.everything


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (redis.ConnectionError("Error 111 connecting to here:1."), "redis.exceptions.ConnectionError: Error 111"),
        (redis.ResponseError(SECRET), "redis.exceptions.ResponseError"),
        (FileNotFoundError(2, "No such file", SECRET), "FileNotFoundError: No such file or directory"),
        (ImproperlyConfigured("Set THIS."), "django.core.exceptions.ImproperlyConfigured: Set THIS."),
        (Retry(SECRET), "celery.exceptions.Retry"),
        (UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET), "UnicodeDecodeError"),
    ],
)
def test_what_is_told_of_an_exception(error: Exception, told: str) -> None:
    assert discreet.about(error).startswith(told)
    assert SECRET not in discreet.about(error)


@pytest.mark.django_db
class TestTheDatabase:
    def test_a_row_that_is_there_already(self, written: Written) -> None:
        make_customer(SECRET)
        with pytest.raises(IntegrityError) as caught, transaction.atomic():
            Customer.objects.create(key=SECRET)
        logging.getLogger("meters.test").error("not stored", exc_info=caught.value)
        assert SECRET in str(caught.value)
        assert "SQLSTATE 23505, table meters_customer, constraint meters_customer_key" in written.events[0]["error"]
        assert SECRET not in written.everything

    @pytest.mark.parametrize(
        ("statement", "told"),
        [
            (f"SELECT '{SECRET}'::int", "SQLSTATE 22P02"),
            (f"SELECT '{SECRET}'::timestamptz", "SQLSTATE 22007"),
            ("SELECT 1/0", "SQLSTATE 22012"),
            ("SELECT * FROM nothing_here", 'SQLSTATE 42P01, relation "nothing_here" does not exist'),
        ],
    )
    def test_a_value_that_it_cannot_take(self, statement: str, told: str, written: Written) -> None:
        with pytest.raises(DatabaseError) as caught, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
        logging.getLogger("meters.test").error("%s", caught.value)
        assert told in written.events[0]["message"]
        assert SECRET not in written.everything


def fails_in_a_view(request: HttpRequest, token: str) -> None:
    raise ValueError(SECRET)


urlpatterns = [
    path("fails/<str:token>/<int:pk>/", lambda request, token, pk: fails_in_a_view(request, token)),
    path("", include("config.urls")),
]


class TestRequests:
    def test_a_line_of_each(self, written: Written, api: Callable[..., Any]) -> None:
        api("ingest").post("/v1/events?x=y", [], format="json", headers={"X-Request-ID": "one"})
        line = next(event for event in written.events if event["logger"] == "tollmeter.access")
        assert line.pop("seconds") > 0
        assert line.pop("key") > 0
        assert line.pop("time")
        assert line == {
            "level": "INFO",
            "logger": "tollmeter.access",
            "message": "POST /v1/events 200",
            "request_id": "one",
            "method": "POST",
            "path": "/v1/events",
            "status": 200,
        }

    @pytest.mark.django_db
    def test_who_looks_after_it_every_few_seconds_leaves_no_line(self, written: Written) -> None:
        Client().get("/healthz")
        Client().post("/healthz")
        assert [event["status"] for event in written.events if event["logger"] == "tollmeter.access"] == [405]

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("asked", "shown"),
        [
            (f"/sign-in/link/{SECRET}/", "/sign-in/link/{token}/"),
            (f"/join/{SECRET}/", "/join/{token}/"),
            (f"/enter/{SECRET}/", "/enter/{token}/"),
            (f"/password-reset/{SECRET}/{SECRET}/", "/password-reset/{uidb64}/{token}/"),
            (f"/v1/customers/{SECRET}", "/v1/customers/{key}"),
            (f"/v1/nothing/{SECRET}/of/it?{SECRET}={SECRET}", "/v1/nothing/*/of/it"),
            (f"/{SECRET}", "/*"),
            (f"/x/{SECRET}\r\n/../%00", "/x/*/*/*"),
            ("/invoices/12/lines/3/", "/invoices/12/lines/3/"),
            ("/v1/webhook-deliveries/7", "/v1/webhook-deliveries/7"),
            ("/static/nothing-here.css", "/static/nothing-here.css"),
        ],
    )
    def test_paths_have_names_in_place_of_texts(self, asked: str, shown: str, written: Written) -> None:
        Client(headers={"Referer": f"https://x/{SECRET}", "Cookie": f"sessionid={SECRET}"}).get(asked)
        (line,) = [event for event in written.events if event["logger"] == "tollmeter.access"]
        assert line["path"] == shown
        assert SECRET not in written.everything

    def test_methods_that_nobody_knows(self) -> None:
        assert discreet.method(RequestFactory().generic(SECRET, "/")) == "OTHER"

    @pytest.mark.urls(__name__)
    def test_a_fault_of_ours(self, written: Written) -> None:
        Client(raise_request_exception=False).post(f"/fails/{SECRET}/4/?{SECRET}", {"password": SECRET})
        fault, line = written.events[-2:]
        assert fault["message"] == "500 POST /fails/{token}/4/"
        assert "in fails_in_a_view" in fault["error"]
        assert line["status"] == 500
        assert SECRET not in written.everything

    @pytest.mark.django_db
    def test_refusals_of_django(self, written: Written) -> None:
        client = Client(enforce_csrf_checks=True, headers={"Referer": f"https://{SECRET}/", "Origin": SECRET})
        client.post(f"/sign-in/?{SECRET}", {"username": SECRET, "password": SECRET})
        Client(headers={"Host": f"{SECRET}.example"}).get("/sign-in/")
        messages = [event["message"] for event in written.events]
        assert "a request was refused: csrf at /sign-in/" in messages
        assert f"a request was refused: {DisallowedHost.__name__}" in [one.partition(" at ")[0] for one in messages]
        assert SECRET not in written.everything

    def test_what_breaks_off_on_its_way_is_logged_here_and_nowhere_with_its_text(self, written: Written) -> None:
        def lines() -> Iterator[str]:
            yield "one"
            raise ValueError(SECRET)

        request = RequestFactory(headers={"X-Request-ID": "broken"}).get("/")
        response = watching(lambda _: StreamingHttpResponse(lines()))(request)
        assert isinstance(response, StreamingHttpResponse)
        with pytest.raises(BrokenOff) as caught:
            list(response)
        assert caught.value.__suppress_context__
        assert written.events[-1]["request_id"] == "broken"
        assert "ValueError" in written.events[-1]["error"]
        assert SECRET not in written.everything


def test_celerys_own_words_of_a_task_that_failed(written: Written) -> None:
    try:
        int(SECRET)
    except ValueError as error:
        told = {"id": "1", "name": "a.task", "exc": repr(error), "traceback": SECRET, "args": SECRET, "kwargs": SECRET}
        message = "Task %(name)s[%(id)s] raised unexpected: %(exc)s\n%(traceback)s"
        logging.getLogger("celery.app.trace").error(message, told, exc_info=True)
    assert written.events[0]["message"] == "Task a.task[1] raised unexpected: ValueError"
    assert SECRET not in written.everything
