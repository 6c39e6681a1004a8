"""A logo as staff give it: looked at, and made anew, so that what is kept is its picture and nothing else.

Files that are two things at once, or that carry more than a picture, come out as the picture alone.
"""

import hashlib
import logging
from dataclasses import dataclass
from io import BytesIO

from django.core.exceptions import ValidationError
from PIL import Image, ImageOps

logger = logging.getLogger(__name__)

MOST_BYTES = 200 * 1024
LEAST_SIDE, MOST_SIDE = 16, 2000
# Of what is kept: three times as high as pages show it, and sharp on paper. A page with all it loads stays small.
BOX = (640, 144)
MOST_KEPT = 40 * 1024
FORMATS = ("PNG", "JPEG", "WEBP")
PNG, JPEG = "image/png", "image/jpeg"


@dataclass(frozen=True, slots=True)
class Logo:
    content: bytes
    media_type: str
    width: int
    height: int

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def logo_of(content: bytes) -> Logo:
    """The picture of a PNG, JPEG or WebP file. Raises ValidationError in words."""
    if len(content) > MOST_BYTES:
        raise ValidationError(f"This file has more than {MOST_BYTES // 1024} KB.")
    if _is_svg(content):
        raise ValidationError(
            "This is an SVG file, which can hold scripts. Save it as a PNG file, at least 144 pixels high."
        )
    try:
        picture = _picture(content)
    except ValidationError:
        raise
    except Exception as error:  # whatever a decoder stumbles over
        logger.info("a logo was refused: %s", error)
        raise ValidationError("This is no PNG, JPEG or WebP picture that can be read.") from None
    return _kept(picture)


def _is_svg(content: bytes) -> bool:
    beginning = content[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return beginning.startswith((b"<", b"\x1f\x8b")) or b"<svg" in beginning


def _picture(content: bytes) -> Image.Image:
    """Its size is known from its head, before anything is unpacked."""
    image = Image.open(BytesIO(content), formats=FORMATS)
    if not all(LEAST_SIDE <= side <= MOST_SIDE for side in image.size):
        raise ValidationError(
            f"This picture has {image.width} by {image.height} pixels: each side has to have {LEAST_SIDE} to "
            f"{MOST_SIDE:,}."
        )
    if getattr(image, "n_frames", 1) > 1:
        raise ValidationError("This picture moves. A logo has to stand still.")
    image.load()
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    return ImageOps.exif_transpose(image).convert("RGBA" if has_alpha else "RGB")


def _kept(picture: Image.Image) -> Logo:
    """The picture alone, as small as it is shown, and smaller where that still is a large file."""
    bare = Image.new(picture.mode, picture.size)
    bare.paste(picture)
    bare.thumbnail(BOX)
    while True:
        found = _encoded(bare)
        if len(found.content) <= MOST_KEPT:
            return found
        bare.thumbnail((bare.width * 3 // 4, bare.height * 3 // 4))


def _encoded(picture: Image.Image) -> Logo:
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    content, media_type = file.getvalue(), PNG
    if picture.mode == "RGB" and len(content) > MOST_KEPT:
        file = BytesIO()
        picture.save(file, "JPEG", quality=88)
        content, media_type = file.getvalue(), JPEG
    return Logo(content, media_type, picture.width, picture.height)
