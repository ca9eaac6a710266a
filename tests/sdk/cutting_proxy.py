"""A TCP proxy that forwards requests and, for one path, cuts the connection instead of returning the response."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

CHUNK = 65536


class CuttingProxy:
    def __init__(self, target: str, path: str, times: int) -> None:
        address = urlsplit(target)
        self._target = (address.hostname, address.port)
        self._path = path.encode()
        self._left = times
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def cut_from_now_on(self, times: int = 1_000_000) -> None:
        self._left = times

    def close(self) -> None:
        self._listener.close()

    def _serve_one(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            while request := _read_message(client):
                server.sendall(request)
                answer = _read_message(server)
                if self._left and self._path in request.split(b"\r\n", 1)[0]:
                    self._left -= 1
                    self.cuts += 1
                    return
                client.sendall(answer)


def _read_message(connection: socket.socket) -> bytes:
    """Return one HTTP message with its Content-Length body, empty if the peer has closed the connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(CHUNK)
        if not chunk:
            return b""
        received += chunk
    head, body = received.split(b"\r\n\r\n", 1)
    while len(body) < _length(head):
        body += connection.recv(CHUNK)
    return head + b"\r\n\r\n" + body


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


@contextlib.contextmanager
def cutting_proxy(target: str, path: str, times: int) -> Iterator[CuttingProxy]:
    """Yield a proxy to `target` that drops the first `times` responses to requests for `path`."""
    proxy = CuttingProxy(target, path, times)
    threading.Thread(target=proxy.serve, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.close()
