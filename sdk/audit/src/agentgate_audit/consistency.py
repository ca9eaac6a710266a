"""Check that a later checkpoint extends an earlier one."""

from __future__ import annotations

from .checkpoint import Checkpoint
from .errors import Broken, Unusable
from .merkle import verify_consistency
from .tiles import Source, Tree


def check_consistency(old: Checkpoint, new: Checkpoint, source: Source | None) -> None:
    """Raise `Broken` if the log was rolled back or forked between two of its checkpoints.

    `source` has the log's tiles; it is not trusted, and not needed for equal sizes. Raises `Unusable` without it, and
    if `old` is larger because it is newer: that is not a rollback.
    """
    if old.size > new.size and old.time is not None and new.time is not None and old.time > new.time:
        raise Unusable("the checkpoint to compare with is the newer one: pass an older one, or download the file again")
    if old.size > new.size:
        raise Broken(f"rollback: the earlier checkpoint has {old.size} entries, and the later one only {new.size}")
    if old.size == new.size:
        if old.root != new.root:
            raise Broken(f"fork: the log signed two different trees with {new.size} entries")
        return
    if source is None:
        raise Unusable("the checkpoints have different sizes: pass the log's URL or folder of tiles with --log")
    tree = Tree(source, new.size)
    if tree.root() != new.root:
        raise Unusable(f"the tiles are not those of the checkpoint with {new.size} entries")
    if not verify_consistency(old.size, new.size, tree.consistency_proof(old.size), old.root, new.root):
        raise Broken(f"fork: the log with {new.size} entries does not extend the log with {old.size} entries")
