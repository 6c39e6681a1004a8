"""The vendor's server: one page, its files, and a session for the pieces of Tollmeter on it."""

import json
import urllib.error
import urllib.request
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, quote, urlsplit

FOLDER = Path(__file__).parent
# Who is signed in to a real app is known from its own session. Here one can be anybody of the demo.
CUSTOMERS = {"acme": "Acme Retail", "globex": "Globex Logistics", "initech": "Initech", "umbrella": "Umbrella Health"}
FILES = {"/app.js": "text/javascript", "/app.css": "text/css", "/icon.svg": "image/svg+xml"}


class VendorApp(ThreadingHTTPServer):
    """Listens on this machine alone. Its key never leaves it: a browser gets tokens that end after minutes."""

    daemon_threads = True

    def __init__(self, port: int, *, tollmeter: str, key_file: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.tollmeter, self.key_file = tollmeter, key_file
        self.hosts = [f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}"]

    def embed_urls(self, customer: str) -> dict[str, str]:
        """What to open in frames, by view. Raises OSError where Tollmeter does not answer, or refuses."""
        request = urllib.request.Request(
            f"{self.tollmeter}/v1/customers/{quote(customer)}/embed-tokens",
            data=json.dumps({"origins": [f"http://{host}" for host in self.hosts]}).encode(),
            headers={"X-API-KEY": self.key_file.read_text().strip(), "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            urls: dict[str, str] = json.load(response)["urls"]
            return urls

    @property
    def page(self) -> str:
        options = "".join(f'<option value="{key}">{name}</option>' for key, name in CUSTOMERS.items())
        return Template((FOLDER / "page.html").read_text()).substitute(tollmeter=self.tollmeter, customers=options)

    @property
    def policy(self) -> str:
        """What the page may load: besides its own files Tollmeter's script and its frames."""
        own = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        return f"{own}; script-src 'self' {self.tollmeter}; frame-src {self.tollmeter}"


class Handler(BaseHTTPRequestHandler):
    server: VendorApp

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if self.headers["Host"] not in self.server.hosts:
            # A name that somebody else has given this machine.
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, "text/plain", "This app is not called that.")
        elif path == "/":
            self._answer(HTTPStatus.OK, "text/html", self.server.page, {"Content-Security-Policy": self.server.policy})
        elif path in FILES:
            self._answer(HTTPStatus.OK, FILES[path], (FOLDER / path[1:]).read_text())
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "There is nothing here.")

    def do_POST(self) -> None:
        asked = urlsplit(self.path)
        customer = parse_qs(asked.query).get("customer", [""])[0]
        if asked.path != "/embed-session" or customer not in CUSTOMERS or self.headers["Host"] not in self.server.hosts:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "There is nothing here.")
            return
        try:
            self._answer(HTTPStatus.OK, "application/json", json.dumps(self.server.embed_urls(customer)))
        except OSError as error:
            reason = error.read().decode() if isinstance(error, urllib.error.HTTPError) else str(error)
            self._answer(HTTPStatus.BAD_GATEWAY, "text/plain", f"Tollmeter gave no session: {reason}")

    def _answer(self, status: HTTPStatus, media_type: str, text: str, headers: dict[str, str] | None = None) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{media_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass
