"""Learns from AgentGate what ended, in a thread, and knows for how long that is current."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from .._call import Call, Credential, get
from .._decode import reader
from .._drivers import SyncDriver
from .._effects import Blocking, Flow
from .._retry import RetryPolicy, perform
from ..errors import ApiError, UnavailableError, UnexpectedResponseError
from .ended import Ended, Revocation, elapsed

logger = logging.getLogger("agentgate_oauth")

SHORTEST_LEASE = 3.0
_LONGEST_WAIT = 10
_ONE_TRY = RetryPolicy(attempts=1)
# Between two requests: after an answer with items, which may come again at once, and after one without that
# came early.
_PAUSE_AFTER_ITEMS, _PAUSE = 0.1, 0.25


@dataclass(frozen=True)
class Answer:
    """What ended. `next` is where to continue, at once if there is `more`."""

    items: tuple[Revocation, ...]
    next: int
    more: bool = False


class Revocations:
    """What ended for a service, asked for in one thread per process.

    It is current for `lease` seconds, which count from when the last complete answer was asked for, not from
    when it came: an answer that was on its way for long says nothing about what ended since.
    """

    def __init__(
        self,
        driver: SyncDriver,
        credential: Credential,
        lease: float,
        timeout: float,
        clock: Callable[[], float] = elapsed,
    ) -> None:
        self.ended = Ended(clock)
        self._driver = driver
        self._credential = credential
        self._lease = lease
        self._timeout = timeout
        self._clock = clock
        self._wait = int(min(_LONGEST_WAIT, lease / 3))
        self._next: int | None = None
        self._asked_at: float | None = None
        self._refused = False
        self._failures = 0
        self._answered = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                thread = threading.Thread(target=self._keep_asking, name="agentgate-revocations", daemon=True)
                thread.start()
                self._thread = thread

    def close(self) -> None:
        """End the thread after its request."""
        self._closed.set()

    def require_current(self) -> Flow[None]:
        """Wait for the first answer. Raises UnavailableError if it is not known what ended."""
        if not self._answered.is_set():
            yield Blocking(partial(self._answered.wait, self._timeout))
        if self._refused:
            raise UnavailableError("service_suspended", 503, "AgentGate lets this service allow nothing")
        asked_at = self._asked_at
        if asked_at is None or self._clock() - asked_at >= self._lease:
            raise UnavailableError("revocations_unknown", 503, "AgentGate has not said lately what ended")

    def ask(self) -> float:
        """Ask once. Return how many seconds to wait before the next time."""
        began = self._clock()
        wait = self._wait if self._may_wait(began) else 0
        try:
            answer = self._driver.run(perform(_revocations(self._next, wait), self._credential, _ONE_TRY))
            if answer.more and answer.next == self._next:
                raise UnexpectedResponseError("AgentGate repeats what ended")
            self.ended.add(answer.items)
        except Exception as error:
            return self._fail(error)
        self._next, self._failures = answer.next, 0
        if answer.more:
            return 0.0
        self._asked_at, self._refused = began, False
        self._answered.set()
        if answer.items:
            return _PAUSE_AFTER_ITEMS
        return 0.0 if wait and self._clock() - began >= wait / 2 else _PAUSE

    def _keep_asking(self) -> None:
        while not self._closed.wait(self.ask()):
            pass

    def _may_wait(self, now: float) -> bool:
        """Return whether an answer that waits comes before the lease ends, also if it is slow."""
        return self._asked_at is not None and now - self._asked_at + self._wait + self._timeout < self._lease

    def _fail(self, error: Exception) -> float:
        logger.error("AgentGate does not say what ended: %s", error)
        if isinstance(error, ApiError) and (error.status == 403 or error.code == "everything_stopped"):
            self._refused = True
        # A database that was restored meanwhile has an earlier end, so the place may be another one.
        self._next = None
        self._failures += 1
        self._answered.set()
        # Jitter spreads the requests after an outage. It is not security-sensitive.
        pause = min(_PAUSE * 2.0 ** min(self._failures, 10), self._lease / 6) * random.uniform(0.5, 1)
        asked = error.retry_after if isinstance(error, ApiError) and error.status == 429 else None
        return max(pause, min(asked or 0.0, self._lease / 3))


def _revocations(after: int | None, wait: int) -> Call[Answer]:
    call = get("/revocations", reader(Answer), after=after, wait=wait or None)
    return replace(call, patience=float(wait))
