"""What of an event may stand in a log: nothing that somebody has sent, and no secret.

An exception's own text is left out, as it quotes what it failed at: PostgreSQL's names the values of the row, Python's
the text that is no number. What is told is its type, where it was raised, and what a server says of itself.
"""

import os
import re
import traceback
from functools import lru_cache
from logging import LogRecord
from types import TracebackType
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from kombu.exceptions import OperationalError as BrokerError

# Of these PostgreSQL's own sentence is about itself: connections, resources, locks, shutting down, faults of a
# statement. Those of classes 22 and 23 quote values.
OWN_SENTENCES = ("08", "25", "28", "3D", "40", "42", "53", "54", "55", "57", "58", "XX")
# Sentences of clients that could not reach a server.
UNREACHED = (redis.ConnectionError, redis.TimeoutError, BrokerError)
# Of a long traceback so many places at its beginning and at its end are told.
FIRST, LAST = 10, 30
# What routes call the number of a row.
NUMBERS = ("pk", "position")
# The lines of requests, which are made of nothing else than what is told here.
ACCESS = "tollmeter.access"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_word = re.compile(r"[a-z][a-z_-]{0,30}(\.[a-z]{1,5})?|v1").fullmatch
_task_name = re.compile(r"[a-z_]+(\.[a-z_]+)+").fullmatch
_converter = re.compile(r"(?<!\?P)<(?:\w+:)?(\w+)>")
_group = re.compile(r"\(\?P<(\w+)>")


def about(error: BaseException) -> str:
    """The exception in a few words."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    more = _more(error)
    return f"{name}: {more}" if more else name


def _more(error: BaseException) -> str:
    of_database = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(of_database, psycopg.Error):
        return _of_database(of_database)
    if isinstance(error, UNREACHED) or (isinstance(error, ImproperlyConfigured) and not error.__cause__):
        return one_line(str(error))
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return ""


def _of_database(error: psycopg.Error) -> str:
    if error.sqlstate is None:
        # Of a connection that could not be made, or broke.
        return one_line(str(error)) if isinstance(error, psycopg.OperationalError) else ""
    diag = error.diag
    names = [
        f"{name} {value}"
        for name, value in (
            ("table", diag.table_name),
            ("column", diag.column_name),
            ("constraint", diag.constraint_name),
        )
        if value
    ]
    sentence = diag.message_primary if error.sqlstate.startswith(OWN_SENTENCES) else None
    return ", ".join([f"SQLSTATE {error.sqlstate}", *names, *([one_line(sentence)] if sentence else [])])


def raised(error: BaseException | None, trace: TracebackType | None = None) -> str:
    """The traceback, of its causes too, without a value."""
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = traceback.extract_tb(trace or error.__traceback__)
        told = frames if len(frames) <= FIRST + LAST else [*frames[:FIRST], *frames[-LAST:]]
        places = "".join(traceback.StackSummary.from_list(told).format())
        parts.append(f"{places}{about(error)}")
        trace = None
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nwhich came of\n\n".join(parts)


def message(record: LogRecord) -> str:
    """The record's message, without what came with a request, and with exceptions in a few words."""
    if record.name == ACCESS:
        return str(record.msg)
    if settings.DEBUG:
        return record.getMessage()
    request = getattr(record, "request", None)
    if record.name.startswith("django.security"):
        where = f" at {path(request)}" if isinstance(request, HttpRequest) else ""
        return f"a request was refused: {record.name.rpartition('.')[2]}{where}"
    if isinstance(request, HttpRequest):
        return f"{getattr(record, 'status_code', '')} {method(request)} {path(request)}".strip()
    if record.name.startswith("celery.worker") and "body" in str(record.msg):
        return _of_a_message(record)
    arguments: Any = record.args
    if isinstance(arguments, dict):
        arguments = {name: _argument(name, value, record) for name, value in arguments.items()}
    elif arguments:
        arguments = tuple(about(value) if isinstance(value, BaseException) else value for value in arguments)
    if isinstance(record.msg, BaseException):
        return about(record.msg)
    try:
        return one_line(str(record.msg) % arguments if arguments else str(record.msg))
    except (TypeError, ValueError, KeyError):
        return one_line(str(record.msg))


def _of_a_message(record: LogRecord) -> str:
    """Celery quotes a message that it cannot do anything with, whoever sent it."""
    told = [about(one) for one in record.args or () if isinstance(one, BaseException)]
    for one in record.args or ():
        if isinstance(one, dict) and _task_name(str(one.get("task", ""))):
            told.append(f"task {one['task']}")
    return f"a message was thrown away: {', '.join(told) or 'it is no task'}"


def _argument(name: str, value: object, record: LogRecord) -> object:
    """Of Celery's words about a task: what was raised stands below them, and arguments and results in no log."""
    if name in ("exc", "traceback", "args", "kwargs", "return_value"):
        return about(record.exc_info[1]) if name == "exc" and record.exc_info and record.exc_info[1] else ""
    return about(value) if isinstance(value, BaseException) else value


def one_line(text: str) -> str:
    return " ".join(text.split())


def method(request: HttpRequest) -> str:
    return request.method if request.method in METHODS else "OTHER"


def path(request: HttpRequest) -> str:
    """The request's path, with names in place of texts: some are tokens that let people in. Numbers stay."""
    match = request.resolver_match
    if match is None or not match.route:
        return _words(request.path_info)
    shown = _shape(match.route)
    for name, value in match.kwargs.items():
        if isinstance(value, int) or (name in NUMBERS and value.isdecimal()):
            shown = shown.replace(f"{{{name}}}", str(value))
    return shown


@lru_cache(maxsize=100)
def _words(path: str) -> str:
    """Of a path that leads nowhere, or was not looked for, what is a word."""
    return "/" + "/".join(part if not part or _word(part) else "*" for part in path[1:200].split("/"))


@lru_cache(maxsize=1000)
def _shape(route: str) -> str:
    """`v1/^plans/(?P<key>[^/]+)/retire$` as `/v1/plans/{key}/retire`."""
    shape, rest = "", _converter.sub(r"{\1}", route)
    while found := _group.search(rest):
        shape, rest = f"{shape}{rest[: found.start()]}{{{found[1]}}}", _behind(rest[found.start() :])
    return "/" + (shape + rest).replace("^", "").replace("$", "").replace("\\", "").lstrip("/")


def _behind(text: str) -> str:
    """What follows the group that the text begins with."""
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return text[position + 1 :]
    return ""
