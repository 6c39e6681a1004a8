"""Reads environment variables. Whatever is wrong with them is gathered, so that a start tells all of it at once.

A variable that is empty counts as one that is not there: files of variables and compose.yaml leave them so.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from email.headerregistry import Address
from email.utils import parseaddr
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

YES, NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})
HOST = re.compile(r"\.?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]")
SHOWN = 60
# No part is of dots alone: clients take those for folders.
PREFIX = re.compile(r"(?!\.+(/|$))[A-Za-z0-9_.-]+(/(?!\.+(/|$))[A-Za-z0-9_.-]+)*", re.ASCII)
# What addresses of our own begin with: a test holds it to all that are mounted.
TAKEN = frozenset(
    {"v1", "admin", "healthz", "metrics", "static", "embed", "account", "alerts", "api-access", "brand", "credit-notes"}
    | {"enter", "invoices", "join", "leave", "password-reset", "plan", "settings", "sign-in", "sign-out", "statement"}
    | {"switch-customer", "team", "usage"}
)


class WrongEnvironment(SystemExit):
    """What is wrong with the environment, each in a line with what to do. It ends whichever program has read the
    settings, with these lines in place of a traceback."""

    def __init__(self, faults: Iterable[str]) -> None:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        super().__init__(f"Tollmeter does not start. What its environment variables say has to be mended:\n{lines}")


def refuse_without_servers(faults: Collection[str]) -> None:
    """Web server, worker and beat end here where no database or no broker is named."""
    if faults:
        raise WrongEnvironment([*faults, "For a demo with servers of its own, run `make run`."])


class Environment:
    """Each method reads one variable. Where it is wrong, the fault is noted and the default goes on in its place."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.names: set[str] = set()
        self.faults: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        self.names.add(name)
        return self._variables.get(name, "").strip() or default

    def flag(self, name: str, default: bool) -> bool:
        text = self.text(name, str(default)).lower()
        if text in YES | NO:
            return text in YES
        self._fault(name, text, "write true or false")
        return default

    def number(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        """A whole number from `least` to `most`."""
        text = self.text(name, str(default))
        # More digits than any limit has, and Python reads them slowly.
        if re.fullmatch(r"-?[0-9]{1,19}", text) and least <= int(text) <= most:
            return int(text)
        self._fault(name, text, f"write a whole number from {least} to {most}")
        return default

    def words(self, name: str, default: str = "") -> list[str]:
        """What stands between commas."""
        return [part.strip() for part in self.text(name, default).split(",") if part.strip()]

    def choice(self, name: str, options: Collection[str], default: str, remedy: str = "") -> str:
        text = self.text(name, default)
        if text in options:
            return text
        self._fault(name, text, remedy or f"write one of {', '.join(options)}")
        return default

    def folder(self, name: str, default: Path) -> Path:
        text = self.text(name)
        if not text:
            return default.resolve()
        try:
            path = Path(text).expanduser().resolve()
            if not path.exists() or path.is_dir():
                return path
            self._fault(name, text, "write the path of a folder; this is a file")
        except (OSError, RuntimeError) as error:
            self._fault(name, text, f"write the path of a folder that this user can reach ({error})")
        return default.resolve()

    def hosts(self, name: str, default: str) -> list[str]:
        """Host names, without scheme, port or path; `*` is any."""
        hosts = self.words(name, default)
        for host in hosts:
            if host != "*" and not HOST.fullmatch(host):
                self._fault(name, host, "write names of hosts alone, without https://, port or path")
        return hosts

    def origins(self, name: str) -> list[str]:
        origins = self.words(name)
        for origin in origins:
            if not re.fullmatch(r"https?://[^/\s]+", origin):
                self._fault(name, origin, "write origins such as https://billing.example.com")
        return origins

    def web_address(self, name: str) -> str:
        """An http or https URL, without the last slash."""
        text = self.text(name).rstrip("/")
        if not text or (_has_host(text, ("http", "https")) and not re.search(r"[\s?#@]", text)):
            return text
        self._fault(name, text, "write a URL such as https://billing.example.com")
        return ""

    def database_url(self, name: str) -> str:
        text = self.text(name)
        try:
            parts = conninfo_to_dict(text)
        except ProgrammingError:
            parts = {"host": ""}
        well = not text or (
            re.match(r"postgres(ql)?://", text)
            and parts.get("host")
            and all(port.isdigit() for port in str(parts.get("port") or "5432").split(","))
        )
        if not well:
            # Not what it is: there is a password in it.
            self.faults.append(
                f"{name} cannot be understood: write postgresql://user:password@host:5432/name, and in the password "
                "%40 for @, %2F for /, %3A for : and %25 for %."
            )
        return text if well else ""

    def redis_url(self, name: str) -> str:
        text = self.text(name)
        if not text or (_has_host(text, ("redis", "rediss")) and re.fullmatch(r"/?|/\d+", urlsplit(text).path)):
            return text
        self.faults.append(
            f"{name} cannot be understood: write redis://:password@host:6379/0, or rediss:// for TLS, and in the "
            "password %40 for @, %2F for /, %3A for : and %25 for %."
        )
        return ""

    def time_zone(self, name: str, default: str) -> str:
        text = self.text(name, default)
        if text in available_timezones():
            return text
        self._fault(name, text, "write a name of the IANA time zones, such as Europe/Berlin or UTC")
        return default

    def sender(self, name: str, default: str) -> str:
        """`billing@example.com` or `Example Billing <billing@example.com>`."""
        text = self.text(name, default)
        try:
            if Address(addr_spec=parseaddr(text)[1]).domain and "\n" not in text:
                return text
        except (ValueError, IndexError):
            pass
        self._fault(name, text, "write an address, such as billing@example.com")
        return default

    def class_path(self, name: str, default: str) -> str:
        """The dotted path of a class in a module that is there."""
        text = self.text(name, default)
        module, _, item = text.rpartition(".")
        try:
            if module and item and find_spec(module):
                return text
        except (ImportError, ValueError):
            pass
        self._fault(name, text, "write the whole dotted path of a class that is installed")
        return default

    def prefix(self, name: str, other: str = "") -> str:
        """Below which address something is mounted, with a slash at its end: `openmeter/`. Empty: nowhere. `other` is
        a prefix that neither may begin with the other."""
        text = self.text(name).strip("/")
        is_within = other and (f"{text}/".startswith(other) or other.startswith(f"{text}/"))
        if text and (not PREFIX.fullmatch(text) or text.partition("/")[0].lower() in TAKEN or is_within):
            self._fault(name, text, "write the beginning of an address that nothing else has, such as openmeter/")
            return ""
        return f"{text}/" if text else ""

    def check(self) -> None:
        """Ends the program where something was wrong."""
        if self.faults:
            raise WrongEnvironment(self.faults)

    def _fault(self, name: str, text: str, remedy: str) -> None:
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
        self.faults.append(f"{name} is {shown!r}: {remedy}.")


def _has_host(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.scheme in schemes and parts.hostname and (parts.port is None or parts.port > 0))
    except ValueError:
        return False
