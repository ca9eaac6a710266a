"""Connections of clients, which send their requests and read their answers in time or are closed."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# From the beginning of a connection, or the end of a response, to the end of the next request's headers.
HEAD_SECONDS = 10.0
# A client that does not read its answer is disconnected after this time.
WRITE_SECONDS = 60.0


class TimedProtocol(H11Protocol):
    """Closes a connection without a request, which uvicorn keeps for as long as the client wants.

    The number of connections is bounded, so idle ones would shut out all others.
    """

    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()

    def on_response_complete(self) -> None:
        self._expect_request()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def _expect_request(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._close_without, self.cycle)

    def _close_without(self, last: Any) -> None:
        if self.cycle is last:
            self.transport.close()
