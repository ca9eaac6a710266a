"""The connections of one process, and which of them to close when there are too many."""

from collections import Counter
from collections.abc import Iterable

from server.front import bounds
from server.front.client import Client
from server.front.headers import is_proxy


class Connections(set[Client]):
    """A set of connections that counts them by address. A /64 of IPv6 is one address."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: Counter[str] = Counter()

    def add(self, connection: Client) -> None:
        super().add(connection)
        self._numbers[connection.address] += 1

    def discard(self, connection: Client) -> None:
        if connection not in self:
            return
        super().discard(connection)
        self._numbers[connection.address] -= 1
        if not self._numbers[connection.address]:
            del self._numbers[connection.address]

    def make_room(self, newcomer: Client) -> bool:
        """Disconnect the client that has kept the process waiting longest, if the newcomer is one too many.

        An address with its whole share loses one of its own connections. Those of trusted proxies, which connect for
        all their users, have no share, and go last. Return False if no connection can go.
        """
        if self._numbers[newcomer.address] > bounds.MAX_PER_ADDRESS and not is_proxy(newcomer.peer):
            return _evict(each for each in self - {newcomer} if each.address == newcomer.address)
        if len(self) <= bounds.MAX_CONNECTIONS:
            return True
        others = self - {newcomer}
        return _evict(each for each in others if not is_proxy(each.peer)) or _evict(others)


def _evict(candidates: Iterable[Client]) -> bool:
    """Disconnect the client that has kept the process waiting longest. Those that still read a reply go last."""
    waiting = (each for each in candidates if each.is_waiting)
    longest = min(waiting, key=lambda each: (each.has_unread, each.waiting_since), default=None)
    if longest is None:
        return False
    longest.evict()
    return True
