"""Small pictures. Browsers can show the PNG; of the others there is only what tells their type and size."""

import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(width: int = 48, height: int = 48, *, extra: bytes = b"") -> bytes:
    """Return a PNG in one color. `extra` is a chunk behind the header."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    rows = (b"\0" + b"\x1f\x3f\xd0" * width) * height
    data = zlib.compress(rows, 9)
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + extra + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def heavy_png(size: int) -> bytes:
    """Return a PNG of so many bytes: a comment fills it."""
    rest = size - len(png(extra=_chunk(b"tEXt", b"")))
    return png(extra=_chunk(b"tEXt", b"Comment\0".ljust(rest, b"x")))


def animated_png() -> bytes:
    return png(extra=_chunk(b"acTL", bytes(8)))


def jpeg(width: int = 48, height: int = 48) -> bytes:
    """Return the segments up to the first frame: a comment, a table, and the frame's header."""
    comment = b"\xff\xfe\x00\x06abcd"
    table = b"\xff\xc4\x00\x04\x00\x00"
    frame = b"\xff\xc0\x00\x11\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes(10)
    return b"\xff\xd8" + comment + table + frame


def webp(kind: bytes = b"VP8 ", width: int = 48, height: int = 48, *, flags: int = 0) -> bytes:
    """Return the header of a lossy (`VP8 `), a lossless (`VP8L`) or an extended (`VP8X`) picture."""
    if kind == b"VP8 ":
        body = bytes(3) + b"\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")
    elif kind == b"VP8L":
        body = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little")
    else:
        body = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + len(body).to_bytes(4, "little") + b"WEBP" + kind + len(body).to_bytes(4, "little") + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
