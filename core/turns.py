"""A lock that threads and an event loop take in turns.

Python's own lock goes to whichever thread the system wakes. An event loop cannot wait for it, only ask again and again,
so threads that wait for it would pass it on among themselves. Here it goes first, because its batch answers many
callers.
"""

import asyncio
import threading
from collections import deque
from concurrent.futures import Future


class TurnLock:
    """A lock whose holder hands it to the one that waits at the head of the queue. It is not reentrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[Future[None]] = deque()
        self._is_held = False

    def acquire(self, timeout: float) -> bool:
        """Wait in this thread for at most `timeout` seconds. Return whether the lock is held now."""
        turn = self._queue()
        try:
            turn.result(timeout)
        except TimeoutError:
            return not turn.cancel()  # it may have been handed over just now
        return True

    async def acquire_first(self, timeout: float) -> bool:
        """Wait in the event loop, before all threads that wait. Return whether the lock is held now.

        A batch of decisions answers many callers. Threads still get their turn: the next batch comes after one of them.
        """
        turn = self._queue(is_first=True)
        if turn.done():
            return True
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(asyncio.wrap_future(turn))
        except TimeoutError:
            return not turn.cancel()
        except asyncio.CancelledError:
            if not turn.cancel():
                self.release()
            raise
        return True

    def release(self) -> None:
        """Hand the lock to the next that waits. Any thread may call it."""
        with self._guard:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            self._is_held = False

    def _queue(self, *, is_first: bool = False) -> Future[None]:
        """Return a future that is done when the lock is the caller's, perhaps at once."""
        turn: Future[None] = Future()
        with self._guard:
            if self._is_held:
                (self._waiting.appendleft if is_first else self._waiting.append)(turn)
                return turn
            self._is_held = True
        turn.set_result(None)
        return turn
