"""Checkpoints and cosignatures, as in C2SP tlog-checkpoint and tlog-cosignature."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .encoding import decode_hash
from .errors import Broken, quote
from .note import COSIGNATURE, Note, Signature, VerifierKey, parse_note, verify_note
from .times import parse_time

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """A state of the log: its size, and the root of its tree."""

    origin: str
    size: int
    root: bytes
    time: int | None  # in microseconds since 1970; None if the checkpoint does not say
    note: Note


def parse_checkpoint(text: str) -> Checkpoint:
    """Return what a checkpoint says. No signature is verified yet. Raises `Broken`."""
    note = parse_note(text)
    lines = note.text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise Broken("is not a checkpoint")
    origin, size, root, *extensions = lines
    if not _SIZE.fullmatch(size):
        raise Broken(f"has no size: {quote(size)}")
    times = [line.removeprefix("time ") for line in extensions if line.startswith("time ")]
    time = parse_time(times[0], "its time") if times else None
    return Checkpoint(origin, int(size), decode_hash(root, "its root"), time, note)


def open_checkpoint(text: str, key: VerifierKey) -> Checkpoint:
    """Return a checkpoint that the log with this key has signed. Raises `Broken`."""
    checkpoint = parse_checkpoint(text)
    if checkpoint.origin != key.name:
        raise Broken(f"is of another log: {quote(checkpoint.origin)}")
    verify_note(checkpoint.note, key)
    return checkpoint


def verify_cosignature(note: Note, key: VerifierKey) -> int:
    """Return when the witness signed, in seconds since 1970. Raises `Broken`."""
    found = note.signatures_by(key)
    if not found:
        raise Broken(f"is not cosigned by {key.name} with key {key.id.hex()}")
    return max(_read_cosignature(note, key, value) for value in found)


def cosign(note: Note, name: str, private_key: Ed25519PrivateKey, seconds: int) -> Signature:
    """Return a witness's signature over a checkpoint."""
    key = VerifierKey(name, COSIGNATURE, private_key.public_key().public_bytes_raw())
    value = struct.pack(">Q", seconds) + private_key.sign(_cosigned(note, seconds))
    return Signature(name, key.id, value)


def _read_cosignature(note: Note, key: VerifierKey, value: bytes) -> int:
    if len(value) != 72:
        raise Broken(f"has a malformed cosignature in the name of {key.name}")
    seconds: int = struct.unpack(">Q", value[:8])[0]
    if seconds >= 2**63 or not key.verifies(_cosigned(note, seconds), value[8:]):
        raise Broken(f"has a false cosignature in the name of {key.name}")
    return seconds


def _cosigned(note: Note, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{note.text}".encode()
