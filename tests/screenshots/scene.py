"""The demo as it stands at one moment, served from this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from socketserver import ThreadingMixIn
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import time_machine
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

from portal import demo

# A Wednesday afternoon, with more of the month behind than ahead.
NOW = datetime(2026, 11, 18, 14, 2, tzinfo=UTC)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def demo_at(now: datetime = NOW) -> Iterator[str]:
    """The demo's address while it is served."""
    with time_machine.travel(now, tick=False):
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        if not demo.is_filled():
            demo.fill(now)
        with make_server("127.0.0.1", 0, get_wsgi_application(), _Server, _Quiet) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()
