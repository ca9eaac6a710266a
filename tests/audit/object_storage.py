"""Object storage that speaks as much of S3's protocol as the archive needs."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Bucket(ThreadingHTTPServer):
    """A server with the objects in memory, by their paths."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.refuses = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bucket

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if "x-amz-decoded-content-length" in self.headers:
            data = _unchunk(data)
        if self.server.refuses:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
            return
        self.server.objects[self.path] = data
        self._answer(200, b"", hashlib.md5(data, usedforsecurity=False).hexdigest())

    def do_GET(self) -> None:
        data = self.server.objects.get(self.path)
        if data is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._answer(200, data, hashlib.md5(data, usedforsecurity=False).hexdigest())

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        pass

    def _answer(self, status: int, body: bytes, tag: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{tag}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _unchunk(data: bytes) -> bytes:
    """Return what `aws-chunked` encodes."""
    found = b""
    while True:
        head, _, rest = data.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if not size:
            return found
        found, data = found + rest[:size], rest[size + 2 :]


@contextmanager
def serve_bucket() -> Iterator[Bucket]:
    with Bucket() as bucket:
        thread = threading.Thread(target=bucket.serve_forever, daemon=True)
        thread.start()
        yield bucket
        bucket.shutdown()
        thread.join()
