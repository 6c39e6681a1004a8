"""A decorator for the views of Flask: a fact for each request. TollmeterWSGI meters a whole application."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, current_app, make_response, request
from werkzeug.exceptions import HTTPException

from tollmeter.aio import AsyncTollmeter
from tollmeter.client import Tollmeter
from tollmeter.request_usage import CustomerOf, RequestMeter
from tollmeter.wsgi import environ_name, route_of_werkzeug

View = Callable[..., Any]


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
    meter_of_requests = RequestMeter(client, customer=customer, meter=meter, records=records)

    def decorate(view: View) -> View:
        @wraps(view)
        def metered_view(*args: Any, **kwargs: Any) -> Response:
            usage = request.usage = meter_of_requests.begin()  # type: ignore[attr-defined]
            # That of a view that fails.
            status = 500
            try:
                response = make_response(current_app.ensure_sync(view)(*args, **kwargs))
                status = response.status_code
                return response
            except HTTPException as error:
                status = error.code or 500
                raise
            finally:
                environ = request.environ
                meter_of_requests.end(
                    usage,
                    request=request,
                    header=lambda name: environ.get(environ_name(name)),
                    method=request.method,
                    route=route_of_werkzeug(environ),
                    status=status,
                )

        return metered_view

    return decorate
