"""The way into Django: a content type cannot break it."""

import io
from typing import Any

import pytest
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper

from config.database import database, limit
from config.wsgi import application
from tests.killing import database_url

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


def test_a_web_server_waits_so_long_for_the_database_and_no_longer() -> None:
    """Told to the server as it connects, beside what the URL says."""
    wanted = database(f"{database_url()}?options=-c%20work_mem%3D5MB&tcp_user_timeout=9000")
    limit(wanted, 7)
    made = DatabaseWrapper(connection.settings_dict | wanted)
    try:
        with made.cursor() as cursor:
            for name, value in (("statement_timeout", "7s"), ("work_mem", "5MB")):
                cursor.execute(f"SHOW {name}")
                assert cursor.fetchone() == (value,)
            assert made.connection.info.get_parameters()["tcp_user_timeout"] == "9000"
            assert made.connection.info.get_parameters()["keepalives_idle"] == "30"
    finally:
        made.close()


def test_it_need_not() -> None:
    wanted = database(database_url())
    limit(wanted, 0)
    assert "options" not in wanted["OPTIONS"]
