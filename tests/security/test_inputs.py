"""Inputs that are meant to hurt, at every call that takes one: bombs of gzip, JSON and numbers, members that are not
theirs to set, pages and addresses beyond all measure. None is a fault of the server, and none takes much memory."""

import gc
import gzip
import json
import logging
import re
import resource
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.db import transaction
from django.urls import resolve
from rest_framework.test import APIClient

from meters.models import Customer
from tests.security.calls import Call, document, dropin_calls, own_calls

# A process may grow by so much in one of these tests: a body of 10 MB that has a million members took 420.
MOST_MEGABYTES = 600
MOST_HELD = 100_000_000
PLANTED = 987_654_321

_held = 0

DEEP = 100_000
BOMBS = {
    "deep arrays": b"[" * DEEP,
    "deep arrays that end": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a deep member": b'{"customer": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a text of 10 MB": b'{"customer": "' + b"x" * 10_000_000 + b'"}',
    "a million members": b"{" + b",".join(b'"%05x":0' % one for one in range(1_000_000)) + b"}",
    "a number of 100,000 digits": b'{"customer": ' + b"9" * 100_000 + b"}",
    "no UTF-8": b'{"customer": "\xff\xfe\xed\xa0\x80"}',
}
PACKED = {
    "100 MB": gzip.compress(b" " * 100_000_000),
    "100 MB that call themselves lines": gzip.compress(b"{}\n" * 33_000_000, compresslevel=1),
    "many members": gzip.compress(b"[" * 1_000_000) * 100,
    "packed twice": gzip.compress(gzip.compress(b" " * 100_000_000)),
}
NUMBERS = ("1e999999", "1e-999999", "9" * 400, "NaN", "-Infinity")
QUERIES = ("1e999999", "9" * 400, "-1", "1000000000", "\0", "x" * 50_000, "\ud800")


def send(client: APIClient, call: Call, body: bytes | str = b"", query: str = "", **headers: Any) -> Any:
    """The answer; what was done is undone."""
    with transaction.atomic():
        sent = body.encode(errors="surrogatepass") if isinstance(body, str) else body
        answer = client.generic(call.method, call.path + query, sent, content_type="application/json", **headers)
        if answer.streaming:
            b"".join(answer.streaming_content)
        transaction.set_rollback(True)
    global _held
    _held += len(sent)
    if _held > MOST_HELD:
        # Or the requests of a test would be there together until garbage is next collected.
        gc.collect()
        _held = 0
    return answer


def with_bodies() -> list[Call]:
    return [
        call
        for call in (*own_calls(), *dropin_calls())
        if call.scope is not None and call.method not in ("GET", "DELETE")
    ]


@pytest.fixture
def memory() -> Iterator[None]:
    # What is logged is held until the end of a test, with the request that it is about.
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.freeze()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    gc.unfreeze()
    logging.disable(logging.NOTSET)
    assert grown < MOST_MEGABYTES


@pytest.mark.parametrize("bomb", BOMBS)
def test_json_that_is_deep_or_huge(everything: APIClient, dropins: None, memory: None, bomb: str) -> None:
    wrong = []
    for call in with_bodies():
        answer = send(everything, call, BOMBS[bomb])
        # Calls that take no body do not read it.
        if answer.status_code >= 500 or len(getattr(answer, "content", b"")) > 1_000_000:
            wrong.append((call, answer.status_code, len(answer.content)))
    assert not wrong


@pytest.mark.parametrize("bomb", PACKED)
def test_gzip_that_unpacks_to_much_more(everything: APIClient, dropins: None, memory: None, bomb: str) -> None:
    """Only ingest and the drop-ins unpack anything; whoever does not refuses the bytes."""
    wrong, unpacking = [], 0
    for call in with_bodies():
        for headers in ({"HTTP_CONTENT_ENCODING": "gzip"}, {}):
            answer = send(everything, call, PACKED[bomb], **headers)
            unpacking += answer.status_code == 413
            if answer.status_code >= 500 or len(answer.content) > 1_000_000:
                wrong.append((call, headers, answer.status_code))
    assert not wrong
    assert unpacking >= 4 or bomb == "packed twice"


def test_numbers_beyond_all_measure_in_every_member(everything: APIClient, acme: Customer) -> None:
    """The example of each call with one number after the other replaced: as text, and as a number of JSON."""
    wrong, tried = [], set()
    for call, example in examples():
        for place in numbers_of(example):
            # A member of the same object at the same call is read by the same code, in whichever example.
            mark = (call.method, call.name, *beside(example, place))
            if mark in tried:
                continue
            tried.add(mark)
            for number in NUMBERS:
                for text in (json.dumps(number), number):
                    body = json.dumps(with_value(example, place, "@@")).replace('"@@"', text)
                    answer = send(everything, call, body)
                    if answer.status_code >= 500 or (number in ("NaN", "-Infinity") and answer.status_code == 200):
                        wrong.append((call, place, text[:20], answer.status_code, answer.content[:200]))
    assert not wrong
    assert len(tried) > 50


