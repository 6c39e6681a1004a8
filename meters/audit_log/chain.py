"""The chain: each row's hash is made of the one before it, its place and its content. Pure."""

import json
from collections.abc import Sequence
from hashlib import sha256

# Before the first row.
START = bytes(32)


def link(previous: bytes, position: int, content: Sequence[str | int | None]) -> bytes:
    """SHA-256 of the hash before it and of position and content as JSON, without spaces, in ASCII."""
    text = json.dumps([position, *content], separators=(",", ":"))
    return sha256(previous + text.encode()).digest()
