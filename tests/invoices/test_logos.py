"""Logos: only pictures, made anew; whatever else a file holds is refused or left behind."""

from io import BytesIO

import pytest
from django.core.exceptions import ValidationError
from PIL import Image, PngImagePlugin

from invoices.logos import MOST_BYTES, MOST_KEPT, logo_of
from tests.invoices.pictures import INDIGO, bomb, noise, picture

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_kept_with_its_size(format: str) -> None:
    logo = logo_of(picture(format, (240, 60)))
    assert (logo.width, logo.height) == (240, 60) == opened(logo.content).size
    assert logo.media_type == "image/png"


def test_what_shines_through_stays_so() -> None:
    logo = logo_of(picture("WEBP", colour=(67, 70, 214, 0), lossless=True))
    assert opened(logo.content).convert("RGBA").getpixel((5, 5))[3] == 0


def test_the_same_file_is_the_same_logo() -> None:
    assert logo_of(picture()).digest == logo_of(picture()).digest


def test_nothing_but_the_picture_is_kept() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "SECRET-NAME")
    exif = Image.Exif()
    exif[0x010E] = "SECRET-PLACE"
    for content in (picture(pnginfo=info), picture("JPEG", exif=exif), picture("WEBP", exif=exif)):
        assert b"SECRET" in content
        logo = logo_of(content)
        assert b"SECRET" not in logo.content
        assert not opened(logo.content).getexif()
        assert set(opened(logo.content).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_file_that_is_a_page_as_well_comes_out_as_the_picture_alone() -> None:
    content = picture() + b"<html><script>alert(1)</script></html>" + b"PK\x05\x06" + b"\0" * 18
    assert logo_of(content).content == logo_of(picture()).content
    assert b"script" not in logo_of(content).content


def test_a_picture_that_lies_on_its_side_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    logo = logo_of(picture("JPEG", (240, 60), exif=exif))
    assert (logo.width, logo.height) == (36, 144)


@pytest.mark.parametrize(("size", "kept"), [((2000, 500), (576, 144)), ((2000, 100), (640, 32)), ((16, 16), (16, 16))])
def test_it_is_kept_as_large_as_it_is_shown(size: tuple[int, int], kept: tuple[int, int]) -> None:
    logo = logo_of(picture(size=size))
    assert (logo.width, logo.height) == kept


def test_a_photograph_is_small_too() -> None:
    content = noise((700, 150))
    logo = logo_of(content)
    assert len(logo.content) <= MOST_KEPT
    assert logo.media_type == "image/jpeg"


@pytest.mark.parametrize(
    "content",
    [SVG, b"\xef\xbb\xbf  " + SVG, b'<?xml version="1.0"?>' + SVG, b"<!-- " + b"x" * 100 + b" -->" + SVG,
     b"\x1f\x8b\x08\0" + b"\0" * 50],
)  # fmt: skip
def test_svg_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(ValidationError, match="SVG file, which can hold scripts"):
        logo_of(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a" + b"\0" * 40, b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", picture()[:60], picture("JPEG")[:300],
     b"\x89PNG\r\n\x1a\n" + b"\xff" * 1000, picture("GIF"), picture("BMP")],
)  # fmt: skip
def test_what_is_no_such_picture_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(ValidationError, match="no PNG, JPEG or WebP picture"):
        logo_of(content)


@pytest.mark.parametrize("size", [(20_000, 20_000), (2001, 40), (65_000, 1)])
def test_a_huge_one_is_refused_before_it_is_unpacked(size: tuple[int, int]) -> None:
    content = bomb(*size)
    assert len(content) < MOST_BYTES
    with pytest.raises(ValidationError):
        logo_of(content)


def test_one_whose_data_go_on_behind_the_picture_is_the_picture() -> None:
    assert (logo_of(bomb(100, 40)).width, logo_of(bomb(100, 40)).height) == (100, 40)


@pytest.mark.parametrize(("size", "words"), [((15, 40), "15 by 40 pixels"), ((2001, 40), "2001 by 40 pixels")])
def test_sizes_that_are_no_logos_are_refused_in_words(size: tuple[int, int], words: str) -> None:
    with pytest.raises(ValidationError, match=f"{words}: each side has to have 16 to 2,000"):
        logo_of(picture(size=size))


def test_a_heavy_one_is_refused_in_words() -> None:
    with pytest.raises(ValidationError, match="more than 200 KB"):
        logo_of(picture() + b"\0" * MOST_BYTES)


def test_one_that_moves_is_refused_in_words() -> None:
    frames = [Image.new("RGBA", (40, 40), colour) for colour in (INDIGO, (255, 0, 0, 255))]
    for kind in ("PNG", "WEBP"):
        file = BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=100)
        with pytest.raises(ValidationError, match="moves"):
            logo_of(file.getvalue())
