"""Proofs are those of RFC 6962 section 2.1, which this file follows naively."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.database import tables
from audit.proof.proofs import MissingTile, Place, Tree
from audit.sequencing import tree
from audit.sequencing.tree import EMPTY_ROOT, Edge, FullTile, hash_node
from tests.shared import cases

LEAVES = [hashlib.sha256(b"%d" % number).digest() for number in range(2000)]


def split_at(leaves: Sequence[bytes]) -> int:
    return 1 << ((len(leaves) - 1).bit_length() - 1)


def naive_root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) <= 1:
        return leaves[0] if leaves else EMPTY_ROOT
    middle = split_at(leaves)
    return hash_node(naive_root(leaves[:middle]), naive_root(leaves[middle:]))


def naive_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    middle = split_at(leaves)
    if index < middle:
        return [*naive_path(index, leaves[:middle]), naive_root(leaves[middle:])]
    return [*naive_path(index - middle, leaves[middle:]), naive_root(leaves[:middle])]


def naive_consistency(earlier: int, leaves: Sequence[bytes], *, is_known: bool = True) -> list[bytes]:
    if earlier == len(leaves):
        return [] if is_known else [naive_root(leaves)]
    middle = split_at(leaves)
    if earlier <= middle:
        return [*naive_consistency(earlier, leaves[:middle], is_known=is_known), naive_root(leaves[middle:])]
    return [*naive_consistency(earlier - middle, leaves[middle:], is_known=False), naive_root(leaves[:middle])]


class Memory:
    """Tiles as the database would have them, at the size to which the tree has grown."""

    def __init__(self, size: int) -> None:
        self.tiles: dict[Place, FullTile] = {}
        self.leaves = LEAVES[:size]
        for tile in Edge(0, []).append(self.leaves):
            self.tiles[tile.level, tile.number] = tile

    def read(self, widths: Mapping[Place, int]) -> dict[Place, list[bytes]]:
        return {place: self._read(place, width) for place, width in widths.items()}

    def _read(self, place: Place, width: int) -> list[bytes]:
        level, number = place
        if place in self.tiles:
            return tree.split(self.tiles[place].hashes)
        first = number * tree.TILE_WIDTH
        if level == 0:
            return self.leaves[first : first + width]
        return [self.tiles[level - 1, below].root for below in range(first, first + width)]


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "TILE_HEIGHT", 2)
    monkeypatch.setattr(tree, "TILE_WIDTH", 4)


def check(grown: Memory, size: int, indexes: Iterable[int], earlier_sizes: Iterable[int]) -> None:
    leaves = LEAVES[:size]
    at_size = Tree(size, grown.read)
    assert at_size.root() == naive_root(leaves)
    for index in indexes:
        assert at_size.inclusion_proof(index) == naive_path(index, leaves)
    for earlier in earlier_sizes:
        assert at_size.consistency_proof(earlier) == naive_consistency(earlier, leaves)


def test_small_trees_have_all_the_naive_proofs(small_tiles: None) -> None:
    for size in range(1, 70):
        check(Memory(size), size, range(size), range(1, size + 1))


def test_all_sizes_with_small_tiles(small_tiles: None) -> None:
    grown = Memory(270)
    for size in range(1, 270):
        check(grown, size, {0, size // 2, size - 1, size * 7 % size}, {1, size // 2 or 1, size - 1 or 1, size})


@settings(max_examples=60)
@given(st.data())
def test_any_proof_with_tiles_of_256(data: st.DataObject) -> None:
    grown = data.draw(st.integers(1, len(LEAVES)))
    size = data.draw(st.integers(1, grown))
    index, earlier = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    check(Memory(grown), size, [index], [earlier])


def test_the_tree_before_the_first_entry() -> None:
    empty = Tree(0, Memory(0).read)
    assert empty.root() == EMPTY_ROOT
    assert empty.consistency_proof(0) == []
    assert empty.tile(0, 0, 1) is None


@cases("index", [-1, 300, 301])
def test_there_is_no_proof_of_a_leaf_outside(index: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        Tree(300, Memory(300).read).inclusion_proof(index)


@cases("earlier", [-1, 301])
def test_there_is_no_proof_of_a_later_size(earlier: int) -> None:
    with pytest.raises(ValueError, match="was never of size"):
        Tree(300, Memory(300).read).consistency_proof(earlier)


def test_tiles_have_as_many_hashes_as_the_size_allows() -> None:
    at_size = Tree(600, Memory(1500).read)
    assert at_size.tile(0, 1, 256) == b"".join(LEAVES[256:512])
    assert at_size.tile(0, 2, 88) == b"".join(LEAVES[512:600])
    assert at_size.tile(0, 2, 5) == b"".join(LEAVES[512:517])
    assert at_size.tile(0, 2, 89) is None
    assert at_size.tile(1, 0, 2) == naive_root(LEAVES[:256]) + naive_root(LEAVES[256:512])
    assert at_size.tile(1, 0, 3) is None
    assert at_size.tile(0, 3, 1) is None
    assert at_size.tile(2, 0, 1) is None


@pytest.mark.django_db
def test_the_database_has_the_tiles() -> None:
    tables.insert_tiles(Edge(0, []).append(LEAVES[:512]))
    assert Tree(512).inclusion_proof(300) == naive_path(300, LEAVES[:512])
    assert Tree(512).root() == naive_root(LEAVES[:512])


@pytest.mark.django_db
def test_a_tile_that_is_missing_is_named() -> None:
    tables.insert_tiles(Edge(0, []).append(LEAVES[:256]))
    with pytest.raises(MissingTile, match="Tile 1 of level 0 has 0 hashes instead of 44"):
        Tree(300).inclusion_proof(299)


@pytest.mark.django_db
def test_proofs_in_order_read_each_tile_once(django_assert_max_num_queries: object) -> None:
    tables.insert_tiles(Edge(0, []).append(LEAVES[:1024]))
    at_size = Tree(1024)
    with django_assert_max_num_queries(4):  # type: ignore[operator]
        at_size.prepare(range(1024))
        assert all(len(at_size.inclusion_proof(index)) == 10 for index in range(1024))
