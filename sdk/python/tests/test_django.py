"""The middleware for Django, in a process of its own as Django is configured once."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import FakeServer

PROGRAM = """
import asyncio, sys
import django
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from tollmeter import Tollmeter

tollmeter = Tollmeter("key", sys.argv[1], batch_seconds=0.02)

def customer(request):
    return request.headers.get("X-Customer")

settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=["tollmeter.django.metering"], SECRET_KEY="test",
    TOLLMETER={"CUSTOMER": {"header": "X-Customer", "function": customer}[sys.argv[3]], "CLIENT": tollmeter,
               "RECORDS": "Records"},
)
django.setup()

def job(request, number):
    request.usage.add(number)
    return HttpResponse("done")

async def job_async(request, number):
    request.usage.add(number)
    return HttpResponse("done")

async def waits(request):
    asyncio.current_task().cancel()  # As a server does where whoever asked went away.
    await asyncio.sleep(5)

def fails(request):
    raise RuntimeError("This view fails.")

def stream(request):
    def parts():
        for part in (b"one", b"two"):
            request.usage.add(1)
            yield part
    return StreamingHttpResponse(parts())

urlpatterns = [path("jobs/<int:number>/", job), path("async/<int:number>/", job_async), path("fails/", fails),
               path("stream/", stream), path("waits/", waits)]
paths = ["/jobs/52/", "/async/7/", "/fails/", "/nowhere/", "/stream/"]
headers = {"X-Customer": "acme"}

async def ask():
    client = AsyncClient(raise_request_exception=False)
    for path in paths[:-1]:
        await client.get(path, headers=headers)
    try:
        await client.get("/waits/", headers=headers)
    except asyncio.CancelledError:
        pass

if sys.argv[2] == "async":
    asyncio.run(ask())
else:
    client = Client(raise_request_exception=False)
    for path in paths:
        assert b"".join(client.get(path, headers=headers))
tollmeter.close()
"""


@pytest.mark.parametrize(("how", "customer"), [("sync", "header"), ("async", "function")])
def test_django(server: FakeServer, how: str, customer: str) -> None:
    command = [sys.executable, "-c", PROGRAM, server.url, how, customer]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    facts = list(server.facts.values())
    found = [(fact["dimensions"].get("route"), fact["dimensions"]["status"]) for fact in facts]
    expected = [("/jobs/<int:number>/", "2xx"), ("/async/<int:number>/", "2xx"), ("/fails/", "5xx"), (None, "4xx")]
    assert found[:4] == expected
    assert facts[0]["values"] == {"ApiCalls": 1, "Records": 52}
    assert facts[1]["values"] == {"ApiCalls": 1, "Records": 7}
    assert {fact["customer"] for fact in facts} == {"acme"}
    if how == "sync":
        assert facts[4]["values"] == {"ApiCalls": 1, "Records": 2}
    else:
        assert found[4:] == [("/waits/", "4xx")]


def test_settings_that_are_wrong_are_told() -> None:
    program = PROGRAM.replace('"RECORDS": "Records"', '"RECORD": "Records"')
    done = subprocess.run(
        [sys.executable, "-c", program, "http://127.0.0.1:9", "sync", "header"],
        timeout=60,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert "knows no RECORD;" in done.stderr
