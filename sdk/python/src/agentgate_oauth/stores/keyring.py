"""Sessions in the operating system's keyring."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import MissingExtraError, StoreError
from ._files import make_private_directory, reported
from ._locks import try_lock_file
from .protocol import SessionRecord


class KeyringStore:
    """Keeps each record as a password of `service`. Only the locks are files, which are empty."""

    def __init__(
        self, service: str = "agentgate", lock_directory: str | os.PathLike[str] = "~/.cache/agentgate"
    ) -> None:
        self._keyring = _import_keyring()
        self._service = service
        self._locks = make_private_directory(Path(lock_directory).expanduser())

    def load(self, key: str) -> SessionRecord | None:
        text = self._guarded(lambda: self._keyring.get_password(self._service, key))
        return None if text is None else SessionRecord.load(text)

    def save(self, key: str, record: SessionRecord) -> None:
        self._guarded(lambda: self._keyring.set_password(self._service, key, record.dump()))

    def delete(self, key: str) -> None:
        if self.load(key) is not None:
            self._guarded(lambda: self._keyring.delete_password(self._service, key))

    def try_lock(self, key: str) -> Callable[[], None] | None:
        name = hashlib.sha256(f"{self._service}\0{key}".encode()).hexdigest()[:40]
        with reported():
            return try_lock_file(self._locks / f"{name}.lock")

    def _guarded(self, use: Callable[[], str | None]) -> str | None:
        try:
            return use()
        except self._keyring.errors.KeyringError as error:
            problem = type(error).__name__
        raise StoreError(f"the keyring failed ({problem})")


def _import_keyring() -> Any:
    try:
        importlib.import_module("keyring.errors")
        return importlib.import_module("keyring")
    except ImportError:
        raise MissingExtraError("keyring") from None
