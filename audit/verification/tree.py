"""Checks the Merkle tree: its tiles, and the root in every checkpoint."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Max

from audit.models import Checkpoint, LogKey, Tile
from audit.sequencing import tree
from audit.sequencing.log import newest
from audit.signing.log_keys import open_with_any
from audit.signing.notes import NoteBroken
from audit.verification import Bad

CHECKPOINTS_PER_READ = 1000


class Stated(NamedTuple):
    """The root that a checkpoint states. `name` says which checkpoint."""

    size: int
    root: bytes
    name: str
    created_at: datetime | None = None


class Frontier:
    """The roots of the full subtrees that make up a tree, largest first. It is a second way to the root."""

    def __init__(self) -> None:
        self._subtrees: list[tuple[int, bytes]] = []

    def append(self, leaf_hash: bytes) -> None:
        height, node = 0, leaf_hash
        while self._subtrees and self._subtrees[-1][0] == height:
            node = tree.hash_node(self._subtrees.pop()[1], node)
            height += 1
        self._subtrees.append((height, node))

    def root(self) -> bytes:
        if not self._subtrees:
            return tree.EMPTY_ROOT
        *others, (_, root) = self._subtrees
        for _, node in reversed(others):
            root = tree.hash_node(node, root)
        return root


class Tiles:
    """Compares the stored tiles with those of the entries."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._edge = tree.Edge(0, [])
        self._stored: list[bytes] = []

    def append(self, leaf_hash: bytes) -> None:
        index = self._edge.size
        number, offset = divmod(index, tree.TILE_WIDTH)
        if offset == 0:
            is_full = index + tree.TILE_WIDTH <= self._size
            self._stored = tree.split(bytes(_find(0, number, index).hashes)) if is_full else []
        if self._stored and self._stored[offset : offset + 1] != [leaf_hash]:
            raise Bad(f"the leaf differs from the hash in tile 0/{number}", index)
        for full in self._edge.append([leaf_hash]):
            _compare(full)

    def check_end(self) -> None:
        """Check that there are no tiles beyond the entries."""
        for level, last in Tile.objects.order_by("level").values_list("level").annotate(Max("number")):
            end = (last + 1) << (tree.TILE_HEIGHT * (level + 1))
            if end > self._size and end > newest().size:
                raise Bad(f"tile {level}/{last} is beyond the last entry", self._size)


def stated_roots(keys: Sequence[LogKey], size: int) -> Iterator[Stated]:
    """Yield what the stored checkpoints state, up to this size. Raises `Bad` for one that is not valid."""
    last = -1
    while found := list(
        Checkpoint.objects.filter(size__gt=last, size__lte=size).order_by("size")[:CHECKPOINTS_PER_READ]
    ):
        yield from (_read(checkpoint, keys) for checkpoint in found)
        last = found[-1].size


def _read(checkpoint: Checkpoint, keys: Sequence[LogKey]) -> Stated:
    name, index = f"checkpoint {checkpoint.size}", max(checkpoint.size - 1, 0)
    try:
        _, stated = open_with_any(checkpoint.note, keys)
        time = datetime.fromisoformat(checkpoint.note.split("\n")[3].removeprefix("time "))
    except (NoteBroken, ValueError) as error:
        raise Bad(f"{name} is not valid: {error}", index) from error
    if stated.size != checkpoint.size:
        raise Bad(f"{name} is signed for size {stated.size}", index)
    if checkpoint.created_at.replace(microsecond=checkpoint.created_at.microsecond // 1000 * 1000) != time:
        raise Bad(f"{name} has another time than it is signed for", index)
    return Stated(checkpoint.size, stated.root, name, checkpoint.created_at)


def _find(level: int, number: int, index: int) -> Tile:
    found: Tile | None = Tile.objects.filter(level=level, number=number).first()
    if found is None:
        raise Bad(f"tile {level}/{number} is missing", index)
    return found


def _compare(full: tree.FullTile) -> None:
    first = full.number << (tree.TILE_HEIGHT * (full.level + 1))
    stored = _find(full.level, full.number, first)
    if bytes(stored.hashes) != full.hashes:
        pairs = zip(tree.split(bytes(stored.hashes)), tree.split(full.hashes), strict=False)
        place = next((place for place, (one, other) in enumerate(pairs) if one != other), 0)
        index = first + (place << (tree.TILE_HEIGHT * full.level))
        raise Bad(f"tile {full.level}/{full.number} differs from the entries", index)
    if bytes(stored.root) != full.root:
        raise Bad(f"the root of tile {full.level}/{full.number} differs from the entries", first)
