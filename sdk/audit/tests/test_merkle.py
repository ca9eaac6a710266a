"""Proofs of trees with 1 to 300 leaves, computed as RFC 6962 defines them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_builder import Tree, b64

from agentgate_audit.merkle import (
    EMPTY_ROOT,
    InclusionChecker,
    hash_leaf,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [str(number).encode() for number in range(300)]
TREE = Tree(LEAVES)
HASHES = [hash_leaf(leaf) for leaf in LEAVES]
SIZES = st.integers(1, 300)


@pytest.mark.parametrize("size", range(301))
def test_a_root_is_that_of_the_definition(size: int):
    assert root_of(HASHES[:size]) == TREE.mth(0, size)


@pytest.mark.parametrize("size", [*range(1, 40), 63, 64, 65, 127, 128, 129, 255, 256, 257, 300])
def test_every_leaf_is_included_only_at_its_place(size: int):
    root = TREE.mth(0, size)
    checker = InclusionChecker(size, root)
    for index in range(size):
        proof = TREE.path(index, 0, size)
        assert verify_inclusion(index, size, HASHES[index], proof, root)
        assert checker.includes(index, HASHES[index], [b64(node) for node in proof])
        assert not verify_inclusion(index + 1, size, HASHES[index], proof, root)
        assert not verify_inclusion(index, size, HASHES[index - 1], proof, root) or size == 1


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_checker_agrees_with_the_plain_verification(data: st.DataObject):
    """Whatever it has seen before, including proofs that were changed."""
    size = data.draw(SIZES)
    root = TREE.mth(0, size)
    checker = InclusionChecker(size, root)
    for _ in range(data.draw(st.integers(1, 12))):
        index = data.draw(st.integers(0, size - 1))
        proof = list(TREE.path(index, 0, size))
        changes = st.sampled_from(["none", "none", "hash", "cut", "longer", "shift", "leaf"])
        leaf = HASHES[index]
        match data.draw(changes):
            case "hash" if proof:
                place = data.draw(st.integers(0, len(proof) - 1))
                proof[place] = data.draw(st.sampled_from(HASHES))
            case "cut" if proof:
                proof.pop(data.draw(st.integers(0, len(proof) - 1)))
            case "longer":
                proof.insert(data.draw(st.integers(0, len(proof))), root)
            case "shift":
                index = data.draw(st.integers(-1, size + 1))
            case "leaf":
                leaf = HASHES[data.draw(st.integers(0, 299))]
        expected = verify_inclusion(index, size, leaf, proof, root)
        assert checker.includes(index, leaf, [b64(node) for node in proof]) == expected
        assert expected == (0 <= index < size and (leaf, proof) == (HASHES[index], TREE.path(index, 0, size)))


@pytest.mark.parametrize("new", [*range(1, 34), 64, 65, 129])
def test_every_prefix_is_consistent(new: int):
    for old in range(new + 1):
        proof = TREE.proof(old, new)
        assert verify_consistency(old, new, proof, TREE.mth(0, old), TREE.mth(0, new))


@settings(max_examples=300, deadline=None)
@given(SIZES, SIZES, st.data())
def test_a_changed_proof_is_not_consistent(old: int, new: int, data: st.DataObject):
    old, new = min(old, new), max(old, new)
    proof, old_root, new_root = TREE.proof(old, new), TREE.mth(0, old), TREE.mth(0, new)
    assert verify_consistency(old, new, proof, old_root, new_root)

    assert not verify_consistency(old, new, [*proof, new_root], old_root, new_root)
    assert not verify_consistency(old, new, proof, HASHES[299], new_root)
    assert not verify_consistency(old, new, proof, old_root, HASHES[299])
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        assert not verify_consistency(old, new, proof[:place] + proof[place + 1 :], old_root, new_root)
        proof[place] = HASHES[299]
        assert not verify_consistency(old, new, proof, old_root, new_root)


def test_trees_do_not_shrink_or_begin_with_anything():
    root = TREE.mth(0, 5)
    assert not verify_consistency(5, 4, [], root, TREE.mth(0, 4))
    assert not verify_consistency(-1, 4, [], root, TREE.mth(0, 4))
    assert not verify_consistency(3, 5, [], TREE.mth(0, 3), root)
    assert not verify_consistency(4, 5, [], TREE.mth(0, 4), root)
    assert not verify_consistency(0, 5, [], root, root)
    assert not verify_consistency(0, 0, [], EMPTY_ROOT, root)
    assert not verify_consistency(0, 5, [root], EMPTY_ROOT, root)
    assert verify_consistency(0, 5, [], EMPTY_ROOT, root)


def test_a_leaf_is_not_a_node():
    """RFC 6962 hashes leaves and nodes with different prefixes."""
    root = TREE.mth(0, 2)
    assert not verify_inclusion(0, 1, hash_leaf(HASHES[0] + HASHES[1]), [], root)
