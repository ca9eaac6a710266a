"""Identify a picture by its first bytes, never by its name or by what a server says about it.

Only the headers are read. Browsers decode the picture, so its size in pixels is bounded, and so are its bytes.
"""

from dataclasses import dataclass
from typing import Self

from django.utils.translation import gettext_noop

from core.wording import Filled

# The consent screen, including this picture, must not exceed 80 KB.
MAX_BYTES = 6_144
MIN_SIDE, MAX_SIDE = 16, 512
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# JPEG markers that begin a frame, with its height and width. The other markers in this range are tables.
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class UnusableImage(ValueError):
    """The file is not a picture that we accept. The message says what it must be."""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that can be shown: its media type, and its size in pixels."""

    media_type: str
    width: int
    height: int

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Return the picture's type and size. Raises `UnusableImage`."""
        if len(content) > MAX_BYTES:
            raise UnusableImage(
                Filled(gettext_noop("The picture must be at most %(most)d KB."), most=MAX_BYTES // 1024)
            )
        try:
            media_type, width, height = _measure(content)
        except (IndexError, ValueError) as error:
            raise UnusableImage(gettext_noop("The file must be a PNG, JPEG or WebP picture.")) from error
        if not all(MIN_SIDE <= side <= MAX_SIDE for side in (width, height)):
            text = gettext_noop("The picture must be %(least)d to %(most)d pixels wide and high.")
            raise UnusableImage(Filled(text, least=MIN_SIDE, most=MAX_SIDE))
        return cls(media_type, width, height)


def _measure(content: bytes) -> tuple[str, int, int]:
    if content.startswith(PNG_SIGNATURE):
        return ("image/png", *_measure_png(content))
    if content.startswith(b"\xff\xd8\xff"):
        return ("image/jpeg", *_measure_jpeg(content))
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ("image/webp", *_measure_webp(content))
    raise ValueError("unknown signature")


def _measure_png(content: bytes) -> tuple[int, int]:
    if content[12:16] != b"IHDR" or b"acTL" in content or len(content) < 33:
        raise ValueError("no header, or an animation")
    return _big(content[16:20]), _big(content[20:24])


def _measure_jpeg(content: bytes) -> tuple[int, int]:
    """Return the size in the first frame. Each segment has a two-byte marker, and a length that includes itself."""
    place = 2
    while content[place] == 0xFF:
        marker, length = content[place + 1], _big(content[place + 2 : place + 4])
        if marker in FRAMES:
            return _big(content[place + 7 : place + 9]), _big(content[place + 5 : place + 7])
        if length < 2:
            break
        place += 2 + length
    raise ValueError("no frame")


def _measure_webp(content: bytes) -> tuple[int, int]:
    kind = content[12:16]
    if kind == b"VP8 " and content[23:26] == b"\x9d\x01\x2a":
        return _little(content[26:28]) & 0x3FFF, _little(content[28:30]) & 0x3FFF
    if kind == b"VP8L" and content[20] == 0x2F:
        bits = _little(content[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and not content[20] & 0x02:  # the bit of an animation
        return _little(content[24:27]) + 1, _little(content[27:30]) + 1
    raise ValueError("unknown or animated")


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
