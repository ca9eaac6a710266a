"""What a witness must not forget: its private key, and the size and root that it last cosigned for each log."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .encoding import decode_base64, decode_hash, encode_base64
from .errors import Broken, Unusable
from .files import read_json_file
from .note import COSIGNATURE, VerifierKey, is_key_name
from .strict_json import read_integer, read_object, read_text

_MEMBERS = {"name", "privateKey", "logs"}


@dataclass(frozen=True)
class Head:
    """The size and root of a tree."""

    size: int
    root: bytes


class State:
    """A witness's state in a file with mode 0600, which only one process may have open."""

    def __init__(self, path: Path, name: str, private_key: Ed25519PrivateKey, heads: dict[str, Head]) -> None:
        self.name = name
        self.private_key = private_key
        self._path = path
        self._heads = heads
        self._saving = threading.Lock()
        self._process_lock: int | None = None

    @property
    def key(self) -> VerifierKey:
        return VerifierKey(self.name, COSIGNATURE, self.private_key.public_key().public_bytes_raw())

    def head(self, origin: str) -> Head | None:
        """Return what was last cosigned for a log. If nothing was, return None."""
        return self._heads.get(origin)

    def record(self, origin: str, head: Head) -> None:
        """Store what is about to be cosigned. It is on the disk when this returns. Raises `OSError`."""
        with self._saving:
            heads = {**self._heads, origin: head}
            self._write(heads)
            self._heads = heads

    def close(self) -> None:
        if self._process_lock is not None:
            os.close(self._process_lock)
            self._process_lock = None

    def _write(self, heads: dict[str, Head]) -> None:
        content = {
            "name": self.name,
            "privateKey": encode_base64(self.private_key.private_bytes_raw()),
            "logs": {origin: {"size": head.size, "root": encode_base64(head.root)} for origin, head in heads.items()},
        }
        write_durably(self._path, json.dumps(content, indent=2).encode() + b"\n")


def open_state(path: Path, name: str | None, default_name: str) -> State:
    """Open a witness's state. If the file does not exist, make a key and create it. Raises `Unusable`."""
    try:
        lock = _lock(path)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    try:
        state = _load(path) if path.exists() else _create(path, default_name if name is None else name)
        if name is not None and name != state.name:
            raise Unusable(f"{path}: belongs to the witness {state.name}, and not to {name}")
    except BaseException as error:
        os.close(lock)
        if isinstance(error, OSError):
            raise Unusable(f"{path}: {error.strerror}") from None
        raise
    state._process_lock = lock
    return state


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file so that a crash leaves either the old or the new content. Raises `OSError`."""
    # mkstemp creates the file with mode 0600.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _lock(path: Path) -> int:
    """Lock a file beside the state, which itself is replaced with each write. The lock ends with the process."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Unusable(f"{path}: another witness uses this file") from None
    return descriptor


def _create(path: Path, name: str) -> State:
    if not is_key_name(name):
        raise Unusable("a witness's name must not contain spaces or +")
    state = State(path, name, Ed25519PrivateKey.generate(), {})
    state._write({})
    return state


def _load(path: Path) -> State:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Unusable(f"{path}: contains a private key, and other users can read it: run chmod 600 on it")
    try:
        return _parse(path, read_json_file(path))
    except Broken as error:
        raise Unusable(f"{path}: {error}") from None


def _parse(path: Path, value: Any) -> State:
    members = read_object(value, "the state", _MEMBERS)
    seed = decode_base64(read_text(members["privateKey"], "privateKey"), "privateKey")
    name = read_text(members["name"], "name")
    if len(seed) != 32 or not is_key_name(name) or not isinstance(members["logs"], dict):
        raise Broken("the state is damaged")
    heads = {}
    for origin, item in members["logs"].items():
        head = read_object(item, "a log", {"size", "root"})
        heads[origin] = Head(read_integer(head["size"], "size"), decode_hash(head["root"], "root"))
    return State(path, name, Ed25519PrivateKey.from_private_bytes(seed), heads)
