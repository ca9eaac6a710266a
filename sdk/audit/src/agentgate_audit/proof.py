"""Verify the proof of a single entry, as the server returns it."""

from __future__ import annotations

from typing import Any

from .checkpoint import Checkpoint, open_checkpoint
from .entries import MEMBERS, Entry, read_entry
from .errors import Broken, Unusable
from .merkle import InclusionChecker
from .note import VerifierKey
from .strict_json import read_object, read_text


def verify_proof(value: Any, key: VerifierKey) -> tuple[Entry, Checkpoint]:
    """Return the entry, which is in the log, and the checkpoint that proves it. Raises `Broken` and `Unusable`."""
    if not isinstance(value, dict) or not {"entry", "checkpoint"} <= value.keys():
        raise Unusable("not a proof: it has no entry and checkpoint")
    members = read_object(value, "the proof", {*MEMBERS, "checkpoint"})
    try:
        checkpoint = open_checkpoint(read_text(members["checkpoint"], "it"), key)
    except Broken as error:
        raise error.at("checkpoint") from None
    entry = read_entry({name: members[name] for name in MEMBERS})
    tree = InclusionChecker(checkpoint.size, checkpoint.root)
    try:
        if not tree.includes(entry.index, entry.leaf_hash, entry.proof):
            raise Broken("the entry is not in the log with the checkpoint's root")
    except Broken as error:
        raise error.at(f"index {entry.index}") from None
    return entry, checkpoint
