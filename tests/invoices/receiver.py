"""A receiver of webhooks: a real HTTP server on this machine, which says what it got and answers as it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

Said = tuple[int, Mapping[str, str], str]


@dataclass
class Got:
    path: str
    headers: dict[str, str]
    body: str

    @property
    def message(self) -> Any:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        kind: str = self.message["type"]
        return kind

    def verified(self, secret: str) -> Any:
        """The message, by the library. Raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    url: str = ""
    got: list[Got] = field(default_factory=list)
    # What to answer: always, or by what was got.
    answer: Said | Callable[[Got], Said] = (200, {}, "")
    # How long to take over it, before the head and between the bytes of the body.
    seconds: float = 0
    drip: float = 0
    lock: Any = field(default_factory=threading.Lock)

    def take(self, got: Got) -> Said:
        with self.lock:
            self.got.append(got)
        time.sleep(self.seconds)
        return self.answer(got) if callable(self.answer) else self.answer

    @property
    def types(self) -> list[str]:
        return [got.type for got in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            headers = {name.lower(): text for name, text in self.headers.items()}
            status, extra, text = receiver.take(Got(self.path, headers, body))
            try:
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                content = text.encode()
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if receiver.drip:
                    for byte in content:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                        time.sleep(receiver.drip)
                else:
                    self.wfile.write(content)
            except OSError:
                pass  # the other side has gone

        def do_GET(self) -> None:
            receiver.take(Got(f"GET {self.path}", {}, "{}"))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
