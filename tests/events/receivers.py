"""Receivers of webhooks: web servers of our own that note what they get, and answer as a test says.

As a program, with a port and a file, it accepts everything and writes a line for each request, and can be killed.
"""

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

type Answer = Callable[[int], int]


class Receiver:
    """Notes the headers and the body of each request. `answer` gets the number of requests and returns a status."""

    def __init__(self, answer: Answer = lambda number: 204) -> None:
        self.received: list[tuple[float, dict[str, str], bytes]] = []
        self.answer = answer
        self.most_at_once = self._at_once = 0
        self.lock = threading.Lock()

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in list(self.received)]

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.ids)

    def take(self, headers: dict[str, str], body: bytes) -> int:
        with self.lock:
            self.received.append((time.time(), headers, body))
            number = len(self.received)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self.answer(number)
        finally:
            with self.lock:
                self._at_once -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def receiving(receiver: Receiver, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Run the receiver and yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.take(headers, body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if status == 302:
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = _Server((host, port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}/hooks"
    finally:
        server.shutdown()
        server.server_close()


def main(port: int, path: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    class Noting(Receiver):
        def take(self, headers: dict[str, str], body: bytes) -> int:
            event = json.loads(body)
            line = f"{time.time()} {headers['webhook-id']} {event['id']} {event['stream']['number']}\n"
            os.write(file, line.encode())
            return 204

    with receiving(Noting(), port=port):
        threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
