"""A fact for each request, in each framework: the same application, the same facts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

import fastapi
import flask
import httpx
import pytest
import starlette.applications
import starlette.responses
import starlette.routing
from conftest import FakeServer, refuse

from tollmeter import AsyncTollmeter, Tollmeter, TollmeterError, current_usage
from tollmeter.asgi import TollmeterASGI
from tollmeter.flask import metered
from tollmeter.wsgi import TollmeterWSGI

Make = Callable[..., Tollmeter]
ACME = {"X-Customer": "acme"}


def facts_of(server: FakeServer, client: Tollmeter) -> list[dict[str, Any]]:
    """Without what differs each time."""
    assert client.flush(30)
    wanted = ("customer", "meter", "value", "values", "dimensions")
    return [{name: fact[name] for name in wanted if name in fact} for fact in server.facts.values()]


def get_wsgi(app: Any, path: str, headers: dict[str, str] = ACME) -> httpx.Response:
    transport = httpx.WSGITransport(app, raise_app_exceptions=False)
    with httpx.Client(transport=transport, base_url="http://api") as http:
        return http.get(path, headers=headers)


def get_asgi(app: Any, path: str, headers: dict[str, str] = ACME) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
            return await http.get(path, headers=headers)

    return asyncio.run(get())


def flask_app() -> flask.Flask:
    app = flask.Flask("api")

    @app.get("/jobs/<int:number>")
    def job(number: int) -> str:
        current_usage().add(number)
        return "done"

    @app.get("/fails")
    def fails() -> str:
        raise RuntimeError("This view fails.")

    return app


def plain_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("202 Accepted", [])
    return records(environ["tollmeter.usage"])


def records(usage: Any) -> Iterator[bytes]:
    for part in (b"one", b"two"):
        usage.add(1)
        yield part


def test_wsgi(server: FakeServer, client: Make) -> None:
    tollmeter = client()
    app = TollmeterWSGI(
        plain_app, tollmeter, customer="X-Customer", records="Records", route=lambda environ: "/by/hand"
    )
    assert get_wsgi(app, "/anything").content == b"onetwo"
    # What is used while the answer is sent counts, too.
    values = {"ApiCalls": 1, "Records": 2}
    labels = {"method": "GET", "route": "/by/hand", "status": "2xx"}
    assert facts_of(server, tollmeter) == [{"customer": "acme", "values": values, "dimensions": labels}]


def test_wsgi_around_flask_knows_the_route(server: FakeServer, client: Make) -> None:
    tollmeter = client()
    app = TollmeterWSGI(
        flask_app(), tollmeter, customer=lambda environ: environ["PATH_INFO"][1:5], meter=None, records="Records"
    )
    assert get_wsgi(app, "/jobs/52").text == "done"
    (fact,) = facts_of(server, tollmeter)
    labels = {"method": "GET", "route": "/jobs/<int:number>", "status": "2xx"}
    assert fact == {"customer": "jobs", "meter": "Records", "value": 52, "dimensions": labels}


def test_wsgi_application_that_fails(server: FakeServer, client: Make) -> None:
    def fails(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise RuntimeError("This application fails.")

    tollmeter = client()
    app = TollmeterWSGI(fails, tollmeter, customer="X-Customer")
    with pytest.raises(RuntimeError, match="fails"):
        app({"REQUEST_METHOD": "PUT", "HTTP_X_CUSTOMER": "acme"}, lambda status, headers: None)
    (fact,) = facts_of(server, tollmeter)
    assert fact["dimensions"] == {"method": "PUT", "status": "5xx"}


def test_flask_decorator(server: FakeServer, client: Make) -> None:
    tollmeter = client()
    app = flask.Flask("api")

    @app.get("/jobs/<int:number>")
    @metered(tollmeter, customer="X-Customer", records="Records")
    def job(number: int) -> Any:
        flask.request.usage.add(number)  # type: ignore[attr-defined]
        flask.request.usage.label(source="crm")  # type: ignore[attr-defined]
        if number == 4:
            flask.abort(404)
        if number == 5:
            raise RuntimeError("This view fails.")
        return {"done": number}, 201

    @app.get("/healthz")
    def healthz() -> str:
        return "up"

    @app.errorhandler(405)
    @metered(tollmeter, customer="X-Customer")
    def wrong_method(error: Exception) -> Any:
        # Of no route.
        return "Not so.", 405

    for path in ("/jobs/2", "/jobs/4", "/jobs/5", "/healthz"):
        get_wsgi(app, path)
    with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://api") as http:
        assert http.post("/jobs/2", headers=ACME).text == "Not so."
    facts = facts_of(server, tollmeter)
    assert facts.pop()["dimensions"] == {"method": "POST", "status": "4xx"}
    assert [fact["values"] for fact in facts] == [{"ApiCalls": 1, "Records": number} for number in (2, 4, 5)]
    assert [fact["dimensions"]["status"] for fact in facts] == ["2xx", "4xx", "5xx"]
    expected = {"method": "GET", "route": "/jobs/<int:number>", "status": "2xx", "source": "crm"}
    assert facts[0]["dimensions"] == expected


def test_flask_decorator_counts_what_is_used_while_the_answer_is_sent(server: FakeServer, client: Make) -> None:
    tollmeter = client()
    app = flask.Flask("api")

    @app.get("/export")
    @metered(tollmeter, customer="X-Customer", records="Records")
    def export() -> Any:
        return records(flask.request.usage)  # type: ignore[attr-defined]

    assert get_wsgi(app, "/export").text == "onetwo"
    (fact,) = facts_of(server, tollmeter)
    assert fact["values"] == {"ApiCalls": 1, "Records": 2}


def test_what_is_used_after_a_request_is_a_fact_of_its_own(server: FakeServer, client: Make) -> None:
    kept: list[Any] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        kept.append(environ["tollmeter.usage"])
        kept[-1].label(source="crm")
        if environ["PATH_INFO"] == "/healthz":
            kept[-1].skip()
        start_response("200 OK", [])
        return []

    tollmeter = client()
    metered_app = TollmeterWSGI(app, tollmeter, customer="X-Customer", records="Records")
    for path, headers in (("/", ACME), ("/", {}), ("/healthz", ACME)):
        get_wsgi(metered_app, path, headers)
        kept[-1].add(52)
    labels = {"method": "GET", "status": "2xx", "source": "crm"}
    assert facts_of(server, tollmeter) == [
        {"customer": "acme", "meter": meter, "value": value, "dimensions": labels}
        for meter, value in (("ApiCalls", 1), ("Records", 52))
    ]


def test_what_is_used_while_the_customer_is_looked_up_counts(server: FakeServer, client: Make) -> None:
    """As by a thread that the request began."""

    def customer(environ: dict[str, Any]) -> str:
        environ["tollmeter.usage"].add(52)
        return "acme"

    tollmeter = client()
    get_wsgi(TollmeterWSGI(plain_app, tollmeter, customer=customer, records="Records"), "/")
    (fact,) = facts_of(server, tollmeter)
    assert fact["values"] == {"ApiCalls": 1, "Records": 54}


def test_a_view_may_say_when_it_was(server: FakeServer, client: Make) -> None:
    moments = [datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2026, 1, 1)]

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["tollmeter.usage"].time = moments.pop(0)
        start_response("200 OK", [])
        return []

    errors: list[TollmeterError] = []
    tollmeter = client(on_error=errors.append)
    for _ in range(2):
        assert get_wsgi(TollmeterWSGI(app, tollmeter, customer="X-Customer"), "/").status_code == 200
    tollmeter.flush(30)
    assert [fact["time"] for fact in server.facts.values()] == ["2026-01-01T00:00:00+00:00"]
    assert "time zone" in str(errors[0])


def fastapi_app(tollmeter: Tollmeter | AsyncTollmeter, **options: Any) -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    app.add_middleware(TollmeterASGI, client=tollmeter, records="Records", **{"customer": "X-Customer", **options})
    router = fastapi.APIRouter(prefix="/v1")

    @router.get("/jobs/{number}")
    async def job(number: int, request: fastapi.Request) -> dict[str, int]:
        request.state.usage.add(number)
        return {"done": number}

    @router.get("/blocking/{number}")
    def blocking(number: int) -> dict[str, int]:
        current_usage().add(number)  # In a thread of its own.
        return {"done": number}

    @router.get("/fails")
    async def fails() -> None:
        raise RuntimeError("This view fails.")

    app.include_router(router)
    return app


def test_fastapi(server: FakeServer, client: Make) -> None:
    tollmeter = client()
    app = fastapi_app(tollmeter)
    for path in ("/v1/jobs/52", "/v1/blocking/7", "/v1/fails", "/v1/nowhere", "/v1/jobs/none"):
        get_asgi(app, path)
    facts = facts_of(server, tollmeter)
    assert [fact.get("values") for fact in facts[:2]] == [
        {"ApiCalls": 1, "Records": 52},
        {"ApiCalls": 1, "Records": 7},
    ]
    routes = [(fact["dimensions"].get("route"), fact["dimensions"]["status"]) for fact in facts]
    assert routes == [
        ("/v1/jobs/{number}", "2xx"),
        ("/v1/blocking/{number}", "2xx"),
        ("/v1/fails", "5xx"),
        (None, "4xx"),
        ("/v1/jobs/{number}", "4xx"),
    ]


def test_starlette_with_a_mount(server: FakeServer, client: Make) -> None:
    async def job(request: Any) -> Any:
        request.state.usage.add(int(request.path_params["number"]))
        return starlette.responses.PlainTextResponse("done")

    tollmeter = client()
    routes = [starlette.routing.Mount("/v2", routes=[starlette.routing.Route("/jobs/{number}", job)])]
    app = TollmeterASGI(
        starlette.applications.Starlette(routes=routes), tollmeter, customer="x-customer", records="Records"
    )
    assert get_asgi(app, "/v2/jobs/3").text == "done"
    (fact,) = facts_of(server, tollmeter)
    assert fact["dimensions"]["route"] == "/v2/jobs/{number}"
    assert fact["values"]["Records"] == 3


def test_asgi_with_the_client_for_asyncio(server: FakeServer) -> None:
    tollmeter = AsyncTollmeter("key", server.url, batch_seconds=0.02)
    get_asgi(fastapi_app(tollmeter, customer=lambda scope: scope["path"].split("/")[2]), "/v1/jobs/5")
    (fact,) = facts_of(server, tollmeter.sync)
    assert fact["customer"] == "jobs"
    tollmeter.sync.close()


def test_asgi_sends_what_waits_before_the_server_ends(server: FakeServer, client: Make) -> None:
    """As some servers end by the signal that they got, and then nothing is done at exit."""
    tollmeter = client(batch_seconds=60)
    app = fastapi_app(tollmeter)
    get_asgi(app, "/v1/jobs/5")
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    answers: list[str] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        answers.append(message["type"])

    asyncio.run(app({"type": "lifespan", "state": {}}, receive, send))
    assert answers == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert len(server.facts) == 1


def test_requests_of_nobody_and_those_left_out_are_not_metered(server: FakeServer, client: Make) -> None:
    tollmeter = client()
    app = TollmeterWSGI(flask_app(), tollmeter, customer="X-Customer")
    assert get_wsgi(app, "/nowhere", headers={}).status_code == 404

    def health(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["tollmeter.usage"].skip()
        start_response("200 OK", [])
        return [b"up"]

    get_wsgi(TollmeterWSGI(health, tollmeter, customer="X-Customer"), "/")
    assert facts_of(server, tollmeter) == []


def test_a_view_may_say_who_the_customer_is(server: FakeServer, client: Make) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        current_usage().customer = "globex"
        start_response("200 OK", [])
        return []

    tollmeter = client()
    get_wsgi(TollmeterWSGI(app, tollmeter, customer=lambda environ: None), "/")
    assert [fact["customer"] for fact in facts_of(server, tollmeter)] == ["globex"]


def test_a_request_is_answered_whatever_becomes_of_its_fact(server: FakeServer, client: Make) -> None:
    server.always = refuse(503)
    errors: list[TollmeterError] = []
    tollmeter = client(queue_size=1, when_full="raise", on_error=errors.append, batch_seconds=60)

    def broken(environ: dict[str, Any]) -> str:
        raise KeyError("customer")

    for customer in ("X-Customer", "X-Customer", "X-Customer", broken):
        response = get_wsgi(TollmeterWSGI(plain_app, tollmeter, customer=customer, records="Records"), "/")
        assert response.content == b"onetwo"
    texts = [str(error) for error in errors]
    assert any("wait already" in text for text in texts)
    assert any("KeyError" in text for text in texts)


def test_a_route_that_cannot_be_said_is_left_out(server: FakeServer, client: Make) -> None:
    def broken(request: Any) -> str:
        raise KeyError("route")

    errors: list[TollmeterError] = []
    tollmeter = client(on_error=errors.append)
    wsgi = TollmeterWSGI(plain_app, tollmeter, customer="X-Customer", records="Records", route=broken)
    assert get_wsgi(wsgi, "/").content == b"onetwo"
    asgi = TollmeterASGI(starlette.applications.Starlette(), tollmeter, customer="X-Customer", route=broken)
    assert get_asgi(asgi, "/").status_code == 404
    assert [fact["dimensions"].keys() for fact in facts_of(server, tollmeter)] == [{"method", "status"}] * 2
    assert len(errors) == 2


def test_outside_of_a_request_there_is_no_usage() -> None:
    with pytest.raises(LookupError, match="outside"):
        current_usage()


def test_records_need_a_meter(client: Make) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with pytest.raises(ValueError, match="meter"):
            environ["tollmeter.usage"].add(1)
        start_response("200 OK", [])
        return []

    assert get_wsgi(TollmeterWSGI(app, client(), customer="X-Customer"), "/").status_code == 200
