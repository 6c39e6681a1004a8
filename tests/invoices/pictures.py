"""Files that people give as a logo, whole and otherwise."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image

INDIGO = (67, 70, 214, 255)


def picture(format: str = "PNG", size: tuple[int, int] = (240, 60), colour: Any = INDIGO, **fields: Any) -> bytes:
    mode = "RGB" if format == "JPEG" or len(colour) == 3 else "RGBA"
    file = BytesIO()
    Image.new(mode, size, colour[: len(mode)]).save(file, format, **fields)
    return file.getvalue()


def noise(size: tuple[int, int]) -> bytes:
    """A picture that hardly becomes smaller."""
    state, rows = 1, []
    for _ in range(size[0] * size[1]):
        state = state * 48271 % 2147483647
        rows.append((state % 256, state // 256 % 256, state // 65536 % 256))
    image = Image.new("RGB", size)
    image.putdata(rows)
    file = BytesIO()
    image.save(file, "WEBP", quality=40)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A small PNG file that says it is huge, and unpacks to zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"\0" * 20_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
