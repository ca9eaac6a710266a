"""One process decides for all processes of a server, so that its batches are as large as possible (docs/adr/0101).

It is the one that holds a lock. The others forward to it what their event loops would answer
(`server/front/forwarding.py`). When it stops or is killed, the system frees the lock, and the next takes it.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from core.messages import Reply, Request
from server.front.frames import Framed
from server.front.replies import encode_headers

logger = logging.getLogger(__name__)

LOCK, SOCKET = "decider.lock", "decider.socket"
# Instead of the number of a request, which is positive: the decider takes requests, and it will soon take none.
READY, LEAVING = 0, -1
# How long the others have to notice that this process stops, and to get their last replies.
LEAVE_SECONDS = 2.0
LOOK_SECONDS = 0.01

Done = Callable[[Reply], None]
# Answers a request in this process, such as `HotPaths.answer`. Returns False if Django must answer.
Answer = Callable[[Request, Done], bool]


class Decider:
    """Answers requests of the other processes, while this one holds the lock. `folder` is theirs, too."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        self._folder = folder
        self._answer = answer
        self._lock: int | None = None
        self._server: asyncio.Server | None = None
        self._followers: set[Follower] = set()

    @property
    def is_in_office(self) -> bool:
        return self._lock is not None

    async def take_office(self) -> bool:
        """Decide for the others from now on, unless one of them does. Return whether this process does."""
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        try:
            await self._listen(self._folder / SOCKET)
        except OSError as error:  # such as a path that is too long: each process decides for itself
            logger.warning("No process decides for the others: %s", error)
        return True

    async def _listen(self, path: Path) -> None:
        path.unlink(missing_ok=True)  # of one that was killed
        make = partial(Follower, self._answer, self._followers)
        self._server = await asyncio.get_running_loop().create_unix_server(make, str(path))

    async def leave_office(self) -> None:
        """Take no more requests of the others. Give up the lock once they have their last replies."""
        if self._lock is None:
            return
        if self._server is not None:
            self._server.close()
        for follower in self._followers:
            follower.send((LEAVING, None))
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                while self._followers:
                    await asyncio.sleep(LOOK_SECONDS)
        for follower in tuple(self._followers):
            follower.transport.abort()
        os.close(self._lock)
        self._lock = None


class Follower(Framed):
    """The connection of another process.

    It sends the number of a request, the place of its head, this head if it is new there, and the body. A number of 0
    asks whether this process is alive. It gets the number and the reply, or None if Django must answer.
    """

    def __init__(self, answer: Answer, followers: set["Follower"]) -> None:
        super().__init__()
        self._answer = answer
        self._followers = followers
        self._heads: dict[int, Request] = {}
        self._unanswered = 0
        self._sends_no_more = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._followers.add(self)
        self.send((READY, None))

    def connection_lost(self, exc: Exception | None) -> None:
        self._followers.discard(self)

    def eof_received(self) -> bool:
        """Keep the connection until all is answered."""
        self._sends_no_more = True
        self._close_if_done()
        return True

    def received(self, message: Any) -> None:
        number, place, head, body = message
        if number == READY:
            self.send((READY, None))
            return
        if head is not None:
            self._heads[place] = Request(*head)._replace(memo={})
        self._unanswered += 1
        request = self._heads[place]._replace(body=body)
        try:
            is_answered = self._answer(request, partial(self._reply, number))
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            is_answered = False
        if not is_answered:
            self._reply(number, None)

    def _reply(self, number: int, reply: Reply | None) -> None:
        self._unanswered -= 1
        if self in self._followers:
            try:
                self.send((number, reply and _plain(reply)))
            except ValueError:
                logger.exception("A reply cannot be sent.")
                self.send((number, None))
            self._close_if_done()

    def _close_if_done(self) -> None:
        """Close the connection after what is sent in this turn of the event loop."""
        if self._sends_no_more and not self._unanswered:
            asyncio.get_running_loop().call_soon(self.transport.close)


def _plain(reply: Reply) -> tuple[int, tuple[()], bytes, str]:
    """Return the fields of a reply as plain values: headers can be members of enumerations, but lines are texts."""
    return int(reply.status), (), reply.body, reply.lines + "".join(encode_headers(reply.headers))
