"""Options that are pairs, such as `--dimension source=crm`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable


def pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=TEXT")
    return name, value


def by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The texts of each name."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found
