"""The witness's HTTP interface, on the standard library's server. TLS is a reverse proxy's work."""

from __future__ import annotations

import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from ._version import VERSION
from .witness import Answer, Witness

PATH = "/add-checkpoint"
MAX_BODY = 256 * 1024  # 63 hashes, and a checkpoint with many signatures
TIMEOUT = 10.0  # seconds without a byte
MAX_CONNECTIONS = 64


class WitnessServer(ThreadingHTTPServer):
    """Serves a witness. More connections than `MAX_CONNECTIONS` are closed at once."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.witness = witness
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log one line without a traceback: clients that go away are normal."""
        print(f"{client_address[0]}: {type(sys.exc_info()[1]).__name__}", file=sys.stderr, flush=True)


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
