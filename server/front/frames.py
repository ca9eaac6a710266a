"""Messages between the server's processes: on a stream, each one comes after its length."""

import asyncio
import marshal
from typing import Any

SIZE = 4


class Framed(asyncio.Protocol):
    """Sends and receives messages on a stream. All that are sent in one turn of the event loop are written at once.

    Danger: what arrives is trusted. `marshal` is fast, but reads only what the same version of Python wrote.
    """

    def __init__(self) -> None:
        self._unread = b""
        self._unsent: list[bytes] = []
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        data, start = self._unread + data, 0
        while len(data) >= start + SIZE:
            end = start + SIZE + int.from_bytes(data[start : start + SIZE])
            if len(data) < end:
                break
            self.received(marshal.loads(data[start + SIZE : end]))  # noqa: S302  our own process has sent it
            start = end
        self._unread = data[start:]

    def received(self, message: Any) -> None:
        """Take a message that the other end has sent."""
        raise NotImplementedError

    def send(self, message: Any) -> None:
        """Send a message of plain values, such as texts and tuples, at the end of this turn of the event loop."""
        data = marshal.dumps(message)
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._write)
        self._unsent.append(len(data).to_bytes(SIZE) + data)

    def _write(self) -> None:
        unsent, self._unsent = self._unsent, []
        self.transport.write(b"".join(unsent))
