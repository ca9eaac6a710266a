"""The part of a log's tree that is in an archive: the tiles (C2SP tlog-tiles) from a month's leaves to the root."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .errors import Broken
from .merkle import EMPTY_ROOT, hash_node, root_of

HEIGHT = 8
WIDTH = 1 << HEIGHT

Place = tuple[int, int]  # level and number


def tile_places(first: int, last: int, size: int) -> dict[Place, int]:
    """Return the tiles that lead from these leaves to the root of a tree, in order, with their widths."""
    found: dict[Place, int] = {}
    level = 0
    while hashes := size >> (HEIGHT * level):
        shift = HEIGHT * (level + 1)
        for number in sorted({*range(first >> shift, (last >> shift) + 1), hashes >> HEIGHT}):
            width = min(WIDTH, hashes - number * WIDTH)
            if width > 0:
                found[level, number] = width
        level += 1
    return found


def check_tiles(
    tiles: Iterable[tuple[Place, Sequence[bytes]]], places: dict[Place, int], size: int, root: bytes
) -> None:
    """Check that these tiles are at these places and lead to the root. Raises `Broken`."""
    expected = iter(places.items())
    roots: dict[Place, bytes] = {}  # of full tiles whose parents have not come yet
    peaks: list[bytes] = []  # roots of the largest full subtrees, the rightmost first
    for place, hashes in tiles:
        if (place, len(hashes)) != next(expected, None):
            raise Broken("the tiles are not those of the tree")
        level, number = place
        for offset, one in enumerate(hashes):
            if level and roots.pop((level - 1, number * WIDTH + offset), one) != one:
                raise Broken(f"tile {level - 1}/{number * WIDTH + offset} is not the one in the tree")
        if len(hashes) == WIDTH:
            roots[place] = root_of(hashes)
        else:
            peaks += _peaks(hashes)
    if next(expected, None) is not None or roots:
        raise Broken("tiles are missing")
    if _join(peaks) != root:
        raise Broken("the tiles do not lead to the root in the checkpoint")


def _peaks(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the roots of the full subtrees in the last tile of a level, smallest first."""
    found, start = [], 0
    for height in reversed(range(HEIGHT)):
        if len(hashes) >> height & 1:
            found.append(root_of(hashes[start : start + (1 << height)]))
            start += 1 << height
    return found[::-1]


def _join(peaks: Sequence[bytes]) -> bytes:
    if not peaks:
        return EMPTY_ROOT
    root = peaks[0]
    for peak in peaks[1:]:
        root = hash_node(peak, root)
    return root
