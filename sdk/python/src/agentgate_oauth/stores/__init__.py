"""Session stores keep sessions after the process ends, and share them between processes."""

from .file import FileStore
from .keyring import KeyringStore
from .memory import MemoryStore
from .protocol import SessionRecord, SessionStore

__all__ = ["FileStore", "KeyringStore", "MemoryStore", "SessionRecord", "SessionStore"]
