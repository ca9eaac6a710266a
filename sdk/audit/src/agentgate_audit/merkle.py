"""Merkle trees as in RFC 6962, section 2.1, with SHA-256. Verification follows RFC 9162, sections 2.1.3 and 2.1.4."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from .encoding import decode_hash

EMPTY_ROOT = hashlib.sha256(b"").digest()


def hash_leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the root of a list of leaf hashes."""
    complete: list[tuple[int, bytes]] = []  # the heights and roots of complete subtrees, largest first
    for node in leaf_hashes:
        height = 0
        while complete and complete[-1][0] == height:
            node = hash_node(complete.pop()[1], node)
            height += 1
        complete.append((height, node))
    if not complete:
        return EMPTY_ROOT
    root = complete.pop()[1]
    while complete:
        root = hash_node(complete.pop()[1], root)
    return root


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether the leaf is at `index` of the tree with this size and root."""
    if not 0 <= index < size:
        return False
    node, first, last = leaf_hash, index, size - 1
    for sibling in proof:
        if last == 0:
            return False
        node, first, last = climb(node, first, last, sibling)
    return last == 0 and node == root


def climb(node: bytes, first: int, last: int, sibling: bytes) -> tuple[bytes, int, int]:
    """Return the parent, its position in its level, and the last position there.

    A node without a sibling is its own parent, so the climb may pass several levels.
    """
    if first % 2 == 0 and first != last:
        return hash_node(node, sibling), first >> 1, last >> 1
    while first % 2 == 0 and first:
        first, last = first >> 1, last >> 1
    return hash_node(sibling, node), first >> 1, last >> 1


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Return whether the tree with `old_root` is the beginning of the tree with `new_root`.

    An empty tree is the beginning of every tree.
    """
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if not 0 < old < new:
        return False
    # The old tree is a single complete subtree if its size is a power of two. The proof then leaves its root out.
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    return bool(path) and _roots_of(old - 1, new - 1, path) == (old_root, new_root)


def _roots_of(first: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Return the old and the new root that a consistency proof leads to, or None if its length is wrong."""
    while first % 2:
        first, last = first >> 1, last >> 1
    old_root = new_root = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if first % 2 or first == last:
            old_root = hash_node(sibling, old_root)
        new_root, first, last = climb(new_root, first, last, sibling)
    return (old_root, new_root) if last == 0 else None


class InclusionChecker:
    """Checks many leaves against one root. It hashes only what differs from the path of the previous leaf."""

    def __init__(self, size: int, root: bytes) -> None:
        self.size = size
        self.root = root
        self._proof: Sequence[object] = ()
        # The nodes on the verified path: by position, the node and how many hashes of the proof were left there.
        self._path: dict[tuple[int, int], tuple[bytes, int]] = {}

    def includes(self, index: int, leaf_hash: bytes, proof: Sequence[object]) -> bool:
        """Return whether the leaf is at `index`. `proof` is in Base64. Raises `Broken` if it is not."""
        if not 0 <= index < self.size:
            return False
        node, first, last = leaf_hash, index, self.size - 1
        path: dict[tuple[int, int], tuple[bytes, int]] = {}
        for used, sibling in enumerate(proof):
            if self._is_verified((first, last), node, proof[used:]):
                path |= {at: seen for at, seen in self._path.items() if seen[1] <= len(proof) - used}
                break
            if last == 0:
                return False
            path[first, last] = (node, len(proof) - used)
            node, first, last = climb(node, first, last, decode_hash(sibling, "a hash of the proof"))
        else:
            if last or node != self.root:
                return False
        self._path, self._proof = path, proof
        return True

    def _is_verified(self, position: tuple[int, int], node: bytes, rest: Sequence[object]) -> bool:
        """Return whether the previous path went through this node, and was the same from there on."""
        seen = self._path.get(position)
        return seen == (node, len(rest)) and self._proof[-len(rest) :] == rest
