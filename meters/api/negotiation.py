"""What to answer with, from the Accept header (RFC 9110, section 12.5.1)."""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer

from meters.api.problems import Problem

_QUALITY = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)


class Negotiation(DefaultContentNegotiation):
    """Takes the Accept header by its qualities, of which DRF's own knows nothing, and no `?format=`.

    Between equals the one that the header names first wins, then the one that the view names first. Parameters of a
    type (`charset`, `header`) are let pass.
    """

    def select_renderer(
        self, request: Any, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        offered = list(renderers)
        names = [str(renderer.media_type) for renderer in offered]
        name = preferred(request.headers.get("Accept", ""), names)
        if name is None:
            raise Problem(406, "not_acceptable", f"The answer can be {' or '.join(names)}.")
        return offered[names.index(name)], name


def preferred(accept: str, names: Sequence[str]) -> str | None:
    """The one of these media types that suits the header best; None: none of them will do."""
    ranges = _ranges(accept) or [("*/*", Decimal(1))]
    best: tuple[Decimal, int, int] | None = None
    chosen = None
    for position, name in enumerate(names):
        patterns = [name, f"{name.partition('/')[0]}/*", "*/*"]
        # The most specific range that fits says how welcome the type is.
        fits = [
            (patterns.index(text), index, quality) for index, (text, quality) in enumerate(ranges) if text in patterns
        ]
        if not fits:
            continue
        _, index, quality = min(fits)
        rank = (quality, -index, -position)
        if quality and (best is None or rank > best):
            best, chosen = rank, name
    return chosen


def _ranges(accept: str) -> list[tuple[str, Decimal]]:
    ranges = []
    for part in accept.split(","):
        text, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if text:
            matches = [match for parameter in parameters if (match := _QUALITY.fullmatch(parameter))]
            ranges.append((text, Decimal(matches[-1][1]) if matches else Decimal(1)))
    return ranges
