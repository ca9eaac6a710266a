"""Long responses: how many are being sent to an account at the same time, in this process."""

import threading
from collections import Counter
from collections.abc import Generator, Iterator

from core.errors import Throttled

# Each has a thread and a connection to the database of its own, for as long as the client takes to read it.
MAX_PER_ACCOUNT = 2
RETRY_SECONDS = 5

_lock = threading.Lock()
_sending: Counter[str] = Counter()


class Place:
    """One of an account's places, until it is closed. Raises `Throttled` if there are no more."""

    def __init__(self, account: str) -> None:
        with _lock:
            if _sending[account] >= MAX_PER_ACCOUNT:
                raise Throttled(RETRY_SECONDS)
            _sending[account] += 1
        self._account: str | None = account

    def close(self) -> None:
        with _lock:
            account, self._account = self._account, None
            if account is None:
                return
            _sending[account] -= 1
            if not _sending[account]:
                del _sending[account]


class Pieces:
    """The pieces of a response that has a place until the server closes it, even if it sends none of them."""

    def __init__(self, place: Place, pieces: Iterator[bytes]) -> None:
        self._place = place
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._place.close()
        if isinstance(self._pieces, Generator):
            self._pieces.close()
