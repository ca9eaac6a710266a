"""Proofs that an entry is in the tree, and that one tree is the beginning of another (RFC 6962 section 2.1).

They are computed from stored tiles. Tiles that are not full are made of entries and of the roots of full tiles.
"""

from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_noop

from audit.condition import warn_of_damage
from audit.entries.records import hash_leaf
from audit.models import Entry, Tile
from audit.proof.evidence import NOTHING, FindVisible, both, collect_evidence
from audit.readers.criteria import Criteria
from audit.readers.disclosure import visible_to_organization, visible_to_user
from audit.readers.reading import AuditEntry, Visible, read_entry
from audit.readers.search import find_entry
from audit.sequencing import tree
from audit.sequencing.log import leaf_of
from audit.signing import checkpoints
from core.errors import Conflict, NotFound

# Each takes about 25 KB once its inner nodes are known.
MAX_TILES = 512
TILES_PER_QUERY = 200

Place = tuple[int, int]
"""The level and the number of a tile."""
ReadTiles = Callable[[Mapping[Place, int]], Mapping[Place, Sequence[bytes]]]
"""Returns the hashes of tiles, given how many each must have at least."""
Nodes = list[list[bytes]]
"""The hashes of a tile by height, those of the tile itself first. Incomplete pairs are left out."""


class MissingTile(Exception):
    """A tile or an entry that the tree must have is not in the database."""


class Tree:
    """The tree at one size. Full tiles never change, so a few stay in memory."""

    def __init__(self, size: int, read: ReadTiles | None = None) -> None:
        self.size = size
        self._read = read or read_tiles
        self._height = tree.TILE_HEIGHT
        self._tiles: OrderedDict[Place, Nodes] = OrderedDict()
        self._upper: tuple[int, list[bytes]] = (-1, [])

    def root(self) -> bytes:
        return self._hash(0, self.size) if self.size else tree.EMPTY_ROOT

    def prepare(self, indexes: Iterable[int]) -> None:
        """Read the tiles of these leaves at once. They are kept while no more than `MAX_TILES` are used."""
        wanted = dict.fromkeys((0, index >> self._height) for index in indexes)
        missing = [place for place in wanted if place not in self._tiles]
        for start in range(0, len(missing), TILES_PER_QUERY):
            self._load(missing[start : start + TILES_PER_QUERY])

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Return the audit path of a leaf, lowest first (section 2.1.1). Raises `ValueError` for a leaf not in it."""
        if not 0 <= index < self.size:
            raise ValueError(f"A tree of size {self.size} has no leaf {index}.")
        return self._path(index, 0, self._height) + self._upper_path(index >> self._height)

    def consistency_proof(self, earlier: int) -> list[bytes]:
        """Return the proof that a tree of size `earlier` is this tree's beginning (section 2.1.2)."""
        if not 0 <= earlier <= self.size:
            raise ValueError(f"A tree of size {self.size} was never of size {earlier}.")
        return self._consistency(earlier, 0, self.size, is_known=True) if 0 < earlier < self.size else []

    def tile(self, level: int, number: int, width: int) -> bytes | None:
        """Return the first `width` hashes of a tile, or None if the tree has fewer."""
        if (self.size >> (self._height * level)) < (number << self._height) + width:
            return None
        return b"".join(self._nodes((level, number))[0][:width])

    def _upper_path(self, number: int) -> list[bytes]:
        """Return the part of the path above a tile of leaves. Keep the last: leaves come in order."""
        if self._upper[0] != number:
            self._upper = (number, self._path(number << self._height, self._height, self.size.bit_length()))
        return self._upper[1]

    def _path(self, index: int, low: int, high: int) -> list[bytes]:
        """Return the siblings on a leaf's way up from height `low` to height `high`."""
        path = []
        for height in range(low, high):
            sibling, last = (index >> height) ^ 1, (self.size - 1) >> height
            if sibling < last:
                path.append(self._node(height, sibling))
            elif sibling == last:
                path.append(self._hash(last << height, self.size))
        return path

    def _consistency(self, earlier: int, start: int, end: int, *, is_known: bool) -> list[bytes]:
        """Return SUBPROOF for the leaves from `start` to `end`, where `earlier` is an absolute index."""
        if earlier == end:
            return [] if is_known else [self._hash(start, end)]
        middle = start + _largest_power_below(end - start)
        if earlier <= middle:
            return [*self._consistency(earlier, start, middle, is_known=is_known), self._hash(middle, end)]
        return [*self._consistency(earlier, middle, end, is_known=False), self._hash(start, middle)]

    def _hash(self, start: int, end: int) -> bytes:
        """Return the hash of the tree of these leaves. `start` is a multiple of the next power of two."""
        width = end - start
        if width & (width - 1) == 0:
            height = width.bit_length() - 1
            return self._node(height, start >> height)
        middle = start + _largest_power_below(width)
        return tree.hash_node(self._hash(start, middle), self._hash(middle, end))

    def _node(self, height: int, number: int) -> bytes:
        """Return the hash of a full subtree: the `number`th of this height."""
        level, inner = divmod(height, self._height)
        width = self._height - inner
        return self._nodes((level, number >> width))[inner][number & ((1 << width) - 1)]

    def _nodes(self, place: Place) -> Nodes:
        if place not in self._tiles:
            self._load([place])
        return self._tiles[place]

    def _load(self, places: Sequence[Place]) -> None:
        widths = {place: self._width(place) for place in places}
        for place, hashes in self._read(widths).items():
            self._tiles[place] = _inner_nodes(hashes[: widths[place]], self._height)
        while len(self._tiles) > max(MAX_TILES, len(places)):
            self._tiles.popitem(last=False)

    def _width(self, place: Place) -> int:
        """Return how many hashes a tile has at this size."""
        level, number = place
        return min(1 << self._height, (self.size >> (self._height * level)) - (number << self._height))


