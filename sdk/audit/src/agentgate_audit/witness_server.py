"""The witness's HTTP interface, on the standard library's server. TLS is a reverse proxy's work."""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from ._version import VERSION
from .witness import Answer, Witness

PATH = "/add-checkpoint"
MAX_BODY = 256 * 1024  # 63 hashes, and a checkpoint with many signatures
TIMEOUT = 10.0  # seconds without a byte
DEADLINE = 20.0  # seconds for a connection, however many bytes it sends
MAX_CONNECTIONS = 64
MAX_PER_ADDRESS = 16


class WitnessServer(ThreadingHTTPServer):
    """Serves a witness. A connection ends after `DEADLINE`, or when there are too many and it is the oldest.

    One address has at most `MAX_PER_ADDRESS`. If all have more than `MAX_CONNECTIONS`, the address with the most makes
    room, so slow connections keep no one out. A reverse proxy is one address: it should read requests before it sends
    them on, as nginx does.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.witness = witness
        self._lock = threading.Lock()
        self._open: dict[socket.socket, tuple[str, float]] = {}  # by age, with the address and the deadline
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        source = _source_of(client_address[0])
        with self._lock:
            self._make_room(source)
            self._open[request] = (source, time.monotonic() + DEADLINE)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(request, None)

    def service_actions(self) -> None:
        """Close the connections whose time is over. The server calls this twice per second, and after each one."""
        now = time.monotonic()
        with self._lock:
            for connection in [one for one, (_, deadline) in self._open.items() if deadline < now]:
                self._close(connection)

    def _make_room(self, source: str) -> None:
        """Close the oldest connection of an address that has too many."""
        counts = Counter(source for source, _ in self._open.values())
        if counts[source] >= MAX_PER_ADDRESS:
            self._close_oldest(source)
        elif len(self._open) >= MAX_CONNECTIONS:
            self._close_oldest(counts.most_common(1)[0][0])

    def _close_oldest(self, source: str) -> None:
        self._close(next(one for one, (other, _) in self._open.items() if other == source))

    def _close(self, connection: socket.socket) -> None:
        """End what the connection's thread waits for, which then ends itself."""
        del self._open[connection]
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log one line without a traceback: clients that go away are normal."""
        print(f"{client_address[0]}: {type(sys.exc_info()[1]).__name__}", file=sys.stderr, flush=True)


def _source_of(address: str) -> str:
    """Return what counts as one address: of IPv6, the network that a customer gets."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = f"agentgate-witness/{VERSION}"
    sys_version = ""
    timeout = TIMEOUT

    def do_POST(self) -> None:
        if self.path != PATH:
            self._answer(Answer(404, "Not found.\n"), close=True)
            return
        size = self._body_size()
        if isinstance(size, Answer):
            self._answer(size, close=True)
            return
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True
            return
        self._answer(self._ask(body))

    def do_GET(self) -> None:
        refusal = Answer(405, "Method not allowed.\n") if self.path == PATH else Answer(404, "Not found.\n")
        self._answer(refusal, close=True)

    do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET

    def _ask(self, body: bytes) -> Answer:
        try:
            return cast(WitnessServer, self.server).witness.add_checkpoint(body)
        except OSError as error:
            self.log_error("the state was not stored: %s", error.strerror)
            return Answer(500, "The witness cannot store its state.\n")

    def _body_size(self) -> int | Answer:
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or len(lengths) != 1:
            return Answer(411, "Content-Length is required.\n")
        if not (lengths[0].isascii() and lengths[0].isdigit()):
            return Answer(400, "Content-Length must be a number.\n")
        if len(lengths[0]) > 9 or int(lengths[0]) > MAX_BODY:
            return Answer(413, f"At most {MAX_BODY} bytes.\n")
        return int(lengths[0])

    def _answer(self, answer: Answer, *, close: bool = False) -> None:
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(data)))
        if answer.status == 405:
            self.send_header("Allow", "POST")
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
