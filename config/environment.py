"""Reads environment variables. Whatever is wrong with them is gathered, so that a start tells all of it at once.

A variable that is empty counts as one that is not there: files of variables and compose.yaml leave them so.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

PREFIX = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", re.ASCII)
# What addresses of our own begin with.
TAKEN = frozenset({"v1", "admin", "healthz", "metrics", "static", "embed"})
YES, NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


class WrongEnvironment(ImproperlyConfigured):
    """What is wrong with the environment, a sentence a line, each with what to do. For a person."""


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
        self.faults.append(f"{name} is {text!r}: write true or false.")
        return default

    def number(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        """A whole number from `least` to `most`."""
        text = self.text(name, str(default))
        # More digits than any limit has, and Python reads them slowly.
        if text.isascii() and text.lstrip("-").isdigit() and len(text) < 20 and least <= int(text) <= most:
            return int(text)
        self.faults.append(f"{name} is {text[:40]!r}: write a whole number from {least} to {most}.")
        return default

    def words(self, name: str, default: str = "") -> list[str]:
        """What stands between commas."""
        return [part.strip() for part in self.text(name, default).split(",") if part.strip()]

    def choice(self, name: str, options: Collection[str], default: str) -> str:
        text = self.text(name, default)
        if text in options:
            return text
        self.faults.append(f"{name} is {text!r}: write one of {', '.join(options)}.")
        return default

    def folder(self, name: str, default: Path) -> Path:
        text = self.text(name)
        return Path(text).expanduser().resolve() if text else default.resolve()

    def prefix(self, name: str) -> str:
        """Below which address something is mounted, with a slash at its end: `openmeter/`. Empty: nowhere."""
        text = self.text(name).strip("/")
        if text and (not PREFIX.fullmatch(text) or text.partition("/")[0] in TAKEN):
            self.faults.append(
                f"{name} is {text[:40]!r}: write the beginning of an address that nothing else has, such as openmeter/."
            )
            return ""
        return f"{text}/" if text else ""

    def check(self) -> None:
        if self.faults:
            raise WrongEnvironment("\n".join(self.faults))
