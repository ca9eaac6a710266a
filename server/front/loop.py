"""The event loop of a server process: uvloop's, except for how it accepts connections."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvloop

logger = logging.getLogger(__name__)

MakeProtocol = Callable[[], asyncio.BaseProtocol]
# How long to wait when the process has no file descriptor or memory for another connection.
RETRY_SECONDS = 1.0


class Loop(uvloop.Loop):
    """Accepts one connection per turn.

    uvloop accepts all that wait, so the process that wakes first gets a whole burst of connections, and the others get
    none. With one per turn, processes that listen at the same socket take turns, and a busy one takes fewer.
    """

    async def create_server(self, protocol_factory: MakeProtocol, **options: Any) -> "Listener":  # type: ignore[override]
        return Listener(self, options["sock"], options["backlog"], protocol_factory)


class Listener:
    """Accepts connections at a socket until `close`, which accepts those that still wait."""

    def __init__(self, loop: Loop, listening: socket.socket, backlog: int, make_protocol: MakeProtocol) -> None:
        self._loop, self._socket, self._make_protocol = loop, listening, make_protocol
        self._connecting: set[asyncio.Task[None]] = set()
        self._is_closed = False
        listening.settimeout(0)
        listening.listen(backlog)
        self._backlog = backlog
        self._listen()

    def close(self) -> None:
        self._is_closed = True
        self._loop.remove_reader(self._socket)
        for _ in range(self._backlog):  # their clients may have sent requests, and would be reset
            if not self._accept():
                break

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def _listen(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> bool:
        """Accept one connection. Return False if none waits or none can be accepted now."""
        try:
            client, _ = self._socket.accept()
        except (ConnectionAbortedError, InterruptedError):
            return True  # the client has gone, or a signal came: others may wait
        except BlockingIOError:
            return False  # another process was faster
        except OSError as error:
            logger.error("No connection can be accepted: %s", error)
            self._loop.remove_reader(self._socket)
            self._loop.call_later(RETRY_SECONDS, self._listen)
            return False
        connecting = self._loop.create_task(self._connect(client))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        return True

    async def _connect(self, client: socket.socket) -> None:
        client.settimeout(0)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            _, protocol = await self._loop.connect_accepted_socket(self._make_protocol, client)
        except OSError:  # the client has gone
            client.close()
            return
        if self._is_closed:
            protocol.shutdown()  # type: ignore[attr-defined]  # as uvicorn has done with all connections before
