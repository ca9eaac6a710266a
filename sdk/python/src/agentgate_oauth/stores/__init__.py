"""Where sessions are kept, so that they survive the process and are shared by several."""

from .file import FileStore
from .keyring import KeyringStore
from .memory import MemoryStore
from .protocol import SessionRecord, SessionStore

__all__ = ["FileStore", "KeyringStore", "MemoryStore", "SessionRecord", "SessionStore"]
