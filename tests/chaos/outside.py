"""Who stands outside and writes down what arrives: a receiver of webhooks and a mail server."""

import socketserver
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default

from tests.invoices.receiver import Receiver, receiving


@dataclass
class Mailbox:
    """What the mail server has taken: by Message-ID the recipients and subjects, one for each time."""

    port: int = 0
    got: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, content: bytes) -> None:
        message = message_from_bytes(content, policy=default)
        with self.lock:
            self.got[str(message["Message-ID"])].append((str(message["To"]), str(message["Subject"])))


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """As much of SMTP as a client needs that sends plain mails."""
    mailbox = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 here")
            while line := self.rfile.readline(2000):
                word = line[:4].upper()
                if word == b"DATA":
                    self._say("354 go on")
                    lines: list[bytes] = []
                    while (part := self.rfile.readline()) not in (b".\r\n", b""):
                        lines.append(part[1:] if part.startswith(b".") else part)
                    if not part:
                        return None  # it broke off in the middle: nothing was taken
                    mailbox.take(b"".join(lines))
                    self._say("250 taken")
                elif word == b"QUIT":
                    return self._say("221 bye")
                else:
                    self._say("250 yes")
            return None

        def _say(self, text: str) -> None:
            try:
                self.wfile.write(f"{text}\r\n".encode())
            except OSError:
                return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Whoever was sending has been killed."""

    with Server(("127.0.0.1", 0), Handler) as server:
        mailbox.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield mailbox
        finally:
            server.shutdown()


@dataclass
class Outside:
    receiver: Receiver
    mailbox: Mailbox

    def forget(self) -> None:
        self.receiver.got.clear()
        self.mailbox.got.clear()

    @property
    def environment(self) -> dict[str, str]:
        """Where the installation's mails go."""
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(self.mailbox.port),
            "EMAIL_USE_TLS": "0",
        }

    def webhooks(self) -> dict[str, list[str]]:
        """By the id of a message the bodies that arrived, one for each time."""
        found: dict[str, list[str]] = defaultdict(list)
        with self.receiver.lock:
            for got in self.receiver.got:
                found[got.headers["webhook-id"]].append(got.body)
        return found


@contextmanager
def outside() -> Iterator[Outside]:
    with receiving() as receiver, mail_server() as mailbox:
        yield Outside(receiver, mailbox)
