"""A witness: it cosigns a log's checkpoint only if the log extends what it cosigned before (C2SP tlog-witness)."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .checkpoint import Checkpoint, cosign, parse_checkpoint
from .encoding import decode_hash
from .errors import Broken
from .merkle import EMPTY_ROOT, verify_consistency
from .note import VerifierKey, verify_note
from .witness_state import Head, State

MAX_HASHES = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """The body of add-checkpoint: a checkpoint, and the proof that it extends the one with the old size."""

    old_size: int
    proof: list[bytes]
    checkpoint: Checkpoint


class Witness:
    def __init__(self, state: State, logs: Iterable[VerifierKey], clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock
        self._keys: dict[str, list[VerifierKey]] = {}
        for key in logs:
            self._keys.setdefault(key.name, []).append(key)
        self._locks = {origin: threading.Lock() for origin in self._keys}

    def add_checkpoint(self, body: bytes) -> Answer:
        """Return the answer to a request. What is cosigned is stored first. Raises `OSError` if it cannot be."""
        try:
            request = parse_request(body)
        except Broken as error:
            return Answer(400, f"The request {error}.\n")
        checkpoint = request.checkpoint
        if checkpoint.origin not in self._keys:
            return Answer(404, "This witness does not know the log.\n")
        if not self._is_signed(checkpoint):
            return Answer(403, "The checkpoint has no valid signature by a key of the log.\n")
        if request.old_size > checkpoint.size:
            return Answer(400, "The old size is larger than the checkpoint's.\n")
        with self._locks[checkpoint.origin]:
            return self._extend(request) or self._cosign(checkpoint)

    def _is_signed(self, checkpoint: Checkpoint) -> bool:
        """Return whether one of the log's keys signed. Signatures by unknown keys do not matter."""
        return any(_verifies(checkpoint, key) for key in self._keys[checkpoint.origin])

    def _extend(self, request: Request) -> Answer | None:
        """Store the checkpoint if it extends the previous one, and return None. Otherwise return the refusal."""
        checkpoint = request.checkpoint
        head = self._state.head(checkpoint.origin) or Head(0, EMPTY_ROOT)
        new = Head(checkpoint.size, checkpoint.root)
        if request.old_size != head.size:
            return _conflict(head)
        if head.size == new.size and head.root != new.root and head.size > 0:
            return _conflict(head)
        if not verify_consistency(head.size, new.size, request.proof, head.root, new.root):
            return Answer(422, "The consistency proof does not hold.\n")
        self._state.record(checkpoint.origin, new)
        return None

    def _cosign(self, checkpoint: Checkpoint) -> Answer:
        signature = cosign(checkpoint.note, self._state.name, self._state.private_key, int(self._clock()))
        return Answer(200, str(signature))


def parse_request(body: bytes) -> Request:
    """Return the parsed body of add-checkpoint. Raises `Broken`."""
    try:
        head, separator, checkpoint = body.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError:
        raise Broken("is not UTF-8") from None
    old, *hashes = head.split("\n")
    found = _OLD.fullmatch(old)
    if not separator or not found:
        raise Broken("does not begin with the old size")
    if len(hashes) > MAX_HASHES:
        raise Broken(f"has more than {MAX_HASHES} hashes")
    proof = [decode_hash(line, "a hash") for line in hashes]
    return Request(int(found[1]), proof, parse_checkpoint(checkpoint))


def _verifies(checkpoint: Checkpoint, key: VerifierKey) -> bool:
    try:
        verify_note(checkpoint.note, key)
    except Broken:
        return False
    return True


def _conflict(head: Head) -> Answer:
    """Return the size that the log must prove consistency with."""
    return Answer(409, f"{head.size}\n", "text/x.tlog.size")
