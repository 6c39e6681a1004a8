"""Event ids: the 128-bit key of an id, and new ids where the sender gave none. Pure."""

import hashlib
import re
import secrets
import time
import uuid

from xxhash import xxh3_64_intdigest

_HEX = "[0-9a-fA-F]"
_UUID = re.compile(f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}")


def is_uuid(event_id: str) -> bool:
    """Whether this is a UUID in its usual form, 8-4-4-4-12 hexadecimal digits."""
    return _UUID.fullmatch(event_id) is not None


def key_of(event_id: str) -> str:
    """The key of an id: a UUID is its own, in small letters; other text is hashed to 32 hexadecimal digits. So equal
    keys are equal texts."""
    return event_id.lower() if is_uuid(event_id) else hash128(event_id)


def hash128(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def hash64(text: str) -> int:
    """A signed 64-bit hash (XXH3), the range of PostgreSQL's bigint. Tells texts apart that nobody made to collide."""
    return xxh3_64_intdigest(text.encode()) - 2**63


def uuid7() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7): milliseconds first, so that new keys are neighbours in the index."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=number))


def derived_id(api_key: int, idempotency_key: str, position: int) -> str:
    """The id of an event that was sent without one in a request with this Idempotency-Key: the same for each repetition
    of the request. A UUID of version 8 (RFC 9562, section 5.8) over a 128-bit hash."""
    digest = hashlib.blake2b(f"{api_key} {position} {idempotency_key}".encode(), digest_size=16, person=b"spare id")
    number = int.from_bytes(digest.digest(), "big")
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=number))
