"""The Merkle tree of the log (RFC 6962 section 2.1), in tiles of 256 hashes (C2SP tlog-tiles). It grows at its edge."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
HASH_BYTES = 32
NODE_PREFIX = b"\x01"
EMPTY_ROOT = hashlib.sha256(b"").digest()


class FullTile(NamedTuple):
    """The hashes of a full tile, and their root, which is a hash of the level above."""

    level: int
    number: int
    hashes: bytes
    root: bytes


def hash_node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


def split(hashes: bytes) -> list[bytes]:
    """Return the hashes of a tile one by one."""
    return [hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)]


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a tree whose leaves, or whose full subtrees of one height, have these hashes."""
    if not hashes:
        return EMPTY_ROOT
    row = list(hashes)
    while len(row) > 1:
        paired = [hash_node(left, right) for left, right in zip(row[::2], row[1::2], strict=False)]
        row = [*paired, row[-1]] if len(row) % 2 else paired
    return row[0]


class Edge:
    """The right edge of a tree: the hashes of the last tile of each level, which are not full."""

    def __init__(self, size: int, levels: Sequence[Sequence[bytes]]) -> None:
        """`levels` are the hashes of the last tile of each level, lowest first, as `widths(size)` says."""
        self.size = size
        self._levels = [list(level) for level in levels]

    def append(self, hashes: Iterable[bytes]) -> list[FullTile]:
        """Append leaves. Return the tiles that became full, in the order in which they did."""
        full: list[FullTile] = []
        for one in hashes:
            self._push(0, one, full)
            self.size += 1
        return full

    def root(self) -> bytes:
        """Return the root of the whole tree."""
        nodes = [node for level in reversed(self._levels) for node in _peaks(level)]
        if not nodes:
            return EMPTY_ROOT
        root = nodes.pop()
        while nodes:
            root = hash_node(nodes.pop(), root)
        return root

    def _push(self, level: int, one: bytes, full: list[FullTile]) -> None:
        if level == len(self._levels):
            self._levels.append([])
        tile = self._levels[level]
        tile.append(one)
        if len(tile) == TILE_WIDTH:
            number = self.size >> (TILE_HEIGHT * (level + 1))
            root = root_of(tile)
            full.append(FullTile(level, number, b"".join(tile), root))
            tile.clear()
            self._push(level + 1, root, full)


def widths(size: int) -> list[tuple[int, int]]:
    """Return, for each level of a tree, lowest first, the number of its last tile that is not full, and its width."""
    found = []
    while size:
        found.append((size >> TILE_HEIGHT, size & (TILE_WIDTH - 1)))
        size >>= TILE_HEIGHT
    return found


def _peaks(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the roots of the full subtrees of different heights that these hashes make up, largest first."""
    peaks, start = [], 0
    for height in reversed(range(TILE_HEIGHT)):
        if len(hashes) >> height & 1:
            peaks.append(root_of(hashes[start : start + (1 << height)]))
            start += 1 << height
    return peaks
