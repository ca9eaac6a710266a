"""What a picture is, by its first bytes."""

import pytest

from agents.images import MAX_BYTES, MAX_SIDE, MIN_SIDE, Image, UnusableImage
from tests.pictures import animated_png, jpeg, png, webp
from tests.shared import cases


@cases(
    ("content", "media_type"),
    [
        (png(40, 50), "image/png"),
        (jpeg(40, 50), "image/jpeg"),
        (webp(b"VP8 ", 40, 50), "image/webp"),
        (webp(b"VP8L", 40, 50), "image/webp"),
        (webp(b"VP8X", 40, 50), "image/webp"),
    ],
)
def test_tells_the_type_and_the_size(content: bytes, media_type: str) -> None:
    assert Image.read(content) == Image(media_type, 40, 50)


@cases("side", [MIN_SIDE, MAX_SIDE])
def test_takes_sides_up_to_the_limits(side: int) -> None:
    assert Image.read(webp(b"VP8L", side, side)).width == side


@cases(
    ("content", "message"),
    [
        (b"", "PNG, JPEG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "PNG, JPEG or WebP"),
        (b"GIF89a" + bytes(50), "PNG, JPEG or WebP"),
        (b"<!doctype html>\x89PNG\r\n\x1a\n", "PNG, JPEG or WebP"),
        (png()[:20], "PNG, JPEG or WebP"),
        (animated_png(), "PNG, JPEG or WebP"),
        (jpeg()[:12], "PNG, JPEG or WebP"),
        (b"\xff\xd8\xff\xe0\x00\x00" + bytes(20), "PNG, JPEG or WebP"),
        (b"\xff\xd8" + b"\xff\xfe\x00\x02" * 100, "PNG, JPEG or WebP"),
        (webp(b"VP8X", flags=2), "PNG, JPEG or WebP"),
        (webp()[:22], "PNG, JPEG or WebP"),
        (webp(b"ALPH"), "PNG, JPEG or WebP"),
        (png() + bytes(MAX_BYTES), "at most 6 KB"),
        (webp(b"VP8L", MAX_SIDE + 1, 48), "16 to 512 pixels"),
        (jpeg(48, MIN_SIDE - 1), "16 to 512 pixels"),
        (png(0, 0), "16 to 512 pixels"),
    ],
)
def test_refuses_everything_else(content: bytes, message: str) -> None:
    with pytest.raises(UnusableImage, match=message):
        Image.read(content)