def beside(example: Any, place: tuple[Any, ...]) -> Iterator[Any]:
    """The members on the way to a number, each with what is beside it: what an object is is said by its others."""
    for name in place:
        yield (name, *sorted(example), example.get("model"), example.get("kind")) if isinstance(example, dict) else ()
        example = example[name]


def test_queries_beyond_all_measure_in_every_parameter(everything: APIClient, dropins: None) -> None:
    """And a page is never larger than the largest."""
    wrong, tried = [], 0
    every = sorted(
        {one["name"] for methods in document()["paths"].values() for one in parameters_of(methods.get("get"))}
    )
    for call in (*own_calls(), *dropin_calls()):
        if call.method != "GET" or call.scope is None:
            continue
        own = [one["name"] for one in parameters_of(operation_of(call))] if call.name else every
        for text in QUERIES if own else QUERIES[:1]:
            written = quote(text, errors="surrogatepass", safe="%")
            # All at once, and those that every list has alone: the first that is refused would hide the others.
            alone = [name for name in ("limit", "cursor") if name in own and len(own) > 1]
            queries = ["&".join(f"{name}={written}" for name in own or every)]
            queries += [f"{name}={written}" for name in alone]
            for query in queries:
                answer = send(everything, call, query=f"?{query}")
                tried += 1
                if answer.status_code >= 500:
                    wrong.append((call, query[:60], answer.status_code, answer.content[:300]))
    assert not wrong
    assert tried > 400


def parameters_of(operation: Any) -> list[Any]:
    return [one for one in (operation or {}).get("parameters", ()) if one["in"] == "query"]


def test_what_a_call_does_not_offer_to_set_is_not_set(everything: APIClient, acme: Customer) -> None:
    """Members of answers that requests do not have, and some that a model might: refused, or without effect."""
    stray = {"id": PLANTED, "pk": PLANTED, "customer_id": PLANTED, "is_staff": True, "is_superuser": True, "user": 1}
    stray |= {
        "status": "final",
        "total": str(PLANTED),
        "role": "owner",
        "scopes": ["write"],
        "_state": {},
        "number": "X",
    }
    wrong = []
    for call, example in examples():
        if not isinstance(example, dict):
            continue
        operation = operation_of(call)
        known = set(members(operation["requestBody"]["content"]["application/json"]["schema"]))
        answered = {
            name
            for status, answer in operation["responses"].items()
            if status.startswith("2")
            for content in answer.get("content", {}).values()
            for name in members(content["schema"])
        }
        planted = {name: value for name, value in stray.items() if name not in known}
        planted |= dict.fromkeys(answered - known - set(planted), str(PLANTED))
        answer = everything.generic(
            call.method, call.path, json.dumps(example | planted), content_type="application/json"
        )
        if answer.status_code == 400:
            refused = {one.get("pointer", "")[1:] for one in answer.json().get("errors", ())}
            planted = {name: value for name, value in planted.items() if name not in refused}
        for name, value in planted.items():
            with transaction.atomic():
                answer = everything.generic(
                    call.method, call.path, json.dumps(example | {name: value}), content_type="application/json"
                )
                if answer.status_code >= 500 or (answer.status_code < 300 and is_stored()):
                    wrong.append((call, name, answer.status_code))
                told = answer.json() if answer.status_code < 300 and answer.content else {}
                if isinstance(told, dict) and told.get(name) == value and name not in ("status",):
                    wrong.append((call, name, "answered"))
                transaction.set_rollback(True)
    assert not wrong


def is_stored() -> bool:
    """Whether a row has taken the number that was planted."""
    return any(
        model._default_manager.filter(pk=PLANTED).exists()
        for model in apps.get_models()
        if model._meta.pk.get_internal_type() in ("BigAutoField", "AutoField", "BigIntegerField")
        and model._meta.app_label in ("meters", "pricing", "invoices", "portal", "auth")
    )


def examples() -> Iterator[tuple[Call, Any]]:
    for call in own_calls():
        operation = operation_of(call)
        content = (operation or {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        for example in content.get("examples", {}).values():
            yield call, example["value"]


def operation_of(call: Call) -> Any:
    return operations().get((call.method.lower(), shape("/" + resolve(call.path).route)))


@cache
def operations() -> dict[tuple[str, str], Any]:
    return {
        (method, shape(path)): operation
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }


@cache
def shape(path: str) -> str:
    """The path with its arguments left out, whatever they are written like."""
    path = re.sub(r"\(\?P<\w+>(?:[^()]|\([^()]*\))*\)|<[^>]*>|\{\w+\}", "*", path)
    return re.sub(r"\\Z|[\^$]", "", path)


def members(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return members(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    found = dict(schema.get("properties", {}))
    for other in (*schema.get("allOf", ()), *schema.get("oneOf", ())):
        found |= members(other)
    return found


def numbers_of(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where numbers stand, written as one or as text."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from numbers_of(inner, (*place, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield from numbers_of(inner, (*place, index))
    elif not isinstance(value, bool) and (isinstance(value, int | float) or _is_number(value)):
        yield place


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and value.replace(".", "", 1).lstrip("-").isdigit()


def with_value(example: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copied = dict(example) if isinstance(example, dict) else list(example)
    copied[place[0]] = with_value(example[place[0]], place[1:], value)
    return copied
