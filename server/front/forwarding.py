"""Forwards requests to the process that decides for all of a server (`server/front/decider.py`)."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings

from core.messages import Reply, Request
from server.front.decider import LEAVING, READY, SOCKET, Answer, Decider, Done
from server.front.frames import Framed

logger = logging.getLogger(__name__)

# Heads that the decider remembers for a process, so that each is sent and examined once.
HEADS = 256
# Of the names and values. Larger heads are not remembered, and their requests are decided here.
MAX_HEAD = 4096
# How many ticks the decider may be silent. Ticks are counted, not seconds: the machine may have slept.
MAX_SILENT_TICKS = 6


# The fields of a `Request`, without the body and the memo.
Head = tuple[str, str, str, dict[str, str], bytes, str, str, str]
# Answers a request whose outcome is unknown.
Lost = Callable[[Request, Done], None]


class Forwarded(NamedTuple):
    """A request that the decider answers: where its reply goes, and what answers it here if the decider cannot."""

    request: Request
    done: Done
    answer_here: Callable[[], None]


class Forwarding:
    """Forwards the requests of this process, or decides for the others. `lost` answers if the outcome is unknown."""

    def __init__(self, folder: Path, answer: Answer, lost: Lost) -> None:
        self._decider = Decider(folder, answer)
        self._path = folder / SOCKET
        self._lost = lost
        self._link: Link | None = None
        self._seeking: asyncio.Task[None] | None = None

    def forward(self, request: Request, done: Done, answer_here: Callable[[], None]) -> bool:
        """Return whether another process answers. Otherwise this one must."""
        return self._link is not None and self._link.forward(Forwarded(request, done, answer_here))

    def tick(self) -> None:
        """Look after the connection to the decider. Without one, connect, or decide for all."""
        if self._link is not None:
            self._link.tick()
        elif not self._decider.is_in_office and (self._seeking is None or self._seeking.done()):
            self._seeking = asyncio.get_running_loop().create_task(self._seek())

    async def stop(self) -> None:
        """Forward and decide nothing more. All requests of this process are answered by now."""
        if self._seeking is not None:
            self._seeking.cancel()
        if self._link is not None:
            self._link.transport.close()
        await self._decider.leave_office()

    async def _seek(self) -> None:
        if await self._decider.take_office():
            return
        try:
            loop = asyncio.get_running_loop()
            _, self._link = await loop.create_unix_connection(lambda: Link(self._lost, self._forget), str(self._path))
        except OSError:
            logger.debug("No process decides for the others at the moment.")

    def _forget(self) -> None:
        self._link = None


class Link(Framed):
    """The connection to the decider."""

    def __init__(self, lost: Lost, ended: Callable[[], None]) -> None:
        super().__init__()
        self._lost = lost
        self._ended = ended
        self._is_ready = False
        self._silent_ticks = 0
        self._number = 0
        self._waiting: dict[int, Forwarded] = {}
        self._places: list[dict[Any, Any] | None] = [None] * HEADS
        self._next_place = 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()
        waiting, self._waiting = self._waiting, {}
        if waiting:
            logger.error("The process that decides was lost. The outcome of %d requests is unknown.", len(waiting))
        for forwarded in waiting.values():
            self._lost(forwarded.request, forwarded.done)

    def forward(self, forwarded: Forwarded) -> bool:
        """Send a request, unless the decider has enough to do or the head is too large. Return whether it is sent."""
        if not self._is_ready or len(self._waiting) >= settings.MAX_FORWARDED:
            return False
        found = self._place_of(forwarded.request)
        if found is None:
            return False
        place, head = found
        self._number += 1
        self._waiting[self._number] = forwarded
        self.send((self._number, place, head, forwarded.request.body))
        return True

    def received(self, message: Any) -> None:
        number, reply = message
        self._silent_ticks = 0
        if number == READY:
            self._is_ready = True
        elif number == LEAVING:
            self._is_ready = False
            asyncio.get_running_loop().call_soon(self.transport.write_eof)  # after what was sent in this turn
        elif reply is None:
            self._waiting.pop(number).answer_here()
        else:
            self._waiting.pop(number).done(Reply(*reply))

    def tick(self) -> None:
        """Ask whether the decider is alive. Give it up if it has not answered for long."""
        self._silent_ticks += 1
        if self._silent_ticks > MAX_SILENT_TICKS:
            logger.error("The process that decides does not answer.")
            self.transport.abort()
        elif self._is_ready:
            self.send((READY, 0, None, b""))

    def _place_of(self, request: Request) -> tuple[int, Head | None] | None:
        """Return the place of the request's head at the decider, and the head if it is new there.

        None if the head is too large to be remembered. All requests with a head share its memo.
        """
        memo = request.memo
        if memo is None:
            return None
        place = memo.get(Link)
        if place is not None and self._places[place] is memo:
            return place, None
        if sum(len(name) + len(value) for name, value in request.headers.items()) > MAX_HEAD:
            return None
        place = memo[Link] = self._next_place
        self._next_place = (place + 1) % HEADS
        self._places[place] = memo
        return place, (
            *(request.method, request.path, request.query, dict(request.headers), b""),
            *(request.peer, request.scheme, request.http_version),
        )
