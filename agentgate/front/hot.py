"""Hot paths: requests that the event loop answers itself, without Django."""

from collections.abc import Callable

from agentgate.front.pool import Pool
from core.messages import Reply, Request

Done = Callable[[Reply], None]


class HotPaths:
    """Answers the hot paths of one process. All methods are called in the event loop's thread."""

    def __init__(self, pool: Pool) -> None:
        """`pool` runs blocking work, such as a database write, in the threads that also run Django."""
        self._pool = pool

    async def start(self) -> None:
        """Prepare. The process accepts connections after this returns; an exception ends the process."""

    async def stop(self) -> None:
        """Release everything. No request is in hand any more."""

    def answer(self, request: Request, done: Done) -> bool:
        """Return False if Django must answer. Otherwise call `done` exactly once, now or later, in the loop's thread.

        `done` is harmless after the client has disconnected.
        """
        return False
