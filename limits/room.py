"""How many counters one call may need, and all calls of one request: each is a row to read, lock and save.

A request has room for as many shadow policies, too: each can write an entry.
"""

from collections.abc import Collection

# An organization's policies give a call at most 32 limits (`policies.quotas`). Two organizations can be concerned, the
# user can add some, and an edit can double them for a time.
MAX_PER_CALL = 128
MAX_PER_REQUEST = 1000


class Room:
    """Room for this many counters. A counter that several limits or calls need counts once."""

    __slots__ = ("_keys", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: set[str] = set()

    def take(self, keys: Collection[str]) -> bool:
        """Return whether these counters fit, and add them. Those that were added before always fit."""
        added = [key for key in keys if key not in self._keys]
        if len(self._keys) + len(added) > self._most:
            return False
        self._keys.update(added)
        return True
