"""A decorator for the views of Flask: a fact for each request. TollmeterWSGI meters a whole application."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any

from flask import Request, Response, after_this_request, current_app, request

from tollmeter.aio import AsyncTollmeter
from tollmeter.client import Tollmeter
from tollmeter.request_usage import CustomerOf, RequestMeter
from tollmeter.wsgi import environ_name

View = Callable[..., Any]


def _header(name: str) -> Callable[[Request], str | None]:
    key = environ_name(name)
    return lambda request: request.environ.get(key)


def metered(
    client: Tollmeter | AsyncTollmeter,
    *,
    customer: CustomerOf,
    meter: str | None = "ApiCalls",
    records: str | None = None,
) -> Callable[[View], View]:
    """Meters a view: below `@app.route(...)`, `@metered(tollmeter, customer="X-Customer")`.

    `customer` is a header's name, or a function of the request that is called when the view is done. In the view,
    `request.usage.add(n)` counts records.
    """
    meter_of_requests = RequestMeter(client, customer=customer, header=_header, meter=meter, records=records)
    note = meter_of_requests.end

    def decorate(view: View) -> View:
        is_async = iscoroutinefunction(view)

        @wraps(view)
        def metered_view(*args: Any, **kwargs: Any) -> Any:
            # What `request` stands for is looked up once.
            asked: Any = request._get_current_object()  # type: ignore[attr-defined]
            usage = asked.usage = meter_of_requests.begin()

            def end(response: Response) -> Response:
                rule = asked.url_rule
                route = None if rule is None else rule.rule
                # Known at once of most, whose body is in a list.
                if type(response.response) is not list and response.is_streamed:
                    # What is used while it is sent counts, too.
                    response.call_on_close(partial(note, usage, asked, asked.method, route, response.status_code))
                else:
                    note(usage, asked, asked.method, route, response.status_code)
                return response

            # Also where the view fails and Flask, or a handler of errors, answers for it.
            after_this_request(end)
            called = current_app.ensure_sync(view) if is_async else view
            return called(*args, **kwargs)

        return metered_view

    return decorate