def encode_proof(proof: Iterable[bytes]) -> list[str]:
    return [b64encode(one).decode() for one in proof]


def read_tiles(widths: Mapping[Place, int]) -> dict[Place, list[bytes]]:
    """Return the hashes of tiles in the database. Raises `MissingTile`."""
    found: dict[Place, list[bytes]] = {}
    for level in {level for level, _ in widths}:
        numbers = [number for other, number in widths if other == level]
        for number, hashes in Tile.objects.filter(level=level, number__in=numbers).values_list("number", "hashes"):
            found[level, number] = tree.split(bytes(hashes))
    for place, width in widths.items():
        if place not in found:
            found[place] = _read_partial(*place, width)
        if len(found[place]) < width:
            raise MissingTile(f"Tile {place[1]} of level {place[0]} has {len(found[place])} hashes instead of {width}.")
    return found


def _read_partial(level: int, number: int, width: int) -> list[bytes]:
    """Return the hashes of a tile that is not full: those of entries, or the roots of full tiles below."""
    first = number * tree.TILE_WIDTH
    if level == 0:
        entries = Entry.objects.filter(leaf_index__gte=first, leaf_index__lt=first + width).order_by("leaf_index")
        return [hash_leaf(leaf_of(entry)) for entry in entries]
    below = Tile.objects.filter(level=level - 1, number__gte=first, number__lt=first + width).order_by("number")
    return [bytes(root) for root in below.values_list("root", flat=True)]


def _inner_nodes(hashes: Sequence[bytes], height: int) -> Nodes:
    nodes = [list(hashes)]
    for _ in range(height):
        row = nodes[-1]
        nodes.append([tree.hash_node(left, right) for left, right in zip(row[::2], row[1::2], strict=False)])
    return nodes


def _largest_power_below(number: int) -> int:
    return 1 << ((number - 1).bit_length() - 1)


class NotSequenced(Conflict):
    """The entry is written, but no checkpoint covers it yet."""

    code = "not_sequenced"
    title = gettext_noop("No checkpoint covers the entry yet")
    remedy = "Try again after the number of seconds in Retry-After."
    retry_after = 1


def prove_entry(
    entry_id: str, *, user_id: str | None, organization_id: str | None, agent_ids: Collection[str] | None = None
) -> dict[str, Any]:
    """Return the proof of an entry about this user or in the log of this organization (docs/evidence-formats.md).

    With `agent_ids`, only their entries are found. Raises `NotFound` for an entry of others, and `NotSequenced`.
    """
    entry = find_entry(Criteria(agent_ids=agent_ids), entry_id)
    found = read_entry(entry) if entry else None
    if found is None or not _is_reader(found, user_id, organization_id):
        raise NotFound(warn_of_damage("No such entry."))
    checkpoint = checkpoints.covering(entry.leaf_index) if isinstance(entry, Entry) else None
    if not isinstance(entry, Entry) or checkpoint is None:
        raise NotSequenced
    (evidence,) = collect_evidence([entry], _visible_to(found, user_id, organization_id))
    proof = Tree(checkpoint.size).inclusion_proof(entry.leaf_index)
    return {**evidence.described(), "proof": encode_proof(proof), "checkpoint": checkpoints.note_of(checkpoint)}


def _is_reader(entry: AuditEntry, user_id: str | None, organization_id: str | None) -> bool:
    is_own = user_id is not None and entry.user_id == user_id
    return is_own or organization_id in entry.organization_ids


def _visible_to(entry: AuditEntry, user_id: str | None, organization_id: str | None) -> FindVisible:
    """Return what a caller may see who is the user, a member of the organization, or both."""

    def find(content: Any) -> Visible:
        visible = visible_to_user(content, user_id) if user_id and entry.user_id == user_id else NOTHING
        if organization_id and organization_id in entry.organization_ids:
            visible = both(visible, visible_to_organization(content, organization_id))
        return visible

    return find
