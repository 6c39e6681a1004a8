"""The way into Django: a content type cannot break it."""

import io
from typing import Any

import pytest

from config.wsgi import application

pytestmark = pytest.mark.django_db


def call(path: str, content_type: str, method: str = "POST") -> str:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": "2",
        "wsgi.input": io.BytesIO(b"{}"),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    statuses: list[str] = []
    body = application(environ, lambda status, headers: statuses.append(status))
    b"".join(body)
    body.close()
    return statuses[0]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; a*=nonsense''x",
        "application/json; charset=bz2",
        "multipart/form-data; boundary*=nonsense''x",
        "multipart/form-data; boundary=x; charset=bz2",
        "text/plain; charset*=",
        ";",
    ],
)
def test_parameters_that_cannot_be_read_break_nothing(content_type: str) -> None:
    assert call("/v1/events", content_type).startswith("401")
    assert call("/sign-in?next=%FF", content_type, "GET")[0] in "234"
