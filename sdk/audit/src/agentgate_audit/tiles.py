"""The hashes of a log, from tiles as in C2SP tlog-tiles, and consistency proofs computed from them."""

from __future__ import annotations

import urllib.error
import urllib.request
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import Protocol

from .errors import Unusable
from .merkle import EMPTY_ROOT, hash_node

WIDTH = 256
HEIGHT = 8
TIMEOUT = 30.0  # seconds
HASH = 32  # bytes


class Source(Protocol):
    """Where tiles come from: the folder or URL that has `tile/`."""

    def read(self, path: str) -> bytes | None:
        """Return the tile, None if it does not exist. Raises `Unusable`."""


class FolderSource:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: str) -> bytes | None:
        try:
            with (self._folder / path).open("rb") as file:
                return file.read(WIDTH * HASH + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unusable(f"{self._folder / path}: {error.strerror}") from None


class HttpSource:
    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def read(self, path: str) -> bytes | None:
        url = f"{self._url}/{path}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                return bytes(answer.read(WIDTH * HASH + 1))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            raise Unusable(f"{url}: status {error.code}") from None
        except (OSError, HTTPException, ValueError) as error:
            raise Unusable(f"{url}: {error}") from None


def open_source(place: str) -> Source:
    """Return the tiles at a URL or in a folder. Raises `Unusable`."""
    if place.startswith(("https://", "http://")):
        return HttpSource(place)
    if not Path(place).is_dir():
        raise Unusable(f"{place}: neither a URL nor a folder")
    return FolderSource(Path(place))


class Tree:
    """The Merkle tree of the first `size` entries. What it returns is only as true as its source."""

    def __init__(self, source: Source, size: int) -> None:
        self.size = size
        self._source = source
        self._tile = cache(self._read_tile)

    def root(self) -> bytes:
        return self._subtree(0, self.size) if self.size else EMPTY_ROOT

    def consistency_proof(self, old: int) -> list[bytes]:
        """Return the proof of RFC 6962, section 2.1.2, from the first `old` entries to all. Raises `Unusable`."""
        return self._subproof(old, 0, self.size, is_known=True) if 0 < old < self.size else []

    def _subproof(self, old: int, begin: int, end: int, *, is_known: bool) -> list[bytes]:
        if old == end - begin:
            return [] if is_known else [self._subtree(begin, end)]
        half = _largest_power_below(end - begin)
        if old <= half:
            proof = self._subproof(old, begin, begin + half, is_known=is_known)
            return [*proof, self._subtree(begin + half, end)]
        proof = self._subproof(old - half, begin + half, end, is_known=False)
        return [*proof, self._subtree(begin, begin + half)]

    def _subtree(self, begin: int, end: int) -> bytes:
        count = end - begin
        if count & (count - 1) == 0:
            return self._complete(count.bit_length() - 1, begin // count)
        half = _largest_power_below(count)
        return hash_node(self._subtree(begin, begin + half), self._subtree(begin + half, end))

    def _complete(self, height: int, index: int) -> bytes:
        """Return the root of a complete subtree with this height, the index-th of them."""
        level, above = divmod(height, HEIGHT)
        number, first = divmod(index << above, WIDTH)
        tile = self._tile(level, number)
        nodes = [tile[HASH * place : HASH * (place + 1)] for place in range(first, first + (1 << above))]
        while len(nodes) > 1:
            nodes = [hash_node(*pair) for pair in zip(nodes[::2], nodes[1::2], strict=True)]
        return nodes[0]

    def _read_tile(self, level: int, number: int) -> bytes:
        width = min(WIDTH, (self.size >> (HEIGHT * level)) - number * WIDTH)
        path = tile_path(level, number)
        # A partial tile may be gone once the full one exists.
        data = self._source.read(f"{path}.p/{width}") if width < WIDTH else None
        data = self._source.read(path) if data is None else data
        if data is None:
            raise Unusable(f"the log has no tile {path}")
        if len(data) not in (width * HASH, WIDTH * HASH):
            raise Unusable(f"tile {path} has {len(data)} bytes and must have {width * HASH}")
        return data


def tile_path(level: int, number: int) -> str:
    """Return the path of a full tile: 1234067 at level 0 is tile/0/x001/x234/067."""
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    return f"tile/{level}/{'/'.join(groups)}"


def _largest_power_below(count: int) -> int:
    """Return the largest power of two that is smaller than `count`."""
    return int(1 << (count - 1).bit_length() - 1)
